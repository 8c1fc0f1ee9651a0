package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"
)

const (
	largeFile    = 8 << 20 // shorter ones are gone before a bar can be read
	barWidth     = 24
	redrawPeriod = 100 * time.Millisecond
	eraseLine    = "\r\x1b[K"
)

// A progress is a bar on a terminal. On anything else, and for small files, it is
// nil, and its methods do nothing.
type progress struct {
	out   io.Writer
	name  string
	total int64

	mu    sync.Mutex // the transport may read a body while the next attempt begins
	verb  string
	done  int64
	drawn time.Time
	dirty bool
}

func newProgress(out io.Writer, name string, total int64) *progress {
	if f, ok := out.(*os.File); !ok || total <= largeFile || !isTerminal(f) {
		return nil
	}
	return &progress{out: out, name: plain(name), total: total}
}

// newLine is what makes room on out where a bar may stand.
func newLine(out io.Writer) string {
	if f, ok := out.(*os.File); ok && isTerminal(f) {
		return eraseLine
	}
	return ""
}

// begin starts the bar anew.
func (p *progress) begin(verb string) {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.verb, p.done = verb, 0
}

// reader counts what is read from r.
func (p *progress) reader(r io.Reader) io.Reader {
	if p == nil {
		return r
	}
	return counted{r, p}
}

type counted struct {
	io.Reader
	p *progress
}

func (c counted) Read(b []byte) (int, error) {
	n, err := c.Reader.Read(b)
	c.p.add(int64(n))
	return n, err
}

func (p *progress) add(n int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.done += n
	if time.Since(p.drawn) < redrawPeriod {
		return
	}
	p.drawn, p.dirty = time.Now(), true
	part := float64(min(p.done, p.total)) / float64(p.total)
	full := int(part * barWidth)
	fmt.Fprintf(p.out, "%s%s %s%s %3.0f%%  %s", eraseLine, p.verb,
		strings.Repeat("█", full), strings.Repeat("░", barWidth-full), part*100, p.name)
}

// clear takes the bar away, so that what is printed next stands alone.
func (p *progress) clear() {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.dirty {
		fmt.Fprint(p.out, eraseLine)
		p.dirty = false
	}
}
