package dir

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/muniment/muniment/notary"
)

// upload is one Put whose document is on the disk and has no name yet.
type upload struct {
	ctx   context.Context
	file  newFile
	shard string
	path  string
	err   error         // the outcome, written by commitAll before it closes done
	done  chan struct{} // closed when the outcome is known
}

// commit hands u, whose bytes are durable, to the next group, and returns its
// outcome: nil once u is durable under its name.
func (b *Blobs) commit(u *upload) error {
	b.mu.Lock()
	if err := b.refused; err != nil {
		b.mu.Unlock()
		return err
	}
	b.waiting = append(b.waiting, u)
	b.arrived.Signal()
	b.mu.Unlock()
	<-u.done
	return u.err
}

// commitAll gives names to the uploads that wait, all of them at a time. While
// one group is on its way to the disk the next one gathers.
func (b *Blobs) commitAll() {
	defer close(b.ended)
	durable := map[string]bool{}
	for {
		b.mu.Lock()
		for len(b.waiting) == 0 && b.refused == nil {
			b.arrived.Wait()
		}
		group := b.waiting
		b.waiting = nil
		b.mu.Unlock()
		if len(group) == 0 {
			return // refused, and nobody can join any more
		}
		b.commitGroup(group, durable)
		b.mu.Lock()
		refused := b.refused
		b.mu.Unlock()
		for _, u := range group {
			// Distrust that arose meanwhile, over whatever file, reaches this group too.
			if refused != nil && !errors.Is(refused, errClosed) {
				u.err = refused
			}
			close(u.done)
		}
	}
}

// commitGroup decides each upload of the group, in three steps:
//
//  1. every directory that will be fsynced is made and opened, so that nothing
//     but the fsync itself can fail after a name has been given;
//  2. each file gets its name, create-only. A crash from here on keeps any part
//     of the group, of which nobody has been told;
//  3. each directory is fsynced, once for the whole group. Then all is durable.
//
// durable names the shards whose own entries, and whose tenant's, are on disk.
func (b *Blobs) commitGroup(group []*upload, durable map[string]bool) {
	dirs := directories{sys: b.sys, open: map[string]file{}}
	defer dirs.close()
	shards := map[string]error{}
	for _, u := range group {
		err, seen := shards[u.shard]
		if !seen {
			err = b.openShard(&dirs, u.shard, durable[u.shard])
			shards[u.shard] = err
			if err != nil {
				delete(durable, u.shard) // someone may have removed it
			}
		}
		if err == nil {
			err = u.ctx.Err() // the last moment at which it counts
		}
		u.err = err
	}
	for _, u := range group {
		if u.err == nil {
			u.err = b.giveName(u)
		}
	}
	if err := dirs.sync(); err != nil {
		_ = b.distrust(err) // which the whole group is told
		return
	}
	if len(durable) > 10_000 {
		clear(durable) // a bound; forgetting costs an fsync
	}
	for shard, err := range shards {
		if err == nil {
			durable[shard] = true
		}
	}
}

// giveName makes the upload an object, unless its name is taken.
func (b *Blobs) giveName(u *upload) error {
	err := u.file.name(u.path)
	if errors.Is(err, unix.EEXIST) {
		return fmt.Errorf("dir: %w", notary.ErrExists)
	}
	if err != nil {
		return failed(err)
	}
	return nil
}

// openShard opens for fsync the shard and, unless they are known to be durable,
// the directories above it, making what is missing. That a directory is there
// does not mean that its entry is on disk: an earlier process may have been
// killed between the two.
func (b *Blobs) openShard(dirs *directories, shard string, durable bool) error {
	if durable {
		return dirs.add(shard)
	}
	tenant := filepath.Dir(shard)
	for _, dir := range []string{tenant, shard} {
		if err := b.sys.mkdir(dir); err != nil {
			return failed(err)
		}
	}
	for _, dir := range []string{b.root, tenant, shard} {
		if err := dirs.add(dir); err != nil {
			return err
		}
	}
	return nil
}

// directories are those that one group must fsync, each once.
type directories struct {
	sys  system
	open map[string]file
}

func (d *directories) add(path string) error {
	if d.open[path] != nil {
		return nil
	}
	f, err := d.sys.openDir(path)
	if err != nil {
		return failed(err)
	}
	d.open[path] = f
	return nil
}

// sync fsyncs them side by side, so that the file system can commit them in one go.
func (d *directories) sync() error {
	var wg sync.WaitGroup
	places := make(chan struct{}, parallelSyncs)
	errs := make(chan error, len(d.open))
	for path, f := range d.open {
		places <- struct{}{}
		wg.Go(func() {
			if err := f.Sync(); err != nil {
				errs <- fmt.Errorf("fsync %s: %w", path, err)
			}
			<-places
		})
	}
	wg.Wait()
	close(errs)
	return <-errs
}

func (d *directories) close() {
	for _, f := range d.open {
		f.Close()
	}
}
