package auth

import (
	"net/http"
	"strings"

	"github.com/muniment/muniment/notary"
)

// A link is borne in the header Authorization, like an API key, and has its own prefix. It
// never stands in a URL's path or query, which proxies and servers log and browsers keep: a
// page that is given one has it in the fragment, which no browser sends, and puts it into
// the header itself.

const linkPrefix = "mnl_"

const linkBytes = 16 + 16 + 32

// LinkText is how a link is written.
func LinkText(l notary.Link) string {
	raw := append(append(append([]byte{}, l.Tenant[:]...), l.Grant[:]...), l.Secret[:]...)
	return linkPrefix + keyText.EncodeToString(raw)
}

// Link returns the link that a request bears. borne is whether it bears one instead of a
// key, be it ever so wrong.
func Link(r *http.Request) (l notary.Link, borne bool, err error) {
	values := r.Header.Values("Authorization")
	if len(values) != 1 {
		return l, false, ErrUnauthenticated
	}
	scheme, text, _ := strings.Cut(values[0], " ")
	encoded, ok := strings.CutPrefix(text, linkPrefix)
	if !ok || !strings.EqualFold(scheme, "Bearer") {
		return l, false, ErrUnauthenticated
	}
	if len(encoded) != keyText.EncodedLen(linkBytes) {
		return l, true, ErrUnauthenticated
	}
	raw, err := keyText.DecodeString(encoded)
	if err != nil || len(raw) != linkBytes {
		return l, true, ErrUnauthenticated
	}
	copy(l.Tenant[:], raw)
	copy(l.Grant[:], raw[16:])
	copy(l.Secret[:], raw[32:])
	return l, true, nil
}
