package postgres

import (
	"encoding/binary"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/muniment/muniment/notary"
	"github.com/muniment/muniment/proofs"
)

func uuid(id notary.ID) pgtype.UUID { return pgtype.UUID{Bytes: id, Valid: true} }

// A column is one argument of unnest; a nil in it is NULL.
type column [][]byte

func (c column) bytes() [][]byte { return c }

func (c column) uuids() []pgtype.UUID {
	out := make([]pgtype.UUID, len(c))
	for i, b := range c {
		out[i] = pgtype.UUID{Bytes: [16]byte(b), Valid: true}
	}
	return out
}

// notNull makes an empty value of a missing one.
func notNull(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}

// joined is hashes one behind the other.
func joined(hashes []proofs.Hash) []byte {
	out := make([]byte, 0, len(hashes)*proofs.HashSize)
	for i := range hashes {
		out = append(out, hashes[i][:]...)
	}
	return out
}

// split undoes joined; ok is false if b is no whole number of hashes.
func split(b []byte) (hashes []proofs.Hash, ok bool) {
	hashes = make([]proofs.Hash, len(b)/proofs.HashSize)
	for i := range hashes {
		copy(hashes[i][:], b[i*proofs.HashSize:])
	}
	return hashes, len(b)%proofs.HashSize == 0
}

// readHead reads a row of selectHead.
func readHead(row pgx.Row) (notary.Head, []proofs.Hash, error) {
	return readHeadAt(row, new(time.Time))
}

func readHeadAt(row pgx.Row, now *time.Time) (notary.Head, []proofs.Hash, error) {
	var size, ms int64
	var root, peaks []byte
	var batch pgtype.UUID
	if err := row.Scan(&size, &root, &ms, &batch, &peaks, now); err != nil {
		if errors.Is(err, pgx.ErrNoRows) {
			err = corrupt("there is no head")
		}
		return notary.Head{}, nil, failed(err)
	}
	*now = now.UTC()
	hashes, ok := split(peaks)
	if size < 0 || len(root) != proofs.HashSize || !ok {
		return notary.Head{}, nil, corrupt("the head cannot be read")
	}
	h := notary.Head{Size: uint64(size), Root: proofs.Hash(root), Batch: batch.Bytes}
	if size > 0 {
		h.Time = time.UnixMilli(ms).UTC()
	}
	return h, hashes, nil
}

// maxRun is the most entries in one row.
const maxRun = 64

// runs are columns of the table entries.
type runs struct {
	first []int64
	count []int32
	time  []int64
	data  [][]byte
}

// packEntries packs the entries of rows that Continues has passed.
func packEntries(rows []notary.Row) (out runs) {
	for i := range rows {
		at, _ := notary.EntryTime(rows[i].Entry) // it has been read before
		last := len(out.first) - 1
		if last < 0 || out.count[last] == maxRun || out.time[last] != at.UnixMilli() {
			out.first, out.count = append(out.first, int64(rows[i].Index)), append(out.count, 0)
			out.time, out.data = append(out.time, at.UnixMilli()), append(out.data, nil)
			last++
		}
		out.count[last]++
		out.data[last] = append(binary.BigEndian.AppendUint16(out.data[last], uint16(len(rows[i].Entry))), rows[i].Entry...)
	}
	return out
}

// unpackEntries undoes packEntries for one row; ok is false if data does not hold exactly
// count entries. They share data's memory.
func unpackEntries(data []byte, count int32) (entries [][]byte, ok bool) {
	for len(data) >= 2 {
		n := int(binary.BigEndian.Uint16(data))
		if len(data) < 2+n {
			return nil, false
		}
		entries, data = append(entries, data[2:2+n:2+n]), data[2+n:]
	}
	return entries, len(data) == 0 && len(entries) == int(count)
}
