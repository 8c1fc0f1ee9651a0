package postgres

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/muniment/muniment/notary"
	"github.com/muniment/muniment/storage/storagetest"
)

// trillians is what Trillian, as the role of append, does with its tables: the tree is
// disposable, and proves nothing by itself.
const trillians = "SELECT INSERT UPDATE DELETE"

// mayAppend, mayRead and mayErase are all that the three roles may do, each table of the schema with
// its verbs. A table that is not named is closed.
var (
	mayAppend = map[string]string{
		"head": "SELECT UPDATE", "entries": "SELECT INSERT", "tiles": "SELECT INSERT UPDATE", "published": "SELECT UPDATE",
		"stamps": "SELECT INSERT", "renewals": "SELECT INSERT",
		"deposits": "SELECT INSERT", "secrets": "SELECT INSERT", "deposit_id": "SELECT INSERT", "idempotency": "SELECT INSERT",
		"terms": "SELECT INSERT", "cases": "SELECT INSERT UPDATE", "usages": "SELECT INSERT UPDATE",
		"tenants": "SELECT INSERT", "api_keys": "SELECT INSERT DELETE", "sessions": "SELECT INSERT DELETE",
		"key_states": "SELECT INSERT UPDATE", "attendants": "SELECT INSERT UPDATE DELETE",
		"lease": "SELECT UPDATE", "anchor": "SELECT INSERT UPDATE", "webhooks": "SELECT INSERT UPDATE DELETE",
		"trail": "SELECT INSERT", "trail_days": "SELECT INSERT", "trail_head": "SELECT UPDATE",
		"trees": trillians, "treecontrol": trillians, "subtree": trillians, "treehead": trillians, "leafdata": trillians, "sequencedleafdata": trillians,
	}
	mayRead = map[string]string{
		"head": "SELECT", "entries": "SELECT", "tiles": "SELECT", "published": "SELECT", "stamps": "SELECT", "renewals": "SELECT",
		"deposits": "SELECT", "secrets": "SELECT", "deposit_id": "SELECT", "idempotency": "SELECT", "terms": "SELECT", "cases": "SELECT", "usages": "SELECT",
		"trail": "SELECT",
	}
	mayErase  = map[string]string{"deposits": "SELECT UPDATE", "secrets": "SELECT UPDATE", "terms": "SELECT DELETE"}
	ofTenants = []string{"deposits", "secrets", "deposit_id", "idempotency", "terms", "cases", "usages"}
)

// TestRoles tries every verb on every table of the schema, partitions and goose's own
// among them, as each role: history cannot be changed by who only appends.
func TestRoles(t *testing.T) {
	c := fresh(t)
	conn := superuser(t, c)
	tables := names(t, conn, `SELECT relname FROM pg_class JOIN pg_namespace n ON n.oid = relnamespace
		WHERE nspname = current_schema() AND relkind IN ('r', 'p') ORDER BY relname`)
	for _, table := range []string{"deposits_0", "goose_db_version"} {
		if !slices.Contains(tables, table) {
			t.Errorf("there is no table %s: this test tries less than it should", table)
		}
	}
	for role, may := range map[string]map[string]string{roleAppend: mayAppend, roleRead: mayRead, "muniment_erase": mayErase} {
		for table := range may {
			if !slices.Contains(tables, table) {
				t.Errorf("there is no table %s", table)
			}
		}
		for _, table := range tables {
			column := names(t, conn, "SELECT attname FROM pg_attribute WHERE attrelid = $1::regclass AND attnum = 1", table)[0]
			for verb, sql := range map[string]string{
				"SELECT":   "SELECT " + column + " FROM %s WHERE false",
				"INSERT":   "INSERT INTO %s SELECT (NULL::%[1]s).* WHERE false",
				"UPDATE":   "UPDATE %s SET " + column + " = DEFAULT WHERE false",
				"DELETE":   "DELETE FROM %s WHERE false",
				"TRUNCATE": "TRUNCATE %s",
				"DROP":     "DROP TABLE %s CASCADE",
				"ALTER":    "ALTER TABLE %s DISABLE ROW LEVEL SECURITY",
				"TRIGGER":  "CREATE TRIGGER t BEFORE INSERT ON %s FOR EACH STATEMENT EXECUTE FUNCTION suppress_redundant_updates_trigger()",
			} {
				want := slices.Contains(strings.Fields(may[table]), verb)
				if allowed := tryAs(t, conn, role, fmt.Sprintf(sql, table)); allowed != want {
					t.Errorf("%s may %s %s: %v", role, verb, table, allowed)
				}
			}
		}
		for _, sql := range []string{"CREATE TABLE more (n int)", "CREATE SCHEMA more", "SET ROLE postgres", "SELECT pg_read_file('PG_VERSION')"} {
			if tryAs(t, conn, role, sql) {
				t.Errorf("%s may: %s", role, sql)
			}
		}
	}
}

func names(t *testing.T, conn *pgx.Conn, sql string, args ...any) []string {
	t.Helper()
	rows, err := conn.Query(t.Context(), sql, args...)
	must(t, err)
	found, err := pgx.CollectRows(rows, pgx.RowTo[string])
	must(t, err)
	if len(found) == 0 {
		t.Fatalf("nothing found by %s", sql)
	}
	return found
}

// tryAs reports whether a role is allowed a statement, and takes back what it did.
func tryAs(t *testing.T, conn *pgx.Conn, role, sql string) bool {
	t.Helper()
	ctx := t.Context()
	tx, err := conn.Begin(ctx)
	must(t, err)
	defer tx.Rollback(ctx)
	_, err = tx.Exec(ctx, "SET LOCAL ROLE "+role)
	must(t, err)
	_, err = tx.Exec(ctx, sql)
	var told *pgconn.PgError
	switch {
	case err == nil:
		return true
	case errors.As(err, &told) && told.Code == "42501": // insufficient_privilege
		return false
	case errors.As(err, &told) && told.Code == "22023" && strings.HasPrefix(sql, "SET ROLE"): // no such role here
		return false
	}
	t.Fatalf("%s: %s: %v", role, sql, err)
	return false
}

// TestTenantsFenced: the role of read sees the rows of the tenant it has named, and where
// it has named none, or nobody, no row at all.
func TestTenantsFenced(t *testing.T) {
	c := fresh(t)
	log, l := storagetest.NewLog(), mustOpen(t, c)
	appendFor(t, l, log, alice, bob)
	conn := superuser(t, c)
	for _, table := range ofTenants {
		for tenant, want := range map[string]int{"": 0, alice.String(): 3, bob.String(): 3, notary.ID{1}.String(): 0} {
			if table == "idempotency" || table == "cases" || table == "usages" {
				want /= 3 // one for the three rows
			}
			if n := countAs(t, conn, tenant, table); n != want {
				t.Errorf("tenant %q sees %d rows of %s, want %d", tenant, n, table, want)
			}
		}
	}
	// Its connections are shared: what one transaction named is not named in the next.
	must(t, log.Check(t.Context(), l))
	reading, err := l.reads.Acquire(t.Context())
	must(t, err)
	defer reading.Release()
	var n int
	must(t, reading.QueryRow(t.Context(), "SELECT count(*) FROM deposits").Scan(&n))
	if n != 0 {
		t.Errorf("a connection that served others sees %d rows", n)
	}
}

// appendFor appends three rows for each tenant, in one case and under one key.
func appendFor(t *testing.T, l *Ledger, log *storagetest.Log, tenants ...notary.ID) {
	t.Helper()
	for _, tenant := range tenants {
		key := term("the same for all")
		s := storagetest.Spec{Tenant: tenant, Contract: &key, Terms: []notary.Term{key}}
		b := log.Batch(s, s, s)
		b.Operations = []notary.Operation{{Tenant: tenant, Key: key, First: b.Rows[0].Index, Count: 3}}
		b.Usages = []notary.Usage{{Tenant: tenant, Month: 202611, Deposits: 3}}
		must(t, l.Append(t.Context(), notary.Lookups{}, func(notary.State) (*notary.Batch, error) { return b, nil }))
		log.Took(b)
	}
}

func countAs(t *testing.T, conn *pgx.Conn, tenant, table string) (n int) {
	t.Helper()
	ctx := t.Context()
	tx, err := conn.Begin(ctx)
	must(t, err)
	defer tx.Rollback(ctx)
	_, err = tx.Exec(ctx, "SET LOCAL ROLE "+roleRead)
	must(t, err)
	if tenant != "" {
		_, err = tx.Exec(ctx, "SELECT set_config('muniment.tenant', $1, true)", tenant)
		must(t, err)
	}
	must(t, tx.QueryRow(ctx, "SELECT count(*) FROM "+table).Scan(&n))
	return n
}

// TestSupervisedReadsAreFenced: whoever looks at a tenant, its own or one that it supervises,
// names exactly that one for its transaction. A statement without the filter by tenant, and
// one that asks for another's rows by name, see that tenant's alone.
func TestSupervisedReadsAreFenced(t *testing.T) {
	c := fresh(t)
	log, l := storagetest.NewLog(), mustOpen(t, c)
	appendFor(t, l, log, alice, bob)
	for range 3 { // connections are shared among those who look at different tenants
		for looking, other := range map[notary.ID]notary.ID{alice: bob, bob: alice} {
			for _, table := range ofTenants {
				for sql, want := range map[string]int{
					"SELECT DISTINCT tenant FROM " + table:                                               1,
					"SELECT tenant FROM " + table + " WHERE tenant = '" + other.String() + "'":           0,
					"SELECT DISTINCT tenant FROM " + table + " WHERE tenant <> '" + other.String() + "'": 1,
				} {
					var seen []notary.ID
					must(t, l.asTenant(t.Context(), looking, func(rows pgx.Rows) error {
						found, err := pgx.CollectRows(rows, pgx.RowTo[pgtype.UUID])
						for _, id := range found {
							seen = append(seen, id.Bytes)
						}
						return err
					}, sql))
					if len(seen) != want || want == 1 && seen[0] != looking {
						t.Errorf("looking at %v, %s: %v", looking, sql, seen)
					}
				}
			}
		}
	}
}
