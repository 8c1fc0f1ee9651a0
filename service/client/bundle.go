package client

import (
	"context"
	"io"
	"net/http"
	"net/url"
)

// A Bundle says what the certificates in a bundle are to be like.
type Bundle struct {
	Language     string // zh, en or both; empty: the depository's
	Profile      string // plain, prc or fre; empty: plain
	Certificates bool   // that there are any
}

// A Scratch is a place that can be written anew, such as an *os.File.
type Scratch interface {
	io.WriteSeeker
	Truncate(size int64) error
}

// Bundle writes the bundle of a case, a ZIP, into a place, from its beginning. Where it is cut
// off it is fetched anew. Nothing of it is believed: check it with proofs/bundle. After an
// error the place has a beginning of something.
func (c *Client) Bundle(ctx context.Context, contract string, want Bundle, to Scratch) error {
	query := url.Values{}
	for name, value := range map[string]string{"lang": want.Language, "profile": want.Profile} {
		if value != "" {
			query.Set(name, value)
		}
	}
	if !want.Certificates {
		query.Set("certificates", "none")
	}
	return c.do(ctx, &call{
		method: http.MethodGet, path: "/v1/cases/" + segment(contract) + "/bundle", query: query, want: http.StatusOK, limit: 1 << 62,
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
