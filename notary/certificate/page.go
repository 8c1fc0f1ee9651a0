package certificate

import (
	"bytes"
	"fmt"
	"slices"
)

// Lengths are in thousandths of a point, whole numbers: no machine rounds them otherwise.
const (
	pt         = 1000
	pageWidth  = 595276 // A4
	pageHeight = 841890
	margin     = 62 * pt
	bodyWidth  = pageWidth - 2*margin
	bodyTop    = 84 * pt
	bodyEnd    = pageHeight - 70*pt
	gutter     = 22 * pt
	halfWidth  = (bodyWidth - gutter) / 2
	labelWidth = 116 * pt
	valueLeft  = margin + labelWidth + 10*pt
	valueWidth = bodyWidth - labelWidth - 10*pt
)

// The colours of the paper: ink, two greys, and one accent.
const (
	ink    = "0.1 0.1 0.12"
	grey   = "0.36 0.38 0.42"
	faint  = "0.78 0.8 0.84"
	tint   = "0.92 0.93 0.95"
	accent = "0.07 0.25 0.47"
	white  = "1 1 1"
)

// style is how a line of text is set.
type style struct {
	size   int // of the type
	lead   int // from line to line
	bold   bool
	colour string
}

var (
	styleTitle   = style{25 * pt, 33 * pt, true, accent}
	styleHead    = style{13500, 20 * pt, true, accent}
	styleHeadEn  = style{10500, 20 * pt, false, accent}
	styleBody    = style{10 * pt, 15500, false, ink}
	styleLabel   = style{9 * pt, 15500, false, grey}
	styleLabelEn = style{8 * pt, 12 * pt, false, grey}
	styleSmall   = style{8 * pt, 12 * pt, false, grey}
	styleDigest  = style{9 * pt, 14 * pt, false, ink}
)

// item is a line, or a piece of a picture, in a column.
type item struct {
	height int
	draw   func(x, y int) // y: its top, from the top of the page
}

// printer puts text on pages.
type printer struct {
	pages []*bytes.Buffer
	y     int // where the next block begins on the last page
	codes map[rune]int
	runes []rune // by code, from 1
}

func newPrinter() *printer {
	p := &printer{codes: map[rune]int{}}
	p.turn()
	return p
}

// turn begins another page.
func (p *printer) turn() {
	p.pages = append(p.pages, &bytes.Buffer{})
	p.y = bodyTop
}

func (p *printer) page() *bytes.Buffer { return p.pages[len(p.pages)-1] }

// need turns the page unless so much room is left on it.
func (p *printer) need(height int) {
	if p.y+height > bodyEnd && p.y > bodyTop {
		p.turn()
	}
}

func (p *printer) space(height int) { p.y += height }

// columns lets columns of items run down beside each other, over as many pages as they need.
func (p *printer) columns(lefts []int, columns ...[]item) {
	queues := slices.Clone(columns)
	for {
		end, left := p.y, false
		for i, queue := range queues {
			y := p.y
			for len(queue) > 0 && (y+queue[0].height <= bodyEnd || y == bodyTop) {
				queue[0].draw(lefts[i], y)
				y += queue[0].height
				queue = queue[1:]
			}
			queues[i], end, left = queue, max(end, y), left || len(queue) > 0
		}
		if p.y = end; !left {
			return
		}
		p.turn()
	}
}

// code is the number under which a character stands in the font of this file.
func (p *printer) code(r rune) int {
	c, ok := p.codes[r]
	if !ok {
		p.runes = append(p.runes, r)
		c = len(p.runes)
		p.codes[r] = c
	}
	return c
}

// text is a block of text, wrapped, as items.
func (p *printer) text(s string, st style, width int) (out []item) {
	for _, line := range wrap(s, st.size, width) {
		out = append(out, item{st.lead, func(x, y int) { p.line(p.page(), line, st, x, y) }})
	}
	return out
}

// blank is room between items.
func blank(height int) item { return item{height, func(int, int) {}} }

// line draws cells in a line whose top is at y.
func (p *printer) line(page *bytes.Buffer, line []cell, st style, x, y int) {
	base := pageHeight - y - st.lead + (st.lead-st.size)/2 + st.size/5
	for len(line) > 0 {
		if e := line[0]; e.escape != "" {
			w := e.width(st.size)
			box(page, x, y+(st.lead-st.size)/2, w, st.size+pt, tint, "")
			p.show(page, []rune(e.escape), st.size*escapeSize/1000, false, grey, x, base)
			x, line = x+w, line[1:]
			continue
		}
		n := 0
		var run []rune
		for n < len(line) && line[n].escape == "" {
			run = append(run, line[n].r)
			n++
		}
		p.show(page, run, st.size, st.bold, st.colour, x, base)
		x, line = x+widthOf(line[:n], st.size), line[n:]
	}
}

// show draws characters, all of which the font has, from a point on the base line on.
func (p *printer) show(page *bytes.Buffer, run []rune, size int, bold bool, colour string, x, base int) {
	fmt.Fprintf(page, "BT /F %s Tf %s rg ", milli(size), colour)
	if bold { // the font has no bold face: its outlines are drawn as well as filled
		fmt.Fprintf(page, "%s RG %s w 2 Tr ", colour, milli(size/30))
	}
	fmt.Fprintf(page, "%s %s Td <", milli(x), milli(base))
	for _, r := range run {
		fmt.Fprintf(page, "%04X", p.code(r))
	}
	page.WriteString("> Tj")
	if bold {
		page.WriteString(" 0 Tr")
	}
	page.WriteString(" ET\n")
}

// box is a rectangle, its top at y, filled and stroked where colours are named.
func box(page *bytes.Buffer, x, y, w, h int, fill, stroke string) {
	at := fmt.Sprintf("%s %s %s %s re", milli(x), milli(pageHeight-y-h), milli(w), milli(h))
	switch {
	case fill != "" && stroke != "":
		fmt.Fprintf(page, "%s rg %s RG 0.8 w %s B\n", fill, stroke, at)
	case fill != "":
		fmt.Fprintf(page, "%s rg %s f\n", fill, at)
	default:
		fmt.Fprintf(page, "%s RG 0.8 w %s S\n", stroke, at)
	}
}

// rule is a straight line.
func rule(page *bytes.Buffer, x1, y1, x2, y2 int, colour string, width int) {
	fmt.Fprintf(page, "%s RG %s w %s %s m %s %s l S\n", colour, milli(width), milli(x1), milli(pageHeight-y1), milli(x2), milli(pageHeight-y2))
}
