package client

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"strings"

	"github.com/muniment/muniment/proofs"
)

// Document writes the document of a deposit to w and returns the deposit's receipt, once
// the document is known to be the one that the receipt is about: of its size and its
// SHA-256. After an error w has a beginning of something, and nothing is known of it: give
// w a temporary place, and keep what is there only on success.
//
// Where the download is cut off, it goes on from there. The document is streamed; it is
// never held in memory.
func (c *Client) Document(ctx context.Context, id string, w io.Writer) (proofs.Receipt, error) {
	r, err := c.Receipt(ctx, id)
	if err != nil {
		return proofs.Receipt{}, err
	}
	d := download{to: local{w}, hash: sha256.New()}
	if v, ok := r.Member("content.sha256"); ok && proofs.TypeDigest.Holds(v) {
		d.want, _ = v.Text()
	} else {
		return proofs.Receipt{}, fmt.Errorf("%w: it does not say the document's SHA-256", ErrReceipt)
	}
	// What the depository does not hold may have no size, and will not be sent.
	if v, ok := r.Member("content.size"); ok {
		d.size, _ = v.Integer()
	}
	d.call = call{
		method: http.MethodGet, path: "/v1/deposits/" + id + "/document", want: http.StatusOK, limit: d.size, read: d.read,
		// What is packed has another length, and no ranges to go on from.
		header: http.Header{"Accept-Encoding": {"identity"}},
	}
	if err := c.do(ctx, &d.call); err != nil {
		return proofs.Receipt{}, err
	}
	return r, nil
}

// download is a document on its way here.
type download struct {
	call call
	to   io.Writer
	size int64
	want string // hex SHA-256
	hash hash.Hash
	done int64
}

// read takes the document, or the rest of it.
func (d *download) read(h http.Header, body io.Reader) error {
	if err := d.announced(h); err != nil {
		return err
	}
	n, err := io.Copy(io.MultiWriter(d.to, d.hash), body)
	d.done += n
	switch {
	case errors.Is(err, ErrAnswer), errors.Is(err, errPlace):
		return err
	case d.done < d.size:
		d.resume()
		if err == nil {
			err = errCut
		}
		return err
	case hex.EncodeToString(d.hash.Sum(nil)) != d.want:
		return fmt.Errorf("%w: the document is not the one of its receipt", ErrAnswer)
	}
	return nil
}

// resume makes the next attempt one for the rest.
func (d *download) resume() {
	if d.done == 0 {
		return
	}
	d.call.want, d.call.limit = http.StatusPartialContent, d.size-d.done
	d.call.set("Range", fmt.Sprintf("bytes=%d-", d.done))
	d.call.set("If-Match", `"`+d.want+`"`)
}

// announced checks what the answer says of the document before any of it is taken.
func (d *download) announced(h http.Header) error {
	if tag := strings.TrimPrefix(h.Get("ETag"), "W/"); tag != "" && tag != `"`+d.want+`"` {
		return fmt.Errorf("%w: its ETag is of another document", ErrAnswer)
	}
	for _, digest := range strings.Split(strings.Join(h.Values("Repr-Digest"), ","), ",") {
		algorithm, value, _ := strings.Cut(strings.TrimSpace(digest), "=")
		if algorithm != "sha-256" {
			continue
		}
		sum, err := base64.StdEncoding.DecodeString(strings.Trim(value, ":"))
		if err != nil || hex.EncodeToString(sum) != d.want {
			return fmt.Errorf("%w: its Repr-Digest is of another document", ErrAnswer)
		}
	}
	part := fmt.Sprintf("bytes %d-%d/%d", d.done, d.size-1, d.size)
	if d.call.want == http.StatusPartialContent && h.Get("Content-Range") != part {
		return fmt.Errorf("%w: it is not the part that was asked for", ErrAnswer)
	}
	return nil
}

// errPlace marks what the caller's writer would not take.
var errPlace = errors.New("cannot be written")

// local is a writer whose failures are of this side.
type local struct{ io.Writer }

// Write implements io.Writer.
func (l local) Write(p []byte) (int, error) {
	n, err := l.Writer.Write(p)
	if err != nil {
		return n, l.fail(err)
	}
	return n, nil
}

func (l local) fail(err error) error { return fmt.Errorf("the document %w: %w", errPlace, err) }
