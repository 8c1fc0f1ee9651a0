package main

import (
	"bytes"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding/simplifiedchinese"
)

// decode turns the file into UTF-8. Chinese Excel writes GB18030 unless told otherwise.
func (s *sheet) decode(data []byte) ([]byte, error) {
	if bytes.HasPrefix(data, []byte{0xff, 0xfe}) || bytes.HasPrefix(data, []byte{0xfe, 0xff}) {
		return nil, saySheetUTF16.err(s.path)
	}
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	if utf8.Valid(data) {
		return data, nil
	}
	text, err := simplifiedchinese.GB18030.NewDecoder().Bytes(data)
	if err != nil || bytes.ContainsRune(text, utf8.RuneError) {
		return nil, saySheetEncoding.err(s.path)
	}
	read := saySheetGB18030.with(s.path, sample(string(text)))
	s.read = &read
	return text, nil
}

// sample is the first piece of text that is not ASCII, for people to see whether it
// was read rightly.
func sample(text string) string {
	const most = 20
	start := strings.IndexFunc(text, func(r rune) bool { return r >= utf8.RuneSelf })
	out := []rune{}
	for _, r := range text[max(start, 0):] {
		if r < ' ' || strings.ContainsRune(`,;"`, r) || len(out) == most {
			break
		}
		out = append(out, r)
	}
	return string(out)
}

// separator is what stands between the names of the header: Excel writes semicolons
// where the comma is the decimal point, and tabs as "text".
func separator(text []byte) rune {
	first, _, _ := bytes.Cut(text, []byte("\n"))
	best, most := ',', bytes.Count(first, []byte(","))
	for _, r := range ";\t" {
		if n := bytes.Count(first, []byte(string(r))); n > most {
			best, most = r, n
		}
	}
	return best
}
