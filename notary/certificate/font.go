package certificate

import (
	"bytes"
	_ "embed" // the font and the profile of colours
	"encoding/binary"
)

//go:embed font/sans.ttf
var sansTTF []byte

//go:embed font/srgb.icc
var sRGB []byte

var be = binary.BigEndian

// face is the one font that certificates are printed in.
type face struct {
	tables map[string][]byte
	groups []byte // of the cmap, format 12
	em     int    // units of the square that glyphs are drawn in
}

var sans = openFace(sansTTF)

// openFace reads the font that is built in: font/make.go made it, and nobody else can.
func openFace(ttf []byte) *face {
	f := &face{tables: map[string][]byte{}}
	for i := range int(be.Uint16(ttf[4:])) {
		entry := ttf[12+16*i:]
		f.tables[string(entry[:4])] = ttf[be.Uint32(entry[8:]):][:be.Uint32(entry[12:])]
	}
	f.groups = f.tables["cmap"][12+16:]
	f.em = int(be.Uint16(f.tables["head"][18:]))
	return f
}

// glyph returns the glyph of a character; 0: there is none.
func (f *face) glyph(r rune) int {
	low, high := 0, len(f.groups)/12
	for low < high {
		mid := (low + high) / 2
		g := f.groups[12*mid:]
		switch {
		case uint32(r) < be.Uint32(g):
			high = mid
		case uint32(r) > be.Uint32(g[4:]):
			low = mid + 1
		default:
			return int(be.Uint32(g[8:]) + uint32(r) - be.Uint32(g))
		}
	}
	return 0
}

// advance is how wide a glyph stands, in thousandths of the size of the type: what the PDF
// says, so that measuring and printing agree.
func (f *face) advance(gid int) int {
	return (int(be.Uint16(f.tables["hmtx"][4*gid:]))*1000 + f.em/2) / f.em
}

func (f *face) outline(gid int) []byte {
	loca := f.tables["loca"]
	return f.tables["glyf"][be.Uint32(loca[4*gid:]):be.Uint32(loca[4*gid+4:])]
}

// subset is a font of these glyphs alone, in this order, and those that they are made of.
func (f *face) subset(gids []int) []byte {
	all := append([]int{}, gids...)
	place := map[int]int{}
	for i, gid := range all {
		if _, there := place[gid]; !there {
			place[gid] = i
		}
	}
	var glyf, loca, hmtx bytes.Buffer
	for i := 0; i < len(all); i++ { // all grows while parts are found
		g := bytes.Clone(f.outline(all[i]))
		eachPart(g, func(part []byte) {
			gid := int(be.Uint16(part))
			if _, there := place[gid]; !there {
				place[gid] = len(all)
				all = append(all, gid)
			}
			be.PutUint16(part, uint16(place[gid]))
		})
		loca.Write(be.AppendUint32(nil, uint32(glyf.Len())))
		glyf.Write(g)
		hmtx.Write(f.tables["hmtx"][4*all[i]:][:4])
	}
	loca.Write(be.AppendUint32(nil, uint32(glyf.Len())))
	head, hhea, maxp := bytes.Clone(f.tables["head"]), bytes.Clone(f.tables["hhea"]), bytes.Clone(f.tables["maxp"])
	be.PutUint16(hhea[34:], uint16(len(all)))
	be.PutUint16(maxp[4:], uint16(len(all)))
	return packFont([]fontTable{{"glyf", glyf.Bytes()}, {"head", head}, {"hhea", hhea}, {"hmtx", hmtx.Bytes()}, {"loca", loca.Bytes()}, {"maxp", maxp}})
}

// eachPart calls f with the two bytes that name each component of a composite glyph.
func eachPart(g []byte, f func(part []byte)) {
	if len(g) == 0 || int16(be.Uint16(g)) >= 0 {
		return
	}
	const words, scale, more, scales, matrix = 0x1, 0x8, 0x20, 0x40, 0x80
	for at := 10; ; {
		flags := be.Uint16(g[at:])
		f(g[at+2 : at+4])
		at += 6
		if flags&words != 0 {
			at += 2
		}
		switch {
		case flags&scale != 0:
			at += 2
		case flags&scales != 0:
			at += 4
		case flags&matrix != 0:
			at += 8
		}
		if flags&more == 0 {
			return
		}
	}
}

type fontTable struct {
	name string
	data []byte
}

// packFont writes a TrueType file; tables stand in the order of their names.
func packFont(tables []fontTable) []byte {
	n := len(tables)
	out := be.AppendUint32(nil, 0x00010000)
	for _, v := range []int{n, 64, 2, 16*n - 64} { // for four to seven tables
		out = be.AppendUint16(out, uint16(v))
	}
	at := 12 + 16*n
	for _, t := range tables {
		out = append(out, t.name...)
		out = be.AppendUint32(out, fontSum(t.data))
		out = be.AppendUint32(out, uint32(at))
		out = be.AppendUint32(out, uint32(len(t.data)))
		at += (len(t.data) + 3) &^ 3
	}
	for _, t := range tables {
		out = append(out, t.data...)
		for len(out)%4 != 0 {
			out = append(out, 0)
		}
	}
	return out
}

func fontSum(table []byte) (sum uint32) {
	for len(table) >= 4 {
		sum += be.Uint32(table)
		table = table[4:]
	}
	var last [4]byte
	copy(last[:], table)
	return sum + be.Uint32(last[:])
}
