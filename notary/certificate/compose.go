package certificate

import (
	"fmt"
	"strings"

	"github.com/muniment/muniment/proofs"
)

// composer puts what is to be said on paper, in the languages asked for.
type composer struct {
	*printer
	in     Input
	proof  proof
	number string
	files  []attachment
	said   map[string]bool // members of the record that stand somewhere
}

// languages are those that the paper is in.
func (c *composer) languages() []proofs.Language {
	switch c.in.Language {
	case English:
		return []proofs.Language{proofs.English}
	case Chinese:
		return []proofs.Language{proofs.Chinese}
	}
	return []proofs.Language{proofs.Chinese, proofs.English}
}

// each is a phrase in every language of the paper; one text where they agree.
func (c *composer) each(p phrase) []string {
	if p.en == p.zh {
		return []string{p.en}
	}
	var out []string
	for _, lang := range c.languages() {
		out = append(out, p.in(lang))
	}
	return out
}

// joined is a phrase in a single line.
func (c *composer) joined(p phrase, between string) string {
	return strings.Join(c.each(p), between)
}

// heading begins a group; it does not stand alone at the end of a page.
func (c *composer) heading(p phrase) {
	c.space(13 * pt)
	c.need(100 * pt)
	texts := c.each(p)
	first, second := cells(texts[0]), []cell(nil)
	if len(texts) > 1 {
		second = cells(texts[1])
	}
	const between = 9 * pt
	if beside := widthOf(first, styleHead.size) + between; beside+widthOf(second, styleHeadEn.size) <= bodyWidth {
		c.line(c.page(), first, styleHead, margin, c.y)
		c.line(c.page(), second, styleHeadEn, margin+beside, c.y)
		c.y += styleHead.lead
	} else {
		for i, text := range texts {
			c.flow(c.text(text, []style{styleHead, {styleHeadEn.size, 16 * pt, false, accent}}[i], bodyWidth))
		}
		c.y += 2 * pt
	}
	rule(c.page(), margin, c.y, margin+bodyWidth, c.y, accent, 900)
	c.y += 6 * pt
}

// row is a label and what stands for it. Values are one below the other.
func (c *composer) row(label phrase, values ...phrase) { c.rowIn(styleBody, label, values...) }

func (c *composer) rowIn(st style, label phrase, values ...phrase) {
	var left, right []item
	for i, text := range c.each(label) {
		ls := styleLabel
		if i > 0 {
			ls = styleLabelEn
		}
		left = append(left, c.text(text, ls, labelWidth)...)
	}
	for _, v := range values {
		for i, text := range c.each(v) {
			vs := st
			if i > 0 {
				vs = style{st.size - pt, st.lead - 1500, st.bold, grey}
			}
			right = append(right, c.text(text, vs, valueWidth)...)
		}
	}
	c.together([]int{margin, valueLeft}, left, right)
	c.space(3500)
}

func heightOf(items []item) (h int) {
	for _, i := range items {
		h += i.height
	}
	return h
}

// together is columns that stay on one page unless they are long.
func (c *composer) together(lefts []int, columns ...[]item) {
	tall := 0
	for _, column := range columns {
		tall = max(tall, heightOf(column))
	}
	if tall <= longest {
		c.need(tall)
	}
	c.columns(lefts, columns...)
}

// digest is a row of hexadecimal or base64 digits.
func (c *composer) digest(label phrase, value string) {
	if value != "" {
		c.rowIn(styleDigest, label, same(value))
	}
}

// member returns the text of a member of the record, and notes that it was said.
func (c *composer) member(name string) (string, bool) {
	v, ok := c.proof.evidence.Record.Get(name)
	if !ok {
		return "", false
	}
	c.said[name] = true
	return plainValue(v), true
}

// memberRow is a row for a member of the record, if the receipt shows it.
func (c *composer) memberRow(label phrase, name string) {
	if text, ok := c.member(name); ok {
		c.row(label, same(text))
	}
}

// note is a remark; in both languages they stand beside each other.
func (c *composer) note(p phrase) {
	c.sideBySide(style{9500, 14500, false, grey}, p)
	c.space(5 * pt)
}

// sideBySide sets phrases over the whole width, or each language in its own column.
func (c *composer) sideBySide(st style, paragraphs ...phrase) {
	langs := c.languages()
	width, lefts := bodyWidth, []int{margin}
	if len(langs) > 1 {
		width, lefts = halfWidth, []int{margin, margin + halfWidth + gutter}
	}
	for _, p := range paragraphs {
		var columns [][]item
		for _, lang := range langs {
			columns = append(columns, c.text(p.in(lang), st, width))
		}
		c.together(lefts, columns...)
		c.space(4 * pt)
	}
}

// bullets are sentences under a heading of their own, as a column.
func (c *composer) bullets(head string, st style, sentences []string, width int) []item {
	const indent = 12 * pt
	out := c.text(head, style{12 * pt, 19 * pt, true, accent}, width)
	out = append(out, blank(4*pt))
	for _, s := range sentences {
		out = append(out, whole(c.hanging(s, st, width, indent, func(x, y int) {
			box(c.page(), x+pt, y+st.lead/2-1500, 3500, 3500, accent, "")
		}))...)
		out = append(out, blank(5*pt))
	}
	return out
}

// hanging is a paragraph with a mark before its first line.
func (c *composer) hanging(text string, st style, width, indent int, mark func(x, y int)) (out []item) {
	for i, line := range wrap(text, st.size, width-indent) {
		out = append(out, item{st.lead, func(x, y int) {
			if i == 0 {
				mark(x, y)
			}
			c.line(c.page(), line, st, x+indent, y)
		}})
	}
	return out
}

// whole makes one item of several, which then stand on one page; unless they are long.
func whole(items []item) []item {
	height := heightOf(items)
	if height > longest {
		return items
	}
	return []item{{height, func(x, y int) {
		for _, i := range items {
			i.draw(x, y)
			y += i.height
		}
	}}}
}

// longest is how much is kept on one page.
const longest = (bodyEnd - bodyTop) / 3

// result is what verification came to, above all else.
func (c *composer) result() {
	c.space(12 * pt)
	for i, text := range c.each(sayVerdict.about(sayLevels[c.proof.evidence.Level])) {
		st := styleHead
		if i > 0 {
			st = style{10500, 16 * pt, false, accent}
		}
		c.flow(c.text(text, st, bodyWidth))
	}
	c.space(2 * pt)
	rule(c.page(), margin, c.y, margin+bodyWidth, c.y, accent, 900)
}

// scope is what is proved beside what is not, both in the same type: in whichever language,
// nobody turns a page from one to the other.
func (c *composer) scope() {
	for _, lang := range c.languages() {
		x := c.proof.evidence.Explain(lang)
		open := x.NotProved
		if len(open) == 0 {
			open = []string{sayNothing.in(lang)}
		}
		c.space(10 * pt)
		c.need(120 * pt)
		c.columns([]int{margin, margin + halfWidth + gutter},
			c.bullets(sayProved.in(lang), styleBody, x.Proved, halfWidth), c.bullets(sayOpen.in(lang), styleBody, open, halfWidth))
	}
}

// steps are numbered.
func (c *composer) steps(st style, all []phrase) {
	langs := c.languages()
	width, lefts := bodyWidth, []int{margin}
	if len(langs) > 1 {
		width, lefts = halfWidth, []int{margin, margin + halfWidth + gutter}
	}
	for n, p := range all {
		var columns [][]item
		for _, lang := range langs {
			columns = append(columns, c.hanging(p.in(lang), st, width, 17*pt, func(x, y int) {
				c.line(c.page(), cells(fmt.Sprintf("%d.", n+1)), style{st.size, st.lead, true, accent}, x, y)
			}))
		}
		c.together(lefts, columns...)
		c.space(5 * pt)
	}
}

// title is the title of the paper.
func (c *composer) title() phrase {
	v, _ := c.proof.evidence.Record.Get("notice.act")
	switch act, _ := v.Text(); {
	case c.proof.evidence.Entry.Kind == proofs.KindDeposit:
		return sayTitle
	case act == "erasure":
		return sayTitleErasure
	}
	return sayTitleNotice
}

// frame puts the running header and footer on every page.
func (c *composer) frame() {
	total := len(c.pages)
	test := c.proof.evidence.Environment != proofs.Prod
	for i, page := range c.pages {
		if i > 0 {
			c.line(page, cells(c.joined(c.title(), "  ")), styleSmall, margin, 44*pt)
			rule(page, margin, 60*pt, margin+bodyWidth, 60*pt, faint, 600)
		}
		no := cells(sayRunNo.in(c.languages()[0], c.number))
		if i > 0 {
			c.line(page, no, styleSmall, margin+bodyWidth-widthOf(no, styleSmall.size), 44*pt)
		}
		foot := pageHeight - 50*pt
		rule(page, margin, foot-4*pt, margin+bodyWidth, foot-4*pt, faint, 600)
		var parts []string
		for _, lang := range c.languages() {
			parts = append(parts, sayPage.in(lang, i+1, total))
		}
		line := cells(strings.Join(parts, " · "))
		c.line(page, line, styleSmall, margin+bodyWidth-widthOf(line, styleSmall.size), foot)
		if test {
			c.line(page, cells(c.joined(sayTestFoot, " · ")), style{8 * pt, 12 * pt, true, ink}, margin, foot)
		} else {
			c.line(page, cells(c.proof.evidence.Origin), styleSmall, margin, foot)
		}
	}
}
