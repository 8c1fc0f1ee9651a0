package service

import (
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/muniment/muniment/notary"
)

// preferences are those of RFC 7240 that are honoured.
type preferences struct {
	until   time.Time // how long to wait for the seal; zero: as long as it takes
	minimal bool      // leave out what can be had elsewhere
	applied []string
}

// preferences reads the Prefer header of a request that came now. Of a preference
// that stands twice the first counts; what is not known, or asks for more patience
// than there is, is passed over.
func (s *server) preferences(h http.Header) preferences {
	var p preferences
	seen := map[string]bool{}
	for _, e := range elements(h.Get("Prefer")) {
		e, _, _ = strings.Cut(e, ";")
		name, value, _ := strings.Cut(e, "=")
		name = strings.ToLower(strings.TrimSpace(name))
		value = strings.Trim(strings.TrimSpace(value), `"`)
		if seen[name] {
			continue
		}
		seen[name] = true
		switch name {
		case "wait":
			seconds, err := strconv.ParseUint(value, 10, 31)
			if patience := time.Duration(seconds) * time.Second; err == nil && patience <= s.Wait {
				p.until = time.Now().Add(patience)
				p.applied = append(p.applied, "wait="+strconv.FormatUint(seconds, 10))
			}
		case "return":
			p.minimal = value == "minimal"
		}
	}
	return p
}

// tell says which preferences made this answer what it is.
func (p preferences) tell(h http.Header, err error) {
	delayed, missing, opinion := new(notary.SealingDelayedError), new(notary.QuorumMissingError), new(notary.OpinionMissingError)
	if len(p.applied) > 0 && (err == nil || errors.As(err, &delayed) || errors.As(err, &missing) || errors.As(err, &opinion)) {
		h.Set("Preference-Applied", strings.Join(p.applied, ", "))
	}
}
