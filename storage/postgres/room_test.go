package postgres

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/muniment/muniment/notary"
)

// TestDiskFull: the disk that holds the tables is full to the last byte. Writes are refused
// as such, nothing of them is there, reads go on, and so do writes once there is room.
func TestDiskFull(t *testing.T) {
	p, dir := newCluster(t)
	small := mountSmall(t, dir)
	if small == "" { // as the server would say it
		refusedByTrigger(t)
		return
	}
	run(t, p.URL(), "CREATE TABLESPACE small LOCATION '"+small+"'", "ALTER DATABASE muniment SET default_tablespace = small")
	layOut(t, p)
	c, l := newChain(), openAs(t, p.AppURL())
	c.mustAppend(t, l, "before")
	for round := range 3 {
		fill(t, filepath.Join(small, "ballast"))
		c.refused(t, l, fmt.Sprint("round ", round))
		must(t, c.log.Check(t.Context(), l))
		must(t, os.Remove(filepath.Join(small, "ballast")))
		c.mustAppend(t, l, fmt.Sprint("after ", round))
	}
	must(t, c.log.Check(t.Context(), openAs(t, p.AppURL())))
}

// refused appends until there is no room, and demands that it is said so.
func (c *chain) refused(t *testing.T, l *Ledger, key string) {
	t.Helper()
	for i := range 1000 {
		key := term(fmt.Sprint(key, i))
		var b *notary.Batch
		lookups := notary.Lookups{Operations: []notary.Operation{{Tenant: alice, Key: key}}}
		err := l.Append(t.Context(), lookups, func(s notary.State) (built *notary.Batch, err error) {
			b, err = c.build(s, key, 50)
			return b, err
		})
		if b == nil {
			t.Fatalf("a full disk takes the lock away: %v", err)
		}
		committed, askErr := l.Committed(t.Context(), b.Head.Batch)
		must(t, askErr)
		if committed != (err == nil) {
			t.Errorf("append returned %v, and committed is %v", err, committed)
		}
		must(t, c.settle(b, committed))
		if err != nil {
			wantErr(t, "append on a full disk", err, notary.ErrNoRoom)
			return
		}
	}
	t.Fatal("the disk is not full")
}

// mountSmall mounts a disk of 64 MB, the server's own, in its directory; or returns
// nothing where that is not allowed.
func mountSmall(t *testing.T, dir string) string {
	t.Helper()
	info, err := os.Stat(dir)
	must(t, err)
	owner := info.Sys().(*syscall.Stat_t)
	small := filepath.Join(dir, "small")
	must(t, os.Mkdir(small, 0o700))
	err = syscall.Mount("none", small, "tmpfs", 0, fmt.Sprintf("size=%d,uid=%d,gid=%d,mode=700", 64<<20, owner.Uid, owner.Gid))
	if errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.EACCES) {
		return ""
	}
	must(t, err)
	t.Cleanup(func() { syscall.Unmount(small, syscall.MNT_DETACH) })
	return small
}

// fill takes all room that is left.
func fill(t *testing.T, path string) {
	t.Helper()
	f, err := os.Create(path)
	must(t, err)
	defer f.Close()
	for size := 256 << 10; size > 0; {
		if _, err := f.Write(make([]byte, size)); errors.Is(err, syscall.ENOSPC) {
			size /= 2
		} else {
			must(t, err)
		}
	}
}

// TestDiskSaidToBeFull is the same without a disk, which not every user may mount.
func TestDiskSaidToBeFull(t *testing.T) { refusedByTrigger(t) }

// refusedByTrigger lets the last table that a batch writes say that the disk is full.
func refusedByTrigger(t *testing.T) {
	s := fresh(t)
	c, l := newChain(), mustOpen(t, s)
	c.mustAppend(t, l, "before")
	conn := superuser(t, s)
	for _, sql := range []string{
		`CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS $$
			BEGIN RAISE EXCEPTION 'could not extend file' USING ERRCODE = 'disk_full'; END $$`,
		"CREATE TRIGGER full_disk BEFORE UPDATE OF root ON head FOR EACH ROW EXECUTE FUNCTION full_disk()",
	} {
		_, err := conn.Exec(t.Context(), sql)
		must(t, err)
	}
	c.refused(t, l, "refused")
	must(t, c.log.Check(t.Context(), l))
	_, err := conn.Exec(t.Context(), "DROP TRIGGER full_disk ON head")
	must(t, err)
	c.mustAppend(t, l, "after")
	must(t, c.log.Check(t.Context(), l))
}
