package service

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/muniment/muniment/notary"
	"github.com/muniment/muniment/proofs"
	"github.com/muniment/muniment/service/api"
)

// GetCheckpoint implements GET /log/checkpoint.
func (s *server) GetCheckpoint(w http.ResponseWriter, r *http.Request) {
	note, err := s.Notary.Checkpoint(r.Context())
	if err != nil {
		s.fail(w, r, err)
		return
	}
	public(w, r, plainText, fleeting, note)
}

// GetPolicy implements GET /log/policy.
func (s *server) GetPolicy(w http.ResponseWriter, r *http.Request) {
	public(w, r, plainText, fleeting, []byte(s.Policy.String()))
}

// GetPolicyByFingerprint implements GET /log/policy/{fingerprint}.
func (s *server) GetPolicyByFingerprint(w http.ResponseWriter, r *http.Request, fingerprint string) {
	policy, ok := s.policies[fingerprint]
	if !ok || r.URL.RawPath != "" {
		s.fail(w, r, notary.ErrNotFound)
		return
	}
	public(w, r, plainText, immutable, []byte(policy.String()))
}

// GetPublicRecord implements GET /log/records/{index}.
func (s *server) GetPublicRecord(w http.ResponseWriter, r *http.Request, index string) {
	n, ok := canonical(index)
	if !ok || r.URL.RawPath != "" {
		s.fail(w, r, notary.ErrNotFound)
		return
	}
	receipt, err := s.Notary.PublicReceipt(r.Context(), n)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	public(w, r, plainText, fleeting, receipt.Marshal())
}

// GetFacts implements GET /log/facts.
func (s *server) GetFacts(w http.ResponseWriter, r *http.Request, params api.GetFactsParams) {
	var size uint64
	if params.Size != nil {
		n, ok := canonical(*params.Size)
		if !ok || n == 0 {
			s.fail(w, r, badSearch("size", "must be the size of a checkpoint, decimal and without leading zeros"))
			return
		}
		size = n
	}
	receipt, err := s.Notary.Facts(r.Context(), size)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	public(w, r, plainText, fleeting, receipt.Marshal())
}

// tile serves /log/tile/… : tiles and entry bundles.
func (s *server) tile(w http.ResponseWriter, r *http.Request) {
	path, _ := strings.CutPrefix(r.URL.Path, "/log/tile/")
	t, ok := parseTilePath(path)
	if !ok || r.URL.RawPath != "" {
		s.fail(w, r, notary.ErrNotFound)
		return
	}
	var data []byte
	var err error
	if t.entries {
		data, err = s.Notary.Entries(r.Context(), t.index, t.width)
	} else {
		data, err = s.Notary.Tile(r.Context(), t.level, t.index, t.width)
	}
	if err != nil {
		s.fail(w, r, err)
		return
	}
	public(w, r, "application/octet-stream", immutable, data)
}

// tilePath is what a path below /log/tile/ names (C2SP tlog-tiles).
type tilePath struct {
	entries bool
	level   int // 0 for entries
	index   uint64
	width   int
}

// parseTilePath reads what tilePath.String writes, and nothing else.
func parseTilePath(path string) (tilePath, bool) {
	t := tilePath{width: proofs.TileWidth}
	level, rest, ok := strings.Cut(path, "/")
	if !ok {
		return t, false
	}
	var err error
	if t.entries = level == "entries"; !t.entries {
		if t.level, err = strconv.Atoi(level); err != nil || t.level < 0 || t.level > 63 {
			return t, false
		}
	}
	digits, width, partial := strings.Cut(rest, ".p/")
	if partial {
		if t.width, err = strconv.Atoi(width); err != nil || t.width < 1 || t.width >= proofs.TileWidth {
			return t, false
		}
	}
	digits = strings.NewReplacer("x", "", "/", "").Replace(digits)
	if t.index, err = strconv.ParseUint(digits, 10, 64); err != nil {
		return t, false
	}
	return t, t.String() == path
}

// String returns the one path of t.
func (t tilePath) String() string {
	path := fmt.Sprintf("%03d", t.index%1000)
	for n := t.index / 1000; n > 0; n /= 1000 {
		path = fmt.Sprintf("x%03d/%s", n%1000, path)
	}
	if t.width < proofs.TileWidth {
		path += ".p/" + strconv.Itoa(t.width)
	}
	if t.entries {
		return "entries/" + path
	}
	return strconv.Itoa(t.level) + "/" + path
}
