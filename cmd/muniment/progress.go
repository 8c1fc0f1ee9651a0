package main

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"
)

const (
	barWidth     = 20
	redrawPeriod = 100 * time.Millisecond // of the bar
	linePeriod   = 10 * time.Second       // between lines, where no bar can be drawn
	minRated     = time.Second            // before that, and before 1% is done, a rate says nothing
)

// A progress tells how far a long run has come: with a bar on a terminal, with a
// line every linePeriod elsewhere, and not at all where the results are JSON; it is
// then nil, and its methods do nothing.
type progress struct {
	screen *screen
	items  phrase // "%d of %d files"
	count  int
	bytes  int64 // of all documents; 0: only items are counted
	now    func() time.Time

	mu            sync.Mutex
	finished      int
	work, done    int64 // in bytes read: a document that is sent is read twice
	spared        int64 // of done, what did not have to be done
	name          string
	began, showed time.Time
}

func newProgress(s *screen, items phrase, count int, bytes, work int64) *progress {
	if s.json {
		return nil
	}
	p := &progress{screen: s, items: items, count: count, bytes: bytes, work: work, now: time.Now}
	p.began = p.now()
	if s.wide == 0 { // a bar is drawn at once, a line after the first period
		p.showed = p.began
	}
	return p
}

// A task is one document's part of the progress.
type task struct {
	p    *progress
	left int64 // bytes that are still expected to be read
}

// start begins on a document that takes work bytes of reading.
func (p *progress) start(name string, work int64) *task {
	if p == nil {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.name = name
	return &task{p, work}
}

// reader counts what is read from r.
func (t *task) reader(r io.Reader) io.Reader {
	if t == nil {
		return r
	}
	return counted{r, t}
}

type counted struct {
	io.Reader
	t *task
}

// Read implements io.Reader.
func (c counted) Read(b []byte) (int, error) {
	n, err := c.Reader.Read(b)
	c.t.add(int64(n))
	return n, err
}

// add counts n bytes that were read. A body that is sent again counts once.
func (t *task) add(n int64) {
	p := t.p
	p.mu.Lock()
	n = min(n, t.left)
	t.left -= n
	p.done += n
	text := p.due()
	p.mu.Unlock()
	p.show(text)
}

// finish counts the document as dealt with, whatever was left to do.
func (t *task) finish() {
	if t == nil {
		return
	}
	p := t.p
	p.mu.Lock()
	p.done += t.left
	p.spared += t.left
	t.left = 0
	p.finished++
	text := p.due()
	p.mu.Unlock()
	p.show(text)
}

// advance counts n items of which no bytes are counted.
func (p *progress) advance(n int) {
	if p == nil {
		return
	}
	p.mu.Lock()
	p.finished += n
	p.done += int64(n)
	text := p.due()
	p.mu.Unlock()
	p.show(text)
}

// end takes the bar away.
func (p *progress) end() {
	if p != nil {
		p.screen.clear()
	}
}

func (p *progress) show(text string) {
	switch {
	case text == "":
	case p.screen.wide > 0:
		p.screen.draw(text)
	default:
		p.screen.aside(text)
	}
}

// due is what is to be shown now, if anything.
func (p *progress) due() string {
	period := linePeriod
	if p.screen.wide > 0 {
		period = redrawPeriod
	}
	at := p.now()
	if at.Sub(p.showed) < period {
		return ""
	}
	p.showed = at
	if p.screen.wide > 0 {
		return p.bar() + "  " + p.line(at) + "  " + plain(p.name)
	}
	return p.line(at)
}

func (p *progress) bar() string {
	full := int(p.part() * barWidth)
	return strings.Repeat("█", full) + strings.Repeat("░", barWidth-full)
}

func (p *progress) part() float64 {
	if p.work == 0 {
		return 1
	}
	return min(1, float64(p.done)/float64(p.work))
}

// line is the progress in words: part, items, bytes, rate, time left.
func (p *progress) line(at time.Time) string {
	lang := p.screen.lang
	parts := []string{fmt.Sprintf("%3.0f%%", p.part()*100), p.items.in(lang, p.finished, p.count)}
	if p.bytes > 0 {
		parts = append(parts, sayOf.in(lang, size(int64(p.part()*float64(p.bytes))), size(p.bytes)))
	}
	took := at.Sub(p.began)
	worked := p.done - p.spared
	if took < minRated || worked <= 0 || worked < p.work/100 {
		return strings.Join(parts, "  ")
	}
	rate := float64(worked) / took.Seconds()
	if p.bytes > 0 {
		shown := rate * float64(p.bytes) / float64(max(p.work, 1))
		parts = append(parts, size(int64(shown))+"/s")
	}
	if left := p.work - p.done; left > 0 {
		parts = append(parts, sayLeft.in(lang, duration(time.Duration(float64(left)/rate*float64(time.Second))).in(lang)))
	}
	return strings.Join(parts, "  ")
}

// size is a number of bytes as people read it, in powers of 1000.
func size(n int64) string {
	value, unit := float64(n), 0
	units := []string{"B", "kB", "MB", "GB", "TB", "PB", "EB"}
	for value >= 999.5 && unit < len(units)-1 {
		value /= 1000
		unit++
	}
	if unit == 0 || value >= 99.95 {
		return fmt.Sprintf("%.0f %s", value, units[unit])
	}
	return fmt.Sprintf("%.1f %s", value, units[unit])
}

// duration is a time in the two units that matter.
func duration(d time.Duration) remark {
	s := int(d.Round(time.Second).Seconds())
	switch {
	case s < 60:
		return saySeconds.with(s)
	case s < 3600:
		return sayMinutes.with(s/60, s%60)
	}
	return sayHours.with(s/3600, s%3600/60)
}
