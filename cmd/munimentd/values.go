package main

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/muniment/muniment/notary"
	"github.com/muniment/muniment/storage/s3"
)

// A value is where a setting is kept. Whichever source it comes from, it comes as
// text, so that it means the same in all of them.
type value struct {
	kind       string // as the usage of flags calls it
	structured bool   // its text is YAML: a list or a map
	set        func(text string) error
	get        func() any
	masked     func() any // get without what is secret; nil: nothing is
}

// mask stands for a secret wherever settings are shown.
const mask = "********"

func text(p *string) value {
	return value{
		kind: "string",
		set: func(text string) error {
			if strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r == 0x7f }) {
				return errors.New("holds a control character")
			}
			*p = text
			return nil
		},
		get: func() any { return *p },
	}
}

// checked is text that fits a pattern. What does not fit is named only by what would.
func checked(p *string, pattern, allowed string) value {
	re := regexp.MustCompile(`^(?:` + pattern + `)$`)
	v := text(p)
	set := v.set
	v.set = func(text string) error {
		if text != "" && !re.MatchString(text) {
			return errors.New("is not " + allowed)
		}
		return set(text)
	}
	return v
}

func identifier(p *string) value {
	return checked(p, `[a-z_][a-z0-9_]{0,47}`, "a name of lower-case letters, digits and _, at most 48, that begins with no digit")
}

func folder(p *string) value {
	return checked(p, `([^/]+/)+`, "names that each end in one /")
}

// secretLines is a secret of several lines.
func secretLines(p *string) value {
	v := secret(p)
	v.set = unmasked(func(text string) error { *p = text; return nil })
	return v
}

func secret(p *string) value {
	v := text(p)
	v.set = unmasked(v.set)
	v.masked = func() any { return hide(*p) }
	return v
}

func hide(s string) string {
	if s == "" {
		return ""
	}
	return mask
}

// unmasked refuses what munimentd config has masked: it shows settings so that they can
// be a file, but for the secrets.
func unmasked(set func(string) error) func(string) error {
	return func(text string) error {
		if strings.Contains(text, mask) {
			return errors.New("is masked: put the secret in the place of " + mask)
		}
		return set(text)
	}
}

func databaseURL(p *string) value {
	v := secret(p)
	v.masked = func() any { return maskURL(*p) }
	return v
}

var passwordWord = regexp.MustCompile(`(?i)(password\s*=\s*)('(?:[^'\\]|\\.)*'|(?:\\.|[^\s\\])*)`)

// maskURL masks the passwords of a connection URI or keyword string. One that cannot be
// taken apart is masked whole.
func maskURL(s string) string {
	scheme, rest, ok := strings.Cut(s, "://")
	if !ok || scheme != "postgres" && scheme != "postgresql" {
		if strings.Count(s, "'")%2 != 0 {
			return hide(s)
		}
		return passwordWord.ReplaceAllString(s, "${1}"+mask)
	}
	end := strings.IndexAny(rest, "/?#")
	if end < 0 {
		end = len(rest)
	}
	authority, rest := rest[:end], rest[end:]
	path, query, _ := strings.Cut(rest, "?")
	words, err := url.ParseQuery(query)
	if err != nil || strings.ContainsAny(rest, "@#") { // a password that was not escaped
		return hide(s)
	}
	for name := range words {
		if strings.Contains(strings.ToLower(name), "password") {
			words.Set(name, mask)
			query = strings.ReplaceAll(words.Encode(), url.QueryEscape(mask), mask)
		}
	}
	if at := strings.LastIndex(authority, "@"); at >= 0 {
		if user, _, ok := strings.Cut(authority[:at], ":"); ok {
			authority = user + ":" + mask + authority[at:]
		}
	}
	if query != "" {
		path += "?" + query
	}
	return scheme + "://" + authority + path
}

func endpoint(p *string) value {
	v := text(p)
	v.set = func(text string) error {
		u, err := url.Parse(text)
		if text != "" && (err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "") {
			return errors.New("is not a URL of the form https://HOST or http://HOST:PORT")
		}
		*p = strings.TrimRight(text, "/")
		return nil
	}
	return v
}

func objectID(p *string) value {
	return checked(p, `[0-2](\.(0|[1-9][0-9]{0,9})){2,30}`, "an object identifier, as in 1.3.6.1.4.1.4146.2.3")
}

func number[N int | int64 | uint64](p *N, least, most N) value {
	return value{
		kind: "int",
		set: func(text string) error {
			n, err := strconv.ParseInt(text, 10, 64)
			if err != nil || n < int64(least) || n > int64(most) {
				return fmt.Errorf("%q is not a whole number from %d to %d", text, least, most)
			}
			*p = N(n)
			return nil
		},
		get: func() any { return *p },
	}
}

func boolean(p *bool) value {
	return value{
		kind: "bool",
		set: func(text string) error {
			if text != "true" && text != "false" {
				return fmt.Errorf("%q is not true or false", text)
			}
			*p = text == "true"
			return nil
		},
		get: func() any { return *p },
	}
}

func interval(p *time.Duration) value {
	return value{
		kind: "duration",
		set: func(text string) error {
			d, err := time.ParseDuration(text)
			if err != nil {
				return fmt.Errorf("%q is not a time, as in 30s or 5m", text)
			}
			if d != 0 && d < time.Second {
				return fmt.Errorf("%v is neither 0 nor 1s or more", d)
			}
			*p = d
			return nil
		},
		get: func() any { return p.String() },
	}
}

func choice(p *string, allowed ...string) value {
	return value{
		kind: "string",
		set: func(text string) error {
			for _, a := range allowed {
				if text == a {
					*p = text
					return nil
				}
			}
			return fmt.Errorf("%q is not %s", text, strings.Join(allowed, " or "))
		},
		get: func() any { return *p },
	}
}

var periodText = regexp.MustCompile(`^([1-9][0-9]{0,4})([yd])$`)

// period is the time in a retention.
func period(p *s3.Retention) value {
	return value{
		kind: "string",
		set: func(text string) error {
			m := periodText.FindStringSubmatch(text)
			if text != "" && m == nil {
				return fmt.Errorf("%q is not a number of years or days, as in 10y or 3650d", text)
			}
			p.Years, p.Days = 0, 0
			if text == "" {
				return nil
			}
			n, err := strconv.Atoi(m[1])
			if m[2] == "y" {
				p.Years = n
			} else {
				p.Days = n
			}
			if err != nil || p.Years > 100 || p.Days > 36500 {
				return fmt.Errorf("%q is more than 100 years", text)
			}
			return nil
		},
		get: func() any {
			switch {
			case p.Years > 0:
				return fmt.Sprintf("%dy", p.Years)
			case p.Days > 0:
				return fmt.Sprintf("%dd", p.Days)
			}
			return ""
		},
	}
}

func list(p *[]string) value {
	return value{
		kind: "yaml", structured: true,
		set: func(text string) error {
			var words []string
			if err := yaml.Unmarshal([]byte(text), &words); err != nil {
				return errors.New("is not a list, as in [s3, postgres]")
			}
			*p = words
			return nil
		},
		get: func() any { return append([]string{}, *p...) },
	}
}

func networks(p *[]netip.Prefix) value {
	return value{
		kind: "yaml", structured: true,
		set: func(text string) error {
			var words []string
			if err := yaml.Unmarshal([]byte(text), &words); err != nil {
				return errors.New("is not a list of networks, as in [10.0.0.0/8]")
			}
			*p = nil
			for _, w := range words {
				network, err := netip.ParsePrefix(w)
				if err != nil || network != network.Masked() {
					return fmt.Errorf("names %q, which is not a network as in 10.0.0.0/8", w)
				}
				*p = append(*p, network)
			}
			return nil
		},
		get: func() any {
			words := []string{}
			for _, n := range *p {
				words = append(words, n.String())
			}
			return words
		},
	}
}

// parseTenants reads a map from tenant ids to the settings of a bucket.
func parseTenants(text string) (map[notary.ID]s3.Bucket, error) {
	return parseByTenant(text, "{TENANT-ID: {bucket: NAME, region: NAME}}", func(v *yaml.Node) (b s3.Bucket, err error) {
		err = setFrom(v, bucketSettings("", "", &b))
		return b, err
	})
}

func showTenants(all map[notary.ID]s3.Bucket, masked bool) any {
	out := map[string]map[string]any{}
	for id, b := range all {
		fields := map[string]any{}
		for _, s := range bucketSettings("", "", &b) {
			if v := s.show(masked); v != "" {
				fields[s.name] = v
			}
		}
		out[id.String()] = fields
	}
	return out
}

// show returns the value as it may be shown, or as it is.
func (s setting) show(masked bool) any {
	if masked && s.value.masked != nil {
		return s.value.masked()
	}
	return s.value.get()
}
