package main

import (
	"bytes"
	"context"
	"encoding/csv"
	"errors"
	"io"
	"path/filepath"
	"strings"

	"github.com/muniment/muniment/proofs"
)

// Bounds of a CSV file.
const (
	maxSheet      = 256 << 20
	maxSheetLines = 1_000_000
	maxFlaws      = 1000 // after which nobody reads on
)

// A sheet is a CSV file whose every line is a deposit.
type sheet struct {
	path    string
	columns []column
	lines   []sheetLine
	flaws   []flaw
	read    *remark // how its bytes were understood, if that is not plain
}

// A sheetLine is the deposit that a line asks for.
type sheetLine struct {
	number int           // in the file, from 1
	stable proofs.Record // what the line and the flags say, and the document's digest and name
	claims proofs.Record // and what else the program found out about the document
	file   string        // path of the document, not hashed yet; empty: the line has the digest
	column int           // where that path stands
}

// A flaw is what is wrong with a cell, or with a line, where column is 0.
type flaw struct {
	line, column int
	name         string // of the column
	err          error
}

// openSheet reads a CSV file and checks all of it. said is what holds for every line
// that does not say otherwise. The error is about the file as a whole; flaws are about
// its lines.
func openSheet(path string, said []proofs.Member) (*sheet, error) {
	if err := checkFile(path); err != nil {
		return nil, err
	}
	data, err := readBounded(path, maxSheet)
	if err != nil {
		return nil, err
	}
	if len(data) > maxSheet {
		return nil, saySheetTooLong.err(path, size(maxSheet))
	}
	s := &sheet{path: path}
	text, err := s.decode(data)
	if err != nil {
		return nil, err
	}
	r := csv.NewReader(bytes.NewReader(text))
	r.Comma, r.FieldsPerRecord, r.ReuseRecord = separator(text), -1, true
	if err := s.header(r); err != nil {
		return nil, err
	}
	if err := s.body(r, said); err != nil {
		return nil, err
	}
	if len(s.lines)+len(s.flaws) == 0 {
		return nil, saySheetEmpty.err(path)
	}
	return s, nil
}

// header reads the names of the columns. Without good names no line can be read.
func (s *sheet) header(r *csv.Reader) error {
	cells, err := r.Read()
	switch {
	case errors.Is(err, io.EOF):
		return saySheetEmpty.err(s.path)
	case err != nil:
		return s.broken(err)
	}
	seen := map[string]bool{}
	for i, cell := range cells {
		c := column{name: strings.TrimSpace(cell)}
		c.name, c.json = strings.CutSuffix(c.name, ":")
		c.files = c.name == fileColumn && !c.json
		_, known := proofs.NameType(c.name)
		wrong := func(p phrase) { s.flaw(1, i+1, "", p.err(c.name)) }
		switch {
		case c.name == "" && i == len(cells)-1: // a separator at the end of each line
			continue
		case c.name == "":
			wrong(sayColumnUnnamed)
		case seen[c.name]:
			wrong(sayColumnTwice)
		case c.files:
		case !known:
			wrong(sayNoSuchMember)
		case !settable(c.name):
			wrong(sayNotYours)
		}
		seen[c.name] = true
		s.columns = append(s.columns, c)
	}
	if len(s.flaws) == 0 && !seen[fileColumn] && !seen["content.sha256"] {
		s.flaw(1, 0, "", sayColumnMissing.err())
	}
	return nil
}

// flaw notes what is wrong at a place.
func (s *sheet) flaw(line, column int, name string, err error) {
	if len(s.flaws) < maxFlaws {
		s.flaws = append(s.flaws, flaw{line, column, name, err})
	}
}

// broken says where a file stops being CSV.
func (s *sheet) broken(err error) error {
	var parse *csv.ParseError
	if !errors.As(err, &parse) {
		return err
	}
	s.flaw(parse.Line, 0, "", saySheetQuotes.err())
	return nil
}

// body reads the lines after a good header.
func (s *sheet) body(r *csv.Reader, said []proofs.Member) error {
	if len(s.flaws) > 0 {
		return nil
	}
	for {
		cells, err := r.Read()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return s.broken(err)
		case len(s.lines) == maxSheetLines:
			return sayTooManyLines.err(s.path, maxSheetLines)
		}
		number, _ := r.FieldPos(0)
		if strings.Join(cells, "") != "" { // Excel keeps rows that once held something
			s.line(number, cells, said)
		}
	}
}

// line reads one line into a deposit, or into flaws.
func (s *sheet) line(number int, cells []string, said []proofs.Member) {
	before := len(s.flaws)
	for i := len(s.columns); i < len(cells); i++ {
		if cells[i] != "" {
			s.flaw(number, i+1, "", sayCellBeyond.err(len(s.columns)))
		}
	}
	l := sheetLine{number: number}
	members := []proofs.Member{}
	for i, c := range s.columns[:min(len(s.columns), len(cells))] {
		switch m, err := c.read(cells[i]); {
		case err != nil:
			s.flaw(number, i+1, c.name, err)
		case cells[i] == "":
		case c.files:
			l.file, l.column = cells[i], i+1
		default:
			members = append(members, m)
		}
	}
	for _, m := range said {
		members = with(members, m.Name, m.Value)
	}
	if len(s.flaws) > before {
		return
	}
	stable, err := proofs.NewRecord(members...)
	_, digest := stable.Get("content.sha256")
	switch {
	case l.file == "" && !digest:
		s.flaw(number, 0, "", sayNoDigest.err())
	case err != nil && (l.file == "" || len(members) > 0):
		s.flaw(number, 0, "", err)
	default:
		l.stable, l.claims = stable, stable
		s.lines = append(s.lines, l)
	}
}

// hash reads the documents of all lines that name one, relative to the CSV file, and
// finds lines that ask for the same deposit.
func (s *sheet) hash(ctx context.Context, p *progress) error {
	first := map[string]int{}
	for i := range s.lines {
		l := &s.lines[i]
		p.advance(1)
		if l.file != "" {
			if err := l.hash(ctx, s.document(l.file), p); stopped(err) {
				return err
			} else if err != nil {
				s.flaw(l.number, l.column, fileColumn, err)
				continue
			}
		}
		if n := proofs.DisclosuresSize(l.claims.Disclose(proofs.Seed{})); n > proofs.MaxDisclosures {
			s.flaw(l.number, 0, "", sayLineTooLong.err(size(int64(n)), size(proofs.MaxDisclosures)))
			continue
		}
		json := l.stable.JSON()
		if other, twice := first[json]; twice {
			s.flaw(l.number, 0, "", sayLineTwice.err(other))
			continue
		}
		first[json] = l.number
	}
	return nil
}

// document is where the document of a cell stands.
func (s *sheet) document(cell string) string {
	if filepath.IsAbs(cell) {
		return cell
	}
	return filepath.Join(filepath.Dir(s.path), filepath.FromSlash(cell))
}

func (l *sheetLine) hash(ctx context.Context, path string, p *progress) error {
	if err := checkFile(path); err != nil {
		return err
	}
	t := p.start(l.file, 0)
	doc, err := openDocument(ctx, path, t)
	if err != nil {
		return err
	}
	defer doc.Close()
	if v, said := l.stable.Get("content.sha256"); said {
		if text, _ := v.Text(); text != doc.digest {
			return sayOtherDigest.err(path, doc.digest)
		}
	}
	l.stable, l.claims, err = doc.claims(l.stable)
	return err
}
