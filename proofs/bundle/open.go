package bundle

import (
	"archive/zip"
	"bytes"
	"errors"
	"fmt"
	"io"
	"iter"
	"path"
	"strings"
)

// ErrNot is wrapped when something is no bundle: no ZIP, or one without a manifest.
var ErrNot = errors.New("not a case bundle")

// A File is one of a bundle. Open may be called again and again.
type File struct {
	Name string
	Size int64
	Open func() (io.ReadCloser, error)
}

// A Bundle is one that was opened, and not yet judged.
type Bundle struct {
	files map[string]File
	order []string
	odd   []Finding // what is wrong with the files' names
}

// OpenZip opens a bundle. Of what it reads it keeps the names alone.
func OpenZip(r io.ReaderAt, size int64) (*Bundle, error) {
	z, err := zip.NewReader(within{r}, size)
	// What else is wrong with names is found below.
	if err != nil && !errors.Is(err, zip.ErrInsecurePath) {
		return nil, fmt.Errorf("%w: %w", ErrNot, err)
	}
	var files []File
	for _, f := range z.File {
		files = append(files, File{f.Name, int64(min(f.UncompressedSize64, 1<<62)), f.Open})
	}
	return Open(files)
}

// within reads a ZIP whose directory may point anywhere.
type within struct{ io.ReaderAt }

// ReadAt implements io.ReaderAt.
func (w within) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, zip.ErrFormat
	}
	return w.ReaderAt.ReadAt(p, off)
}

// Open opens a bundle that was unpacked. All names are relative to the same folder, in which
// the manifest may lie one or more folders down.
func Open(files []File) (*Bundle, error) {
	if len(files) > MaxFiles {
		return nil, fmt.Errorf("%w: it has more than %d files", ErrNot, MaxFiles)
	}
	b := &Bundle{files: map[string]File{}}
	prefix, found := "", false
	for _, f := range files {
		if path.Base(f.Name) == ManifestName && (!found || len(f.Name) < len(prefix)+len(ManifestName)) {
			prefix, found = strings.TrimSuffix(f.Name, ManifestName), true
		}
	}
	if !found {
		return nil, fmt.Errorf("%w: it has no %s", ErrNot, ManifestName)
	}
	folded := map[string]bool{} // some disks do not tell A from a
	for _, f := range files {
		name, below := strings.CutPrefix(f.Name, prefix)
		fold := strings.ToLower(name)
		switch {
		case strings.HasSuffix(name, "/") && f.Size == 0: // a folder, as other tools pack it
			continue
		case !below || !safe(name):
			b.odd = append(b.odd, Finding{What: FileUnsafe, File: f.Name})
			continue
		case folded[fold]:
			b.odd = append(b.odd, Finding{What: FileTwice, File: f.Name})
			continue
		}
		folded[fold] = true
		f.Name = name
		b.files[name] = f
		b.order = append(b.order, name)
	}
	return b, nil
}

// IsManifest reports whether open opens, under ManifestName, what begins as the list of contents
// of a bundle, so that a folder can be told from others.
func IsManifest[F io.ReadCloser](open func(name string) (F, error)) bool {
	f, err := open(ManifestName)
	if err != nil {
		return false
	}
	defer f.Close()
	head := make([]byte, 64)
	n, _ := io.ReadFull(f, head)
	return bytes.Contains(head[:n], []byte(format))
}

// Files are all files, in their order.
func (b *Bundle) Files() iter.Seq[File] {
	return func(yield func(File) bool) {
		for _, name := range b.order {
			if !yield(b.files[name]) {
				return
			}
		}
	}
}

// read returns a file of at most limit bytes.
func (b *Bundle) read(name string, limit int64) ([]byte, error) {
	f, ok := b.files[name]
	if !ok {
		return nil, fmt.Errorf("%s is not there", name)
	}
	r, err := f.Open()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	data, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err == nil && int64(len(data)) > limit {
		err = fmt.Errorf("%s: %w", name, errLonger)
	}
	return data, err
}
