package witness

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/muniment/muniment/proofs"
)

// The state file is all that a witness must never forget: of each log the newest
// checkpoint it cosigned. It is replaced as a whole, and what it says is durable before a
// cosignature leaves.
//
//	muniment/witness-state@v1 <hex SHA-256 of all that follows this line>
//	witness <name>
//	note <bytes>          for each log, in the order of their origins, followed by
//	<the note>            the log's signatures and the cosignatures that were given
const stateHeader = "muniment/witness-state@v1"

const (
	stateFile = "state"
	newState  = "state.new" // becomes the state file by its rename
)

// ErrState is wrapped when the state file is not one, or was damaged. A witness does not
// go on without it: it would cosign what contradicts what it has cosigned.
var ErrState = errors.New("the state file is damaged")

// A record is what is known of one log.
type record struct {
	proofs.Checkpoint
	note proofs.Note
}

// state is what is known of all logs, by origin. One that is shared is never changed.
type state map[string]record

// encode returns the state file of the witness of that name.
func (s state) encode(name string) []byte {
	var body bytes.Buffer
	fmt.Fprintf(&body, "witness %s\n", name)
	for _, origin := range slices.Sorted(maps.Keys(s)) {
		note := s[origin].note.Marshal()
		fmt.Fprintf(&body, "note %d\n", len(note))
		body.Write(note)
	}
	sum := sha256.Sum256(body.Bytes())
	return append([]byte(stateHeader+" "+hex.EncodeToString(sum[:])+"\n"), body.Bytes()...)
}

// decodeState reads what encode wrote, and nothing else.
func decodeState(data []byte, name string) (state, error) {
	head, body, ok := bytes.Cut(data, []byte("\n"))
	sum := sha256.Sum256(body)
	if !ok || string(head) != stateHeader+" "+hex.EncodeToString(sum[:]) {
		return nil, fmt.Errorf("%w: its digest is not that of its content", ErrState)
	}
	line, rest, ok := bytes.Cut(body, []byte("\n"))
	if !ok || string(line) != "witness "+name {
		return nil, fmt.Errorf("%w: it is that of another witness, not of %s", ErrState, name)
	}
	s := state{}
	for len(rest) > 0 {
		line, rest, ok = bytes.Cut(rest, []byte("\n"))
		count, ok2 := strings.CutPrefix(string(line), "note ")
		n, err := strconv.Atoi(count)
		if !ok || !ok2 || err != nil || n < 0 || n > len(rest) {
			return nil, fmt.Errorf("%w: a note was expected", ErrState)
		}
		r := record{}
		if r.note, err = proofs.ParseNote(rest[:n]); err == nil {
			r.Checkpoint, err = parseCheckpoint(r.note.Text)
		}
		if _, twice := s[r.Origin]; err != nil || twice {
			return nil, fmt.Errorf("%w: a note in it is none, or a log has two", ErrState)
		}
		s[r.Origin], rest = r, rest[n:]
	}
	return s, nil
}

// folder is the directory of a witness. Its calls are every one that the state's
// durability hangs on, so that tests can fail each.
type folder struct {
	dir    string
	system system
}

// system are the file system's calls behind folder.
type system interface {
	write(path string, data []byte) error // a new file, durable but for its name; replaces what is there
	rename(from, to string) error
	syncDir(path string) error
}

// errUnwritten: the state could not be replaced, and the old one stands.
var errUnwritten = errors.New("the state could not be written")

// store replaces the state file. On return it is durable; on errUnwritten the old one is;
// on any other error it is not known which of the two.
func (f folder) store(data []byte) error {
	next := filepath.Join(f.dir, newState)
	if err := f.system.write(next, data); err != nil {
		return fmt.Errorf("%w: %w", errUnwritten, err)
	}
	if err := f.system.rename(next, filepath.Join(f.dir, stateFile)); err != nil {
		return err
	}
	return f.system.syncDir(f.dir)
}

// load reads the state file. What a crash left of a newer one is of no account: nothing
// that it says was ever said to anyone.
func (f folder) load(name string) (state, error) {
	path := filepath.Join(f.dir, stateFile)
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	s, err := decodeState(data, name)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return s, nil
}

// disk is the real system.
type disk struct{}

func (disk) write(path string, data []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

func (disk) rename(from, to string) error { return os.Rename(from, to) }

func (disk) syncDir(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
