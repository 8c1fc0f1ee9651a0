package trillian_test

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/jackc/pgx/v5"
)

// TestSchema: our tables for Trillian have the columns, types and keys of those that come
// with it. What is left out on purpose is named here.
func TestSchema(t *testing.T) {
	p := database(t)
	cache, err := os.UserCacheDir()
	must(t, err)
	schema, err := os.ReadFile(filepath.Join(cache, "muniment", "trillian-v1.8.0", "storage.sql"))
	must(t, err)
	run(t, p.URL(), "CREATE SCHEMA theirs")
	c, err := pgx.Connect(t.Context(), p.URL())
	must(t, err)
	defer c.Close(context.Background())
	_, err = c.Exec(t.Context(), "SET search_path = theirs; "+string(schema))
	must(t, err)
	theirs, ours := columns(t, c, "theirs"), columns(t, c, "muniment")
	delete(theirs, "unsequenced") // the queue of logs that give places
	for table, want := range theirs {
		if !slices.Equal(ours[table], want) {
			t.Errorf("%s: %v, theirs is %v", table, ours[table], want)
		}
	}
	if len(theirs) != 6 {
		t.Errorf("tables: %v", slices.Sorted(maps.Keys(theirs)))
	}
}

// columns lists each table's columns, and the columns of its primary key.
func columns(t *testing.T, c *pgx.Conn, schema string) map[string][]string {
	t.Helper()
	rows, err := c.Query(t.Context(), `
		SELECT c.relname, a.attname, replace(format_type(a.atttypid, a.atttypmod), n.nspname || '.', ''), a.attnotnull,
			coalesce(array_position(i.indkey::int2[], a.attnum), -1)
		FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_attribute a ON a.attrelid = c.oid
		LEFT JOIN pg_index i ON i.indrelid = c.oid AND i.indisprimary
		WHERE n.nspname = $1 AND c.relkind = 'r' AND a.attnum > 0 AND NOT a.attisdropped ORDER BY 1, 2`, schema)
	must(t, err)
	all := map[string][]string{}
	var table, column, kind string
	var notNull bool
	var key int
	_, err = pgx.ForEachRow(rows, []any{&table, &column, &kind, &notNull, &key}, func() error {
		all[table] = append(all[table], fmt.Sprint(column, " ", kind, " ", notNull, " ", key))
		return nil
	})
	must(t, err)
	return all
}
