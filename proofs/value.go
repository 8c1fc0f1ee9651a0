package proofs

import (
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// maxInteger is 2^53-1, the largest integer that every JSON reader holds exactly.
const maxInteger = 1<<53 - 1

// maxDepth is how deep arrays and objects may stand in one another.
const maxDepth = 8

// A Value is the value of a record's member: a string, a boolean, an integer, an
// array or an object, held in its canonical JSON form (RFC 8785). Its zero value
// is no value at all; only the functions below make one.
type Value struct{ json string }

// Text returns the Value of a string.
func Text(s string) (Value, error) {
	if err := checkString(s); err != nil {
		return Value{}, err
	}
	if plainText(s) {
		return Value{`"` + s + `"`}, nil
	}
	return Value{string(appendString(nil, s))}, nil
}

// plainText reports whether the JSON form of a string is the string in quotes.
func plainText(s string) bool {
	for i := 0; i < len(s); i++ {
		if c := s[i]; c < 0x20 || c == '"' || c == '\\' {
			return false
		}
	}
	return true
}

// Integer returns the Value of n; its magnitude must not exceed 2^53-1.
func Integer(n int64) (Value, error) {
	if n > maxInteger || n < -maxInteger {
		return Value{}, malformed("integer is beyond 2^53-1")
	}
	return Value{strconv.FormatInt(n, 10)}, nil
}

// Boolean returns the Value of b.
func Boolean(b bool) Value {
	return Value{strconv.FormatBool(b)}
}

// ParseValue reads any JSON spelling of a value and brings it into canonical form.
func ParseValue(json string) (Value, error) {
	if len(json) > MaxRecord {
		return Value{}, malformed("JSON is longer than %d bytes", MaxRecord)
	}
	p := parser{in: json}
	out, err := p.value(nil, 0)
	if err != nil {
		return Value{}, err
	}
	if p.space(); p.pos != len(p.in) {
		return Value{}, malformed("more after the JSON value")
	}
	return Value{string(out)}, nil
}

// JSON returns the canonical form, empty for the zero Value.
func (v Value) JSON() string { return v.json }

// MarshalJSON returns the canonical form.
func (v Value) MarshalJSON() ([]byte, error) {
	if v.json == "" {
		return nil, malformed("no value")
	}
	return []byte(v.json), nil
}

// Text returns the string that v is, if it is one.
func (v Value) Text() (string, bool) {
	if !strings.HasPrefix(v.json, `"`) {
		return "", false
	}
	if strings.IndexByte(v.json, '\\') < 0 {
		return v.json[1 : len(v.json)-1], true
	}
	p := parser{in: v.json}
	s, err := p.str()
	return s, err == nil
}

// Integer returns the integer that v is, if it is one.
func (v Value) Integer() (int64, bool) {
	n, err := strconv.ParseInt(v.json, 10, 64)
	return n, err == nil
}

// Boolean returns the boolean that v is, if it is one.
func (v Value) Boolean() (value, ok bool) {
	return v.json == "true", v.json == "true" || v.json == "false"
}

// checkString refuses what may not stand in a record's strings: text that is not
// UTF-8, U+0000, and code points that are no characters.
func checkString(s string) error {
	if ascii(s) {
		return nil
	}
	if !utf8.ValidString(s) {
		return malformed("string is not UTF-8")
	}
	for _, r := range s {
		if r == 0 || r&0xfffe == 0xfffe || r >= 0xfdd0 && r <= 0xfdef {
			return malformed("string holds U+0000 or a noncharacter")
		}
	}
	return nil
}

// ascii reports whether s is ASCII without U+0000.
func ascii(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] == 0 || s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// appendString appends the JSON form of a checked string (RFC 8785 §3.2.2.2).
func appendString(out []byte, s string) []byte {
	const hex = "0123456789abcdef"
	out = append(out, '"')
	if plainText(s) {
		return append(append(out, s...), '"')
	}
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			out = append(out, '\\', c)
		case c >= 0x20:
			out = append(out, c)
		case strings.IndexByte("\b\t\n\f\r", c) >= 0:
			out = append(out, '\\', "btn fr"[c-'\b'])
		default:
			out = append(out, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		}
	}
	return append(out, '"')
}

// parser reads JSON (RFC 8259) and writes it in canonical form as it goes.
type parser struct {
	in  string
	pos int
}

func (p *parser) space() {
	for p.pos < len(p.in) && strings.IndexByte(" \t\r\n", p.in[p.pos]) >= 0 {
		p.pos++
	}
}

// next skips space and reports the next byte, 0 at the end.
func (p *parser) next() byte {
	p.space()
	if p.pos == len(p.in) {
		return 0
	}
	return p.in[p.pos]
}

// take consumes c if it is the next byte after space.
func (p *parser) take(c byte) bool {
	if p.next() != c || c == 0 {
		return false
	}
	p.pos++
	return true
}

// expect consumes c or fails.
func (p *parser) expect(c byte) error {
	if !p.take(c) {
		return malformed("JSON: %q expected at byte %d", c, p.pos)
	}
	return nil
}

func (p *parser) value(out []byte, depth int) ([]byte, error) {
	switch c := p.next(); {
	case c == '"':
		s, err := p.str()
		return appendString(out, s), err
	case c == '[' || c == '{':
		if depth == maxDepth {
			return nil, malformed("JSON is nested deeper than %d", maxDepth)
		}
		if c == '[' {
			return p.array(out, depth+1)
		}
		return p.object(out, depth+1)
	case c == '-' || c >= '0' && c <= '9':
		return p.integer(out)
	}
	for _, word := range []string{"true", "false"} {
		if strings.HasPrefix(p.in[p.pos:], word) {
			p.pos += len(word)
			return append(out, word...), nil
		}
	}
	return nil, malformed("JSON: a string, boolean, integer, array or object expected at byte %d", p.pos)
}

func (p *parser) array(out []byte, depth int) ([]byte, error) {
	p.pos++
	out = append(out, '[')
	for n := 0; !p.take(']'); n++ {
		if n > 0 {
			if err := p.expect(','); err != nil {
				return nil, err
			}
			out = append(out, ',')
		}
		var err error
		if out, err = p.value(out, depth); err != nil {
			return nil, err
		}
	}
	return append(out, ']'), nil
}

func (p *parser) object(out []byte, depth int) ([]byte, error) {
	fields, values, err := p.fields(depth)
	if err != nil {
		return nil, err
	}
	out = append(out, '{')
	for i, f := range fields {
		if i > 0 {
			out = append(out, ',')
		}
		out = append(appendString(out, f.name), ':')
		out = append(out, values[f.start:f.end]...)
	}
	return append(out, '}'), nil
}

// field is one name of an object, and where its canonical value stands among the
// object's values.
type field struct {
	name       string
	start, end int
}

// fields reads an object, sorts it by name and refuses a name that stands twice.
// Names are ASCII, so byte order is the order of RFC 8785 §3.2.3. The values stand in
// one buffer: a hostile object has thousands.
func (p *parser) fields(depth int) (fields []field, values []byte, err error) {
	if err := p.expect('{'); err != nil {
		return nil, nil, err
	}
	for !p.take('}') {
		if len(fields) > 0 {
			if err := p.expect(','); err != nil {
				return nil, nil, err
			}
		}
		f := field{start: len(values)}
		if f.name, err = p.name(); err != nil {
			return nil, nil, err
		}
		if values, err = p.value(values, depth); err != nil {
			return nil, nil, err
		}
		f.end = len(values)
		fields = append(fields, f)
	}
	slices.SortFunc(fields, func(a, b field) int { return strings.Compare(a.name, b.name) })
	for i := 1; i < len(fields); i++ {
		if fields[i].name == fields[i-1].name {
			return nil, nil, malformed("JSON: name %q stands twice", fields[i].name)
		}
	}
	return fields, values, nil
}

// name reads a field's name and the colon after it.
func (p *parser) name() (string, error) {
	if p.next() != '"' {
		return "", malformed("JSON: a name expected at byte %d", p.pos)
	}
	name, err := p.str()
	if err != nil {
		return "", err
	}
	if strings.IndexFunc(name, func(r rune) bool { return r < 0x20 || r > 0x7e }) >= 0 {
		return "", malformed("JSON: a name that is not printable ASCII")
	}
	return name, p.expect(':')
}

// integer reads 0|-?[1-9][0-9]{0,15}: no fraction, no exponent, no minus zero.
func (p *parser) integer(out []byte) ([]byte, error) {
	start := p.pos
	for p.pos < len(p.in) && strings.IndexByte("+-.eE0123456789", p.in[p.pos]) >= 0 {
		p.pos++
	}
	s := p.in[start:p.pos]
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n > maxInteger || n < -maxInteger || strconv.FormatInt(n, 10) != s {
		return nil, malformed("JSON: number at byte %d is not an integer within 2^53-1; write amounts as strings", start)
	}
	return append(out, s...), nil
}

// str reads a JSON string and checks what it holds.
func (p *parser) str() (string, error) {
	p.pos++
	start := p.pos
	var b []byte // nil until the first escape
	for p.pos < len(p.in) {
		switch c := p.in[p.pos]; {
		case c == '"':
			s := p.in[start:p.pos]
			if b != nil {
				s = string(b)
			}
			p.pos++
			return s, checkString(s)
		case c < 0x20:
			return "", malformed("JSON: control character in a string at byte %d", p.pos)
		case c == '\\':
			if b == nil {
				b = append(make([]byte, 0, len(p.in[start:p.pos])+16), p.in[start:p.pos]...)
			}
			r, err := p.escape()
			if err != nil {
				return "", err
			}
			b = utf8.AppendRune(b, r)
		default:
			if b != nil {
				b = append(b, c)
			}
			p.pos++
		}
	}
	return "", malformed("JSON: a string without an end")
}

// escape reads one escape sequence; a surrogate counts only as half of a pair.
func (p *parser) escape() (rune, error) {
	if p.pos+1 >= len(p.in) {
		return 0, malformed("JSON: a string without an end")
	}
	c := p.in[p.pos+1]
	if i := strings.IndexByte(`"\/bfnrt`, c); i >= 0 {
		p.pos += 2
		return rune("\"\\/\b\f\n\r\t"[i]), nil
	}
	r, ok := p.unit()
	if ok && r >= 0xd800 && r <= 0xdbff {
		low, ok2 := p.unit()
		if ok = ok2 && low >= 0xdc00 && low <= 0xdfff; ok {
			r = 0x10000 + (r-0xd800)<<10 + (low - 0xdc00)
		}
	} else if r >= 0xdc00 && r <= 0xdfff {
		ok = false
	}
	if !ok {
		return 0, malformed("JSON: escape at byte %d is not valid", p.pos)
	}
	return r, nil
}

// unit reads one \uXXXX.
func (p *parser) unit() (rune, bool) {
	if p.pos+6 > len(p.in) || p.in[p.pos] != '\\' || p.in[p.pos+1] != 'u' {
		return 0, false
	}
	n, err := strconv.ParseUint(p.in[p.pos+2:p.pos+6], 16, 16)
	p.pos += 6
	return rune(n), err == nil
}
