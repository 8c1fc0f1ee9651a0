// Package timestamp asks time-stamp authorities over HTTP (RFC 3161 §3.4) to date what the
// notary shows them. What they answer is kept only if a court would believe it.
package timestamp

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"math/big"
	"mime"
	"net/http"
	"net/url"
	"time"

	"github.com/muniment/muniment/proofs/rfc3161"
)

// timeout bounds one exchange, name look-up and connection included.
const timeout = 15 * time.Second

// An Authority is one time-stamp authority, and by what its answers are judged. It implements
// notary.TimestampAuthority.
type Authority struct {
	url, name string
	policy    string
	trusted   *rfc3161.Authorities
	client    *http.Client
}

// New returns the authority at an http or https URL. Its tokens must lead to the roots of
// trusted and, unless policy is empty, be issued under that OID. No request is made.
func New(address string, trusted *rfc3161.Authorities, policy string) (*Authority, error) {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return nil, errors.New("the URL of a time-stamp authority is not http://HOST/PATH or https://HOST/PATH, without a user or a query")
	}
	if policy != "" {
		if _, err := rfc3161.ParseOID(policy); err != nil {
			return nil, err
		}
	}
	return &Authority{
		url: address, name: u.Host + u.EscapedPath(), policy: policy, trusted: trusted,
		client: &http.Client{
			Timeout: timeout,
			// The one that was configured is asked, and nobody that it sends us to.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}, nil
}

// Name returns the host and path of the configured URL.
func (a *Authority) Name() string { return a.name }

// Timestamp returns a token over message, which answers a query with a nonce of its own and
// holds under the trusted roots.
func (a *Authority) Timestamp(ctx context.Context, message []byte) ([]byte, error) {
	nonce, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 63))
	if err != nil {
		return nil, err
	}
	query := rfc3161.Query{Message: message, Nonce: nonce.Add(nonce, big.NewInt(1)), Policy: a.policy}
	body, err := query.Marshal()
	if err != nil {
		return nil, err
	}
	answer, err := a.exchange(ctx, body)
	if err != nil {
		return nil, err
	}
	token, _, err := a.trusted.CheckResponse(query, answer)
	return token, err
}

// exchange posts a query and returns the body of the answer.
func (a *Authority) exchange(ctx context.Context, query []byte) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, a.url, bytes.NewReader(query))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", "application/timestamp-query")
	request.Header.Set("Accept", "application/timestamp-reply")
	response, err := a.client.Do(request)
	if err != nil {
		return nil, unquoted(err)
	}
	defer response.Body.Close()
	if kind, _, _ := mime.ParseMediaType(response.Header.Get("Content-Type")); response.StatusCode/100 != 2 || kind != "application/timestamp-reply" {
		return nil, fmt.Errorf("it answered with status %d, and not with a time-stamp", response.StatusCode)
	}
	data, err := io.ReadAll(io.LimitReader(response.Body, rfc3161.MaxResponse+1))
	if err != nil {
		return nil, unquoted(err)
	}
	if len(data) > rfc3161.MaxResponse {
		return nil, fmt.Errorf("it answered with more than %d bytes", rfc3161.MaxResponse)
	}
	return data, nil
}

// unquoted is an error without what the other side has said: that has no place in a log.
func unquoted(err error) error {
	var told *url.Error
	switch {
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &told) && told.Timeout():
		return errors.New("it did not answer in time")
	case errors.Is(err, context.Canceled):
		return context.Canceled
	}
	return errors.New("it cannot be reached, or broke off; try the URL with curl")
}
