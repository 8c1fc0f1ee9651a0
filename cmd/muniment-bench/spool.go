package main

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
)

// errSpool is wrapped when there is no room for more answers.
var errSpool = errors.New("the spool of receipts is full; shorten the run, or raise --spool-max")

// A spool keeps the answers of a load, verbatim, until they are verified. It is a
// file without a name, so nothing of it is left behind and little of it is ever
// written to a disk.
type spool struct {
	limit int64

	mu   sync.Mutex
	file *os.File
	size int64
}

func newSpool(dir string, limit int64) (*spool, error) {
	f, err := os.CreateTemp(dir, "muniment-bench-*")
	if err != nil {
		return nil, err
	}
	if err := os.Remove(f.Name()); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return &spool{file: f, limit: limit}, nil
}

// frameHead is kind, first, lines and length of the answer.
const frameHead = 1 + 8 + 4 + 4

// drawer is one client's part of a spool.
type drawer struct {
	*spool
	room int // bytes that are kept before they are written
	buf  []byte
}

// roomOf shares 64 MiB among the clients.
func roomOf(clients int) int { return min(64<<10, 64<<20/clients) }

// keep adds an answer to the spool. Without one, answers are thrown away.
func (d *drawer) keep(t task, body []byte) error {
	if d.spool == nil {
		return nil
	}
	d.buf = append(d.buf, byte(t.kind))
	d.buf = binary.BigEndian.AppendUint64(d.buf, t.first)
	d.buf = binary.BigEndian.AppendUint32(d.buf, uint32(t.lines))
	d.buf = binary.BigEndian.AppendUint32(d.buf, uint32(len(body)))
	d.buf = append(d.buf, body...)
	if len(d.buf) < d.room {
		return nil
	}
	return d.flush()
}

func (d *drawer) flush() error {
	if d.spool == nil {
		return nil
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.size += int64(len(d.buf)); d.size > d.limit {
		return fmt.Errorf("%w (%d bytes)", errSpool, d.limit)
	}
	_, err := d.file.Write(d.buf)
	d.buf = d.buf[:0]
	return err
}

// frame is one answer as it was spooled.
type frame struct {
	task
	body []byte
}

// each gives the frames to use, in the order in which they were flushed, and then
// empties the spool. The body of a frame is use's to keep.
func (s *spool) each(use func(frame) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, err := s.file.Seek(0, io.SeekStart); err != nil {
		return err
	}
	in := bufio.NewReaderSize(s.file, 1<<20)
	for {
		var head [frameHead]byte
		if _, err := io.ReadFull(in, head[:]); err == io.EOF {
			break
		} else if err != nil {
			return err
		}
		f := frame{
			task: task{kind: kind(head[0]), first: binary.BigEndian.Uint64(head[1:]), lines: int(binary.BigEndian.Uint32(head[9:]))},
			body: make([]byte, binary.BigEndian.Uint32(head[13:])),
		}
		if _, err := io.ReadFull(in, f.body); err != nil {
			return err
		}
		if err := use(f); err != nil {
			return err
		}
	}
	s.size = 0
	if _, err := s.file.Seek(0, io.SeekStart); err != nil {
		return err
	}
	return s.file.Truncate(0)
}

func (s *spool) close() error { return s.file.Close() }
