package main

import (
	"bytes"
	"encoding/csv"
	"path/filepath"
	"strconv"

	"github.com/muniment/muniment/proofs"
)

// resultsHead is the first line of resultsFile.
const resultsHead = "line,id,index,time,receipt\n"

// settled is what became of a line. As JSON its names are stable.
type settled struct {
	Line    int    `json:"line"`
	Status  string `json:"status"`
	ID      string `json:"id"`
	Index   uint64 `json:"index"`
	Time    string `json:"time"`
	SHA256  string `json:"sha256"`
	Leaf    string `json:"leaf"`
	Receipt string `json:"receipt"` // path
}

// settle notes the receipt of a line, if one of the lines is what it says.
func (b *batch) settle(r proofs.Receipt, path, status string) {
	i, ok := b.lineOf(r)
	if !ok || b.done[i] != nil && status == statusThere {
		return
	}
	text := func(name string) string {
		v, _ := r.Member(name)
		s, _ := v.Text()
		return s
	}
	b.done[i] = &settled{
		Line: b.sheet.lines[i].number, Status: status, ID: text("id"), Index: r.Index,
		Time: proofs.FormatTime(r.Entry.Time), SHA256: text("content.sha256"),
		Leaf: r.Entry.LeafHash().String(), Receipt: path,
	}
}

// tell prints what was done, and writes the table of results.
func (b *batch) tell() error {
	var rows bytes.Buffer
	w := csv.NewWriter(&rows) // to memory: no error
	rows.WriteString(resultsHead)
	statuses, there, first, last := map[string]int{}, 0, uint64(0), uint64(0)
	for _, d := range b.done {
		if d == nil {
			continue
		}
		if there++; there == 1 {
			first = d.Index
		}
		statuses[d.Status]++
		first, last = min(first, d.Index), max(last, d.Index)
		_ = w.Write([]string{strconv.Itoa(d.Line), d.ID, strconv.FormatUint(d.Index, 10), d.Time, filepath.Base(d.Receipt)})
		if b.screen.json {
			if err := b.screen.object(d); err != nil {
				return err
			}
		}
	}
	w.Flush()
	if there == 0 {
		return nil
	}
	results := filepath.Join(b.folder, resultsFile)
	if err := replace(results, rows.Bytes(), true); err != nil || b.screen.json {
		return err
	}
	if err := b.screen.line(sayBatchDone, len(b.done), statuses[statusDeposited], statuses[statusThere], len(b.done)-there, first, last); err != nil {
		return err
	}
	if err := b.screen.line(sayBatchReceipts, b.folder); err != nil {
		return err
	}
	return b.screen.line(sayBatchResults, results)
}
