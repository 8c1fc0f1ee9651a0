package postgres

import (
	"strings"
	"testing"

	"github.com/Shopify/toxiproxy/v2"
	"github.com/rs/zerolog"
)

// A wire is the way to a server, which a test can cut.
type wire struct{ *toxiproxy.Proxy }

func newWire(t *testing.T, upstream string) *wire {
	t.Helper()
	server := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop())
	w := &wire{toxiproxy.NewProxy(server, t.Name(), "127.0.0.1:0", upstream)}
	must(t, w.Start())
	t.Cleanup(w.Stop)
	return w
}

// through is url by way of the wire.
func (w *wire) through(url string) string { return strings.Replace(url, w.Upstream, w.Listen, 1) }

// What can go wrong on a wire, in toxiproxy's words. limit_data closes a connection once
// so many bytes went that way; timeout 0 swallows everything and says nothing.
const (
	cutAnswer    = `{"type": "limit_data", "stream": "downstream", "attributes": {"bytes": 0}}`
	cutRequest   = `{"type": "limit_data", "stream": "upstream", "attributes": {"bytes": %d}}`
	silentAnswer = `{"type": "timeout", "stream": "downstream", "attributes": {"timeout": 0}}`
	silentWay    = `{"type": "timeout", "stream": "upstream", "attributes": {"timeout": 0}}`
)

// spoil lets that go wrong on every connection, also on those that are open.
func (w *wire) spoil(toxics ...string) error {
	for _, toxic := range toxics {
		if _, err := w.Toxics.AddToxicJson(strings.NewReader(toxic)); err != nil {
			return err
		}
	}
	return nil
}

// mend ends all connections that went wrong, and lets the next ones pass.
func (w *wire) mend(t *testing.T) {
	t.Helper()
	w.Stop()
	w.Toxics.ResetToxics(t.Context())
	must(t, w.Start())
}
