package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestStopUnderLoad is I15: SIGTERM under eight writers. No answer breaks off, the
// process ends in time and well, and what was acknowledged is there.
func TestStopUnderLoad(t *testing.T) {
	d := layout(t)
	l := d.lend(t)
	var slowest time.Duration
	for range rounds(4, 100) {
		p := d.serve(t)
		l.now.Store(d.client(p))
		time.Sleep(150 * time.Millisecond)
		began := time.Now()
		syscall.Kill(p.pid, syscall.SIGTERM)
		if code := p.exit(t, 20*time.Second); code != 0 {
			t.Errorf("exit code %d: %s", code, p.out)
		}
		slowest = max(slowest, time.Since(began))
		l.now.Store(nil)
		// Sealed before it ended: what is there now needs no further seal.
		d.clean(t)
	}
	if slowest > stopWithin {
		t.Errorf("a stop took %v", slowest)
	}
	if n := l.broken.Load(); n > 0 {
		t.Errorf("%d answers broke off", n)
	}
	p := d.serve(t)
	l.now.Store(d.client(p))
	receipts, _ := l.account(t)
	p.stop(t)
	t.Logf("%d receipts; the slowest stop took %v", receipts, slowest)
}

// TestStoppedProcessKeepsItsDirectory: a process that is stopped, not ended, may go on
// at any moment. Nobody takes its place meanwhile (I2), and nobody waits for it in vain.
func TestStoppedProcessKeepsItsDirectory(t *testing.T) {
	d := layout(t)
	p := d.serve(t)
	c := d.client(p)
	if _, err := c.digest("before", "LC-1", "loan"); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(p.pid, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	second := d.launch(t, nil)
	if code := second.exit(t, 20*time.Second); code != exitFailure || !strings.Contains(second.out.String(), errTaken.Error()) {
		t.Errorf("a second process: exit code %d: %s", code, second.out)
	}
	if code, out := d.fsck(t); code != exitFailure || !strings.Contains(out, "does not answer") {
		t.Errorf("fsck: exit code %d: %s", code, out)
	}
	if err := syscall.Kill(p.pid, syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	if _, err := c.digest("after", "LC-1", "loan"); err != nil {
		t.Error(err)
	}
	d.clean(t)
	p.stop(t)
}

// TestFsckOfARunningDepository finds a document that rotted under it, and the
// depository goes on with everything else.
func TestFsckOfARunningDepository(t *testing.T) {
	d := layout(t)
	p := d.serve(t)
	c := d.client(p)
	a, err := c.deposit("rots", nil, []byte(strings.Repeat("contract\n", 20_000)))
	if err != nil {
		t.Fatal(err)
	}
	d.clean(t)
	files, err := filepath.Glob(filepath.Join(d.Dir, "blobs", d.Tenant, "*", a.ID))
	if err != nil || len(files) != 1 {
		t.Fatalf("%d files: %v", len(files), err)
	}
	f, err := os.OpenFile(files[0], os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt([]byte("rot"), 100_000); err != nil {
		t.Fatal(err)
	}
	f.Close()
	code, out := d.fsck(t)
	if code != exitFound || !strings.Contains(out, a.ID) || !strings.Contains(out, "DAMAGED") {
		t.Errorf("exit code %d: %s", code, out)
	}
	// A checker that leaves does not disturb the one who works.
	gone := exec.Command("munimentd", "fsck", "--dir", d.Dir)
	if err := gone.Start(); err != nil {
		t.Fatal(err)
	}
	gone.Process.Kill()
	gone.Wait()
	if _, err := c.get("/v1/deposits/" + a.ID + "/document"); err == nil {
		t.Error("a rotten document is served")
	}
	if _, err := c.get("/v1/deposits/" + a.ID + "/receipt"); err != nil {
		t.Error(err)
	}
	if _, err := c.digest("next", "", "loan"); err != nil {
		t.Error(err)
	}
	p.stop(t)
}
