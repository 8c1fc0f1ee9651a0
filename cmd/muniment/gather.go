package main

import (
	"cmp"
	"context"
	"io/fs"
	"os"
	"path/filepath"
)

// gathered are the documents at the paths that a user named.
type gathered struct {
	files   []found
	broken  []outcome // what cannot be read
	folders bool      // one of the paths is a folder

	left     map[trait]int
	firstOut map[trait]string
}

// gather finds the documents. A file that a user names is there and can be read, or
// nothing is sent at all; one in a folder fails for itself.
func (o *depositOptions) gather(ctx context.Context, paths []string) (*gathered, error) {
	g := &gathered{left: map[trait]int{}, firstOut: map[trait]string{}}
	var receipts fs.FileInfo
	if o.out != "" {
		var err error
		if receipts, err = os.Stat(o.out); err != nil {
			return nil, err
		}
	}
	w := walk{
		visit: g.take,
		broken: func(path string, err error) {
			g.broken = append(g.broken, failed(path, err))
		},
		skip: func(info fs.FileInfo) bool { return receipts != nil && os.SameFile(info, receipts) },
	}
	for _, path := range paths {
		if info, err := os.Stat(path); err == nil && info.IsDir() {
			g.folders = true
		} else if err := checkFile(path); err != nil {
			return nil, err
		}
	}
	return g, w.all(ctx, paths)
}

func (g *gathered) take(f found) error {
	if f.trait == document {
		g.files = append(g.files, f)
		return nil
	}
	if f.trait == aReceipt && !f.named {
		return nil // they are everywhere
	}
	if g.left[f.trait]++; g.left[f.trait] == 1 {
		g.firstOut[f.trait] = f.path
	}
	return nil
}

// mention says what was left out, but for the receipts in folders.
func (g *gathered) mention(s *screen) {
	for _, t := range []trait{aReceipt, hidden, aLink, noFile, ownFiles} {
		switch g.left[t] {
		case 0:
		case 1:
			s.note(leftOutOne[t], g.firstOut[t])
		default:
			s.note(leftOutMany[t], g.left[t], g.firstOut[t])
		}
	}
}

// roomForReceipts finds out, by trying, whether receipts could be written.
func (o *depositOptions) roomForReceipts(files []found) error {
	tried := map[string]bool{}
	for _, f := range files {
		dir := cmp.Or(o.out, filepath.Dir(f.path))
		if tried[dir] {
			continue
		}
		tried[dir] = true
		if err := writable(dir); err != nil {
			return sayNoReceiptRoom.err(f.path, err)
		}
	}
	return nil
}
