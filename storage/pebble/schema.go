// Package pebble is the embedded ledger: one directory, one process, no service
// beside it. It implements notary.Ledger and notary.Accounts on
// github.com/cockroachdb/pebble.
//
// What holds after a crash at any moment: every batch whose Append returned nil
// is there whole; every other batch is there whole or not at all; no reader was
// ever shown a batch that the crash took back.
package pebble

import (
	"encoding/binary"

	"github.com/muniment/muniment/notary"
)

// The key space. The first byte names a table; integers are big-endian, so that
// the order of keys is the order of numbers and a tile, an entry bundle or a page
// of a case is one range scan. Everything under a table is written by the one
// method named beside it and read by no other program.
//
//	key                            value                     written by
//	m schema                       version of this layout    Open, once
//	m head                         the newest head           Append
//	m published                    size and signed note      Publish, unsynced
//	m barrier                      a batch's id              Committed
//	e index                        entry bytes               Append
//	h level index                  tile hash, 32 bare bytes  Append
//	r index                        tenant, id, case, record  Append; Erase, without the record
//	s index                        secrets                   Append; deleted by Erase
//	i id                           index                     Append
//	q tenant index                 nothing                   Append
//	t tenant term index            nothing                   Append
//	k tenant key                   first index and count     Append
//	c tenant contract              case state                Append, overwritten
//	u tenant month                 deposits and bytes        Append, overwritten
//	z size                         evidence record's start   Stamp
//	y number                       renewal                   Renew
//	n tenant                       tenant                    CreateTenant
//	a hash                         API key                   CreateAPIKey, DeleteAPIKey
//	b hash                         what else is of an API key    CreateAPIKey, ConfirmAPIKey, DeleteAPIKey
//	o request                      nothing                   CreateTenant, CreateAPIKey; deleted by DeleteAPIKey
//	x tenant                       request                   CreateTenant
//	w tenant id                    webhook                   CreateWebhook, SaveWebhook, ResealWebhook
//	g tenant                       state of a rotation       SaveKeyState
//	m trail                        the head of the trail     WriteTrail
//	l day number                   page of the trail         WriteTrail
//	j tenant day number            nothing                   WriteTrail
//	d day                          closed day of the trail   WriteTrail
//
// Each hash stands once. There are no rows for tiles: a tile, full or partial, is
// the 256 keys under (level, index), next to each other in one or two blocks.
//
// How the layout meets what comes:
//
//   - Public and private are apart. e and h are what the log serves to strangers
//     and are never deleted; everything else belongs to a tenant.
//   - Erase deletes s and rewrites r without its record, flushes and compacts those
//     keys, and overwrites the write-ahead logs older than the flush. k survives, so
//     that a replay of an erased deposit's key still meets it.
//   - Look-up keys (q, t) carry no value and are deletable one by one: a row
//     stays provable after nobody can search for it.
//   - Holds and erasures are entries of the log; r is written once and does not grow
//     fields that change.
//   - A tenant's keys stand together in every table that is searched by tenant,
//     so that one range deletion per table removes it.
//   - Recovery: h, i, q and the head can be rebuilt from e and r; t, k and c can
//     not, u in part (terms are keyed digests), so they are as precious as the rows.
const (
	tableMeta       = 'm'
	tableEntries    = 'e'
	tableHashes     = 'h'
	tableRows       = 'r'
	tableSecrets    = 's'
	tableIDs        = 'i'
	tableByTenant   = 'q'
	tableByTerm     = 't'
	tableOperations = 'k'
	tableCases      = 'c'
	tableStamps     = 'z'
	tableRenewals   = 'y'
	tableTenants    = 'n'
	tableAPIKeys    = 'a'
	tableWebhooks   = 'w'
	tableKeyStates  = 'g'
	tableUsages     = 'u'
	// What an older program need not know of accounts stands beside them.
	tableKeyMore    = 'b'
	tableRequests   = 'o'
	tableTenantMore = 'x'
	tableTrail      = 'l'
	tableTrailOf    = 'j'
	tableTrailDays  = 'd'
	tableSessions   = 'v'
)

// schemaVersion is raised by a change that an older program would misread. A
// ledger of a newer version than the program's is refused.
const schemaVersion = 1

var (
	keySchema    = []byte("mschema")
	keyHead      = []byte("mhead")
	keyPublished = []byte("mpublished")
	keyBarrier   = []byte("mbarrier")
	keyTrail     = []byte("mtrail")
)

const (
	indexKeySize  = 1 + 8
	hashKeySize   = 1 + 1 + 8
	idKeySize     = 1 + 16
	tenantKeySize = 1 + 16 + 8
	termKeySize   = pairKeySize + 8
	pairKeySize   = 1 + 16 + len(notary.Term{})
	monthKeySize  = 1 + 16 + 4
)

// indexKey is the key of one index in the tables e, r and s, of a size in z and of a number
// in y.
func indexKey(dst []byte, table byte, index uint64) []byte {
	return binary.BigEndian.AppendUint64(append(dst, table), index)
}

func hashKey(dst []byte, level int, index uint64) []byte {
	return binary.BigEndian.AppendUint64(append(dst, tableHashes, byte(level)), index)
}

// idKey is the key in the tables i, n and g.
func idKey(dst []byte, table byte, id notary.ID) []byte {
	return append(append(dst, table), id[:]...)
}

func tenantKey(dst []byte, tenant notary.ID, index uint64) []byte {
	return binary.BigEndian.AppendUint64(idKey(dst, tableByTenant, tenant), index)
}

func termKey(dst []byte, tenant notary.ID, term notary.Term, index uint64) []byte {
	return binary.BigEndian.AppendUint64(pairKey(dst, tableByTerm, tenant, term), index)
}

// pairKey is the key in the tables k and c, and the prefix in t.
func pairKey(dst []byte, table byte, tenant notary.ID, term notary.Term) []byte {
	return append(idKey(dst, table, tenant), term[:]...)
}

// monthKey is the key in the table u.
func monthKey(dst []byte, tenant notary.ID, month notary.Month) []byte {
	return binary.BigEndian.AppendUint32(idKey(dst, tableUsages, tenant), uint32(month))
}

// hashKey32 is the key in the tables a, b and o.
func hashKey32(table byte, hash [32]byte) []byte { return append([]byte{table}, hash[:]...) }
