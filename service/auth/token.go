package auth

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// maxToken bounds a token, in bytes.
const maxToken = 8 << 10

var tokenText = base64.RawURLEncoding.Strict()

// A token is a JSON Web Token in compact form (RFC 7519), taken apart and not believed.
type token struct {
	text   string
	header header
	claims claims
	all    map[string]json.RawMessage // claims
}

// header is all that a token's header may have: the key that signed it is found by its id
// among the issuer's own, and nowhere else.
type header struct {
	Algorithm string `json:"alg"`
	KeyID     string `json:"kid"`
	Type      string `json:"typ"`
}

type claims struct {
	Issuer    string       `json:"iss"`
	Subject   string       `json:"sub"`
	Expiry    *json.Number `json:"exp"`
	NotBefore *json.Number `json:"nbf"`
	IssuedAt  *json.Number `json:"iat"`
}

// registered are the claims that decide whether a token is believed (RFC 7519 §4.1).
// encoding/json takes other letters for them, the long s of Unicode among them, and must not
// be asked to choose.
var registered = []string{"iss", "sub", "aud", "exp", "nbf", "iat"}

// isToken reports whether a text has a token's form: three parts of base64url.
func isToken(text string) bool {
	if len(text) > maxToken || strings.Count(text, ".") != 2 {
		return false
	}
	for part := range strings.SplitSeq(text, ".") {
		if part == "" || strings.ContainsFunc(part, func(r rune) bool {
			return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-' && r != '_'
		}) {
			return false
		}
	}
	return true
}

// parseToken reads a token strictly: no member twice, none in the header that would say how
// it is to be checked, times that are whole seconds.
func parseToken(text string) (*token, error) {
	if !isToken(text) {
		return nil, errors.New("no token")
	}
	parts := strings.Split(text, ".")
	t := &token{text: text}
	head, err := members(parts[0])
	if err != nil {
		return nil, err
	}
	for name := range head {
		if !slices.Contains([]string{"alg", "kid", "typ", "x5t", "x5t#S256"}, name) {
			return nil, fmt.Errorf("the header has %q", name)
		}
	}
	if err := reread(head, &t.header); err != nil {
		return nil, err
	}
	if typ := t.header.Type; typ != "" && !strings.EqualFold(typ, "JWT") && !strings.EqualFold(typ, "at+jwt") {
		return nil, errors.New("the header names another type")
	}
	if t.all, err = members(parts[1]); err != nil {
		return nil, err
	}
	for name := range t.all {
		if !slices.Contains(registered, name) && slices.ContainsFunc(registered, func(r string) bool { return strings.EqualFold(r, name) }) {
			return nil, fmt.Errorf("%q is spelled otherwise", name)
		}
	}
	if err := reread(t.all, &t.claims); err != nil {
		return nil, err
	}
	switch c := t.claims; {
	case c.Issuer == "" || c.Subject == "" || len(c.Subject) > 255:
		return nil, errors.New("issuer or subject is missing")
	case c.Expiry == nil:
		return nil, errors.New("it does not end")
	}
	for _, n := range []*json.Number{t.claims.Expiry, t.claims.NotBefore, t.claims.IssuedAt} {
		if n == nil {
			continue
		}
		if i, err := n.Int64(); err != nil || i < 0 || i > 1<<40 {
			return nil, errors.New("a time is no whole number of seconds")
		}
	}
	return t, nil
}

// members reads one part as an object. A name that stands twice is refused: readers differ
// in which of the two they believe.
func members(part string) (map[string]json.RawMessage, error) {
	data, err := tokenText.DecodeString(part)
	if err != nil {
		return nil, err
	}
	d := json.NewDecoder(bytes.NewReader(data))
	if open, err := d.Token(); err != nil || open != json.Delim('{') {
		return nil, errors.New("no object")
	}
	all := map[string]json.RawMessage{}
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return nil, err
		}
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return nil, err
		}
		if _, twice := all[name.(string)]; twice { //nolint:forcetypeassert // a decoder yields nothing else there
			return nil, fmt.Errorf("%q stands twice", name)
		}
		all[name.(string)] = value //nolint:forcetypeassert // likewise
	}
	if _, err := d.Token(); err != nil {
		return nil, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("more than an object")
	}
	return all, nil
}

// reread decodes members that were read. A json.Number would be taken from a text too.
func reread(all map[string]json.RawMessage, into any) error {
	for name, v := range all {
		if slices.Contains(registered, name) && bytes.Equal(v, []byte("null")) ||
			slices.Contains([]string{"exp", "nbf", "iat"}, name) && v[0] == '"' {
			return fmt.Errorf("%s is not of its type", name)
		}
	}
	data, err := json.Marshal(all)
	if err != nil {
		return err
	}
	return json.Unmarshal(data, into)
}
