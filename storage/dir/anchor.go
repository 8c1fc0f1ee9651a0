package dir

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/muniment/muniment/notary"
)

// An anchor file is two slots of 4 KiB. A slot is
//
//	"muniment/anchor@v1\n"   the format
//	sequence number          8 bytes, big endian; grows by one with each Advance
//	length of the body       4 bytes, big endian
//	body, then zeros
//	SHA-256                  the last 32 bytes, over all that stands before
//
// Advance writes the new body to one slot, makes it durable, and only then
// copies it to the other, without waiting for the disk. So no moment has both
// slots on their way to the disk, and at rest both hold the same body. What a
// reader can then find, and what it may conclude:
//
//   - Both slots are whole. The higher sequence number is the newest body.
//
//   - One slot is whole. The other was torn by a crash, or has rotted; the two
//     cannot be told apart by looking, nor need they be. If the first write of
//     an Advance was torn, the whole slot holds prev, and Advance has not
//     returned. If the copy was torn, the whole slot holds next. If a slot has
//     rotted at rest, the whole slot is its copy. In each case the whole slot
//     holds the newest body that Advance ever acknowledged. (With one copy
//     alone, a rotted newest slot would look like a torn one, and an older body
//     would be taken for the newest.)
//
//   - Both are whole, and their numbers lie more than one apart, or are equal
//     over different bodies. A durable write was lost. That is an error.
//
//   - No slot is whole. That is an error.
//
// What remains is a double fault: the power fails before the copy has reached
// the disk, which it does within the kernel's write-back time of about half a
// minute or at the next OpenAnchor, *and* the slot that was durable rots. Then
// the body before the newest is returned. A whole file put back from a backup
// cannot be noticed here at all; the ledger, a second anchor and the witnesses
// are there for that.
const (
	anchorName   = "anchor"
	anchorMagic  = "muniment/anchor@v1\n"
	slotSize     = 4096
	anchorHeader = len(anchorMagic) + 8 + 4

	// MaxBody is the longest body an Anchor holds, in bytes. A checkpoint's body
	// has about 200.
	MaxBody = 4_000
)

// slot is the content of one slot that is whole.
type slot struct {
	seq  uint64
	body []byte
}

func (s slot) marshal() []byte {
	p := make([]byte, slotSize)
	n := copy(p, anchorMagic)
	binary.BigEndian.PutUint64(p[n:], s.seq)
	binary.BigEndian.PutUint32(p[n+8:], uint32(len(s.body)))
	copy(p[anchorHeader:], s.body)
	sum := sha256.Sum256(p[:slotSize-sha256.Size])
	copy(p[slotSize-sha256.Size:], sum[:])
	return p
}

// parseSlot reports whether p is whole: exactly what marshal makes of what it says.
func parseSlot(p []byte) (slot, bool) {
	n := len(anchorMagic)
	size := binary.BigEndian.Uint32(p[n+8:])
	if size == 0 || size > MaxBody {
		return slot{}, false
	}
	s := slot{seq: binary.BigEndian.Uint64(p[n:]), body: bytes.Clone(p[anchorHeader : anchorHeader+int(size)])}
	return s, bytes.Equal(p, s.marshal())
}

func (s slot) equal(o slot) bool { return s.seq == o.seq && bytes.Equal(s.body, o.body) }

func checkBody(body []byte) error {
	if len(body) == 0 || len(body) > MaxBody {
		return fmt.Errorf("dir: an anchor holds 1 to %d bytes, not %d", MaxBody, len(body))
	}
	return nil
}

// disk is the anchor file as Anchor uses it. Tests tear its writes.
type disk interface {
	io.ReaderAt
	io.WriterAt
	Sync() error // of the data; the file never changes its size
}

type dataFile struct{ *os.File }

func (f dataFile) Sync() error {
	for {
		err := unix.Fdatasync(int(f.Fd()))
		if err != unix.EINTR {
			return err
		}
	}
}

// CreateAnchor makes an anchor that holds body in the existing directory dir,
// durable on return. It is notary.ErrExists if there is one. A crash leaves a
// whole anchor or none, and on a file system without O_TMPFILE perhaps a file
// new-*, which may be deleted.
func CreateAnchor(dir string, body []byte) error { return createAnchor(dir, body, linux{}) }

func createAnchor(dir string, body []byte, sys system) error {
	if err := checkBody(body); err != nil {
		return err
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return failed(err)
	}
	d, err := sys.openDir(dir)
	if err != nil {
		return failed(err)
	}
	defer d.Close()
	if err := nameAnchor(sys, dir, body); err != nil {
		return err
	}
	if err := d.Sync(); err != nil {
		// Whether it is there after a crash is unknown; it is not taken away, since
		// it may be.
		return fmt.Errorf("dir: fsync %s: %w", dir, err)
	}
	return syncParent(sys, dir)
}

// nameAnchor gives an anchor that is durable but for its name that name.
func nameAnchor(sys system, dir string, body []byte) error {
	f, err := sys.create(dir)
	if err != nil {
		return failed(err)
	}
	defer f.Close()
	// Real bytes in both slots, so that no later write has to find room.
	p := slot{seq: 1, body: body}.marshal()
	if _, err := f.Write(append(p, p...)); err != nil {
		return failed(err)
	}
	if err := f.Sync(); err != nil {
		return failed(err)
	}
	path := filepath.Join(dir, anchorName)
	err = f.name(path)
	if errors.Is(err, unix.EEXIST) {
		return fmt.Errorf("dir: %s: %w", path, notary.ErrExists)
	}
	if err != nil {
		return failed(err)
	}
	return nil
}

// Anchor is a notary.Anchor in a file. Its file is locked for as long as it is
// open, and the lock ends with the process.
type Anchor struct {
	// Fatal is called once, with the first error of a write or an fsync. If it
	// returns, every later call is refused. Nil ends the process by a panic. To
	// be set before the first use; it must not call the Anchor.
	Fatal func(error)

	path string
	file *os.File // locked

	mu      sync.Mutex
	disk    disk
	spare   int64 // the slot to write next: the other one holds the newest body durably
	refused error
}

var _ notary.Anchor = (*Anchor)(nil)

// OpenAnchor opens the anchor in dir and takes it for this process. An anchor
// that is missing, broken, or open already is refused, with an error that names
// the file. On return its newest body stands durably in both slots.
func OpenAnchor(dir string) (*Anchor, error) {
	path, err := filepath.Abs(filepath.Join(dir, anchorName))
	if err != nil {
		return nil, failed(err)
	}
	f, err := os.OpenFile(path, os.O_RDWR|unix.O_NOFOLLOW, 0)
	if err != nil {
		return nil, fmt.Errorf("dir: open anchor: %w", err)
	}
	a := &Anchor{path: path, file: f, disk: dataFile{f}}
	if err := lock(f); err != nil {
		f.Close()
		return nil, err
	}
	if err := a.settle(); err != nil {
		f.Close()
		return nil, err
	}
	return a, nil
}

// Close gives the anchor up and refuses later calls.
func (a *Anchor) Close() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.refused == nil {
		a.refused = errClosed
	}
	return a.file.Close()
}

// Load implements notary.Anchor. It reads the file, never a copy in memory.
func (a *Anchor) Load(ctx context.Context) ([]byte, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if err := a.admit(ctx); err != nil {
		return nil, err
	}
	newest, _, err := a.read()
	if err != nil {
		return nil, err
	}
	return newest.body, nil
}

// Advance implements notary.Anchor. An error in writing, like one of fdatasync,
// leaves it unknown what a crash would leave, and reads from memory would not
// show it: both are the end of this Anchor.
func (a *Anchor) Advance(ctx context.Context, prev, next []byte) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if err := a.admit(ctx); err != nil {
		return err
	}
	newest, twice, err := a.read()
	if err != nil {
		return err
	}
	if !bytes.Equal(newest.body, prev) {
		return fmt.Errorf("dir: %s: %w", a.path, notary.ErrConflict)
	}
	if err := checkBody(next); err != nil {
		return err
	}
	if !twice {
		// A slot has rotted under us. The one left must not be the one at risk.
		if err := a.settle(); err != nil {
			return a.distrust(err)
		}
	}
	p := slot{newest.seq + 1, next}.marshal()
	if err := a.write(p, a.spare); err != nil {
		return a.distrust(err)
	}
	if err := a.disk.Sync(); err != nil {
		return a.distrust(err)
	}
	a.spare = 1 - a.spare
	if err := a.write(p, a.spare); err != nil { // the copy
		return a.distrust(err)
	}
	return nil
}

// settle writes the newest body to both slots, durably, first to the slot it is
// read from. What a killed process has written is read from memory, whether or
// not it ever reached the disk; writing it once more makes sure, and cannot hurt
// the same bytes if it did.
func (a *Anchor) settle() error {
	newest, _, err := a.read()
	if err != nil {
		return err
	}
	first := int64(0)
	if s, whole := a.slot(0); !whole || !s.equal(newest) {
		first = 1
	}
	for _, i := range []int64{first, 1 - first} {
		if err := a.write(newest.marshal(), i); err != nil {
			return failed(err)
		}
		if err := a.disk.Sync(); err != nil {
			return fmt.Errorf("dir: fsync %s: %w", a.path, err)
		}
	}
	return nil
}

// read returns the newest body, and whether both slots hold it.
func (a *Anchor) read() (newest slot, twice bool, err error) {
	if err := a.attached(); err != nil {
		return slot{}, false, err
	}
	s0, ok0 := a.slot(0)
	s1, ok1 := a.slot(1)
	switch {
	case ok0 && ok1 && s0.equal(s1):
		return s0, true, nil
	case ok0 && ok1 && s0.seq == s1.seq+1, ok0 && !ok1:
		return s0, false, nil
	case ok0 && ok1 && s1.seq == s0.seq+1, ok1 && !ok0:
		return s1, false, nil
	case ok0 && ok1:
		return slot{}, false, fmt.Errorf("dir: %s: its slots, numbers %d and %d, contradict each other", a.path, s0.seq, s1.seq)
	}
	return slot{}, false, fmt.Errorf("dir: %s: no slot is whole", a.path)
}

// slot reads slot i. One that cannot be read is not whole.
func (a *Anchor) slot(i int64) (slot, bool) {
	p := make([]byte, slotSize)
	if n, err := a.disk.ReadAt(p, i*slotSize); n < slotSize || err != nil && !errors.Is(err, io.EOF) {
		return slot{}, false
	}
	return parseSlot(p)
}

func (a *Anchor) write(p []byte, i int64) error {
	_, err := a.disk.WriteAt(p, i*slotSize)
	return err
}

// attached makes sure that the file that is open and locked is the one that the
// next start will find, and of its one size: a file moved away or replaced under
// a running process would keep nothing.
func (a *Anchor) attached() error {
	ours, err := a.file.Stat()
	if err != nil {
		return failed(err)
	}
	found, err := os.Lstat(a.path)
	if errors.Is(err, fs.ErrNotExist) || err == nil && !os.SameFile(ours, found) {
		return fmt.Errorf("dir: %s has been removed or replaced while in use", a.path)
	}
	if err != nil {
		return failed(err)
	}
	if ours.Size() != 2*slotSize {
		return fmt.Errorf("dir: %s has %d bytes, not %d", a.path, ours.Size(), 2*slotSize)
	}
	return nil
}

// admit is the first step of each call, under mu.
func (a *Anchor) admit(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return a.refused
}

// distrust is for an error after which the file may hold something else than it
// reads as. It returns the refusal.
func (a *Anchor) distrust(err error) error {
	a.refused = fmt.Errorf("dir: %s cannot be trusted: %w", a.path, err)
	fatal := a.Fatal
	if fatal == nil {
		fatal = die
	}
	fatal(a.refused)
	return a.refused
}
