package certificate

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"strconv"
	"unicode/utf16"
)

// A file is a PDF 1.7 while it is written: objects one after another, nothing compressed,
// so that the same input has the same bytes whatever library compresses how.
type file struct {
	bytes.Buffer
	offsets []int  // of each object, by number - 1
	parts   []part // what stands where, for those who compare
}

// A part is a stretch of the file by the name under which a difference in it is told.
type part struct {
	from int
	name phrase
	arg  any
}

// header is the first line, what says that the file is not text, and what says that it is a
// certificate.
const header = "%PDF-1.7\n%\xe2\xe3\xcf\xd3\n%muniment/certificate\n"

func newFile() *file {
	f := &file{}
	f.WriteString(header)
	return f
}

// reserve gives an object a number before it is written.
func (f *file) reserve() int {
	f.offsets = append(f.offsets, 0)
	return len(f.offsets)
}

func (f *file) mark(name phrase, arg any) { f.parts = append(f.parts, part{f.Len(), name, arg}) }

// object writes an object that was reserved.
func (f *file) object(number int, format string, args ...any) {
	f.offsets[number-1] = f.Len()
	fmt.Fprintf(f, "%d 0 obj\n", number)
	fmt.Fprintf(f, format, args...)
	f.WriteString("\nendobj\n")
}

// stream writes a stream under a number that was reserved.
func (f *file) stream(number int, dict string, data []byte) {
	f.offsets[number-1] = f.Len()
	fmt.Fprintf(f, "%d 0 obj\n<<%s/Length %d>>\nstream\n", number, dict, len(data))
	f.Write(data)
	f.WriteString("\nendstream\nendobj\n")
}

// end writes the table of objects and the trailer.
func (f *file) end(root int) []byte {
	f.mark(sayPartEnd, nil)
	id := sha256.Sum256(f.Bytes())
	at := f.Len()
	fmt.Fprintf(f, "xref\n0 %d\n0000000000 65535 f \n", len(f.offsets)+1)
	for _, o := range f.offsets {
		fmt.Fprintf(f, "%010d 00000 n \n", o)
	}
	fmt.Fprintf(f, "trailer\n<</Size %d/Root %d 0 R/ID[<%x><%x>]>>\nstartxref\n%d\n%%%%EOF\n", len(f.offsets)+1, root, id[:16], id[:16], at)
	return f.Bytes()
}

// literal is a PDF string of ASCII.
func literal(s string) string {
	var b bytes.Buffer
	b.WriteByte('(')
	for _, c := range []byte(s) {
		if c == '(' || c == ')' || c == '\\' {
			b.WriteByte('\\')
		}
		b.WriteByte(c)
	}
	b.WriteByte(')')
	return b.String()
}

// unicodeString is a PDF string of any text.
func unicodeString(s string) string {
	out := []byte("<FEFF")
	for _, u := range utf16.Encode([]rune(s)) {
		out = fmt.Appendf(out, "%04X", u)
	}
	return string(append(out, '>'))
}

// milli is a length of thousandths in a PDF's own unit.
func milli(v int) string {
	sign := ""
	if v < 0 {
		sign, v = "-", -v
	}
	s := sign + strconv.Itoa(v/1000)
	if rest := v % 1000; rest != 0 {
		s += "." + fmt.Sprintf("%03d", rest)
	}
	return s
}
