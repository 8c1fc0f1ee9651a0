package client

import (
	"context"
	"io"
	"net/http"
)

// A Scratch is a place that can be written anew, such as an *os.File.
type Scratch interface {
	io.WriteSeeker
	Truncate(size int64) error
}

// Bundle writes the bundle of a case, a ZIP, into a place, from its beginning. Where it is cut
// off it is fetched anew. Nothing of it is believed: check it with proofs/bundle. After an
// error the place has a beginning of something.
func (c *Client) Bundle(ctx context.Context, contract string, to Scratch) error {
	return c.do(ctx, &call{
		method: http.MethodGet, path: "/v1/cases/" + segment(contract) + "/bundle", want: http.StatusOK, limit: 1 << 62,
		header: http.Header{"Accept-Encoding": {"identity"}},
		read: func(_ http.Header, body io.Reader) error {
			if _, err := to.Seek(0, io.SeekStart); err != nil {
				return local{to}.fail(err)
			}
			if err := to.Truncate(0); err != nil {
				return local{to}.fail(err)
			}
			_, err := io.Copy(local{to}, body)
			return err
		},
	})
}
