package certificate

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/bidi"
)

// Names and everything else in a record are other people's text. What the font cannot draw,
// or what would turn, hide or overlay what stands beside it, is printed as its code point on
// a grey ground, [U+202E], which no text of theirs can imitate.

// cell is what is drawn in one piece: a character, or an escape for one that is not drawn.
type cell struct {
	r      rune
	escape string // empty: r is drawn
}

// cells takes text apart. Every character of it leads to a cell or is counted in one.
func cells(s string) []cell {
	var out []cell
	last, count := "", 0
	flush := func() {
		switch {
		case count > 1:
			out = append(out, cell{escape: fmt.Sprintf("[%s ×%d]", last, count)})
		case count == 1:
			out = append(out, cell{escape: "[" + last + "]"})
		}
		last, count = "", 0
	}
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		name := ""
		switch {
		case r == utf8.RuneError && n == 1:
			name = fmt.Sprintf("0x%02X", s[i])
		case !drawn(r):
			name = fmt.Sprintf("U+%04X", r)
		}
		i += n
		if name != last {
			flush()
		}
		if name == "" {
			out = append(out, cell{r: r})
			continue
		}
		last = name
		count++
	}
	flush()
	return out
}

// drawn reports whether a character is drawn as itself: it is visible, stands by itself,
// runs from left to right, and the font has it.
func drawn(r rune) bool {
	if r != '\u3000' && !unicode.IsPrint(r) || unicode.Is(unicode.M, r) || sans.glyph(r) == 0 {
		return false
	}
	p, _ := bidi.LookupRune(r)
	c := p.Class()
	return c != bidi.R && c != bidi.AL && c != bidi.AN
}

// escapeSize is the size of an escape against the text around it, in thousandths.
const escapeSize = 780

// width is how wide a cell stands in type of that size, in thousandths of a point.
func (c cell) width(size int) int {
	if c.escape == "" {
		return sans.advance(sans.glyph(c.r)) * size / 1000
	}
	w := 0
	for _, r := range c.escape {
		w += sans.advance(sans.glyph(r)) * (size * escapeSize / 1000) / 1000
	}
	return w
}

func widthOf(line []cell, size int) (w int) {
	for _, c := range line {
		w += c.width(size)
	}
	return w
}

const (
	neverFirst = "，。、；：？！）》」』】〉”’,.;:?!)]}%…—·"
	neverLast  = "（《「『【〈“‘([{"
)

// wrap breaks text into lines no wider than width: at spaces and beside Chinese characters,
// never before closing punctuation, and where nothing else helps, anywhere.
func wrap(s string, size, width int) [][]cell {
	all := cells(s)
	var lines [][]cell
	for start := 0; start < len(all); {
		end, w, fits := start, 0, start // fits: the last place where the line may end
		for end < len(all) {
			if w += all[end].width(size); w > width && all[end].r != ' ' {
				break
			}
			end++
			if end == len(all) || mayBreak(all[end-1], all[end]) {
				fits = end
			}
		}
		if end < len(all) && fits > start {
			end = fits
		}
		end = max(end, start+1)
		lines = append(lines, trimmed(all[start:end], end == len(all)))
		start = end
	}
	if lines == nil {
		lines = [][]cell{nil}
	}
	return lines
}

// trimmed is a line without the spaces at which it was broken.
func trimmed(line []cell, last bool) []cell {
	for !last && len(line) > 1 && line[len(line)-1].escape == "" && line[len(line)-1].r == ' ' {
		line = line[:len(line)-1]
	}
	return line
}

func mayBreak(before, after cell) bool {
	switch {
	case before.escape != "" || after.escape != "":
		return true
	case strings.ContainsRune(neverFirst, after.r), strings.ContainsRune(neverLast, before.r):
		return false
	case before.r == ' ':
		return after.r != ' '
	}
	return wide(before.r) || wide(after.r) && after.r != ' '
}

// wide: Chinese characters and their punctuation.
func wide(r rune) bool { return r >= 0x2e80 }
