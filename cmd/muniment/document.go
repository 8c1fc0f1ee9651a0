package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"math"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"github.com/muniment/muniment/proofs"
	"github.com/muniment/muniment/service/client"
)

// checkFile sees to it that path can be read and is a file: a pipe could not be read
// twice.
func checkFile(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return sayNotFile.err(path)
	}
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return f.Close()
}

// openedDocument is a file that has been hashed and stays open, so that what is sent
// is what was hashed even where another file takes its name meanwhile.
type openedDocument struct {
	*os.File
	task   *task
	digest string
	size   int64
	kind   string // media type
}

func openDocument(ctx context.Context, path string, t *task) (*openedDocument, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	d := &openedDocument{File: f, task: t}
	if err := d.read(ctx); err != nil {
		f.Close()
		return nil, err
	}
	return d, nil
}

// read hashes the file and finds its type.
func (d *openedDocument) read(ctx context.Context) error {
	start := make([]byte, 512) // as much as DetectContentType looks at
	n, err := io.ReadFull(d.whole(), start)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return err
	}
	d.kind = mediaType(d.Name(), start[:n])
	h := sha256.New()
	if d.size, err = io.Copy(h, interruptible{ctx, d.task.reader(d.whole())}); err != nil {
		return err
	}
	d.digest = hex.EncodeToString(h.Sum(nil))
	return nil
}

// whole reads the file from its first byte to wherever it ends.
func (d *openedDocument) whole() io.Reader { return io.NewSectionReader(d.File, 0, math.MaxInt64) }

// interruptible ends a long read when the user does.
type interruptible struct {
	ctx context.Context
	io.Reader
}

func (r interruptible) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.Reader.Read(p)
}

// claims are what is said of the document: stable is what its deposit's key is made
// of, and all is that with what this version of the program finds out beside it. What
// the user says stands before what the file suggests.
func (d *openedDocument) claims(said []proofs.Member) (stable, all proofs.Record, err error) {
	name, err := proofs.Text(filepath.Base(d.Name()))
	if err != nil {
		return nil, nil, sayNameNotUTF8.err()
	}
	digest, err := proofs.Text(d.digest)
	if err != nil {
		return nil, nil, err
	}
	members := with(with(said, "content.name", name), "content.sha256", digest)
	if stable, err = proofs.NewRecord(members...); err != nil {
		return nil, nil, err
	}
	size, err := proofs.Integer(d.size)
	if err != nil {
		return nil, nil, err
	}
	kind, err := proofs.Text(d.kind)
	if err != nil {
		return nil, nil, err
	}
	all, err = proofs.NewRecord(with(with(members, "content.size", size), "content.type", kind)...)
	return stable, all, err
}

// request is the deposit of the document.
func (d *openedDocument) request(stable, all proofs.Record, digestOnly bool) client.Deposit {
	out := client.Deposit{Key: key(stable, digestOnly), Claims: all, Size: d.size}
	if !digestOnly {
		out.Document = func() (io.ReadCloser, error) { return io.NopCloser(d.task.reader(d.whole())), nil }
	}
	return out
}

// types are the media types of the files that lenders and courts exchange. They are
// the same on every machine, as the system's own tables are not, and are no part of
// the deposit's key.
var types = map[string]string{
	".pdf":  "application/pdf",
	".ofd":  "application/ofd",
	".xml":  "application/xml",
	".json": "application/json",
	".csv":  "text/csv",
	".txt":  "text/plain; charset=utf-8",
	".html": "text/html; charset=utf-8",
	".eml":  "message/rfc822",
	".zip":  "application/zip",
	".doc":  "application/msword",
	".docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
	".xls":  "application/vnd.ms-excel",
	".xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
	".jpg":  "image/jpeg",
	".jpeg": "image/jpeg",
	".png":  "image/png",
	".tif":  "image/tiff",
	".tiff": "image/tiff",
	".mp3":  "audio/mpeg",
	".wav":  "audio/wav",
	".mp4":  "video/mp4",
}

// mediaType goes by the name first: what a file begins with tells less of a CSV or
// an office document.
func mediaType(path string, start []byte) string {
	if t, ok := types[strings.ToLower(filepath.Ext(path))]; ok {
		return t
	}
	if len(start) == 0 {
		return "application/octet-stream"
	}
	return http.DetectContentType(start)
}
