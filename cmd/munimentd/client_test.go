package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/textproto"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/muniment/muniment/proofs"
)

// client is a lending system's side of a depository.
type client struct {
	d    *laidOut
	url  string
	http *http.Client
}

func (d *laidOut) client(p *process) *client {
	c := &client{d, p.url, &http.Client{
		Timeout:   30 * time.Second,
		Transport: &http.Transport{MaxIdleConnsPerHost: 16, DisableCompression: true},
	}}
	p.clients = append(p.clients, c)
	return c
}

// answer is a deposit as the API tells it.
type answer struct {
	ID      string          `json:"id"`
	Index   uint64          `json:"index"`
	Leaf    string          `json:"leaf"`
	Record  json.RawMessage `json:"record"`
	Receipt string          `json:"receipt"`
}

// problem is an answer that is not a success.
type problem struct {
	Type   string `json:"type"`
	Status int    `json:"status"`
	Detail string `json:"detail"`
	Retry  bool   `json:"retry"`
}

func (p *problem) Error() string { return fmt.Sprintf("%d %s: %s", p.Status, p.Type, p.Detail) }

// do sends a request and reads the whole answer. Anything but a success is an error:
// a *problem, if it is one.
func (c *client) do(req *http.Request) ([]byte, error) {
	if strings.HasPrefix(req.URL.Path, "/v1/") {
		req.Header.Set("Authorization", "Bearer "+c.d.APIKey)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errNotServed, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errBrokenOff, err)
	}
	if len(body) < 64<<10 { // beyond are documents, which are the caller's own
		c.d.said.Write(body)
	}
	if resp.StatusCode/100 == 2 {
		return body, nil
	}
	p := &problem{}
	if err := json.Unmarshal(body, p); err != nil || p.Status != resp.StatusCode ||
		resp.Header.Get("Content-Type") != "application/problem+json" || !strings.HasPrefix(p.Type, "/problems/") {
		return nil, fmt.Errorf("not a problem document: %s", describe(resp.StatusCode, body))
	}
	return nil, p
}

func (c *client) get(path string) ([]byte, error) {
	req, err := http.NewRequest(http.MethodGet, c.url+path, nil)
	if err != nil {
		return nil, err
	}
	return c.do(req)
}

// deposit sends a document, or a digest only when document is nil.
func (c *client) deposit(key string, record map[string]any, document []byte) (answer, error) {
	if record == nil {
		record = map[string]any{}
	}
	if document == nil {
		body, err := json.Marshal(map[string]any{"record": record})
		if err != nil {
			return answer{}, err
		}
		return c.post(key, "application/json", bytes.NewReader(body))
	}
	var body bytes.Buffer
	m := multipart.NewWriter(&body)
	if err := writeUpload(m, record, "contract.pdf", bytes.NewReader(document)); err != nil {
		return answer{}, err
	}
	return c.post(key, m.FormDataContentType(), &body)
}

// digest deposits the digest of text.
func (c *client) digest(key, contract, text string) (answer, error) {
	sum := sha256.Sum256([]byte(text))
	record := map[string]any{"content.sha256": hex.EncodeToString(sum[:])}
	if contract != "" {
		record["contract.number"] = contract
	}
	return c.deposit(key, record, nil)
}

// stream deposits a document without holding it in memory.
func (c *client) stream(key string, record map[string]any, name string, document io.Reader) (answer, error) {
	if record == nil {
		record = map[string]any{}
	}
	r, w := io.Pipe()
	defer r.Close()
	kinds := make(chan string, 1)
	go func() {
		m := multipart.NewWriter(w)
		kinds <- m.FormDataContentType()
		w.CloseWithError(writeUpload(m, record, name, document))
	}()
	return c.post(key, <-kinds, r)
}

// zeros is an endless document.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 0
	}
	return len(p), nil
}

// writeUpload writes an upload and its end.
func writeUpload(m *multipart.Writer, record map[string]any, name string, document io.Reader) error {
	text, err := json.Marshal(record)
	if err != nil {
		return err
	}
	part, err := m.CreatePart(textproto.MIMEHeader{"Content-Disposition": {`form-data; name="record"`}, "Content-Type": {"application/json"}})
	if err != nil {
		return err
	}
	if _, err := part.Write(text); err != nil {
		return err
	}
	if part, err = m.CreateFormFile("document", name); err != nil {
		return err
	}
	if _, err := io.Copy(part, document); err != nil {
		return err
	}
	return m.Close()
}

func (c *client) post(key, kind string, body io.Reader) (answer, error) {
	req, err := http.NewRequest(http.MethodPost, c.url+"/v1/deposits", body)
	if err != nil {
		return answer{}, err
	}
	req.Header.Set("Content-Type", kind)
	req.Header.Set("Idempotency-Key", key)
	data, err := c.do(req)
	if err != nil {
		return answer{}, err
	}
	var a answer
	return a, json.Unmarshal(data, &a)
}

// prove verifies a receipt as a court does, with the policy alone, and returns what
// it says.
func (d *laidOut) prove(v *proofs.Verifier, file string, document io.Reader) (proofs.Receipt, proofs.Evidence, error) {
	r, err := proofs.ParseReceipt([]byte(file))
	if err != nil {
		return r, proofs.Evidence{}, err
	}
	e, err := v.Verify(r, document)
	if err != nil {
		return r, e, err
	}
	if e.Outcome() != proofs.Verified || e.Origin != d.Origin || r.Index >= e.Size {
		return r, e, fmt.Errorf("a receipt of index %d is %s (%s) at size %d of %s", r.Index, e.Outcome(), e.Reason, e.Size, e.Origin)
	}
	return r, e, nil
}

// checkpoint reads and verifies the newest published checkpoint.
func (c *client) checkpoint() (proofs.Checkpoint, error) {
	file, err := c.get("/log/checkpoint")
	if err != nil {
		return proofs.Checkpoint{}, err
	}
	return c.d.signed(file)
}

// signed is what a note says, if the log signed it.
func (d *laidOut) signed(file []byte) (proofs.Checkpoint, error) {
	n, err := proofs.ParseNote(file)
	if err != nil {
		return proofs.Checkpoint{}, err
	}
	key := d.policy.Logs[0]
	if len(n.Signatures) != 1 && !d.rotates || !signedBy(key, n) {
		return proofs.Checkpoint{}, fmt.Errorf("a checkpoint without the log's signature:\n%s", file)
	}
	return proofs.ParseCheckpoint(n.Text)
}

// tilePath is C2SP tlog-tiles' path of a tile.
func tilePath(level string, index uint64, width int) string {
	path := fmt.Sprintf("%03d", index%1000)
	for index /= 1000; index > 0; index /= 1000 {
		path = fmt.Sprintf("x%03d/", index%1000) + path
	}
	if width < proofs.TileWidth {
		path += ".p/" + strconv.Itoa(width)
	}
	return "/log/tile/" + level + "/" + path
}

// ReadTile implements proofs.TileReader over the public log.
func (c *client) ReadTile(level int, index uint64, width int) (*proofs.Tile, error) {
	data, err := c.get(tilePath(strconv.Itoa(level), index, width))
	if err != nil {
		return nil, err
	}
	return proofs.ParseTile(data)
}

// entries reads all entries up to size from the public log.
func (c *client) entries(size uint64) ([]string, error) {
	var all []string
	for index := uint64(0); index*proofs.TileWidth < size; index++ {
		width := min(proofs.TileWidth, size-index*proofs.TileWidth)
		data, err := c.get(tilePath("entries", index, int(width)))
		if err != nil {
			return nil, err
		}
		for range width {
			if len(data) < 2 || len(data) < 2+int(data[0])<<8+int(data[1]) {
				return nil, fmt.Errorf("bundle %d breaks off", index)
			}
			n := int(data[0])<<8 + int(data[1])
			all, data = append(all, string(data[2:2+n])), data[2+n:]
		}
		if len(data) > 0 {
			return nil, fmt.Errorf("bundle %d has more than %d entries", index, width)
		}
	}
	return all, nil
}

// remembered reads each tile of the log once: for many proofs about one size.
type remembered struct {
	*client
	tiles map[string]*proofs.Tile
}

func (r remembered) ReadTile(level int, index uint64, width int) (*proofs.Tile, error) {
	path := tilePath(strconv.Itoa(level), index, width)
	if t := r.tiles[path]; t != nil {
		return t, nil
	}
	t, err := r.client.ReadTile(level, index, width)
	if err == nil {
		r.tiles[path] = t
	}
	return t, err
}

// whole reads the whole public log, demands that its bytes give the root that was
// signed, and returns checkpoint and entries.
func (c *client) whole(t testing.TB) (proofs.Checkpoint, []string) {
	t.Helper()
	cp, err := c.checkpoint()
	if err != nil {
		t.Fatal(err)
	}
	entries, err := c.entries(cp.Size)
	if err != nil {
		t.Fatal(err)
	}
	var tree proofs.Range
	for _, e := range entries {
		tree.Append(proofs.LeafHash([]byte(e)), nil)
	}
	if tree.Size() != cp.Size || tree.Root() != cp.Root {
		t.Fatalf("%d entries give root %s, signed is %s over %d", tree.Size(), tree.Root(), cp.Root, cp.Size)
	}
	return cp, entries
}
