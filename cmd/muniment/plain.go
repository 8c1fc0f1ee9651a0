package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"unicode"

	"golang.org/x/text/width"

	"github.com/muniment/muniment/proofs"
)

// plain makes other people's text harmless to a terminal and to the eye.
func plain(s string) string { return proofs.Plain(s) }

// printJSON writes v as one line of JSON that is harmless too: what encoding/json
// lets through, it escapes.
func printJSON(out io.Writer, v any) error {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return err
	}
	var safe strings.Builder
	for _, r := range strings.TrimSuffix(b.String(), "\n") {
		switch {
		case proofs.Harmless(r):
			safe.WriteRune(r)
		case r < 0x10000:
			fmt.Fprintf(&safe, `\u%04x`, r)
		default:
			r -= 0x10000
			fmt.Fprintf(&safe, `\u%04x\u%04x`, 0xd800+r>>10, 0xdc00+r&0x3ff)
		}
	}
	_, err := fmt.Fprintln(out, safe.String())
	return err
}

// columns is how wide a rune stands on a terminal.
func columns(r rune) int {
	if unicode.In(r, unicode.Mn, unicode.Me) {
		return 0
	}
	switch width.LookupRune(r).Kind() {
	case width.EastAsianWide, width.EastAsianFullwidth:
		return 2
	}
	return 1
}

func displayWidth(s string) int {
	n := 0
	for _, r := range s {
		n += columns(r)
	}
	return n
}

// pad fills s with spaces to w columns.
func pad(s string, w int) string {
	return s + strings.Repeat(" ", max(0, w-displayWidth(s)))
}

// wrap breaks plain text into lines of at most w columns: at spaces, and after wide
// characters, but never before closing punctuation. What has no such place, a digest
// for one, stays whole, so that it can be copied.
func wrap(s string, w int) []string {
	var lines []string
	line, space := "", ""
	for _, word := range words(s) {
		text := strings.TrimSuffix(word, " ")
		if line != "" && displayWidth(line+space+text) > w {
			lines = append(lines, line)
			line, space = "", ""
		}
		line += space + text
		space = word[len(text):]
	}
	return append(lines, line)
}

// words cuts s where a line may end. A space belongs to the word before it.
func words(s string) []string {
	var out []string
	start := 0
	runes := []rune(s)
	for i := 1; i < len(runes); i++ {
		before, after := runes[i-1], runes[i]
		wide := columns(before) == 2 && !opening(before) || columns(after) == 2 && before != ' '
		if (before == ' ' && after != ' ') || wide && after != ' ' && !closing(after) && !opening(before) {
			out = append(out, string(runes[start:i]))
			start = i
		}
	}
	return append(out, string(runes[start:]))
}

func closing(r rune) bool {
	return strings.ContainsRune("，。、；：？！）》」』】〉”’,.;:?!)", r)
}

func opening(r rune) bool { return strings.ContainsRune("（《「『【〈“‘(", r) }

// clip cuts s to w columns.
func clip(s string, w int) string {
	n := 0
	for i, r := range s {
		if n += columns(r); n > w {
			return s[:i]
		}
	}
	return s
}

// printRows aligns columns, by the width that characters have on a terminal.
func printRows(out io.Writer, rows [][]string) error {
	widths := make([]int, len(rows[0]))
	for _, row := range rows {
		for i, cell := range row {
			widths[i] = max(widths[i], displayWidth(cell))
		}
	}
	for _, row := range rows {
		cells := make([]string, len(row))
		for i, cell := range row {
			cells[i] = pad(cell, widths[i])
		}
		if _, err := fmt.Fprintln(out, strings.TrimRight(strings.Join(cells, "  "), " ")); err != nil {
			return err
		}
	}
	return nil
}
