package console

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"path"
	"strconv"
	"strings"
	"sync"
)

// files are what the pages load, by a name that has the digest of the content in it, so that
// a browser may keep it for ever.
var files = sync.OnceValue(func() map[string]file {
	out := map[string]file{}
	for name, kind := range map[string]string{"console.css": "text/css; charset=utf-8", "console.js": "text/javascript; charset=utf-8"} {
		content := must(source.ReadFile("page/" + name))
		sum := sha256.Sum256(content)
		stem, extension, _ := strings.Cut(name, ".")
		out[name] = file{stem + "." + hex.EncodeToString(sum[:8]) + "." + extension, kind, content}
	}
	return out
})

type file struct {
	name, kind string
	content    []byte
}

// address is where a file of the pages is served.
func address(name string) (string, error) {
	f, ok := files()[name]
	if !ok {
		return "", errors.New("no file " + name)
	}
	return Prefix + "/file/" + f.name, nil
}

func (s *console) file(w http.ResponseWriter, r *http.Request) {
	for _, f := range files() {
		if path.Base(r.URL.Path) == f.name {
			h := w.Header()
			h.Set("Content-Type", f.kind)
			h.Set("Cache-Control", "public, max-age=31536000, immutable")
			h.Set("Content-Length", strconv.Itoa(len(f.content)))
			_, _ = w.Write(f.content)
			return
		}
	}
	s.open(w, r).fail(errNoPage)
}
