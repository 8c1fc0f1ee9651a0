package main

import (
	"bytes"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/muniment/muniment/proofs"
)

// clocked is a progress whose clock the test moves.
func clocked(s *screen, bytes int64) (*progress, func(time.Duration)) {
	at := time.Unix(1_800_000_000, 0)
	p := newProgress(s, sayFilesOf, 4, bytes, 2*bytes)
	p.now = func() time.Time { return at }
	p.began, p.showed = at, at
	return p, func(d time.Duration) { at = at.Add(d) }
}

func pass(t *testing.T, task *task, n int) {
	t.Helper()
	if _, err := io.Copy(io.Discard, task.reader(strings.NewReader(strings.Repeat("x", n)))); err != nil {
		t.Fatal(err)
	}
}

// TestProgressOnATerminal: bar, part, files, bytes, rate, time left and name, in one
// line that is cut to the terminal and taken away.
func TestProgressOnATerminal(t *testing.T) {
	var out bytes.Buffer
	p, pause := clocked(&screen{err: &out, lang: proofs.English, wide: 200}, 4000)
	task := p.start("a\x1b[2J.pdf", 2000)
	pause(2 * time.Second)
	pass(t, task, 1000)
	want := eraseLine + "██░░░░░░░░░░░░░░░░░░   12%  0 of 4 files  500 B of 4.0 kB  250 B/s  14 s left  a\\u001b[2J.pdf"
	if out.String() != want {
		t.Errorf("%q, want %q", out.String(), want)
	}
	// Sent again after a failure, it counts once; what was there already has no rate.
	pause(time.Second)
	pass(t, task, 5000)
	task.finish()
	out.Reset()
	other := p.start("b.pdf", 2000)
	pause(time.Second)
	other.finish()
	if want = "50%  2 of 4 files  2.0 kB of 4.0 kB  250 B/s  8 s left  b.pdf"; !strings.HasSuffix(out.String(), want) {
		t.Errorf("%q, want %q", out.String(), want)
	}
	out.Reset()
	p.end()
	if out.String() != eraseLine {
		t.Errorf("%q", out.String())
	}
	p.screen.wide = 20
	p.screen.draw(strings.Repeat("存", 40))
	if got := displayWidth(strings.TrimPrefix(strings.TrimPrefix(out.String(), eraseLine), eraseLine)); got >= 20 {
		t.Errorf("%d columns", got)
	}
}

// TestProgressElsewhere: plain lines at intervals in a log file, in the user's language,
// and nothing at all beside JSON.
func TestProgressElsewhere(t *testing.T) {
	var out bytes.Buffer
	p, pause := clocked(&screen{err: &out, lang: proofs.Chinese}, 4000)
	task := p.start("a.pdf", 2000)
	for range 30 {
		pause(time.Second)
		pass(t, task, 10)
	}
	if n := strings.Count(out.String(), "\n"); n != 3 || strings.ContainsAny(out.String(), "\r\x1b█") {
		t.Errorf("%d lines: %q", n, out.String())
	}
	if !strings.Contains(out.String(), "0/4 个文件") {
		t.Errorf("%q", out.String())
	}
	if p := newProgress(&screen{json: true, wide: 80}, sayFilesOf, 1, 1, 1); p != nil {
		t.Error("a bar beside JSON")
	}
	var none *progress
	none.advance(1)
	none.end()
	lost := none.start("x", 1)
	lost.finish()
	if r := io.Reader(&bytes.Buffer{}); lost.reader(r) != r {
		t.Error("counted in vain")
	}
}

func TestSizesAndDurations(t *testing.T) {
	for n, want := range map[int64]string{0: "0 B", 999: "999 B", 1000: "1.0 kB", 99_949: "99.9 kB", 99_950: "100 kB", 999_499: "999 kB", 999_500: "1.0 MB", 12_345_678_901: "12.3 GB"} {
		if got := size(n); got != want {
			t.Errorf("%d: %s, want %s", n, got, want)
		}
	}
	for d, want := range map[time.Duration]string{0: "0 s", 59 * time.Second: "59 s", 61 * time.Second: "1 min 1 s", 2*time.Hour + 30*time.Second: "2 h 0 min"} {
		if got := duration(d).in(proofs.English); got != want {
			t.Errorf("%s: %s, want %s", d, got, want)
		}
	}
}
