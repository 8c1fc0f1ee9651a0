package main

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"strconv"
	"time"
)

// Bounds of an answer. What is longer is an error: the depository gives no such answer.
const (
	maxHead   = 16 << 10
	maxAnswer = 64 << 20 // a batch of 10,000 lines has about 20 MiB
)

// errWire is wrapped when what came is not an HTTP/1.1 answer that a depository gives.
// An instrument that guesses measures nothing, so the parser refuses what it does not expect.
var errWire = errors.New("not an answer that can be measured")

// A wire is one persistent HTTP/1.1 connection with one request under way at a time.
// It costs a fraction of net/http's client, which needs more CPU for a request than
// the server it is to measure.
type wire struct {
	addr     string
	patience time.Duration // how long one exchange may take

	conn     net.Conn
	deadline time.Time
	buf      []byte // read, and not yet another exchange's: buf[:end]
	end      int
	dials    int
}

// An answer is valid until the wire's next exchange.
type answer struct {
	status     int
	location   []byte
	retryAfter []byte
	body       []byte
	closes     bool // the server closes the connection after it

	length  int // of the body; -1: not given
	chunked bool
}

func newWire(addr string, patience time.Duration) *wire {
	return &wire{addr: addr, patience: patience, buf: make([]byte, 4<<10)}
}

func (w *wire) close() {
	if w.conn != nil {
		w.conn.Close()
		w.conn = nil
	}
}

// exchange sends a whole request and reads the whole answer. After an error the
// connection is closed; the next exchange opens another.
func (w *wire) exchange(request []byte, a *answer) error {
	err := w.attempt(request, a)
	if err != nil || a.closes {
		w.close()
	}
	return err
}

func (w *wire) attempt(request []byte, a *answer) error {
	if err := w.ready(); err != nil {
		return err
	}
	if _, err := w.conn.Write(request); err != nil {
		return err
	}
	w.end = 0
	start, err := w.head(a)
	if err != nil {
		return err
	}
	if a.chunked {
		return w.chunks(start, a)
	}
	if err := w.fill(start + a.length); err != nil {
		return err
	}
	if w.end != start+a.length {
		return fmt.Errorf("%w: bytes after its end", errWire)
	}
	a.body = w.buf[start:w.end]
	return nil
}

// ready opens the connection if there is none, and moves its deadline on. A deadline
// costs a system timer, so one serves all exchanges of a second.
func (w *wire) ready() error {
	now := time.Now()
	if w.conn == nil {
		conn, err := net.DialTimeout("tcp", w.addr, w.patience)
		if err != nil {
			return err
		}
		w.conn, w.deadline = conn, time.Time{}
		w.dials++
	}
	if want := now.Add(w.patience); want.Sub(w.deadline) > time.Second {
		w.deadline = want
		return w.conn.SetDeadline(want)
	}
	return nil
}

// read reads what has come, into room for at least one byte.
func (w *wire) read() error {
	if w.end == len(w.buf) {
		if len(w.buf) >= maxAnswer {
			return fmt.Errorf("%w: longer than %d bytes", errWire, maxAnswer)
		}
		w.buf = append(w.buf, make([]byte, len(w.buf))...)
	}
	n, err := w.conn.Read(w.buf[w.end:])
	w.end += n
	if n > 0 {
		return nil
	}
	if err == nil {
		err = fmt.Errorf("%w: an empty read", errWire)
	}
	return err
}

// fill reads until end bytes are there.
func (w *wire) fill(end int) error {
	if end > maxAnswer {
		return fmt.Errorf("%w: longer than %d bytes", errWire, maxAnswer)
	}
	for w.end < end {
		if err := w.read(); err != nil {
			return err
		}
	}
	return nil
}

// head reads status and fields, and returns where the body begins.
func (w *wire) head(a *answer) (int, error) {
	stop := -1
	for seen := 0; stop < 0; {
		if err := w.read(); err != nil {
			return 0, err
		}
		if at := bytes.Index(w.buf[seen:w.end], []byte("\r\n\r\n")); at >= 0 {
			stop = seen + at
		}
		seen = max(0, w.end-3)
		if stop > maxHead || stop < 0 && seen > maxHead {
			return 0, fmt.Errorf("%w: its header is longer than %d bytes", errWire, maxHead)
		}
	}
	*a = answer{length: -1}
	line, fields, _ := bytes.Cut(w.buf[:stop+2], []byte("\r\n"))
	if err := a.statusLine(line); err != nil {
		return 0, err
	}
	for len(fields) > 0 {
		line, fields, _ = bytes.Cut(fields, []byte("\r\n"))
		if err := a.field(line); err != nil {
			return 0, err
		}
	}
	if a.chunked == (a.length >= 0) {
		return 0, fmt.Errorf("%w: not exactly one of Content-Length and chunks", errWire)
	}
	return stop + 4, nil
}

func (a *answer) statusLine(line []byte) error {
	const version = "HTTP/1.1 "
	if len(line) < len(version)+4 || string(line[:len(version)]) != version || line[len(version)+3] != ' ' {
		return fmt.Errorf("%w: it begins %.40q", errWire, line)
	}
	status, err := strconv.Atoi(string(line[len(version) : len(version)+3]))
	if err != nil || status < 200 || status == 204 || status == 304 {
		return fmt.Errorf("%w: it begins %.40q", errWire, line)
	}
	a.status = status
	return nil
}

func (a *answer) field(line []byte) error {
	colon := bytes.IndexByte(line, ':')
	if colon < 1 {
		return fmt.Errorf("%w: a header field %.40q", errWire, line)
	}
	name, value := line[:colon], bytes.TrimSpace(line[colon+1:])
	switch {
	case is(name, "content-length"):
		n, err := strconv.Atoi(string(value))
		if err != nil || n < 0 || a.length >= 0 {
			return fmt.Errorf("%w: Content-Length %.40q", errWire, value)
		}
		a.length = n
	case is(name, "transfer-encoding"):
		if !is(value, "chunked") || a.chunked {
			return fmt.Errorf("%w: Transfer-Encoding %.40q", errWire, value)
		}
		a.chunked = true
	case is(name, "connection"):
		a.closes = is(value, "close")
	case is(name, "location"):
		a.location = value
	case is(name, "retry-after"):
		a.retryAfter = value
	}
	return nil
}

// is compares without regard to case; want is in lower case.
func is(got []byte, want string) bool {
	return len(got) == len(want) && bytes.EqualFold(got, []byte(want))
}

// chunks reads a body in chunks (RFC 9112 §7.1) and joins it where it stands.
func (w *wire) chunks(start int, a *answer) error {
	from, to := start, start
	for {
		line, next, err := w.line(from)
		if err != nil {
			return err
		}
		size, err := strconv.ParseUint(string(line), 16, 31)
		if err != nil {
			return fmt.Errorf("%w: a chunk of size %.40q", errWire, line)
		}
		end := next + int(size)
		if err := w.fill(end + 2); err != nil {
			return err
		}
		if w.buf[end] != '\r' || w.buf[end+1] != '\n' {
			return fmt.Errorf("%w: a chunk, or the last one's trailer, that does not end", errWire)
		}
		to += copy(w.buf[to:], w.buf[next:end])
		from = end + 2
		if size == 0 {
			break
		}
	}
	if w.end != from {
		return fmt.Errorf("%w: bytes after its end", errWire)
	}
	a.body = w.buf[start:to]
	return nil
}

// line returns the line that begins at from, and where the next one does.
func (w *wire) line(from int) (line []byte, next int, err error) {
	const longest = 18 // a chunk's size in hex, without extensions
	for {
		if at := bytes.Index(w.buf[from:w.end], []byte("\r\n")); at >= 0 {
			return w.buf[from : from+at], from + at + 2, nil
		}
		if w.end-from > longest {
			return nil, 0, fmt.Errorf("%w: a chunk of size %.40q", errWire, w.buf[from:w.end])
		}
		if err := w.read(); err != nil {
			return nil, 0, err
		}
	}
}
