package service

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"slices"
	"strings"
)

// formBody is a multipart/form-data body with few parts in a fixed order, read as it
// comes.
type formBody struct {
	body  *body
	close *closing
	parts *multipart.Reader
	order string // says which parts, for people
}

func newForm(b *body, boundary, order string) *formBody {
	c := &closing{Reader: b, delimiter: []byte("--" + boundary + "--")}
	return &formBody{body: b, close: c, parts: multipart.NewReader(c, boundary), order: order}
}

// closing looks for the last boundary in what is read. The multipart reader takes a body that
// ends within the header of a part for one that has ended.
type closing struct {
	io.Reader
	delimiter []byte
	tail      []byte // of what was read before, shorter than the delimiter
	seen      bool
}

func (c *closing) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	if keep := len(c.delimiter) - 1; !c.seen {
		across := slices.Concat(c.tail, p[:min(n, keep)])
		c.seen = bytes.Contains(across, c.delimiter) || bytes.Contains(p[:n], c.delimiter)
		if n < keep {
			c.tail = across[max(0, len(across)-keep):]
		} else {
			c.tail = append(c.tail[:0], p[n-keep:n]...)
		}
	}
	return n, err
}

// next returns the next part, and io.EOF at the last boundary. Parts are read raw: a
// transfer encoding undone on the way would change the evidence.
func (f *formBody) next() (*multipart.Part, error) {
	p, err := f.parts.NextRawPart()
	// NextRawPart wraps io.EOF when the body broke off, and returns it bare at the
	// final boundary.
	if err == io.EOF {
		if !f.close.seen {
			return nil, f.fault(io.ErrUnexpectedEOF)
		}
		return nil, err
	}
	if err != nil {
		return nil, f.fault(err)
	}
	for _, h := range []string{"Content-Encoding", "Content-Transfer-Encoding"} {
		switch strings.ToLower(p.Header.Get(h)) {
		case "", "identity", "binary", "8bit", "7bit":
		default:
			return nil, refuse(unsupportedMediaType, "A part has a "+h+"; send it as it is.")
		}
	}
	return p, nil
}

// due returns the next part, which must be of that name.
func (f *formBody) due(name string) (*multipart.Part, error) {
	p, err := f.next()
	switch {
	case err == io.EOF: //nolint:errorlint // next returns it bare
		return nil, refuse(malformedMultipart, "The part "+name+" is missing.")
	case err != nil:
		return nil, err
	case p.FormName() != name:
		return nil, f.disorder(name)
	}
	return p, nil
}

func (f *formBody) disorder(due string) error {
	return refuse(malformedMultipart, "The parts are "+f.order+", in this order; here "+due+" is due.")
}

// whole reads a part of at most that many bytes.
func (f *formBody) whole(part io.Reader, name string, most int64) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(part, most+1))
	switch refused := new(refusal); {
	case errors.As(err, &refused):
		return nil, err
	case err != nil:
		return nil, f.fault(err)
	case int64(len(data)) > most:
		return nil, refuse(tooLarge, fmt.Sprintf("The %s is larger than %d bytes.", name, most))
	}
	return data, nil
}

// end sees to it that nothing comes after the last part but the last boundary. It
// returns io.EOF if all is well.
func (f *formBody) end() error {
	switch _, err := f.parts.NextRawPart(); {
	case err == nil:
		return refuse(malformedMultipart, "The parts are "+f.order+", in this order; no other may follow.")
	case err != io.EOF:
		return f.fault(err)
	case !f.close.seen:
		return f.fault(io.ErrUnexpectedEOF)
	}
	if _, err := io.Copy(io.Discard, f.body); err != nil {
		return err
	}
	return io.EOF
}

// fault is what an error of the multipart reader is to the caller: the body's own
// where the body broke off, since half a header looks malformed.
func (f *formBody) fault(err error) error {
	switch {
	case f.body.err != nil:
		return f.body.err
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return errTruncated
	}
	return refuse(malformedMultipart, "The body is not multipart/form-data as RFC 7578 describes it.")
}
