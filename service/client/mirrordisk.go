package client

import (
	"crypto/rand"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/muniment/muniment/proofs"
)

// collect takes the checked bundles in their order, and moves the point up to which all
// is known to be durable.
func (f *filling) collect() error {
	s := &f.m.state
	waiting := map[uint64]checked{}
	next, last := f.start/proofs.TileWidth, s.Time
	settled := last // the last time among full bundles
	for c := range f.results {
		waiting[c.index] = c
		for {
			c, ok := waiting[next]
			if !ok {
				break
			}
			delete(waiting, next)
			next++
			last = s.take(c, last)
			if f.how.Progress != nil {
				f.how.Progress(c.width)
			}
			if c.width == proofs.TileWidth {
				settled = last
			}
			if next%span == 0 && c.width == proofs.TileWidth {
				if err := f.settle(next*proofs.TileWidth, settled); err != nil {
					return err
				}
			}
		}
	}
	if next < (f.size+proofs.TileWidth-1)/proofs.TileWidth {
		return nil // it was stopped, and run knows why
	}
	s.Last = last
	return f.settle(f.size-f.size%proofs.TileWidth, settled)
}

// take notes what a bundle's entries say. It returns the last time so far.
func (s *mirrorState) take(c checked, last time.Time) time.Time {
	if !c.first.IsZero() && c.first.Before(last) {
		s.breach(Breach{c.index * proofs.TileWidth, BreachTime})
	}
	for _, b := range c.breaches {
		s.breach(b)
	}
	for _, index := range c.public {
		if len(s.Public) < maxPublic && !slices.Contains(s.Public, index) {
			s.Public = append(s.Public, index)
		}
	}
	if c.last.IsZero() {
		return last
	}
	return c.last
}

// maxPublic bounds the public records that wait to be fetched: a log has few.
const maxPublic = 4096

func (s *mirrorState) breach(b Breach) {
	if len(s.Breaches) < maxBreaches && !slices.Contains(s.Breaches, b) {
		s.Breaches = append(s.Breaches, b)
	}
}

// settle makes all that was written durable, and then says so.
func (f *filling) settle(full uint64, last time.Time) error {
	f.mu.Lock()
	files := f.written
	f.written = nil
	f.mu.Unlock()
	folders := map[string]bool{}
	for _, file := range files {
		for dir := filepath.Dir(file); !folders[dir]; dir = filepath.Dir(dir) {
			folders[dir] = true
			if dir == f.m.dir {
				break
			}
		}
	}
	if err := syncAll(files); err != nil {
		return err
	}
	for dir := range folders {
		syncFolder(dir)
	}
	f.m.state.Full, f.m.state.Time = full, last.UTC()
	return f.m.save()
}

// syncers is how many files are synced at once: file systems join what they write.
const syncers = 16

// syncAll makes files durable.
func syncAll(files []string) error {
	var workers sync.WaitGroup
	errs := make([]error, syncers)
	for w := range syncers {
		workers.Go(func() {
			for i := w; i < len(files) && errs[w] == nil; i += syncers {
				errs[w] = syncFile(files[i])
			}
		})
	}
	workers.Wait()
	return errors.Join(errs...)
}

func syncFile(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// syncFolder makes names durable where folders can be synced at all.
func syncFolder(path string) {
	if d, err := os.Open(path); err == nil {
		_ = d.Sync() // not every system can
		_ = d.Close()
	}
}

// keep has a piece on disk, where it may be already, left by a process that ended before
// it was durable. It is durable once it is settled.
func (f *filling) keep(p piece, data []byte, onDisk bool) error {
	if !onDisk {
		if err := f.write(p, data); err != nil {
			return err
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.written = append(f.written, f.m.file(p))
	return nil
}

func (f *filling) write(p piece, data []byte) error {
	path := f.m.file(p)
	folder := filepath.Dir(path)
	f.mu.Lock()
	there := f.folders[folder]
	f.mu.Unlock()
	if !there {
		if err := os.MkdirAll(folder, 0o777); err != nil {
			return err
		}
	}
	// A partial piece that no checkpoint of the mirror needs goes when the full one comes;
	// what the present one needs goes when the next one stands.
	if p.width == proofs.TileWidth && p.index > f.m.edgeOf(p.level) {
		if err := os.RemoveAll(path + ".p"); err != nil {
			return err
		}
	}
	err := writeNew(path, data)
	if errors.Is(err, os.ErrExist) {
		err = replaceFile(path, data) // someone may read the one that is there
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.folders[folder] = true
	return err
}

func writeNew(path string, data []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	return errors.Join(err, f.Close())
}

// unfinished begins the name of a file that is being written.
const unfinished = ".unfinished-"

// replaceFile writes a file whole or not at all, durably.
func replaceFile(path string, data []byte) error {
	f, err := os.OpenFile(filepath.Join(filepath.Dir(path), unfinished+rand.Text()), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return err
	}
	syncFolder(filepath.Dir(path))
	return nil
}
