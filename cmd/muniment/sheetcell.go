package main

import (
	"strings"

	"github.com/muniment/muniment/proofs"
)

// A column is a member of the records, or the paths of the documents.
type column struct {
	name  string
	json  bool // its cells are JSON, not text
	files bool
}

// fileColumn is the name of the column of paths.
const fileColumn = "file"

// read makes the member that a cell states.
func (c column) read(cell string) (proofs.Member, error) {
	m := proofs.Member{Name: c.name}
	switch {
	case cell == "":
		return m, nil
	case strings.TrimSpace(cell) != cell:
		return m, sayCellSpace.err()
	case c.files:
		return m, nil
	}
	t, _ := proofs.NameType(c.name)
	parse := proofs.Text
	if c.json || t == proofs.TypeInteger || t == proofs.TypeBoolean {
		parse = proofs.ParseValue
	}
	if t == proofs.TypeDigest && len(cell) == 64 {
		cell = strings.ToLower(cell) // some tools write digests in capitals
	}
	var err error
	if m.Value, err = parse(cell); err != nil || !t.Holds(m.Value) {
		return m, sayCellType.err(abbreviate(cell), typeNames[t])
	}
	if n, ok := m.Value.Integer(); ok && c.name == "content.size" && n < 0 {
		return m, sayCellType.err(cell, typeNames[t])
	}
	return m, nil
}

// abbreviate keeps what is quoted in a message short.
func abbreviate(s string) string {
	const most = 40
	if runes := []rune(s); len(runes) > most {
		return string(runes[:most]) + "…"
	}
	return s
}
