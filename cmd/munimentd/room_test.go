package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// smallDisk is a file system of that many bytes which the test can fill.
type smallDisk struct {
	dir     string
	ballast string
}

// mountSmall mounts one, or returns nil where that is not allowed.
func mountSmall(t *testing.T, size int) *smallDisk {
	t.Helper()
	dir := t.TempDir()
	err := syscall.Mount("none", dir, "tmpfs", 0, fmt.Sprintf("size=%d", size))
	if errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.EACCES) {
		return nil
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { syscall.Unmount(dir, syscall.MNT_DETACH) })
	return &smallDisk{dir, filepath.Join(dir, "ballast")}
}

// leave fills the disk until at most that share of it is free, in permille.
func (s *smallDisk) leave(t *testing.T, permille uint64) {
	t.Helper()
	s.clear(t)
	f, err := os.Create(s.ballast)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for {
		var st unix.Statfs_t
		if err := unix.Statfs(s.dir, &st); err != nil {
			t.Fatal(err)
		}
		if st.Bavail*1000 <= st.Blocks*permille {
			return
		}
		if _, err := f.Write(make([]byte, 256<<10)); errors.Is(err, syscall.ENOSPC) {
			return
		} else if err != nil {
			t.Fatal(err)
		}
	}
}

func (s *smallDisk) clear(t *testing.T) {
	t.Helper()
	if err := os.Remove(s.ballast); err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
}

// refusedForRoom demands the clean refusal of a full disk.
func refusedForRoom(t *testing.T, err error) {
	t.Helper()
	if p := new(problem); !errors.As(err, &p) || p.Type != "/problems/insufficient-storage" || p.Status != 507 || !p.Retry {
		t.Errorf("on a full disk: %v, want 507", err)
	}
}

// TestFullDisk is I13: at the watermark writes are refused and reads go on, and with
// room made they are taken again, by the same process.
func TestFullDisk(t *testing.T) {
	disk := mountSmall(t, 512<<20)
	if disk == nil {
		fullByTrace(t)
		return
	}
	d := layoutIn(t, filepath.Join(disk.dir, "depository"))
	p := d.serve(t)
	c := d.client(p)
	document := bytes.Repeat([]byte("contract\n"), 1000)
	first, err := c.deposit("first", nil, document)
	if err != nil {
		t.Fatal(err)
	}

	// At the watermark.
	disk.leave(t, 40)
	_, err = c.deposit("second", nil, document)
	refusedForRoom(t, err)
	_, err = c.digest("third", "", "loan")
	refusedForRoom(t, err)
	d.reads(t, c, first, document)
	if _, err := c.get("/readyz"); err == nil {
		t.Error("ready without room for a deposit")
	}
	disk.clear(t)
	second, err := c.deposit("second", nil, document)
	if err != nil {
		t.Fatalf("with room made: %v", err)
	}
	if _, err := c.get("/readyz"); err != nil {
		t.Errorf("with room made: %v", err)
	}

	// The ledger wants room of its own, more than a twentieth of so small a disk. That,
	// too, is told before anyone is refused for it, and no longer than it is so.
	disk.leave(t, 200)
	if _, err := c.get("/readyz"); err == nil {
		t.Error("ready without room for the ledger")
	}
	_, err = c.digest("fourth", "", "loan")
	refusedForRoom(t, err)
	disk.clear(t)
	if _, err := c.get("/readyz"); err != nil {
		t.Errorf("with room made: %v", err)
	}

	// A document that is larger than what is left is refused on its way, and what it
	// took is given back.
	disk.leave(t, 300)
	_, err = c.stream("large", nil, "large.bin", io.LimitReader(zeros{}, 200<<20))
	refusedForRoom(t, err)
	if _, err := c.deposit("small", nil, document); err != nil {
		t.Errorf("after a document that was too large: %v", err)
	}
	d.reads(t, c, second, document)
	disk.clear(t)
	p.stop(t)
	d.clean(t)
}

// reads demands that a deposit and the log are readable.
func (d *laidOut) reads(t *testing.T, c *client, a answer, document []byte) {
	t.Helper()
	got, err := c.get("/v1/deposits/" + a.ID + "/document")
	if err != nil || !bytes.Equal(got, document) {
		t.Errorf("reading: %v", err)
	}
	if _, err := c.get("/v1/deposits/" + a.ID); err != nil {
		t.Errorf("reading: %v", err)
	}
	c.whole(t)
}

// TestDiskFilledUnderWriters takes the last byte away in the middle of everything. The
// process may end; whatever was acknowledged is there afterwards, and while there is
// no room, a start serves the public log alone or says why it cannot.
func TestDiskFilledUnderWriters(t *testing.T) {
	disk := mountSmall(t, 512<<20)
	if disk == nil {
		fullByTrace(t)
		return
	}
	d := layoutIn(t, filepath.Join(disk.dir, "depository"))
	p := d.serve(t)
	l := d.lend(t)
	l.now.Store(d.client(p))
	time.Sleep(200 * time.Millisecond)
	ended := 0
	for round := range 3 {
		disk.leave(t, 0)
		time.Sleep(300 * time.Millisecond)
		select {
		case <-p.ended:
			if code := p.exit(t, 0); code != exitFatal {
				t.Errorf("exit code %d on a full disk: %s", code, p.out)
			}
			ended++
		default:
			if round == 1 { // what a crash leaves behind while there is no room
				l.now.Store(nil)
				p.kill()
			}
		}
		select {
		case <-p.ended:
			l.now.Store(nil)
			d.withoutRoom(t, l)
			disk.clear(t)
			p = d.serve(t)
			l.now.Store(d.client(p))
		default:
			disk.clear(t)
		}
		before := len(l.since(0))
		for deadline := time.Now().Add(20 * time.Second); len(l.since(0)) < before+writers; time.Sleep(10 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("round %d: with room made, nothing is acknowledged: %s", round, p.out)
			}
		}
	}
	receipts, _ := l.account(t)
	p.stop(t)
	d.clean(t)
	t.Logf("%d receipts, none lost; the full disk ended the process %d times of 3", receipts, ended)
}

// withoutRoom starts the depository on a full disk.
func (d *laidOut) withoutRoom(t *testing.T, l *lenders) {
	t.Helper()
	p := d.launch(t, nil)
	defer p.kill()
	if !p.wait(30 * time.Second) {
		t.Errorf("on a full disk it does not start, and reads are refused (exit code %d): %s", p.exit(t, time.Second), p.out)
		return
	}
	c := d.client(p)
	c.whole(t)
	if list := l.since(0); len(list) > 0 {
		// Who reads cannot be written down either.
		_, err := c.get("/v1/deposits/" + list[0].answer.ID + "/receipt")
		if p := new(problem); !errors.As(err, &p) || p.Type != "/problems/trail-unavailable" || p.Status != 503 || !p.Retry {
			t.Errorf("reading what is private on a full disk: %v, want 503", err)
		}
	}
	_, err := c.digest("without-room", "", "loan")
	refusedForRoom(t, err)
}

// fullByTrace is for machines on which nothing may be mounted: every document's last
// step fails for want of room, until the tracer goes.
func fullByTrace(t *testing.T) {
	d := layout(t)
	p := d.serve(t)
	c := d.client(p)
	document := []byte("contract")
	first, err := c.deposit("first", nil, document)
	if err != nil {
		t.Fatal(err)
	}
	t.Run("full", func(t *testing.T) {
		p.attach(t, "-e", "trace=linkat", "-e", "inject=linkat:error=ENOSPC")
		_, err = c.deposit("second", nil, document)
		refusedForRoom(t, err)
		d.reads(t, c, first, document)
	})
	if _, err := c.deposit("second", nil, document); err != nil {
		t.Errorf("with room made: %v", err)
	}
	p.stop(t)
	d.clean(t)
}
