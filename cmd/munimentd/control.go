package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/muniment/muniment/notary"
	"github.com/muniment/muniment/storage"
	"github.com/muniment/muniment/storage/trillian"
)

// A running depository answers its operator through the unix socket DIR/control,
// which only the owner of DIR may open: another process cannot open the ledger
// beside it.

// answerWithin bounds the wait for the first word of a running depository.
const answerWithin = 5 * time.Second

// step is one line of the answer to POST /fsck: progress, and at last a report or
// an error.
type step struct {
	Done   uint64         `json:"done,omitempty"`
	Total  uint64         `json:"total,omitempty"`
	Report *notary.Report `json:"report,omitempty"`
	Error  string         `json:"error,omitempty"`
}

// socketPath names DIR/control through the directory's descriptor, since a socket's
// path may have 107 bytes only. The descriptor must stay open while it is used.
func socketPath(dir *os.File) string {
	return fmt.Sprintf("/proc/self/fd/%d/control", dir.Fd())
}

// listenControl opens the socket. The directory's lock is held, so a socket that is
// there was left by a process that is gone.
func listenControl(dir *os.File) (net.Listener, error) {
	path := filepath.Join(dir.Name(), "control")
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	l, err := net.Listen("unix", socketPath(dir))
	if err != nil {
		return nil, err
	}
	return l, os.Chmod(path, 0o600)
}

// control is what a running depository answers with.
type control struct {
	notary *notary.Notary
	store  *storage.Store
	// trillian keeps the second tree; nil: there is none.
	trillian   *trillian.Log
	tenantKeys *tenantKeyFiles
	// backingUp is held while a backup copies the ledger's snapshot.
	backingUp sync.Mutex
}

// serveControl answers until ctx ends.
func serveControl(ctx context.Context, l net.Listener, n *notary.Notary, d *depository, logger *slog.Logger) {
	c := &control{notary: n, store: d.store, trillian: d.trillian, tenantKeys: d.tenantKeys}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /fsck", c.fsck)
	mux.HandleFunc("GET /trillian", c.tellTree)
	mux.HandleFunc("POST /trillian", c.rebuildTree)
	mux.HandleFunc("POST /snapshot", c.holdSnapshot)
	mux.HandleFunc("POST /timestamp", c.stamp)
	mux.HandleFunc("POST /trail", c.verifyTrail)
	mux.HandleFunc("POST /tenant-key", c.offerKey)
	mux.HandleFunc("POST /accounts", c.accounts)
	mux.HandleFunc("POST /approval", c.writeApproval)
	mux.HandleFunc("GET /state", c.tellState)
	s := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	go func() {
		<-ctx.Done()
		s.Close()
	}()
	if err := s.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		logger.Error("control socket", "error", err)
	}
}

func (c *control) fsck(w http.ResponseWriter, r *http.Request) {
	last := time.Now()
	// An answer that cannot be written has nobody waiting for it.
	tell := func(s step) { _ = json.NewEncoder(w).Encode(s) }
	tell(step{}) // at once: the first document may take long
	_ = http.NewResponseController(w).Flush()
	progress := func(done, total uint64) {
		if time.Since(last) > 100*time.Millisecond {
			last = time.Now()
			tell(step{Done: done, Total: total})
			_ = http.NewResponseController(w).Flush()
		}
	}
	report, err := c.notary.Fsck(r.Context(), progress)
	if err == nil && r.URL.Query().Has("trillian") {
		if err = errNoTrillian; c.trillian != nil {
			err = c.notary.FsckTree(r.Context(), report, progress)
		}
	}
	if err != nil {
		tell(step{Error: err.Error()})
		return
	}
	tell(step{Report: report})
}

// held is the answer to POST /snapshot: the newest anchor's body, read before a snapshot was
// made of the ledger, which stays until the asker goes away.
type held struct {
	Anchor []byte `json:"anchor,omitempty"`
	Error  string `json:"error,omitempty"`
}

func (c *control) holdSnapshot(w http.ResponseWriter, r *http.Request) {
	tell := func(h held) {
		_ = json.NewEncoder(w).Encode(h)
		_ = http.NewResponseController(w).Flush()
	}
	tell(held{}) // at once: the snapshot may take longer than the asker waits for a word
	if !c.backingUp.TryLock() {
		tell(held{Error: "another backup of this depository is being taken"})
		return
	}
	defer c.backingUp.Unlock()
	// The anchors first: whatever they say is sealed, stands in a ledger read later.
	anchor, err := anchorsNewest(r.Context(), c.store.Anchors)
	if err != nil {
		tell(held{Error: err.Error()})
		return
	}
	// The next snapshot, or the next start, takes away what cannot be now.
	defer func() { _ = c.store.DropSnapshot() }()
	err = c.store.Snapshot(r.Context())
	if errors.Is(err, notary.ErrNoRoom) {
		err = fmt.Errorf("%w; make room, or stop it: a stopped depository is copied without", err)
	}
	if err != nil {
		tell(held{Error: err.Error()})
		return
	}
	tell(held{Anchor: anchor})
	<-r.Context().Done()
}

// state is the answer to GET /state: what a look from outside needs to know.
type state struct {
	Pid       int       `json:"pid"`
	Size      uint64    `json:"size"`
	Newest    time.Time `json:"newest"`              // of the newest entry
	Published []byte    `json:"published,omitempty"` // the newest published note, if there is one
	Tenants   []string  `json:"tenants"`             // ids, the depository's own first
	Anchors   []string  `json:"anchors,omitempty"`   // in use, as the settings call them
	Problems  []string  `json:"problems,omitempty"`  // why a running one is not ready
	// Rotations are those of tenants' keys, under way or past.
	Rotations []rotationState `json:"rotations,omitempty"`
	// Approvers are the lists of them in the log; of a running one alone.
	Approvers []notary.NamedApprovers `json:"approvers,omitempty"`
	Error     string                  `json:"error,omitempty"`
}

func stateOf(ctx context.Context, store *storage.Store) (state, error) {
	s := state{Pid: os.Getpid(), Anchors: store.AnchorNames}
	head, err := store.Ledger.Head(ctx)
	if err != nil {
		return s, err
	}
	s.Size, s.Newest = head.Size, head.Time
	if s.Published, err = store.Ledger.Published(ctx); err != nil && !errors.Is(err, notary.ErrNotFound) {
		return s, err
	}
	rotations, err := notary.Rotations(ctx, store.Keys)
	if err != nil {
		return s, err
	}
	for _, r := range rotations {
		s.Rotations = append(s.Rotations, rotationState{r.Tenant.String(), r})
	}
	tenants, err := store.Accounts.Tenants(ctx)
	s.Tenants = []string{notary.ID{}.String()}
	for _, t := range tenants {
		s.Tenants = append(s.Tenants, t.ID.String())
	}
	return s, err
}

func (c *control) tellState(w http.ResponseWriter, r *http.Request) {
	s, err := stateOf(r.Context(), c.store)
	if err == nil {
		s.Approvers, err = c.notary.Approvers(r.Context())
	}
	if err != nil {
		s.Error = err.Error()
	}
	for _, p := range c.notary.Status(r.Context()).Problems {
		s.Problems = append(s.Problems, p.Error())
	}
	_ = json.NewEncoder(w).Encode(s)
}

func askState(ctx context.Context, dir string) (state, error) {
	resp, err := ask(ctx, dir, http.MethodGet, "/state")
	if err != nil {
		return state{}, err
	}
	defer resp.Body.Close()
	var s state
	if err := json.NewDecoder(resp.Body).Decode(&s); err != nil {
		return s, fmt.Errorf("the depository stopped answering: %w", err)
	}
	if s.Error != "" {
		return s, errors.New(s.Error)
	}
	return s, nil
}

// ask sends a request to a running depository. The answer ends with ctx.
func ask(ctx context.Context, dir, method, path string) (*http.Response, error) {
	return askWith(ctx, dir, method, path, nil)
}

// askWith is ask with a body.
func askWith(ctx context.Context, dir, method, path string, body io.Reader) (*http.Response, error) {
	d, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	defer d.Close() // a connection, once made, needs it no more
	client := http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", socketPath(d))
		},
		// A process that was stopped still has its socket.
		ResponseHeaderTimeout: answerWithin,
		DisableKeepAlives:     true,
	}}
	req, err := http.NewRequestWithContext(ctx, method, "http://control"+path, body)
	if err != nil {
		return nil, err
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("%w, and it does not answer at %s", errTaken, filepath.Join(dir, "control"))
	}
	if resp.StatusCode != http.StatusOK {
		resp.Body.Close()
		return nil, fmt.Errorf("the running depository answers %q: it is of another version; restart it", resp.Status)
	}
	return resp, nil
}

// askFsck lets the running depository check itself.
func askFsck(ctx context.Context, dir string, trillian bool, progress func(done, total uint64)) (*notary.Report, error) {
	path := "/fsck"
	if trillian {
		path += "?trillian"
	}
	resp, err := ask(ctx, dir, http.MethodPost, path)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	for in := json.NewDecoder(resp.Body); ; {
		var s step
		switch err := in.Decode(&s); {
		case err != nil:
			return nil, fmt.Errorf("the depository stopped answering: %w", err)
		case s.Error != "":
			return nil, errors.New(s.Error)
		case s.Report != nil:
			return s.Report, nil
		}
		progress(s.Done, s.Total)
	}
}

// askSnapshot lets the running depository hold a snapshot of its ledger until release
// is called, and returns the anchor's body.
func askSnapshot(ctx context.Context, dir string) (anchor []byte, release func(), err error) {
	resp, err := ask(ctx, dir, http.MethodPost, "/snapshot") //nolint:bodyclose // release closes it
	if err != nil {
		return nil, nil, err
	}
	var h held
	for in := json.NewDecoder(resp.Body); len(h.Anchor) == 0; {
		err := in.Decode(&h)
		if err != nil {
			err = fmt.Errorf("the depository stopped answering: %w", err)
		} else if h.Error != "" {
			err = errors.New(h.Error)
		}
		if err != nil {
			resp.Body.Close()
			return nil, nil, err
		}
	}
	return h.Anchor, func() { resp.Body.Close() }, nil
}
