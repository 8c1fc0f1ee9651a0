package main

import (
	"fmt"
	"html"
	"math"
	"os"
	"strings"
)

// A plot is drawn for paper: black on white, told apart by dash and mark as well as
// by colour, without scripts or fonts of its own.
const (
	plotWidth   = 760
	panelHeight = 220
	panelGap    = 56
	marginLeft  = 84
	marginRight = 24
	marginTop   = 64
	marginFoot  = 56
)

// A curve is one line of a panel. Its values stand at the sizes of the points.
type curve struct {
	name, colour, dash string
	mark               string // circle, square or triangle
	value              func(point) float64
}

// plot draws rate and latency against log size: of the steps of a growth, or of the
// intervals of the first load that deposits.
func (r *report) plot(path string) error {
	points, what := r.points()
	if len(points) == 0 {
		return fmt.Errorf("%s: there is nothing to draw: no load made the log grow", path)
	}
	return os.WriteFile(path, []byte(r.draw(points, what)), 0o644)
}

func (r *report) points() (points []point, what string) {
	for _, s := range r.Steps {
		points = append(points, point{s.Size, s.Rate, s.P50, s.P99})
	}
	if len(points) > 0 {
		return points, r.Rows[0].load()
	}
	for _, row := range r.Rows {
		if row.LogAfter > row.LogBefore && len(row.Points) > 0 {
			return row.Points, row.load()
		}
	}
	return nil, ""
}

// draw draws two panels over one axis of sizes.
func (r *report) draw(points []point, what string) string {
	var s strings.Builder
	height := marginTop + 2*panelHeight + panelGap + marginFoot
	fmt.Fprintf(&s, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d" font-family="Helvetica, Arial, sans-serif" font-size="12" fill="#000">`+"\n",
		plotWidth, height, plotWidth, height)
	fmt.Fprintf(&s, `<rect width="%d" height="%d" fill="#fff"/>`+"\n", plotWidth, height)
	fmt.Fprintf(&s, `<text x="%d" y="24" font-size="15" font-weight="bold">Rate and latency against log size</text>`+"\n", marginLeft)
	fmt.Fprintf(&s, `<text x="%d" y="42" fill="#444">%s. %s, %d cores, %s, %s, %s</text>`+"\n", marginLeft, html.EscapeString(what),
		html.EscapeString(r.Machine.CPU), r.Machine.Cores, html.EscapeString(r.Machine.FileSystem), html.EscapeString(r.Machine.Go), r.Date.Format("2006-01-02"))
	sizes := sizeAxis(points)
	panel{top: marginTop, title: "deposits a second", sizes: sizes}.draw(&s, points, []curve{
		{"deposits a second", "#0b5394", "", "circle", func(p point) float64 { return p.Rate }},
	})
	panel{top: marginTop + panelHeight + panelGap, title: "latency, ms", sizes: sizes, foot: "entries in the log"}.draw(&s, points, []curve{
		{"p99", "#a61c00", "6 4", "triangle", func(p point) float64 { return p.P99 }},
		{"p50", "#38761d", "", "square", func(p point) float64 { return p.P50 }},
	})
	s.WriteString("</svg>\n")
	return s.String()
}

// An axis maps values to places and knows where its ticks are.
type axis struct {
	low, high float64
	log       bool
	ticks     []float64
}

// at is the place of v on the axis, from 0 to 1.
func (a axis) at(v float64) float64 {
	if a.log {
		return (math.Log10(v) - math.Log10(a.low)) / (math.Log10(a.high) - math.Log10(a.low))
	}
	return (v - a.low) / (a.high - a.low)
}

// sizeAxis is logarithmic where sizes span more than a factor of twenty.
func sizeAxis(points []point) axis {
	low, high := math.MaxFloat64, 1.0
	for _, p := range points {
		low, high = min(low, max(1, float64(p.Size))), max(high, float64(p.Size))
	}
	if high/low <= 20 {
		return linearAxis(high)
	}
	margin := math.Pow(high/low, 0.04)
	a := axis{low: low / margin, high: high * margin, log: true}
	for v := math.Pow(10, math.Ceil(math.Log10(a.low))); v <= a.high; v *= 10 {
		a.ticks = append(a.ticks, v)
	}
	return a
}

// linearAxis goes from 0 to a round number not below high, in 4 to 10 steps.
func linearAxis(high float64) axis {
	if high <= 0 {
		high = 1
	}
	unit := math.Pow(10, math.Floor(math.Log10(high)))
	for _, part := range []float64{5, 2, 1} {
		if high/(unit/part) <= 10 {
			unit /= part
			break
		}
	}
	a := axis{high: math.Ceil(high/unit-1e-9) * unit}
	for n := 0; float64(n)*unit <= a.high*1.001; n++ {
		a.ticks = append(a.ticks, float64(n)*unit)
	}
	return a
}

// A panel is one diagram of the plot.
type panel struct {
	top   int
	title string
	foot  string // under the axis of sizes; none: only ticks
	sizes axis
}

func (p panel) x(size float64) float64 {
	return marginLeft + p.sizes.at(size)*(plotWidth-marginLeft-marginRight)
}

func (p panel) draw(s *strings.Builder, points []point, curves []curve) {
	high := 0.0
	for _, c := range curves {
		for _, pt := range points {
			high = max(high, c.value(pt))
		}
	}
	values := linearAxis(high * 1.05)
	y := func(v float64) float64 { return float64(p.top) + (1-values.at(v))*panelHeight }
	p.frame(s, values, y)
	for i, c := range curves {
		p.curve(s, points, c, y)
		p.legend(s, c, len(curves)-1-i, len(curves))
	}
}

// frame draws axes, ticks and their numbers.
func (p panel) frame(s *strings.Builder, values axis, y func(float64) float64) {
	right, bottom := plotWidth-marginRight, p.top+panelHeight
	for _, v := range values.ticks {
		fmt.Fprintf(s, `<line x1="%d" y1="%.1f" x2="%d" y2="%.1f" stroke="#ddd"/><text x="%d" y="%.1f" text-anchor="end">%s</text>`+"\n",
			marginLeft, y(v), right, y(v), marginLeft-8, y(v)+4, label(v))
	}
	for _, v := range p.sizes.ticks {
		fmt.Fprintf(s, `<line x1="%.1f" y1="%d" x2="%.1f" y2="%d" stroke="#ddd"/><text x="%.1f" y="%d" text-anchor="middle">%s</text>`+"\n",
			p.x(v), p.top, p.x(v), bottom, p.x(v), bottom+18, label(v))
	}
	fmt.Fprintf(s, `<path d="M%d %dV%dH%d" fill="none" stroke="#000"/>`+"\n", marginLeft, p.top, bottom, right)
	fmt.Fprintf(s, `<text x="20" y="%d" text-anchor="middle" transform="rotate(-90 20 %d)">%s</text>`+"\n", p.top+panelHeight/2, p.top+panelHeight/2, p.title)
	if p.foot != "" {
		fmt.Fprintf(s, `<text x="%d" y="%d" text-anchor="middle">%s</text>`+"\n", (marginLeft+right)/2, bottom+40, p.foot)
	}
}

func (p panel) curve(s *strings.Builder, points []point, c curve, y func(float64) float64) {
	var path strings.Builder
	for i, pt := range points {
		fmt.Fprintf(&path, "%c%.1f %.1f", "ML"[min(i, 1)], p.x(max(1, float64(pt.Size))), y(c.value(pt)))
	}
	fmt.Fprintf(s, `<path d="%s" fill="none" stroke="%s" stroke-width="1.6" stroke-dasharray="%s"/>`+"\n", path.String(), c.colour, dashes(c.dash))
	every := max(1, len(points)/20)
	for i := 0; i < len(points); i += every {
		mark(s, c, p.x(max(1, float64(points[i].Size))), y(c.value(points[i])))
	}
}

func dashes(d string) string {
	if d == "" {
		return "none"
	}
	return d
}

func mark(s *strings.Builder, c curve, x, y float64) {
	switch c.mark {
	case "circle":
		fmt.Fprintf(s, `<circle cx="%.1f" cy="%.1f" r="3.5" fill="%s"/>`+"\n", x, y, c.colour)
	case "square":
		fmt.Fprintf(s, `<rect x="%.1f" y="%.1f" width="6.4" height="6.4" fill="%s"/>`+"\n", x-3.2, y-3.2, c.colour)
	case "triangle":
		fmt.Fprintf(s, `<path d="M%.1f %.1fl4 7h-8z" fill="%s"/>`+"\n", x, y-4.5, c.colour)
	}
}

// legend names a curve, above the panel, from the right.
func (p panel) legend(s *strings.Builder, c curve, place, of int) {
	const width = 70
	if of == 1 {
		return // the axis says it
	}
	x, y := float64(plotWidth-marginRight-width*(place+1)), float64(p.top-12)
	fmt.Fprintf(s, `<line x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f" stroke="%s" stroke-width="1.6" stroke-dasharray="%s"/>`, x, y, x+30, y, c.colour, dashes(c.dash))
	mark(s, c, x+15, y)
	fmt.Fprintf(s, `<text x="%.1f" y="%.1f">%s</text>`+"\n", x+36, y+4, c.name)
}

// label is a short number for a tick.
func label(v float64) string {
	switch {
	case v >= 1e6:
		return fmt.Sprintf("%g M", math.Round(v/1e4)/100)
	case v >= 100:
		return grouped(v)
	}
	return fmt.Sprintf("%g", math.Round(v*1000)/1000)
}
