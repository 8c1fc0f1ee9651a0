package client

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/muniment/muniment/proofs"
	"github.com/muniment/muniment/service/api"
)

// Bounds of what a server may answer, in bytes. Each has room for the longest honest
// answer; what is longer is refused unread.
const (
	maxDeposit = 1 << 20 // a receipt and its record, as JSON
	maxPage    = 8 << 20 // pageSize records
	maxProblem = 8 << 20 // 10,000 lines at fault
	maxPolicy  = 256 << 10
	// maxCheckpoint has room for a checkpoint as JSON, with all its signatures.
	maxCheckpoint = 64 << 10
)

// longBody is where it pays to ask before sending.
const longBody = 1 << 20

// DefaultPatience is how long a request may make no progress.
const DefaultPatience = 2 * time.Minute

var (
	// ErrServer is wrapped when Client.Server is not the address of a server.
	ErrServer = errors.New("not the address of a server")
	// ErrAnswer is wrapped when an answer is not one that a depository gives: too
	// long, a redirect, not JSON.
	ErrAnswer = errors.New("not the answer of a depository")
	// ErrReceipt is wrapped when a receipt must not be believed. The deposit it was
	// to confirm may stand in the log nevertheless.
	ErrReceipt = errors.New("the server's receipt must not be believed")
	// ErrLog is wrapped when what the server shows of its log, a checkpoint, a proof, a
	// case, does not hold. It may be a fault on the way, or a log that was rewritten:
	// keep what was shown.
	ErrLog = errors.New("the server's log must not be believed")
	// ErrChanged is wrapped when a document is not what its claims say. It was not
	// deposited.
	ErrChanged = errors.New("the document changed while it was being deposited")

	errStalled = errors.New("no progress for too long")
)

// A Client talks to one depository for one tenant. Its fields must not change while
// it is in use; its methods may be called concurrently.
type Client struct {
	// Server is the depository's address, such as https://depository.example.
	Server string
	// Log is the address of the public log, under which checkpoint and tile/ stand (C2SP
	// tlog-tiles): a mirror's, or that of any static web server. Empty stands for /log
	// under Server. With it, the calls about the log need no Server.
	Log string
	// APIKey is the tenant's, or a link, which begins with mnl_. The public calls, such as
	// Policy, need none.
	APIKey string
	// Tenant is the id of the tenant whose deposits are read, for an auditor and a court;
	// empty: the key's own.
	Tenant string
	// HTTP makes the requests; nil stands for http.DefaultTransport. Redirects are
	// never followed, whatever its CheckRedirect says: they would carry the key and
	// the document to an address that nobody chose.
	HTTP *http.Client
	// Verifier judges every receipt before it is returned. It must rest on a policy
	// that did not come from the server. With nil, a receipt is still held against
	// what was sent, and against itself, but nothing is known of who signed.
	Verifier *proofs.Verifier
	// Retrying, unless nil, is told of every attempt that failed and will be repeated.
	Retrying func(err error, wait time.Duration)
	// Patience bounds the time without progress; 0 stands for DefaultPatience.
	Patience time.Duration

	sleep func(context.Context, time.Duration) error // nil but in tests
}

// call is one request as it can be sent again.
type call struct {
	method, path string // path is relative to the server, escaped
	query        url.Values
	header       http.Header
	key          string // Idempotency-Key
	atOnce       bool   // a seal that is late is told, and not asked for again
	kind         string // the body's media type
	length       int64
	body         func() (io.ReadCloser, error) // nil: no body
	want         int                           // status of success
	alsoWant     int                           // another; 0: none
	limit        int64                         // bytes of the answer
	// read takes the answer. It may be called again, with another answer, after an
	// error that is retriable, and may change the call for that.
	read func(h http.Header, body io.Reader) error
}

func (k *call) set(name, value string) {
	if k.header == nil {
		k.header = http.Header{}
	}
	k.header.Set(name, value)
}

// sends gives the call a body that is in memory. Its digest lets the server tell that
// nothing changed on the way.
func (k *call) sends(kind string, body []byte) {
	k.kind, k.length = kind, int64(len(body))
	k.body = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }
	sum := sha256.Sum256(body)
	k.set("Content-Digest", "sha-256=:"+base64.StdEncoding.EncodeToString(sum[:])+":")
}

// waits bounds how long the server waits for a seal.
func (k *call) waits(d time.Duration) {
	if d > 0 {
		k.atOnce = true
		k.set("Prefer", "wait="+strconv.FormatInt(int64((d+time.Second-1)/time.Second), 10))
	}
}

// address joins the server and a path.
func (c *Client) address(k *call) (string, error) {
	server, path := c.Server, k.path
	if rest, ok := strings.CutPrefix(path, "/log/"); ok && c.Log != "" {
		server, path = c.Log, "/"+rest
	}
	u, err := url.Parse(server)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return "", fmt.Errorf("%w: %q; it begins with https:// or http://", ErrServer, server)
	}
	if u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return "", fmt.Errorf("%w: %q; it has no user, query or fragment", ErrServer, u.Redacted())
	}
	address := strings.TrimRight(u.String(), "/") + path
	query := k.query
	if c.Tenant != "" && k.method == http.MethodGet && strings.HasPrefix(path, "/v1/") {
		query = url.Values{"tenant": {c.Tenant}}
		maps.Copy(query, k.query)
	}
	if len(query) > 0 {
		address += "?" + query.Encode()
	}
	return address, nil
}

// once sends a request once and has the answer read.
func (c *Client) once(ctx context.Context, k *call) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	watch := newWatchdog(c.patience(), func() { cancel(errStalled) })
	defer watch.stop()
	req, err := c.request(ctx, k, watch)
	if err != nil {
		return err
	}
	resp, err := c.http().Do(req)
	if err != nil {
		return because(ctx, err)
	}
	defer resp.Body.Close()
	watch.moved()
	watch.hold()
	if resp.StatusCode != k.want && (k.alsoWant == 0 || resp.StatusCode != k.alsoWant) {
		return problemOf(resp)
	}
	if err := k.read(resp.Header, &bounded{from: resp.Body, left: k.limit, watch: watch}); err != nil {
		return because(ctx, err)
	}
	return nil
}

// stride is how much of an answer must come in one patience: less is no progress.
const stride = 256 << 10

// bounded reads the body of an answer, and fails where it is longer than it may be.
type bounded struct {
	from  io.Reader
	left  int64 // bytes that may still come
	count int   // of the bytes since the last full stride
	watch *watchdog
}

// Read implements io.Reader.
func (b *bounded) Read(p []byte) (int, error) {
	// One byte more than is left tells whether the answer ends there.
	p = p[:min(int64(len(p)), b.left+1)]
	n, err := b.from.Read(p)
	if b.left -= int64(n); b.left < 0 {
		return 0, fmt.Errorf("%w: it is longer than it may be", ErrAnswer)
	}
	if b.count += n; b.count >= stride {
		b.count %= stride
		b.watch.renew()
	}
	return n, err
}

// because prefers the reason why a request was given up to what the transport makes of it.
func because(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil && !errors.Is(err, cause) {
		return fmt.Errorf("%w (%w)", cause, err)
	}
	return err
}

func (c *Client) request(ctx context.Context, k *call, watch *watchdog) (*http.Request, error) {
	address, err := c.address(k)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, k.method, address, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("User-Agent", "muniment")
	if c.APIKey != "" {
		req.Header.Set("Authorization", "Bearer "+c.APIKey)
	}
	for name, values := range k.header {
		req.Header[name] = values
	}
	if k.key != "" {
		req.Header.Set("Idempotency-Key", k.key)
	}
	if k.body == nil {
		return req, nil
	}
	req.Header.Set("Content-Type", k.kind)
	// A server that does not want a long document says so before it is sent. For a short
	// one, the question would cost more than the answer saves.
	if k.length > longBody {
		req.Header.Set("Expect", "100-continue")
	}
	req.ContentLength = k.length
	// GetBody lets the transport repeat the request by itself where a kept connection
	// turns out to be closed; that is safe under an Idempotency-Key.
	req.GetBody = func() (io.ReadCloser, error) {
		b, err := k.body()
		if err != nil {
			return nil, err
		}
		return watched{b, watch}, nil
	}
	req.Body, err = req.GetBody()
	return req, err
}

func (c *Client) http() *http.Client {
	var h http.Client
	if c.HTTP != nil {
		h = *c.HTTP
	}
	h.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &h
}

func (c *Client) patience() time.Duration {
	if c.Patience > 0 {
		return c.Patience
	}
	return DefaultPatience
}

// A watchdog bites when nothing has moved for its patience.
type watchdog struct {
	patience time.Duration
	timer    *time.Timer

	mu   sync.Mutex
	held bool
}

func newWatchdog(patience time.Duration, bite func()) *watchdog {
	return &watchdog{patience: patience, timer: time.AfterFunc(patience, bite)}
}

func (w *watchdog) moved() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.held {
		w.timer.Reset(w.patience)
	}
}

// renew grants another patience, held or not.
func (w *watchdog) renew() { w.timer.Reset(w.patience) }

// hold makes the patience that runs the last one but for renew: a body still being
// sent moves nothing any more.
func (w *watchdog) hold() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.held = true
}

func (w *watchdog) stop() {
	w.hold()
	w.timer.Stop()
}

// watched is a body whose every read is progress.
type watched struct {
	io.ReadCloser
	watch *watchdog
}

func (b watched) Read(p []byte) (int, error) {
	b.watch.moved()
	return b.ReadCloser.Read(p)
}

// Evidence returns the evidence record that stands beside the stamped receipt of a deposit;
// before there is one the error is a Problem of the type ProblemNotStamped. Only a verifier
// with roots of its own can tell what it proves.
func (c *Client) Evidence(ctx context.Context, id string) (proofs.EvidenceRecord, error) {
	if err := depositID(id); err != nil {
		return proofs.EvidenceRecord{}, err
	}
	data, err := c.get(ctx, call{
		method: http.MethodGet, path: "/v1/deposits/" + id + "/evidence", want: http.StatusOK, limit: proofs.MaxEvidenceRecord,
	})
	if err != nil {
		return proofs.EvidenceRecord{}, err
	}
	r, err := proofs.ParseEvidenceRecord(data)
	if err != nil {
		return proofs.EvidenceRecord{}, fmt.Errorf("%w: %w", ErrAnswer, err)
	}
	return r, nil
}

// Receipt returns the best receipt of a deposit: with time-stamps, under the earliest
// checkpoint that has them, or else under the newest published checkpoint.
func (c *Client) Receipt(ctx context.Context, id string) (proofs.Receipt, error) {
	if err := depositID(id); err != nil {
		return proofs.Receipt{}, err
	}
	data, err := c.get(ctx, call{
		method: http.MethodGet, path: c.assured("/v1/deposits/"+id+"/receipt", false), want: http.StatusOK, limit: proofs.MaxReceipt,
	})
	if err != nil {
		return proofs.Receipt{}, err
	}
	r, err := c.believe(data)
	if err != nil {
		return proofs.Receipt{}, err
	}
	got, _ := r.Member("id")
	if text, _ := got.Text(); text != id {
		return proofs.Receipt{}, fmt.Errorf("%w: it is of another deposit", ErrReceipt)
	}
	return r, nil
}

// Policy returns the policy that the server publishes. Taken from the server, it
// tells whether receipts are consistent, and nothing of who signed them: compare its
// fingerprint with one that came another way.
func (c *Client) Policy(ctx context.Context) (proofs.Policy, error) {
	data, err := c.get(ctx, call{method: http.MethodGet, path: "/log/policy", want: http.StatusOK, limit: maxPolicy})
	if err != nil {
		return proofs.Policy{}, err
	}
	p, err := proofs.ParsePolicy(data)
	if err != nil {
		return proofs.Policy{}, fmt.Errorf("%w: its policy: %w", ErrAnswer, err)
	}
	return p, nil
}

// decode reads the JSON of an answer.
func decode(data []byte, into any) error {
	if err := json.Unmarshal(data, into); err != nil {
		return fmt.Errorf("%w: %w", ErrAnswer, err)
	}
	return nil
}

// receiptOf takes the receipt out of the answer to a deposit. What stands beside it
// is nobody's proof, and is not looked at.
func (c *Client) receiptOf(data []byte) (proofs.Receipt, error) {
	var d api.Deposit
	if err := decode(data, &d); err != nil {
		return proofs.Receipt{}, err
	}
	return c.believe([]byte(d.Receipt))
}
