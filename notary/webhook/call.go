package webhook

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"syscall"
	"time"

	"github.com/muniment/muniment/notary"
)

// timeout bounds one call, name look-up and connection included.
const timeout = 15 * time.Second

// Caller makes the calls, in the form of Standard Webhooks 1.0: JSON, signed with
// HMAC-SHA-256 over id, time and body.
type Caller struct {
	networks []netip.Prefix
	client   *http.Client
}

// NewCaller returns a caller of public addresses, over TLS. Those in networks may be called
// too, and without TLS: a tenant must not reach what only the depository can, unless the
// operator says so.
func NewCaller(networks []netip.Prefix) *Caller {
	c := &Caller{networks: networks}
	dialer := net.Dialer{Timeout: timeout, Control: c.control}
	c.client = &http.Client{
		Timeout:       timeout,
		Transport:     &http.Transport{DialContext: dialer.DialContext, MaxIdleConnsPerHost: parallel, IdleConnTimeout: time.Minute, MaxResponseHeaderBytes: 64 << 10},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return c
}

// errAddress refuses an address that is not for tenants to reach.
var errAddress = errors.New("its address is not a public one, and webhooks.networks does not name it")

// control sees the address that a name has led to, after every look-up.
func (c *Caller) control(_, address string, _ syscall.RawConn) error {
	to, err := netip.ParseAddrPort(address)
	if err != nil {
		return err
	}
	ip := to.Addr().Unmap()
	if c.named(ip) || public(ip) {
		return nil
	}
	return errAddress
}

func (c *Caller) named(ip netip.Addr) bool {
	for _, p := range c.networks {
		if p.Contains(ip) {
			return true
		}
	}
	return false
}

// reserved are global unicast addresses that lead nowhere public (RFC 6890).
var reserved = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"), netip.MustParsePrefix("100.64.0.0/10"), netip.MustParsePrefix("192.0.0.0/24"),
	netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("198.18.0.0/15"), netip.MustParsePrefix("198.51.100.0/24"),
	netip.MustParsePrefix("203.0.113.0/24"), netip.MustParsePrefix("240.0.0.0/4"),
	netip.MustParsePrefix("64:ff9b::/96"), netip.MustParsePrefix("64:ff9b:1::/48"), netip.MustParsePrefix("100::/64"),
	netip.MustParsePrefix("2001::/23"), netip.MustParsePrefix("2001:db8::/32"), netip.MustParsePrefix("2002::/16"),
}

func public(ip netip.Addr) bool {
	if !ip.IsGlobalUnicast() || ip.IsPrivate() {
		return false
	}
	for _, p := range reserved {
		if p.Contains(ip) {
			return false
		}
	}
	return true
}

// CheckURL refuses a URL that Call would not call whatever its name leads to.
func (c *Caller) CheckURL(text string) error {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || u.Fragment != "" || u.Opaque != "" {
		return errors.New("is not https://HOST/PATH, without a user and a fragment")
	}
	ip, err := netip.ParseAddr(u.Hostname())
	if err == nil && !c.named(ip.Unmap()) && !public(ip.Unmap()) {
		return errors.New("leads to an address that is not public, and that this depository does not call")
	}
	if u.Scheme == "http" && (err != nil || !c.named(ip.Unmap())) {
		return errors.New("must begin with https://")
	}
	return nil
}

// Message is the body of a call. What an entry says is not in it beyond what finds it:
// the receipt has that.
type Message struct {
	Type      string    `json:"type"` // deposit.published or notice.published
	Timestamp time.Time `json:"timestamp"`
	Data      struct {
		ID         string `json:"id"`
		Index      uint64 `json:"index"`
		Leaf       string `json:"leaf"`
		Contract   string `json:"contract,omitempty"`
		Place      uint64 `json:"case_seq,omitempty"`
		SHA256     string `json:"sha256,omitempty"`
		Erased     bool   `json:"erased,omitempty"`
		Unreadable bool   `json:"unreadable,omitempty"`
	} `json:"data"`
}

// message is what is told of an event.
func message(e notary.Event) []byte {
	m := Message{Type: string(e.Kind) + ".published", Timestamp: e.Time}
	m.Data.ID, m.Data.Index, m.Data.Leaf = e.ID.String(), e.Index, e.Leaf.String()
	m.Data.Contract, m.Data.Place, m.Data.SHA256 = e.Contract, e.Place, e.SHA256
	m.Data.Erased, m.Data.Unreadable = e.Erased, e.Unreadable
	body, err := json.Marshal(m)
	if err != nil {
		panic(err) // it holds nothing that JSON cannot
	}
	return body
}

// Sign returns the webhook-signature of a message, as Standard Webhooks has it.
func Sign(secret []byte, id string, at time.Time, body []byte) string {
	mac := hmac.New(sha256.New, secret)
	fmt.Fprintf(mac, "%s.%d.", id, at.Unix())
	mac.Write(body)
	return "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// Secret is how a secret is written for whoever checks signatures.
func Secret(secret []byte) string { return "whsec_" + base64.StdEncoding.EncodeToString(secret) }

// Call tells of an event. Nil means that the other side has taken it: it answered with a
// status of 2xx. An error's text holds nothing that it said.
func (c *Caller) Call(ctx context.Context, w notary.Webhook, s notary.Subscription, e notary.Event, now time.Time) error {
	if err := c.CheckURL(s.URL); err != nil { // the networks may be others by now
		return fmt.Errorf("the URL %w", err)
	}
	body := message(e)
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, s.URL, bytes.NewReader(body))
	if err != nil {
		return errors.New("the URL cannot be called")
	}
	id := fmt.Sprintf("%s_%d", w.ID, e.Index)
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("User-Agent", "muniment")
	request.Header.Set("webhook-id", id)
	request.Header.Set("webhook-timestamp", strconv.FormatInt(now.Unix(), 10))
	request.Header.Set("webhook-signature", Sign(s.Secret, id, now, body))
	response, err := c.client.Do(request)
	if err != nil {
		return unquoted(err)
	}
	defer response.Body.Close()
	_, _ = io.CopyN(io.Discard, response.Body, 64<<10) // so that the connection can be used again
	if response.StatusCode/100 != 2 {
		return fmt.Errorf("it answered with status %d", response.StatusCode)
	}
	return nil
}

// unquoted is an error without what the other side has said: that has no place in an answer
// or a log.
func unquoted(err error) error {
	var told *url.Error
	switch {
	case errors.Is(err, errAddress):
		return errAddress
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &told) && told.Timeout():
		return errors.New("it did not answer in time")
	case errors.Is(err, context.Canceled):
		return context.Canceled
	}
	return errors.New("it cannot be reached, its certificate is not trusted, or it broke off")
}

// order names the line in which calls must stay in order: that of a case, or the event's
// own. The state holds it, so it gives no contract number away.
func order(secret []byte, e notary.Event) string {
	mac := hmac.New(sha256.New, secret)
	if e.Contract == "" {
		fmt.Fprintf(mac, "entry\n%d", e.Index)
	} else {
		io.WriteString(mac, "case\n"+e.Contract)
	}
	return base64.RawStdEncoding.EncodeToString(mac.Sum(nil)[:9])
}
