package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/muniment/muniment/notary"
	"github.com/muniment/muniment/proofs"
	"github.com/muniment/muniment/proofs/approval"
)

// Where approvers are named, what cannot be undone is done only with a note that enough of
// them have signed:
//
//	approvers                     the list in force, which must be the newest in the log
//	approval-<operation>.request  what there is to sign
//	approvals/<sha256>            notes that were used, by the digest of their text

func approversPath(dir string) string { return filepath.Join(dir, "approvers") }

// approvalValid is for how long a request can be used.
const approvalValid = 24 * time.Hour

// approvalFlag gives a command --approval.
func approvalFlag(c *cobra.Command, files *[]string) {
	c.Flags().StringArrayVar(files, "approval", nil, "request that approvers have signed; may be repeated, where each has signed a copy. Needed once approvers are named (munimentd approvers)")
}

// named is who approves, as DIR and the log say.
type named struct {
	list   approval.Approvers
	any    bool // somebody is
	logged []notary.NamedApprovers
}

// readApprovers reads the list in DIR and holds it against the newest in the log. unknown: the
// log's is not to be had, and the file alone says.
func readApprovers(dir string, logged []notary.NamedApprovers, unknown bool) (s named, err error) {
	s.logged = logged
	text, err := os.ReadFile(approversPath(dir))
	newest := ""
	if len(logged) > 0 {
		newest = logged[len(logged)-1].List
	}
	switch {
	case errors.Is(err, fs.ErrNotExist) && newest == "":
		return s, nil
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return s, err
	case !unknown && string(text) != newest:
		return s, fmt.Errorf("%s is not the list that stands in the log: munimentd approvers show --log > %s puts that one back", approversPath(dir), approversPath(dir))
	}
	s.any = true
	s.list, err = approval.ParseApprovers(string(text))
	return s, err
}

// consent is something that needs approval.
type consent struct {
	operation  string
	parameters map[string]string
	files      []string // that were named by --approval
}

// approved is what came of it: zero where nobody is named.
type approved struct {
	note, nonce string
	dir         string
}

// approve returns the note by which an operation was approved, on the log of that origin,
// whose newest state is asked for. Without one that is good it is
// an error, and with none at all the request for one is written down.
func (a consent) approve(ctx context.Context, dir, origin string, newest func(context.Context) (proofs.Checkpoint, error), s named) (approved, error) {
	if !s.any {
		if len(a.files) > 0 {
			return approved{}, errors.New("--approval: nobody is named who approves (munimentd approvers)")
		}
		return approved{}, nil
	}
	state, err := newest(ctx)
	if err != nil {
		return approved{}, err
	}
	want := approval.New(a.operation, origin, state.Size, state.Root, a.parameters, time.Now().Add(approvalValid))
	if len(a.files) == 0 {
		path := filepath.Join(dir, "approval-"+a.operation+".request")
		if err := replaceFile(path, []byte(want.Text()), 0o644); err != nil {
			return approved{}, err
		}
		return approved{}, fmt.Errorf("this needs the approval of %d of %d approvers: have each run muniment approve %s --key KEY, and run this again with --approval %s within %v",
			s.list.Quorum, len(s.list.Keys), path, path, approvalValid)
	}
	return a.judge(dir, want, s)
}

// judge holds the files that were named against what is wanted.
func (a consent) judge(dir string, want approval.Request, s named) (approved, error) {
	var notes []proofs.Note
	for _, path := range a.files {
		data, err := os.ReadFile(path)
		if err != nil {
			return approved{}, err
		}
		_, n, err := approval.Open(data)
		if err != nil {
			return approved{}, fmt.Errorf("%s: %w", path, err)
		}
		notes = append(notes, n)
	}
	note, err := approval.Join(notes...)
	if err != nil {
		return approved{}, err
	}
	got, err := approval.Parse(note.Text)
	if err != nil {
		return approved{}, err
	}
	now := time.Now()
	switch {
	case !got.Same(want):
		return approved{}, fmt.Errorf("%w: the note approves\n%s\nand what is to be done is\n%s", approval.ErrOther, got.Text(), want.Text())
	case now.After(got.Expires) || got.Expires.Sub(now) > approval.MaxValid:
		return approved{}, fmt.Errorf("%w, or is valid for too long: it says %s", approval.ErrExpired, got.Expires.Format(time.RFC3339))
	case got.Size > want.Size || got.Size == want.Size && got.Root != want.Root:
		return approved{}, fmt.Errorf("%w: it was asked for at another state of the log, of %d entries", approval.ErrOther, got.Size)
	}
	if _, err := s.list.Check(note); err != nil {
		return approved{}, err
	}
	out := approved{note: string(note.Marshal()), nonce: got.Nonce, dir: dir}
	if _, err := os.Stat(out.path()); err == nil {
		return approved{}, fmt.Errorf("%s: %w", out.path(), notary.ErrUsed)
	}
	return out, nil
}

// path is where the note stands once it was used: found by what was signed, whoever signed.
func (a approved) path() string {
	_, n, _ := approval.Open([]byte(a.note))
	sum := sha256.Sum256([]byte(n.Text))
	return filepath.Join(a.dir, "approvals", hex.EncodeToString(sum[:]))
}

// used keeps the note, so that it is not used again.
func (a approved) used() error {
	if a.note == "" {
		return nil
	}
	if err := makeDir(filepath.Join(a.dir, "approvals")); err != nil {
		return err
	}
	if err := newFile(a.path(), []byte(a.note)); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	return nil
}

// standing reads who approves, of a depository that this process has open.
func (d *depository) standing(ctx context.Context, dir string) (named, error) {
	logged, err := notary.Approvers(ctx, d.config)
	if err != nil {
		return named{}, err
	}
	return readApprovers(dir, logged, false)
}

// newest is the newest state that an anchor holds.
func (d *depository) newest(ctx context.Context) (proofs.Checkpoint, error) {
	return stateOfLog(ctx, d.config.Anchors, d.config.Policy.Logs[0].Name)
}

// houseApproval has a copy of a log approved of by those whom that log names, before it goes on
// in a directory of its own: an approval is for that directory. The request is written into
// requests.
func (d *depository) houseApproval(ctx context.Context, operation, house, requests string, files []string, state proofs.Checkpoint) (approved, error) {
	logged, err := notary.Approvers(ctx, d.config)
	if err != nil {
		return approved{}, err
	}
	s := named{logged: logged}
	if n := len(logged); n > 0 {
		if s.list, err = approval.ParseApprovers(logged[n-1].List); err != nil {
			return approved{}, fmt.Errorf("%w: a list of approvers: %w", notary.ErrDamaged, err)
		}
		s.any = true
	}
	if house, err = filepath.Abs(house); err != nil {
		return approved{}, err
	}
	a := consent{operation, map[string]string{"directory": strconv.Quote(house), "size": strconv.FormatUint(state.Size, 10), "root": state.Root.String()}, files}
	return a.approve(ctx, requests, state.Origin, func(context.Context) (proofs.Checkpoint, error) { return state, nil }, s)
}

// writeHouseApproval keeps what was approved, and who approves, in the directory and its log.
// An earlier run that was interrupted may have.
func (d *depository) writeHouseApproval(ctx context.Context, dir string, ok approved) error {
	if ok.note == "" {
		return nil
	}
	if err := notary.WriteApproval(ctx, d.config, ok.note, ok.nonce); err != nil && !errors.Is(err, notary.ErrUsed) {
		return err
	}
	ok.dir = dir
	return ok.used()
}

// nameAgain writes the list of approvers that stands in the log into a directory that was made
// of a copy of it.
func (d *depository) nameAgain(ctx context.Context, dir string) error {
	logged, err := notary.Approvers(ctx, d.config)
	if err != nil || len(logged) == 0 {
		return err
	}
	return replaceFile(approversPath(dir), []byte(logged[len(logged)-1].List), 0o644)
}

// writeApproval has a running depository write into its log what was approved.
func (c *control) writeApproval(w http.ResponseWriter, r *http.Request) {
	var told struct {
		Error string `json:"error,omitempty"`
	}
	note, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	if err == nil {
		err = c.notary.WriteApproval(r.Context(), string(note), r.URL.Query().Get("nonce"))
	}
	if err != nil {
		told.Error = err.Error()
	}
	_ = json.NewEncoder(w).Encode(told) // whoever does not hear it has gone
}

func askApproval(ctx context.Context, dir string, a approved) error {
	resp, err := askWith(ctx, dir, http.MethodPost, "/approval?nonce="+a.nonce, bytes.NewReader([]byte(a.note)))
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	var told struct {
		Error string `json:"error"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&told); err != nil {
		return fmt.Errorf("the depository stopped answering: %w", err)
	}
	if told.Error != "" {
		return errors.New(told.Error)
	}
	return nil
}
