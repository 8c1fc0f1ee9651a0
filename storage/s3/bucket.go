package s3

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/muniment/muniment/notary"
)

const (
	defaultTimeout = 10 * time.Second
	// slowest is the least rate, in bytes a second, at which a large body must move over
	// its whole length.
	slowest = 256 << 10
	// attempts bounds how often one request is made when the server is busy or gone.
	attempts = 3
)

// bucket is a Bucket with its connections.
type bucket struct {
	core      minio.Core
	transport *http.Transport
	endpoint  string
	name      string
	prefix    string
	timeout   time.Duration
}

// connect prepares for requests, and makes none. Each is tried that many times.
func connect(b Bucket, timeout time.Duration, tries int) (*bucket, error) {
	u, err := url.Parse(b.Endpoint)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil ||
		strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" {
		return nil, errors.New("s3: the endpoint must be a URL of http or https, a host and perhaps a port, and nothing more")
	}
	if b.Prefix != "" && (!strings.HasSuffix(b.Prefix, "/") || strings.HasPrefix(b.Prefix, "/") || strings.Contains(b.Prefix, "//")) {
		return nil, fmt.Errorf("s3: the prefix %q must end in one slash and not begin with one", b.Prefix)
	}
	if b.AccessKey == "" || b.SecretKey == "" {
		return nil, errors.New("s3: access key and secret key must be set")
	}
	if timeout == 0 {
		timeout = defaultTimeout
	}
	if b.Region == "" {
		b.Region = "us-east-1"
	}
	transport := newTransport(timeout)
	client, err := minio.NewCore(u.Host, &minio.Options{
		Creds:      credentials.NewStaticV4(b.AccessKey, b.SecretKey, ""),
		Secure:     u.Scheme == "https",
		Region:     b.Region,
		Transport:  transport,
		MaxRetries: tries,
	})
	if err != nil {
		return nil, fmt.Errorf("s3: %w", err)
	}
	return &bucket{*client, transport, u.Scheme + "://" + u.Host, b.Bucket, b.Prefix, timeout}, nil
}

func (b *bucket) close() { b.transport.CloseIdleConnections() }

func newTransport(timeout time.Duration) *http.Transport {
	dialer := net.Dialer{Timeout: timeout}
	return &http.Transport{
		Proxy: http.ProxyFromEnvironment,
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			c, err := dialer.DialContext(ctx, network, address)
			if err != nil {
				return nil, err
			}
			return &conn{c, timeout}, nil
		},
		MaxIdleConnsPerHost:   64,
		IdleConnTimeout:       timeout / 2,
		TLSHandshakeTimeout:   timeout,
		ResponseHeaderTimeout: timeout,
		WriteBufferSize:       64 << 10,
		ReadBufferSize:        64 << 10,
		DisableCompression:    true,
		ForceAttemptHTTP2:     false, // a connection stands for one transfer, so that one that stalls is seen
	}
}

// conn is a connection that breaks when nothing moves on it for a while. A write moves the
// end of the wait for the answer as well.
type conn struct {
	net.Conn
	patience time.Duration
}

func (c *conn) Read(p []byte) (int, error) {
	if err := c.SetReadDeadline(time.Now().Add(c.patience)); err != nil {
		return 0, err
	}
	return c.Conn.Read(p)
}

func (c *conn) Write(p []byte) (int, error) {
	if err := c.SetDeadline(time.Now().Add(c.patience)); err != nil {
		return 0, err
	}
	return c.Conn.Write(p)
}

var errNoAnswer = errors.New("no answer in time")

// within bounds a request, or several that belong together.
func (b *bucket) within(ctx context.Context, limit time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, limit, errNoAnswer)
}

// moving is how long that many bytes may take.
func moving(bytes int64) time.Duration { return time.Duration(bytes/slowest) * time.Second }

// failed tells what went wrong in the driver's own words: a server's are of any length and
// content. An end of the caller's ctx stays what it is; the end of a bound set here must
// not look like one.
func (b *bucket) failed(ctx context.Context, what string, err error) error {
	if errors.Is(err, context.DeadlineExceeded) && (ctx.Err() == nil || errors.Is(context.Cause(ctx), errNoAnswer)) {
		return fmt.Errorf("s3: %s: %s: %w", what, b.endpoint, errNoAnswer)
	}
	if err := ctx.Err(); err != nil && !errors.Is(context.Cause(ctx), errNoAnswer) {
		return fmt.Errorf("s3: %s: %w", what, err)
	}
	if refused, ok := errors.AsType[minio.ErrorResponse](err); ok {
		said := fmt.Sprintf("s3: %s: %s answered %q (HTTP %d)", what, b.endpoint, fmt.Sprintf("%.64s", refused.Code), refused.StatusCode)
		switch {
		case missing(err):
			return fmt.Errorf("%s: %w", said, notary.ErrNotFound)
		case full(refused):
			return fmt.Errorf("%s: %w", said, notary.ErrNoRoom)
		}
		return errors.New(said)
	}
	return fmt.Errorf("s3: %s: %w", what, err)
}

func missing(err error) bool {
	code := minio.ToErrorResponse(err).Code
	return code == minio.NoSuchKey || code == minio.NoSuchVersion
}

// full: the store, or what this account may keep in it, is used up. Nothing was stored.
func full(r minio.ErrorResponse) bool {
	switch r.Code {
	case "XMinioStorageFull", "XMinioAdminBucketQuotaExceeded", "QuotaExceeded", "InsufficientStorage":
		return true
	}
	return r.StatusCode == http.StatusInsufficientStorage
}

// unmet: the condition of a request does not hold, or another request is about to decide it.
func unmet(err error) bool {
	r := minio.ToErrorResponse(err)
	return r.StatusCode == http.StatusPreconditionFailed || r.StatusCode == http.StatusConflict
}

// refused: the server has answered that it will not, so that nothing was stored.
func refused(err error) bool {
	status := minio.ToErrorResponse(err).StatusCode
	return status >= 400 && status < 500 && status != http.StatusRequestTimeout || status == http.StatusInsufficientStorage
}

// get opens the bytes off to end-1 of a version of an object of that size. The answer must
// begin in time; the body, which the caller closes, must then keep moving.
func (b *bucket) get(ctx context.Context, key, version string, off, end, size int64) (io.ReadCloser, error) {
	opts := minio.GetObjectOptions{VersionID: version}
	if off > 0 || end < size {
		if err := opts.SetRange(off, end-1); err != nil {
			return nil, err
		}
	}
	ctx, cancel := context.WithCancelCause(ctx)
	late := time.AfterFunc(b.timeout, func() { cancel(errNoAnswer) })
	body, info, header, err := b.core.GetObject(ctx, b.name, key, opts)
	late.Stop()
	if err != nil {
		if errors.Is(context.Cause(ctx), errNoAnswer) {
			err = errNoAnswer
		}
		cancel(nil)
		return nil, err
	}
	answer := &answer{body, cancel}
	if off > 0 && header.Get("Content-Range") != fmt.Sprintf("bytes %d-%d/%d", off, end-1, size) {
		answer.Close()
		return nil, errors.New("the server answered another part of the object")
	}
	if info.Size != end-off {
		answer.Close()
		return nil, io.ErrUnexpectedEOF
	}
	return answer, nil
}

// answer is the body of one.
type answer struct {
	io.ReadCloser
	cancel context.CancelCauseFunc
}

func (a *answer) Close() error {
	a.cancel(nil)
	return a.ReadCloser.Close()
}
