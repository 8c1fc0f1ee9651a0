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
	out     leftOut
}

// leftOut is what a walk passes over, counted by its trait.
type leftOut struct {
	count [ownFiles + 1]int
	first [ownFiles + 1]string
}

func (l *leftOut) add(f found) {
	if l.count[f.trait]++; l.count[f.trait] == 1 {
		l.first[f.trait] = f.path
	}
}

// mention says what was left out.
func (l *leftOut) mention(s *screen) {
	for t, n := range l.count {
		switch {
		case n == 1:
			s.note(leftOutOne[trait(t)], l.first[t])
		case n > 1:
			s.note(leftOutMany[trait(t)], n, l.first[t])
		}
	}
}

// gather finds the documents. A file that a user names is there and can be read, or
// nothing is sent at all; one in a folder fails for itself.
func (o *depositOptions) gather(ctx context.Context, paths []string) (*gathered, error) {
	g := &gathered{}
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
	switch {
	case f.trait == document:
		g.files = append(g.files, f)
	case f.trait != aReceipt || f.named: // in folders, receipts are everywhere
		g.out.add(f)
	}
	return nil
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
