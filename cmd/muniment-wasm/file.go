package main

import (
	"bytes"
	"io"
	"path"
	"strings"

	"github.com/muniment/muniment/notary/certificate"
	"github.com/muniment/muniment/proofs"
	"github.com/muniment/muniment/proofs/bundle"
	"github.com/muniment/muniment/proofs/rfc3161"
)

// A kind is what a file is taken for.
type kind string

const (
	kindDocument kind = "document"
	kindReceipt  kind = "receipt"
	kindEvidence kind = "evidence" // an evidence record
	kindPolicy   kind = "policy"
	kindRoots    kind = "roots"  // of time-stamp authorities
	kindBundle   kind = "bundle" // a case bundle
	kindPart     kind = "part"   // a file of one that was unpacked

	kindCertificate kind = "certificate" // a PDF with a receipt in it
)

const (
	maxPolicy = 256 << 10 // bytes; more than any policy has
	maxRoots  = 4 << 20
)

// A file is one that the visitor chose. Only what is needed of it is read, when it is needed.
type file struct {
	Name  string
	Size  int64
	Kind  kind
	bytes io.ReaderAt
}

// read returns at most limit bytes, and one more of a longer file, so that a parser sees that
// it is too long.
func (f file) read(limit int64) ([]byte, error) {
	return io.ReadAll(io.NewSectionReader(f.bytes, 0, min(f.Size, limit+1)))
}

// identify tells what a file is meant to be, by its name or how it begins. The visitor can
// say otherwise.
func identify(f file) kind {
	head, err := f.read(64)
	name := strings.ToLower(path.Base(f.Name))
	switch {
	case err != nil:
		return kindDocument
	case strings.HasSuffix(name, ".tlog-proof"), bytes.HasPrefix(head, []byte("c2sp.org/tlog-proof@")):
		return kindReceipt
	case strings.HasSuffix(name, ".evidence"), bytes.HasPrefix(head, []byte("muniment/evidence")):
		return kindEvidence
	case certificate.Is(head):
		return kindCertificate
	case name == "policy", strings.HasSuffix(name, ".policy"):
		return kindPolicy
	case bytes.HasPrefix(head, []byte("PK\x03\x04")):
		if _, err := bundle.OpenZip(f.bytes, f.Size); err == nil {
			return kindBundle
		}
		return kindDocument
	}
	if f.Size > maxRoots {
		return kindDocument
	}
	data, err := f.read(maxRoots)
	if err != nil {
		return kindDocument
	}
	if _, err := proofs.ParsePolicy(data); err == nil {
		return kindPolicy
	}
	if _, err := rfc3161.ParseRoots(data); err == nil {
		return kindRoots
	}
	return kindDocument
}

// streamed reads a file from its beginning in large pieces, and tells how far it has come.
type streamed struct {
	file
	done     int64
	progress func(done int64)
}

const piece = 1 << 20 // bytes read at a time

// Read implements io.Reader.
func (s *streamed) Read(p []byte) (int, error) {
	n, err := s.bytes.ReadAt(p[:min(len(p), piece)], s.done)
	s.done += int64(n)
	if n > 0 {
		s.progress(s.done)
		return n, nil
	}
	if err == nil {
		err = io.ErrNoProgress
	}
	return 0, err
}

// WriteTo implements io.WriterTo, so that io.Copy takes pieces as large.
func (s *streamed) WriteTo(w io.Writer) (int64, error) {
	buffer := make([]byte, piece)
	for {
		n, err := s.Read(buffer)
		if _, err := w.Write(buffer[:n]); err != nil {
			return s.done, err
		}
		switch {
		case err == io.EOF: //nolint:errorlint // a wrapped io.EOF is not the end
			return s.done, nil
		case err != nil:
			return s.done, err
		}
	}
}

// window reads ahead: what reads a ZIP asks for little at a time, and each asking of the
// browser is dear. It is for one reader.
type window struct {
	from io.ReaderAt
	size int64
	at   int64
	held []byte
}

// ReadAt implements io.ReaderAt.
func (w *window) ReadAt(p []byte, off int64) (n int, err error) {
	if len(p) >= piece {
		return w.from.ReadAt(p, off)
	}
	for n < len(p) {
		at := off + int64(n)
		if at >= w.size {
			return n, io.EOF
		}
		if at < w.at || at >= w.at+int64(len(w.held)) {
			held := make([]byte, min(piece, w.size-at))
			got, err := w.from.ReadAt(held, at)
			if got < len(held) {
				return n, err
			}
			w.at, w.held = at, held
		}
		n += copy(p[n:], w.held[at-w.at:])
	}
	return n, nil
}
