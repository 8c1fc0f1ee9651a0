//go:build ignore

// Make writes sans.ttf and srgb.icc, which certificates are printed with:
//
//	go run make.go /usr/share/fonts/truetype/wqy/wqy-microhei.ttc
//
// README.md says where the font comes from and what is left of it.
package main

import (
	"bytes"
	"encoding/binary"
	"log"
	"math"
	"os"
	"slices"
)

var be = binary.BigEndian

func main() {
	data, err := os.ReadFile(os.Args[1])
	if err == nil {
		err = os.WriteFile("sans.ttf", font(data), 0o644)
	}
	if err == nil {
		err = os.WriteFile("srgb.icc", profile(), 0o644)
	}
	if err != nil {
		log.Fatal(err)
	}
}

// kept are the ranges of characters that stay.
var kept = [][2]rune{
	{0x20, 0x7e}, {0xa1, 0x17f}, {0x18f, 0x192}, {0x1a0, 0x1b0}, {0x1cd, 0x1dc}, {0x218, 0x21b}, {0x386, 0x3ce}, {0x400, 0x45f}, {0x490, 0x491},
	{0x1e80, 0x1e85}, {0x1ea0, 0x1ef9}, {0x2010, 0x2027}, {0x2030, 0x205e}, {0x20a0, 0x20bf}, {0x2100, 0x22ff}, {0x2460, 0x24ff}, {0x2500, 0x266f},
	{0x3000, 0x30ff}, {0x3105, 0x3129}, {0x31a0, 0x31ba}, {0x3220, 0x33ff}, {0x3400, 0x4dbf}, {0x4e00, 0x9fff}, {0xf900, 0xfaff}, {0xfe30, 0xfe6b}, {0xff01, 0xff60}, {0xffe0, 0xffe6},
}

// font takes the first face out of a collection, with the tables that draw text and the
// glyphs of kept; without instructions for screens of few pixels.
func font(ttc []byte) []byte {
	at := be.Uint32(ttc[12:])
	tables := map[string][]byte{}
	for i := range uint32(be.Uint16(ttc[at+4:])) {
		entry := ttc[at+12+16*i:]
		tables[string(entry[:4])] = ttc[be.Uint32(entry[8:]):][:be.Uint32(entry[12:])]
	}
	loca, glyf := tables["loca"], tables["glyf"]
	glyph := func(gid int) []byte { return glyf[be.Uint32(loca[4*gid:]):be.Uint32(loca[4*gid+4:])] }
	chars, gids := characters(tables["cmap"])
	use := map[int]bool{0: true}
	var mark func(gid int)
	mark = func(gid int) {
		if use[gid] {
			return
		}
		use[gid] = true
		for _, part := range parts(glyph(gid)) {
			mark(part)
		}
	}
	for _, gid := range gids {
		mark(gid)
	}
	all := []int{}
	for gid := range use {
		all = append(all, gid)
	}
	slices.Sort(all)
	renamed := map[int]int{}
	for i, gid := range all {
		renamed[gid] = i
	}
	var body, offsets, widths bytes.Buffer
	long := int(be.Uint16(tables["hhea"][34:]))
	for _, gid := range all {
		binary.Write(&offsets, be, uint32(body.Len()))
		body.Write(stripped(slices.Clone(glyph(gid)), renamed))
		for body.Len()%4 != 0 {
			body.WriteByte(0)
		}
		h := tables["hmtx"]
		advance, bearing := be.Uint16(h[4*min(gid, long-1):]), uint16(0)
		if gid < long {
			bearing = be.Uint16(h[4*gid+2:])
		} else {
			bearing = be.Uint16(h[4*long+2*(gid-long):])
		}
		binary.Write(&widths, be, []uint16{advance, bearing})
	}
	binary.Write(&offsets, be, uint32(body.Len()))
	head, hhea, maxp := slices.Clone(tables["head"]), slices.Clone(tables["hhea"]), slices.Clone(tables["maxp"])
	be.PutUint32(head[8:], 0)  // checkSumAdjustment: nothing reads it
	be.PutUint16(head[50:], 1) // offsets of 32 bits
	be.PutUint16(hhea[34:], uint16(len(all)))
	be.PutUint16(maxp[4:], uint16(len(all)))
	for i := 14; i < 28; i += 2 { // what instructions would need
		be.PutUint16(maxp[i:], 0)
	}
	return pack(map[string][]byte{
		"head": head, "hhea": hhea, "maxp": maxp, "hmtx": widths.Bytes(), "loca": offsets.Bytes(), "glyf": body.Bytes(), "cmap": cmap(chars, gids, renamed),
	})
}

// characters reads the font's cmap of format 4, as far as kept goes.
func characters(cmap []byte) (chars []rune, gids []int) {
	for i := range int(be.Uint16(cmap[2:])) {
		t := cmap[be.Uint32(cmap[4+8*i+4:]):]
		if be.Uint16(cmap[4+8*i:]) != 3 || be.Uint16(t) != 4 {
			continue
		}
		n := int(be.Uint16(t[6:])) / 2
		ends, starts, deltas, ranges := t[14:], t[16+2*n:], t[16+4*n:], t[16+6*n:]
		for _, k := range kept {
			for c := k[0]; c <= k[1]; c++ {
				for s := range n {
					start, end := rune(be.Uint16(starts[2*s:])), rune(be.Uint16(ends[2*s:]))
					if c > end || c < start {
						continue
					}
					gid := uint16(c) + be.Uint16(deltas[2*s:])
					if off := int(be.Uint16(ranges[2*s:])); off != 0 {
						if gid = be.Uint16(ranges[2*s+off+2*int(c-start):]); gid != 0 {
							gid += be.Uint16(deltas[2*s:])
						}
					}
					if gid != 0 {
						chars, gids = append(chars, c), append(gids, int(gid))
					}
					break
				}
			}
		}
		return chars, gids
	}
	log.Fatal("the font has no cmap of format 4")
	return nil, nil
}

// components calls f with the place of each component's glyph index, and returns where
// they end.
func components(g []byte, f func(at int)) (end int, instructions bool) {
	at := 10
	for {
		flags := be.Uint16(g[at:])
		f(at + 2)
		at += 4 + 2 + 2*int(flags&1)
		switch {
		case flags&8 != 0:
			at += 2
		case flags&0x40 != 0:
			at += 4
		case flags&0x80 != 0:
			at += 8
		}
		if flags&0x20 == 0 {
			return at, flags&0x100 != 0
		}
	}
}

func parts(g []byte) (out []int) {
	if len(g) > 0 && int16(be.Uint16(g)) < 0 {
		components(g, func(at int) { out = append(out, int(be.Uint16(g[at:]))) })
	}
	return out
}

// stripped is a glyph without instructions, its components renamed.
func stripped(g []byte, renamed map[int]int) []byte {
	if len(g) == 0 {
		return g
	}
	if n := int(int16(be.Uint16(g))); n >= 0 {
		at := 10 + 2*n
		skip := int(be.Uint16(g[at:]))
		be.PutUint16(g[at:], 0)
		return append(g[:at+2], g[at+2+skip:]...)
	}
	end, _ := components(g, func(at int) {
		be.PutUint16(g[at:], uint16(renamed[int(be.Uint16(g[at:]))]))
		be.PutUint16(g[at-2:], be.Uint16(g[at-2:])&^0x100)
	})
	return g[:end]
}

// cmap is a table of format 12.
func cmap(chars []rune, gids []int, renamed map[int]int) []byte {
	type group struct{ first, last, gid uint32 }
	var groups []group
	for i, c := range chars {
		gid := uint32(renamed[gids[i]])
		if n := len(groups); n > 0 && groups[n-1].last+1 == uint32(c) && groups[n-1].gid+uint32(c)-groups[n-1].first == gid {
			groups[n-1].last = uint32(c)
			continue
		}
		groups = append(groups, group{uint32(c), uint32(c), gid})
	}
	var b bytes.Buffer
	binary.Write(&b, be, []uint16{0, 1, 3, 10})
	binary.Write(&b, be, []uint32{12})
	binary.Write(&b, be, []uint16{12, 0})
	binary.Write(&b, be, []uint32{uint32(16 + 12*len(groups)), 0, uint32(len(groups))})
	binary.Write(&b, be, groups)
	return b.Bytes()
}

func pack(tables map[string][]byte) []byte {
	var names []string
	for n := range tables {
		names = append(names, n)
	}
	slices.Sort(names)
	var dir, body bytes.Buffer
	binary.Write(&dir, be, uint32(0x00010000))
	binary.Write(&dir, be, []uint16{uint16(len(names)), 64, 2, uint16(16*len(names) - 64)})
	for _, n := range names {
		for body.Len()%4 != 0 {
			body.WriteByte(0)
		}
		dir.WriteString(n)
		binary.Write(&dir, be, []uint32{sum(tables[n]), uint32(12 + 16*len(names) + body.Len()), uint32(len(tables[n]))})
		body.Write(tables[n])
	}
	return append(dir.Bytes(), body.Bytes()...)
}

func sum(table []byte) (s uint32) {
	for i := 0; i < len(table); i += 4 {
		var word [4]byte
		copy(word[:], table[i:])
		s += be.Uint32(word[:])
	}
	return s
}

// profile is an ICC profile, version 2, of the colours of sRGB (IEC 61966-2-1).
func profile() []byte {
	fixed := func(v float64) uint32 { return uint32(int32(math.Round(v * 65536))) }
	xyz := func(x, y, z float64) []byte {
		var b bytes.Buffer
		b.WriteString("XYZ \x00\x00\x00\x00")
		binary.Write(&b, be, []uint32{fixed(x), fixed(y), fixed(z)})
		return b.Bytes()
	}
	var curve bytes.Buffer
	curve.WriteString("curv\x00\x00\x00\x00")
	binary.Write(&curve, be, uint32(1024))
	for i := range 1024 {
		v := float64(i) / 1023
		if v <= 0.04045 {
			v /= 12.92
		} else {
			v = math.Pow((v+0.055)/1.055, 2.4)
		}
		binary.Write(&curve, be, uint16(math.Round(v*65535)))
	}
	const name = "sRGB IEC61966-2.1 (Muniment)"
	var desc bytes.Buffer
	desc.WriteString("desc\x00\x00\x00\x00")
	binary.Write(&desc, be, uint32(len(name)+1))
	desc.WriteString(name + "\x00")
	desc.Write(make([]byte, 4+4+2+1+67))
	tags := []struct {
		name string
		data []byte
	}{
		{"desc", desc.Bytes()}, {"cprt", []byte("text\x00\x00\x00\x00No copyright\x00")}, {"wtpt", xyz(0.9642, 1, 0.8249)},
		{"rXYZ", xyz(0.43607, 0.22249, 0.01392)}, {"gXYZ", xyz(0.38515, 0.71687, 0.09708)}, {"bXYZ", xyz(0.14307, 0.06061, 0.7141)},
		{"rTRC", curve.Bytes()}, {"gTRC", nil}, {"bTRC", nil}, // all three are one
	}
	var dir, body bytes.Buffer
	binary.Write(&dir, be, uint32(len(tags)))
	start := 128 + 4 + 12*len(tags)
	var offset, length int
	for _, t := range tags {
		if t.data != nil {
			for body.Len()%4 != 0 {
				body.WriteByte(0)
			}
			offset, length = start+body.Len(), len(t.data)
			body.Write(t.data)
		}
		dir.WriteString(t.name)
		binary.Write(&dir, be, []uint32{uint32(offset), uint32(length)})
	}
	for body.Len()%4 != 0 {
		body.WriteByte(0)
	}
	head := make([]byte, 128)
	be.PutUint32(head, uint32(start+body.Len()))
	be.PutUint32(head[8:], 0x02100000)
	copy(head[12:], "mntrRGB XYZ ")
	for i, v := range []uint16{2026, 1, 1, 0, 0, 0} {
		be.PutUint16(head[24+2*i:], v)
	}
	copy(head[36:], "acsp")
	copy(head[68:], xyz(0.9642, 1, 0.8249)[8:])
	return slices.Concat(head, dir.Bytes(), body.Bytes())
}
