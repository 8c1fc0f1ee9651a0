package servers

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"

	"github.com/muniment/muniment/proofs"
)

// litewitnessVersion is what `make deps` builds; it is never linked in.
const litewitnessVersion = "v0.9.0"

// Litewitness is torchwood's witness: one process on one port of 127.0.0.1, with an
// Ed25519 key of its own that stays in this program, behind the ssh-agent protocol.
type Litewitness struct {
	URL string             // the submission prefix: add-checkpoint is under it
	Key proofs.VerifierKey // of type TypeEd25519Cosigner, as policies name it

	dir         string
	socket      string // of the agent
	agent       net.Listener
	fingerprint string
	address     string
	process     *exec.Cmd
	exited      chan struct{} // closed once process has
}

// StartLitewitness starts a witness of that name, which keeps its state in dir and
// cosigns for the given logs alone (vkeys of type TypeEd25519). It returns once it
// answers. Who is done calls Close; at the latest it ends with this process.
func StartLitewitness(dir, name string, logs ...proofs.VerifierKey) (*Litewitness, error) {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	key, err := proofs.NewVerifierKey(name, proofs.TypeEd25519Cosigner, public)
	if err != nil {
		return nil, err
	}
	port, err := fixedPort()
	if err != nil {
		return nil, err
	}
	address := fmt.Sprintf("127.0.0.1:%d", port)
	w := &Litewitness{URL: "http://" + address, Key: key, dir: dir, address: address}
	if err := w.serveKey(private); err != nil {
		return nil, err
	}
	err = w.AddLogs(logs...)
	if err == nil {
		err = w.Start()
	}
	if err != nil {
		w.Close()
		return nil, err
	}
	return w, nil
}

// serveKey is the ssh-agent that holds the witness's key.
func (w *Litewitness) serveKey(private ed25519.PrivateKey) error {
	signer, err := ssh.NewSignerFromSigner(private)
	if err != nil {
		return err
	}
	w.fingerprint = ssh.FingerprintSHA256(signer.PublicKey())
	keys := agent.NewKeyring()
	if err := keys.Add(agent.AddedKey{PrivateKey: &private}); err != nil {
		return err
	}
	// Not in dir: the path of a socket is at most 107 bytes long.
	folder, err := os.MkdirTemp("", "litewitness")
	if err != nil {
		return err
	}
	w.socket = filepath.Join(folder, "agent")
	if w.agent, err = net.Listen("unix", w.socket); err != nil {
		return errors.Join(err, os.RemoveAll(folder))
	}
	go func() {
		for {
			c, err := w.agent.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				_ = agent.ServeAgent(keys, c) // it ends with the connection
			}()
		}
	}()
	return nil
}

// AddLogs makes the witness cosign for more logs, running or not.
func (w *Litewitness) AddLogs(logs ...proofs.VerifierKey) error {
	var sql bytes.Buffer
	sql.WriteString(litewitnessTables)
	quote := func(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }
	for _, k := range logs {
		fmt.Fprintf(&sql, "INSERT OR IGNORE INTO log VALUES (%s, 0, %s);\n", quote(k.Name), quote(proofs.EmptyRoot.String()))
		fmt.Fprintf(&sql, "INSERT INTO key VALUES (%s, %s);\n", quote(k.Name), quote(k.String()))
	}
	c := exec.Command("sqlite3", "-bail", "-cmd", ".timeout 10000", filepath.Join(w.dir, "litewitness.db"))
	c.Stdin = &sql
	if said, err := c.CombinedOutput(); err != nil {
		return fmt.Errorf("servers: sqlite3 (`make deps` installs it): %w: %s", err, said)
	}
	return nil
}

// litewitnessTables are those that litewitness would make when it starts.
const litewitnessTables = `
CREATE TABLE IF NOT EXISTS log (origin TEXT PRIMARY KEY, tree_size INTEGER NOT NULL, tree_hash TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS key (origin TEXT NOT NULL, key TEXT NOT NULL, FOREIGN KEY(origin) REFERENCES log(origin));
`

// Start starts the witness again after Stop or Kill: same port, key and state.
func (w *Litewitness) Start() error {
	binary, err := cached("litewitness-" + litewitnessVersion)
	if err != nil {
		return err
	}
	log, err := os.OpenFile(filepath.Join(w.dir, "litewitness.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	p := exec.Command(binary, "-name", w.Key.Name, "-key", w.fingerprint, "-ssh-agent", w.socket,
		"-db", filepath.Join(w.dir, "litewitness.db"), "-listen", w.address)
	p.Dir, p.Stdout, p.Stderr = w.dir, log, log
	if w.exited, err = launch(p); err != nil {
		return fmt.Errorf("servers: start %s: %w", binary, err)
	}
	w.process = p
	if err := w.ready(); err != nil {
		w.Kill()
		said, _ := os.ReadFile(log.Name())
		return fmt.Errorf("servers: litewitness: %w\n%s", err, said)
	}
	return nil
}

func (w *Litewitness) ready() error {
	client := http.Client{Timeout: time.Second}
	defer client.CloseIdleConnections()
	for range 300 {
		resp, err := client.Get(w.URL)
		if err == nil {
			_, _ = io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
			return nil
		}
		select {
		case <-w.exited:
			return errors.New("ended at once")
		case <-time.After(100 * time.Millisecond):
		}
	}
	return errors.New("does not answer after 30 s")
}

// PID is that of the witness's process: for signals that suspend it, say.
func (w *Litewitness) PID() int { return w.process.Process.Pid }

// Stop ends the witness as an administrator would, and waits for its end.
func (w *Litewitness) Stop() error {
	if err := w.process.Process.Signal(syscall.SIGINT); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	select {
	case <-w.exited:
		return nil
	case <-time.After(10 * time.Second):
		w.Kill()
		return errors.New("servers: litewitness did not stop within 10 s and was killed")
	}
}

// Kill ends the witness as a crash would, and waits for its end.
func (w *Litewitness) Kill() {
	_ = w.process.Process.Kill() // it may have ended
	<-w.exited
}

// Close ends the witness for good, key and all.
func (w *Litewitness) Close() {
	if w.process != nil {
		w.Kill()
	}
	w.agent.Close()
	os.RemoveAll(filepath.Dir(w.socket))
}
