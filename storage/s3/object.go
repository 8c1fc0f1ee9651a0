package s3

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"

	"github.com/minio/minio-go/v7"

	"github.com/muniment/muniment/notary"
)

// object is a notary.Blob. Readers who go through it in order share one request: what
// decrypts asks for each package of 64 KiB twice, so the stream keeps a little of what it
// has given. Everything else is a request of its own.
type object struct {
	*bucket
	ctx     context.Context // ends with Close
	cancel  context.CancelFunc
	key     string
	version string // of the object that was found; empty where the bucket keeps none
	size    int64

	mu     sync.Mutex // held while the stream is read
	stream stream
	jumped int64 // where the last request of its own ended
}

// Open implements notary.Blobs. Reading does not end with ctx but with Close.
func (b *Blobs) Open(caller context.Context, name string) (notary.Blob, error) {
	at, key, err := b.place(name)
	if err != nil {
		return nil, err
	}
	if err := caller.Err(); err != nil {
		return nil, err
	}
	ctx, cancel := at.within(caller, at.timeout)
	defer cancel()
	info, err := at.core.StatObject(ctx, at.name, key, minio.StatObjectOptions{})
	if err != nil {
		return nil, at.failed(ctx, "open", err)
	}
	o := &object{bucket: at, key: key, version: info.VersionID, size: info.Size}
	o.ctx, o.cancel = context.WithCancel(context.WithoutCancel(caller))
	return o, nil
}

func (o *object) Size() int64 { return o.size }

func (o *object) Close() error {
	o.cancel()
	o.mu.Lock()
	defer o.mu.Unlock()
	o.stream.close()
	return nil
}

// ReadAt implements io.ReaderAt.
func (o *object) ReadAt(p []byte, off int64) (int, error) {
	if o.ctx.Err() != nil {
		return 0, fmt.Errorf("s3: read: %w", os.ErrClosed)
	}
	if off < 0 {
		return 0, errors.New("s3: read before the beginning of an object")
	}
	if off >= o.size {
		return 0, io.EOF
	}
	var end error
	if int64(len(p)) > o.size-off {
		p, end = p[:o.size-off], io.EOF
	}
	n, err := o.read(p, off)
	if err != nil {
		return n, o.failed(o.ctx, "read", err)
	}
	return n, end
}

// read fills p, from the stream if it is there or should be, and not in use.
func (o *object) read(p []byte, off int64) (n int, err error) {
	if o.mu.TryLock() {
		defer o.mu.Unlock()
		if !o.stream.holds(off) && (off == 0 || off <= o.jumped && o.jumped-off <= window) {
			o.open(off)
		}
		if n, _ = o.stream.read(p, off); n == len(p) {
			return n, nil
		}
		defer func() { o.jumped = off + int64(n) }()
	}
	k, err := o.request(p[n:], off+int64(n))
	n += k
	return n, err
}

// open begins a stream at off. If that fails, so will the request in its place, or not.
func (o *object) open(off int64) {
	o.stream.close()
	body, err := o.get(o.ctx, o.key, o.version, off, o.size, o.size)
	if err != nil {
		return
	}
	o.stream = stream{body: body, end: off}
}

// request reads exactly p.
func (o *object) request(p []byte, off int64) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	ctx, cancel := o.within(o.ctx, 2*o.timeout+moving(int64(len(p))))
	defer cancel()
	body, err := o.get(ctx, o.key, o.version, off, off+int64(len(p)), o.size)
	if err != nil {
		return 0, err
	}
	defer body.Close()
	n, err := io.ReadFull(body, p)
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// window is how far back in a stream can be read again: two packages.
const window = 128 << 10

// stream is the body of an answer, and the last of what it gave.
type stream struct {
	body io.ReadCloser // nil: there is none
	kept []byte        // that ends at end
	end  int64         // where the body goes on
}

func (s *stream) close() {
	if s.body != nil {
		s.body.Close()
	}
	*s = stream{}
}

func (s *stream) holds(off int64) bool {
	return s.body != nil && off <= s.end && s.end-off <= int64(len(s.kept))
}

// read gives up, and closes, at the first error.
func (s *stream) read(p []byte, off int64) (n int, err error) {
	if !s.holds(off) {
		return 0, nil
	}
	n = copy(p, s.kept[int64(len(s.kept))-(s.end-off):])
	k, err := io.ReadFull(s.body, p[n:])
	s.keep(p[n : n+k])
	n += k
	if err != nil {
		s.close()
	}
	return n, err
}

func (s *stream) keep(p []byte) {
	s.end += int64(len(p))
	s.kept = append(s.kept, p[max(0, len(p)-window):]...)
	if extra := len(s.kept) - window; extra > 0 {
		s.kept = s.kept[:copy(s.kept, s.kept[extra:])]
	}
}
