package service

import (
	"net/http"
	"strings"
)

// elements splits a list of a header (RFC 9110 §5.6.1) at the commas that stand in
// no quotes.
func elements(list string) []string {
	var out []string
	quoted, start := false, 0
	for i := 0; i <= len(list); i++ {
		switch {
		case i == len(list), list[i] == ',' && !quoted:
			if e := strings.Trim(list[start:i], " \t"); e != "" {
				out = append(out, e)
			}
			start = i + 1
		case list[i] == '"':
			quoted = !quoted
		case list[i] == '\\' && quoted && i+1 < len(list):
			i++
		}
	}
	return out
}

// lists are the headers that may stand several times and then are one list.
var lists = []string{"Content-Digest", "Prefer", "If-None-Match", "Range"}

// combine makes one field of each list that came in several (RFC 9110 §5.3), and
// none of one without content.
func combine(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for _, name := range lists {
			values := r.Header.Values(name)
			if len(values) == 0 {
				continue
			}
			if joined := strings.Trim(strings.Join(values, ", "), " \t,"); joined != "" {
				r.Header.Set(name, joined)
			} else {
				r.Header.Del(name)
			}
		}
		next.ServeHTTP(w, r)
	})
}
