package main

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
)

// bytesRead is how many bytes the process has read so far, from files and connections.
func (p *process) bytesRead(t *testing.T) int64 {
	t.Helper()
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/io", p.pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(data)) {
		if text, ok := strings.CutPrefix(line, "rchar: "); ok {
			n, err := strconv.ParseInt(strings.TrimSpace(text), 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
	}
	t.Fatalf("/proc/%d/io has no rchar", p.pid)
	return 0
}

// part reads a range of a document.
func (c *client) part(t *testing.T, a answer, from, to int64) []byte {
	t.Helper()
	req, err := http.NewRequest(http.MethodGet, c.url+"/v1/deposits/"+a.ID+"/document", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Range", fmt.Sprintf("bytes=%d-%d", from, to-1))
	got, err := c.do(req)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// TestRangeOfLargeDocumentIsCheap: a kibibyte out of a document of 200 MiB, encrypted as it
// is, costs its packages of 64 KiB to read, wherever in the document it is and whatever
// keeps it; before and after the tenant's key was rotated.
func TestRangeOfLargeDocumentIsCheap(t *testing.T) {
	const size, most = 200 << 20, 1 << 20
	engines := map[string]func(t *testing.T) *laidOut{
		"dir": func(t *testing.T) *laidOut { return layout(t) },
		"s3": func(t *testing.T) *laidOut {
			s := share(t)
			return s.layout(t, s.postgres.URL(), s.s3.Endpoint)
		},
	}
	for name, make := range engines {
		t.Run(name, func(t *testing.T) {
			d := make(t)
			p := d.serve(t, "--canary", "0s")
			c := d.client(p)
			a, err := c.stream("large", nil, "large.bin", io.LimitReader(zeros{}, size))
			if err != nil {
				t.Fatal(err)
			}
			check := func() {
				t.Helper()
				for _, at := range []int64{0, size/2 - 512, 150<<20 + 12345, size - 1024} {
					least := int64(size)
					// Others read too: the probes, and the scrubber, which goes through all of the document
					// once. What the range costs itself it costs every time.
					for late := time.Now().Add(time.Minute); least > most && time.Now().Before(late); {
						before := p.bytesRead(t)
						if got := c.part(t, a, at, at+1024); !bytes.Equal(got, bytes.Repeat([]byte{0}, 1024)) {
							t.Fatalf("bytes from %d on read %x", at, got)
						}
						least = min(least, p.bytesRead(t)-before)
					}
					if least > most {
						t.Errorf("1,024 bytes from %d on cost %d bytes of reading", at, least)
					}
				}
			}
			check()
			before := p.bytesRead(t)
			c.download(t, a, size)
			if all := p.bytesRead(t) - before; all < size {
				t.Errorf("all of it cost %d bytes: this test does not count what it should", all)
			}
			if _, err := tenantKey(t, d.Dir, "rotate", "--tenant", d.Tenant, "--wait", "1m"); err != nil {
				t.Fatal(err)
			}
			check()
		})
	}
}
