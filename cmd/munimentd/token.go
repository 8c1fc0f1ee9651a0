package main

import (
	"bufio"
	"crypto"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Keys on a PKCS#11 token are used through munimentd-pkcs11, a process of its own: the
// token's library is foreign code, and this process stays a static binary without it.

// tokenConfig is what the settings say of the token.
type tokenConfig struct {
	Module string   // path of its library
	Label  string   // the token's
	Keys   []string // labels of the log's keys on it
	PIN    string
}

const (
	tokenProgram = "munimentd-pkcs11"
	// tokenWithin bounds one answer of a token. Some take a second for a signature.
	tokenWithin = 8 * time.Second
)

// tokenProcess is munimentd-pkcs11. It is started again when it has ended.
type tokenProcess struct {
	config tokenConfig
	public []ed25519.PublicKey // of each key, as first seen

	mu  sync.Mutex
	cmd *exec.Cmd // nil: it does not run
	in  io.WriteCloser
	out *bufio.Scanner
}

// tokenAnswer is a line of it.
type tokenAnswer struct {
	Public    [][]byte `json:"public"`
	Signature []byte   `json:"signature"`
	Error     string   `json:"error"`
}

// open logs in to the token and returns the keys.
func (c tokenConfig) open() ([]logKey, error) {
	p := &tokenProcess{config: c}
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.start(); err != nil {
		return nil, err
	}
	var all []logKey
	for i, label := range c.Keys {
		all = append(all, logKey{&tokenSigner{p, i}, fmt.Sprintf("the key %q on the token %q", label, c.Label)})
	}
	return all, nil
}

// tokenSigner is a crypto.Signer of one key on the token.
type tokenSigner struct {
	process *tokenProcess
	key     int
}

// Public implements crypto.Signer.
func (s *tokenSigner) Public() crypto.PublicKey { return s.process.public[s.key] }

// Sign implements crypto.Signer, for Ed25519: the message itself is signed.
func (s *tokenSigner) Sign(_ io.Reader, message []byte, _ crypto.SignerOpts) ([]byte, error) {
	p := s.process
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.start(); err != nil {
		return nil, err
	}
	a, err := p.ask(map[string]any{"key": s.key, "message": message})
	return a.Signature, err
}

// start starts the process unless it runs, logs in, and makes sure that the keys are the
// ones that they were.
func (p *tokenProcess) start() error {
	if p.cmd != nil {
		return nil
	}
	path, err := tokenProgramPath()
	if err != nil {
		return err
	}
	cmd := exec.Command(path)
	cmd.Stderr = os.Stderr
	cmd.Env = slices.DeleteFunc(os.Environ(), func(v string) bool { // foreign code needs none of our secrets
		return strings.HasPrefix(v, envPrefix) || strings.HasPrefix(v, "PGPASSWORD=")
	})
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // a terminal's interrupt is for this process alone
	if p.in, err = cmd.StdinPipe(); err != nil {
		return err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	p.cmd, p.out = cmd, bufio.NewScanner(out)
	a, err := p.ask(map[string]any{"module": p.config.Module, "token": p.config.Label, "pin": p.config.PIN, "keys": p.config.Keys})
	if err != nil {
		return err
	}
	return p.know(a.Public)
}

// know takes the public keys, or compares them with those that were known.
func (p *tokenProcess) know(public [][]byte) error {
	if len(public) != len(p.config.Keys) {
		p.stop()
		return errors.New("the token has not shown every key")
	}
	for i, k := range public {
		switch {
		case len(k) != ed25519.PublicKeySize, len(p.public) > i && string(p.public[i]) != string(k):
			p.stop()
			return fmt.Errorf("the key %q on the token %q is another than it was", p.config.Keys[i], p.config.Label)
		case len(p.public) <= i:
			p.public = append(p.public, k)
		}
	}
	return nil
}

// ask sends one line and reads the answer. A process that does not answer in time is ended.
func (p *tokenProcess) ask(question any) (a tokenAnswer, err error) {
	line, err := json.Marshal(question)
	if err != nil {
		return a, err
	}
	late := time.AfterFunc(tokenWithin, func() { _ = p.cmd.Process.Kill() })
	defer late.Stop()
	if _, err = p.in.Write(append(line, '\n')); err == nil && !p.out.Scan() {
		err = io.ErrUnexpectedEOF
	}
	if err == nil {
		err = json.Unmarshal(p.out.Bytes(), &a)
	}
	if err != nil {
		p.stop()
		return a, fmt.Errorf("%s does not answer for the token %q", tokenProgram, p.config.Label)
	}
	if a.Error != "" {
		p.stop() // another session may do
		return a, fmt.Errorf("token: %s", a.Error)
	}
	return a, nil
}

// stop ends the process.
func (p *tokenProcess) stop() {
	_ = p.in.Close()
	_ = p.cmd.Process.Kill()
	_ = p.cmd.Wait() // it was told to end
	p.cmd = nil
}

// tokenProgramPath finds munimentd-pkcs11 beside this program, or on the PATH.
func tokenProgramPath() (string, error) {
	if self, err := os.Executable(); err == nil {
		path := filepath.Join(filepath.Dir(self), tokenProgram)
		if _, err := os.Stat(path); err == nil {
			return path, nil
		}
	}
	path, err := exec.LookPath(tokenProgram)
	if err != nil {
		return "", fmt.Errorf("log-key.pkcs11 needs the program %s, beside munimentd or on the PATH", tokenProgram)
	}
	return path, nil
}
