package witness

import (
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"

	"github.com/muniment/muniment/proofs"
	"github.com/muniment/muniment/storage/storagetest/servers"
)

// TestAgreesWithLitewitness sends the same requests, good and bad, to torchwood's witness
// and to ours: same status, and the same size in a conflict. Requests on which it is laxer
// than C2SP tlog-witness by now (a proof from size 0, a root of size 0) are not among them.
func TestAgreesWithLitewitness(t *testing.T) {
	const size, forkAt = 700, 300
	l, fork := newTestLog(t, "log.example/test/1", size, size, ""), newTestLog(t, "log.example/test/1", size, forkAt, "fork")
	stranger := newTestLog(t, "stranger.example/test/1", size, 0, "")
	theirs, err := servers.StartLitewitness(t.TempDir(), "lite.example", l.key)
	must(t, err)
	t.Cleanup(theirs.Close)
	ours := open(t, setup(t, false, l))
	seed := rand.Uint64()
	random := rand.New(rand.NewPCG(seed, 0))
	statuses, newest := map[int]int{}, 0
	for i := range 600 {
		from := []*testLog{l, l, l, l, fork, stranger}[random.IntN(6)]
		old := newest
		if random.IntN(4) == 0 {
			old = random.IntN(size)
		}
		next := min(old+random.IntN(6), size)
		if random.IntN(8) == 0 {
			next = random.IntN(size) + 1
		}
		if old == 0 || next == 0 {
			old, next = 0, max(next, 1)
		}
		head := from.head(t, old, next)
		n := from.note(t, next)
		switch random.IntN(12) {
		case 0: // another proof
			head = strings.Replace(head, "\n", "\n"+l.roots[1].String()+"\n", 1)
			if old == 0 {
				continue
			}
		case 1:
			n.Signatures[0].Bytes[3] ^= 1
		case 2:
			n.Signatures[0].KeyID++
		case 3:
			head = strings.Replace(head, "old ", "old x", 1)
		case 4:
			n.Signatures = append(n.Signatures, proofs.Signature{Name: "x", KeyID: 7, Bytes: []byte("x")})
		}
		body := head + string(n.Marshal())
		resp, err := http.Post(theirs.URL+"/add-checkpoint", "", strings.NewReader(body))
		must(t, err)
		said, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		must(t, err)
		w := ask(ours, body)
		if w.Code != resp.StatusCode || w.Code == http.StatusConflict && w.Body.String() != string(said) {
			t.Fatalf("seed %d, request %d: litewitness says %d %s, we %d %s\n%s", seed, i, resp.StatusCode, said, w.Code, w.Body, body)
		}
		statuses[w.Code]++
		newest = int(ours.size(l.origin))
	}
	for _, status := range []int{200, 400, 403, 404, 409, 422} {
		if statuses[status] == 0 {
			t.Errorf("no request came to %d: %v", status, statuses)
		}
	}
	t.Logf("%v", statuses)
}
