package pebble

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"time"

	engine "github.com/cockroachdb/pebble/v2"

	"github.com/muniment/muniment/notary"
	"github.com/muniment/muniment/proofs"
)

// corrupt is every error that says: what stands in the store is not what this
// package wrote. It is never answered with a zero value or ErrNotFound.
func corrupt(format string, args ...any) error {
	return fmt.Errorf("ledger: %w: %s", notary.ErrDamaged, fmt.Sprintf(format, args...))
}

// damage calls Pebble's own word for a block that does not check by the contract's.
func damage(err error) error {
	if err != nil && engine.IsCorruptionError(err) && !errors.Is(err, notary.ErrDamaged) {
		return fmt.Errorf("ledger: %w: %w", notary.ErrDamaged, err)
	}
	return err
}

// A value is one version byte, the fields, and a CRC-32C over key, version and
// fields. Pebble checks its blocks when it reads them from disk; this check goes
// with the value through caches and compactions, and binds it to its key, so that
// a value that turns up under another key is damage too. Tile hashes are bare: they
// are checked by recomputing them.
const (
	valueVersion = 1
	valueExtra   = 1 + 4
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// seal fills in the first byte and the last four of a value whose fields stand.
func seal(key, value []byte) {
	value[0] = valueVersion
	end := len(value) - 4
	sum := crc32.Update(crc32.Update(0, castagnoli, key), castagnoli, value[:end])
	binary.BigEndian.PutUint32(value[end:], sum)
}

// sealed returns the value that holds the given fields under key.
func sealed(key, fields []byte) []byte {
	value := make([]byte, valueExtra+len(fields))
	copy(value[1:], fields)
	seal(key, value)
	return value
}

// unseal returns the fields of a value.
func unseal(key, value []byte) ([]byte, error) {
	if len(value) < valueExtra {
		return nil, errors.New("value is too short")
	}
	end := len(value) - 4
	sum := crc32.Update(crc32.Update(0, castagnoli, key), castagnoli, value[:end])
	if sum != binary.BigEndian.Uint32(value[end:]) {
		return nil, errors.New("checksum does not match")
	}
	if value[0] != valueVersion {
		return nil, fmt.Errorf("value has version %d, not %d", value[0], valueVersion)
	}
	return value[1:end], nil
}

// A decoder takes fields off the front of a value. After the first shortfall
// every field reads as zero, and finish reports it.
type decoder struct {
	rest  []byte
	short bool
}

func (d *decoder) bytes(n int) []byte {
	if d.short || n < 0 || n > len(d.rest) {
		d.short = true
		return nil
	}
	b := d.rest[:n]
	d.rest = d.rest[n:]
	return b
}

func (d *decoder) uint64() uint64 {
	b := d.bytes(8)
	if b == nil {
		return 0
	}
	return binary.BigEndian.Uint64(b)
}

func (d *decoder) uint32() uint32 {
	b := d.bytes(4)
	if b == nil {
		return 0
	}
	return binary.BigEndian.Uint32(b)
}

func (d *decoder) id() (id notary.ID) {
	copy(id[:], d.bytes(len(id)))
	return id
}

func (d *decoder) hash() (h proofs.Hash) {
	copy(h[:], d.bytes(len(h)))
	return h
}

// counted takes a length in 32 bits and that many bytes, which are copied.
func (d *decoder) counted() []byte {
	return bytes.Clone(d.bytes(int(d.uint32())))
}

func (d *decoder) finish() error {
	if d.short {
		return errors.New("value is too short")
	}
	if len(d.rest) > 0 {
		return fmt.Errorf("value has %d trailing bytes", len(d.rest))
	}
	return nil
}

func appendCounted(dst, b []byte) []byte {
	return append(binary.BigEndian.AppendUint32(dst, uint32(len(b))), b...)
}

const headFields = 8 + 32 + 8 + 16

func appendHead(dst []byte, h notary.Head) []byte {
	dst = binary.BigEndian.AppendUint64(dst, h.Size)
	dst = append(dst, h.Root[:]...)
	var ms int64
	if h.Size > 0 {
		ms = h.Time.UnixMilli()
	}
	dst = binary.BigEndian.AppendUint64(dst, uint64(ms))
	return append(dst, h.Batch[:]...)
}

func decodeHead(fields []byte) (notary.Head, error) {
	d := decoder{rest: fields}
	h := notary.Head{Size: d.uint64(), Root: d.hash()}
	ms := int64(d.uint64())
	h.Batch = d.id()
	if err := d.finish(); err != nil {
		return notary.Head{}, err
	}
	if h.Size > 0 {
		h.Time = time.UnixMilli(ms).UTC()
	}
	return h, nil
}

// rowFields is the size of a row's fields: tenant, id, place in the case, the
// leaf before it from place 2 on, and the record.
func rowFields(r *notary.Row) int {
	n := 16 + 16 + 8 + 4 + len(r.Body)
	if r.CaseSeq > 1 {
		n += proofs.HashSize
	}
	return n
}

func appendRow(dst []byte, r *notary.Row) []byte {
	dst = append(dst, r.Tenant[:]...)
	dst = append(dst, r.ID[:]...)
	dst = binary.BigEndian.AppendUint64(dst, r.CaseSeq)
	if r.CaseSeq > 1 {
		dst = append(dst, r.CasePrev[:]...)
	}
	return appendCounted(dst, r.Body)
}

// decodeRow reads all of a row but its index, entry and secrets.
func decodeRow(fields []byte) (notary.Row, error) {
	d := decoder{rest: fields}
	r := notary.Row{Tenant: d.id(), ID: d.id(), CaseSeq: d.uint64()}
	if r.CaseSeq > 1 {
		r.CasePrev = d.hash()
	}
	r.Body = d.counted()
	if err := d.finish(); err != nil {
		return notary.Row{}, err
	}
	return r, nil
}

const operationFields = 8 + 4

func appendOperation(dst []byte, o *notary.Operation) []byte {
	return binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint64(dst, o.First), o.Count)
}

func decodeOperation(fields []byte) (first uint64, count uint32, err error) {
	d := decoder{rest: fields}
	first, count = d.uint64(), d.uint32()
	if err := d.finish(); err != nil {
		return 0, 0, err
	}
	if count == 0 {
		return 0, 0, errors.New("operation with no rows")
	}
	return first, count, nil
}

const caseFields = 8 + 32

func appendCase(dst []byte, c *notary.Case) []byte {
	return append(binary.BigEndian.AppendUint64(dst, c.Seq), c.Leaf[:]...)
}

func decodeCase(fields []byte) (seq uint64, leaf proofs.Hash, err error) {
	d := decoder{rest: fields}
	seq, leaf = d.uint64(), d.hash()
	if err := d.finish(); err != nil {
		return 0, proofs.Hash{}, err
	}
	if seq == 0 {
		return 0, proofs.Hash{}, errors.New("case with no deposit")
	}
	return seq, leaf, nil
}

const usageFields = 8 + 8

func appendUsage(dst []byte, u *notary.Usage) []byte {
	return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(dst, u.Deposits), u.Bytes)
}

func decodeUsage(fields []byte) (deposits, bytes uint64, err error) {
	d := decoder{rest: fields}
	deposits, bytes = d.uint64(), d.uint64()
	return deposits, bytes, d.finish()
}

func decodeUint64(fields []byte) (uint64, error) {
	d := decoder{rest: fields}
	n := d.uint64()
	return n, d.finish()
}
