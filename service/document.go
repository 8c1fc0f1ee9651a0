package service

import (
	"encoding/base64"
	"encoding/hex"
	"io"
	"mime"
	"net/http"
	"strings"
	"time"
	"unicode"

	"github.com/muniment/muniment/notary"
	"github.com/muniment/muniment/service/api"
)

// GetDocument implements GET /v1/deposits/{id}/document.
func (s *server) GetDocument(w http.ResponseWriter, r *http.Request, id api.DepositID, _ api.GetDocumentParams) {
	parsed, err := notary.ParseID(id)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	d, err := s.Notary.Document(r.Context(), of(r).principal, parsed)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	defer d.Close()
	name := d.Name
	if name == "" {
		name = id
	}
	h := w.Header()
	h.Set("Content-Type", harmless(d.Type))
	h.Set("Content-Disposition", attachment(name))
	h.Set("Content-Security-Policy", "default-src 'none'; sandbox")
	h.Set("Cache-Control", "private, no-cache")
	h.Set("ETag", `"`+d.SHA256+`"`)
	if sum, err := hex.DecodeString(d.SHA256); err == nil {
		h.Set("Repr-Digest", "sha-256=:"+base64.StdEncoding.EncodeToString(sum)+":")
	}
	out, in := &late{ResponseWriter: w}, &watched{ReadSeeker: d}
	http.ServeContent(out, r, "", time.Time{}, in)
	s.finish(w, r, out, in)
}

// finish makes up for what http.ServeContent cannot say: a range that is not there
// as a problem, and a document that cannot be read as an error.
func (s *server) finish(w http.ResponseWriter, r *http.Request, out *late, in *watched) {
	err := in.err
	if out.status == http.StatusRequestedRangeNotSatisfiable {
		err = refuse(rangeNotSatisfiable, "The Content-Range header has the document's size.")
	}
	switch {
	case err == nil:
		out.begin()
	case out.begun:
		p, _ := judge(err)
		s.note(r, p, err)
		panic(http.ErrAbortHandler) // an answer that broke off must not look whole
	default:
		for _, name := range []string{"Content-Length", "Content-Disposition", "Content-Security-Policy", "ETag", "Repr-Digest", "Accept-Ranges"} {
			w.Header().Del(name)
		}
		if out.status == http.StatusPartialContent {
			w.Header().Del("Content-Range")
		}
		s.fail(w, r, err)
	}
}

// late holds the answer's head back until its first byte is there, or finish has
// seen that none is needed.
type late struct {
	http.ResponseWriter
	status int
	begun  bool
}

func (l *late) WriteHeader(status int) { l.status = status }

func (l *late) begin() {
	if !l.begun && l.status != 0 {
		l.begun = true
		l.ResponseWriter.WriteHeader(l.status)
	}
}

func (l *late) Write(p []byte) (int, error) {
	if l.status == http.StatusRequestedRangeNotSatisfiable {
		return len(p), nil // its words are finish's
	}
	l.begin()
	return l.ResponseWriter.Write(p)
}

// watched remembers how reading the document failed.
type watched struct {
	io.ReadSeeker
	err error
}

func (w *watched) Read(p []byte) (int, error) {
	n, err := w.ReadSeeker.Read(p)
	if err != nil && err != io.EOF { //nolint:errorlint // a wrapped io.EOF is not the end
		w.err = err
	}
	return n, err
}

// harmless returns the claimed media type, unless it is none, or one that a browser
// would run.
func harmless(claimed string) string {
	const opaque = "application/octet-stream"
	kind, params, err := mime.ParseMediaType(claimed)
	if err != nil {
		return opaque
	}
	top, sub, _ := strings.Cut(kind, "/")
	switch {
	case sub == "", top == "multipart", top == "message":
		return opaque
	case strings.Contains(sub, "html"), strings.Contains(sub, "xml") && !strings.HasPrefix(sub, "vnd."),
		strings.Contains(sub, "script"), sub == "wasm", sub == "x-shockwave-flash":
		return opaque
	}
	if formatted := mime.FormatMediaType(kind, params); formatted != "" && len(formatted) <= 255 {
		return formatted
	}
	return opaque
}

// maxFileName bounds the name offered to a browser, in characters.
const maxFileName = 120

// attachment is the Content-Disposition of a download (RFC 6266), with the claimed
// name made fit for a file: no path, nothing invisible, nothing that turns the
// direction of the text, which would let an .exe look like a .pdf.
func attachment(name string) string {
	runes := []rune(strings.Map(func(c rune) rune {
		if c == '/' || c == '\\' || c == ':' || !unicode.IsGraphic(c) || c == unicode.ReplacementChar {
			return '_'
		}
		return c
	}, name))
	if len(runes) > maxFileName { // its end has the extension
		runes = runes[len(runes)-maxFileName:]
	}
	ascii := strings.Map(func(c rune) rune {
		if c > '~' || c == '"' || c == '%' {
			return '_'
		}
		return c
	}, string(runes))
	value := `attachment; filename="` + ascii + `"`
	if ascii != string(runes) {
		value += "; filename*=UTF-8''" + percent(string(runes))
	}
	return value
}

// percent encodes a value as RFC 8187 §3.2 asks.
func percent(s string) string {
	const digits = "0123456789ABCDEF"
	var b strings.Builder
	for _, c := range []byte(s) {
		if c >= '0' && c <= '9' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' || strings.IndexByte("!#$&+-.^_`|~", c) >= 0 {
			b.WriteByte(c)
		} else {
			b.Write([]byte{'%', digits[c>>4], digits[c&15]})
		}
	}
	return b.String()
}
