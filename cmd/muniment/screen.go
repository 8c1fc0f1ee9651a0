package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sync"

	"github.com/spf13/cobra"

	"github.com/muniment/muniment/proofs"
)

// A screen is where a command talks: results on standard output, and on standard
// error notes and, under them, the progress. It is safe for concurrent use, so that
// no line is written into another.
type screen struct {
	lang proofs.Language
	json bool // results are JSON, and nobody watches
	out  io.Writer
	err  io.Writer

	mu    sync.Mutex
	wide  int  // columns of the terminal that err is, or 0
	drawn bool // a bar stands there
}

func newScreen(c *cobra.Command, lang proofs.Language, json bool) *screen {
	s := &screen{lang: lang, json: json, out: c.OutOrStdout(), err: c.ErrOrStderr()}
	if f, ok := s.err.(*os.File); ok {
		s.wide = terminalWidth(f)
	}
	return s
}

// note says something beside the results, wrapped.
func (s *screen) note(p phrase, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.erase()
	for _, line := range wrap(p.in(s.lang, args...), lineWidth) {
		fmt.Fprintln(s.err, line)
	}
}

// aside is a line beside the results that is harmless already.
func (s *screen) aside(line string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.erase()
	fmt.Fprintln(s.err, line)
}

// complain says what went wrong with name, in one line.
func (s *screen) complain(name string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.erase()
	says := explain(err, s.lang)
	// The system's errors name the file themselves.
	if path := (*fs.PathError)(nil); errors.As(err, &path) && path.Path == name {
		says = cause(path.Err, s.lang)
	}
	fmt.Fprintf(s.err, "muniment: %s: %s\n", plain(name), says)
}

// line is a line of the results.
func (s *screen) line(p phrase, args ...any) error {
	return s.text(p.in(s.lang, args...))
}

// prose is a result in sentences, wrapped.
func (s *screen) prose(p phrase, args ...any) error {
	for _, line := range wrap(p.in(s.lang, args...), lineWidth) {
		if err := s.text(line); err != nil {
			return err
		}
	}
	return nil
}

// text is a line of the results that is harmless already.
func (s *screen) text(line string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.erase()
	_, err := fmt.Fprintln(s.out, line)
	return err
}

// bytes are results as they are.
func (s *screen) bytes(data []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.erase()
	_, err := s.out.Write(data)
	return err
}

// object is a line of the results as JSON.
func (s *screen) object(v any) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.erase()
	return printJSON(s.out, v)
}

// rows are results in columns; the first row names them.
func (s *screen) rows(heads []phrase, rows [][]string) error {
	head := make([]string, len(heads))
	for i, p := range heads {
		head[i] = p.in(s.lang)
	}
	return printRows(s.out, append([][]string{head}, rows...))
}

const eraseLine = "\r\x1b[K"

// draw puts a bar under what was said; the next line takes its place.
func (s *screen) draw(bar string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	fmt.Fprint(s.err, eraseLine+clip(bar, s.wide-1))
	s.drawn = true
}

// clear takes the bar away.
func (s *screen) clear() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.erase()
}

func (s *screen) erase() {
	if s.drawn {
		fmt.Fprint(s.err, eraseLine)
		s.drawn = false
	}
}
