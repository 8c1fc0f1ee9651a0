package esignature

import (
	"encoding/binary"
	"errors"
)

var errBER = errors.New("not BER")

// maxDepth is how deep elements may stand in one another.
const maxDepth = 48

// der reads one BER element off the front of data and returns it in DER as far as lengths and
// constructed strings go, and how many bytes it took. What is DER stays as it is. Signers that
// stream write lengths that are only known at the end.
func der(data []byte, depth int) (out []byte, took int, err error) {
	if len(data) < 2 || depth > maxDepth || data[0]&0x1f == 0x1f {
		return nil, 0, errBER
	}
	tag, constructed := data[0], data[0]&0x20 != 0
	length, head, indefinite, err := berLength(data)
	if err != nil || indefinite && !constructed {
		return nil, 0, errBER
	}
	if !indefinite && length > len(data)-head {
		return nil, 0, errBER
	}
	if !constructed {
		return element(tag, data[head:head+length]), head + length, nil
	}
	joined := tag == 0x24 // an octet string in pieces
	var body []byte
	at, end := head, head+length
	if indefinite {
		end = len(data)
	}
	for {
		switch {
		case indefinite && end-at >= 2 && data[at] == 0 && data[at+1] == 0:
			at += 2
		case !indefinite && at == end:
		default:
			child, n, err := der(data[at:end], depth+1)
			if err != nil {
				return nil, 0, err
			}
			if at += n; joined {
				if child[0] != 0x04 {
					return nil, 0, errBER
				}
				_, skip, _, _ := berLength(child)
				child = child[skip:]
			}
			body = append(body, child...)
			continue
		}
		break
	}
	if joined {
		tag = 0x04
	}
	return element(tag, body), at, nil
}

// berLength reads the length after a tag of one byte; head is where the content begins.
func berLength(data []byte) (length, head int, indefinite bool, err error) {
	first := data[1]
	if first < 0x80 {
		return int(first), 2, false, nil
	}
	n := int(first & 0x7f)
	if n == 0 {
		return 0, 2, true, nil
	}
	if n > 4 || len(data) < 2+n {
		return 0, 0, false, errBER
	}
	var wide [8]byte
	copy(wide[8-n:], data[2:2+n])
	v := binary.BigEndian.Uint64(wide[:])
	if v > maxCMS {
		return 0, 0, false, errBER
	}
	return int(v), 2 + n, false, nil
}

// element is a tag, the shortest length, and content.
func element(tag byte, content []byte) []byte {
	n := len(content)
	out := make([]byte, 0, n+5)
	switch {
	case n < 0x80:
		out = append(out, tag, byte(n))
	case n < 1<<8:
		out = append(out, tag, 0x81, byte(n))
	case n < 1<<16:
		out = append(out, tag, 0x82, byte(n>>8), byte(n))
	default:
		out = append(out, tag, 0x83, byte(n>>16), byte(n>>8), byte(n))
	}
	return append(out, content...)
}
