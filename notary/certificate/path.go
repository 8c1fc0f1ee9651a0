package certificate

import "github.com/muniment/muniment/proofs"

// step is one level of an inclusion path: the hash on the way, and the one beside it that
// the receipt brings.
type step struct {
	node, sibling proofs.Hash
	left          bool // the sibling stands left of the node
}

// way follows an inclusion path from the leaf up (RFC 9162 §2.1.3.2). It is only drawn for
// evidence that was verified, so the last node's parent is the root.
func way(path []proofs.Hash, index, size uint64, leaf proofs.Hash) []step {
	var out []step
	node, last := leaf, size-1
	for _, sibling := range path {
		s := step{node: node, sibling: sibling, left: index&1 == 1 || index == last}
		out = append(out, s)
		if s.left {
			node = proofs.NodeHash(sibling, node)
			for index&1 == 0 && index != 0 {
				index, last = index>>1, last>>1
			}
		} else {
			node = proofs.NodeHash(node, sibling)
		}
		index, last = index>>1, last>>1
	}
	return out
}

// picture draws the path, the root above and the entry below.
func (c *composer) picture() {
	e := c.proof.evidence
	steps := way(c.proof.receipt.Path, e.Index, e.Size, e.Leaf)
	row := 30 * pt
	if len(steps) > 10 {
		row = 22 * pt
	}
	c.need(min(row*(len(steps)+1)+120*pt, bodyEnd-bodyTop)) // with its caption
	c.space(4 * pt)
	c.flow(c.text(c.joined(sayPicture, "  "), style{10500, 18 * pt, true, ink}, bodyWidth))
	c.space(4 * pt)
	const boxWidth, sideWidth = 132 * pt, 112 * pt
	boxHeight := row - 9*pt
	centre := margin + (bodyWidth-boxWidth)/2
	label := style{8 * pt, boxHeight, false, grey}
	draw := func(x, y, width int, h proofs.Hash, own bool) {
		fill, stroke, st := white, faint, style{8 * pt, boxHeight, false, grey}
		if own {
			fill, stroke, st = tint, accent, style{8 * pt, boxHeight, true, ink}
		}
		box(c.page(), x, y, width, boxHeight, fill, stroke)
		line := cells(shortened(h))
		c.line(c.page(), line, st, x+(width-widthOf(line, st.size))/2, y)
	}
	items := []item{{row, func(_, y int) {
		draw(centre, y, boxWidth, e.Root, true)
		c.line(c.page(), cells(c.joined(sayRootBox, " · ")), label, centre+boxWidth+8*pt, y)
		if len(steps) == 0 {
			c.line(c.page(), cells(c.joined(sayLeafBox, " · ")), label, margin, y)
		}
	}}}
	for i := len(steps) - 1; i >= 0; i-- {
		s := steps[i]
		items = append(items, item{row, func(_, y int) {
			side := margin + bodyWidth - sideWidth - 30*pt
			if s.left {
				side = margin + 30*pt
			}
			gap := row - boxHeight
			middle := centre + boxWidth/2
			if y >= bodyTop+gap { // else the box above stands on the page before
				rule(c.page(), middle, y, middle, y-gap, accent, 1100)
				rule(c.page(), side+sideWidth/2, y, side+sideWidth/2, y-gap/2, faint, 900)
				rule(c.page(), side+sideWidth/2, y-gap/2, middle, y-gap/2, faint, 900)
			}
			draw(centre, y, boxWidth, s.node, true)
			draw(side, y, sideWidth, s.sibling, false)
			if i == 0 {
				at := margin + bodyWidth - sideWidth - 30*pt
				if !s.left {
					at = margin + 30*pt
				}
				c.line(c.page(), cells(c.joined(sayLeafBox, " · ")), label, at, y)
			}
		}})
	}
	c.flow(items)
	c.space(2 * pt)
	c.note(sayPictureWhy)
}
