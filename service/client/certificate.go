package client

import (
	"context"
	"net/http"
	"net/url"
)

// Certificate says what a certificate is to be like.
type Certificate struct {
	Language string // zh, en or both; empty: the depository's
	Profile  string // plain, prc or fre; empty: plain
	Document bool   // embed the document
}

// maxCertificate is more bytes than any certificate has.
const maxCertificate = 24 << 20

// Certificate returns a certificate of a deposit, a PDF, as the depository made it. Nothing
// of it was checked: package notary/certificate and muniment verify do that.
func (c *Client) Certificate(ctx context.Context, id string, want Certificate) ([]byte, error) {
	if err := depositID(id); err != nil {
		return nil, err
	}
	query := url.Values{}
	for name, value := range map[string]string{"lang": want.Language, "profile": want.Profile} {
		if value != "" {
			query.Set(name, value)
		}
	}
	if want.Document {
		query.Set("document", "embed")
	}
	return c.get(ctx, call{method: http.MethodGet, path: "/v1/deposits/" + id + "/certificate", query: query, want: http.StatusOK, limit: maxCertificate})
}
