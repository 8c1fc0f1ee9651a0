// Munimentd-pkcs11 signs with keys on a PKCS#11 token for munimentd, which starts it and
// speaks with it over its standard input and output. It is a program of its own since the
// token's library is foreign code: whatever that does, it does to this process alone.
//
// Each line is one JSON object. The first names library, token, PIN and keys, and is
// answered with the public keys; each further one asks for a signature.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"runtime"
)

// hello is the first line.
type hello struct {
	Module string   `json:"module"` // path of the token's library
	Token  string   `json:"token"`  // label
	PIN    string   `json:"pin"`
	Keys   []string `json:"keys"` // labels
}

// request is each line after it.
type request struct {
	Key     int    `json:"key"` // its place among Keys
	Message []byte `json:"message"`
}

// answer is what each line is answered with.
type answer struct {
	Public    [][]byte `json:"public,omitempty"` // of each key, 32 bytes
	Signature []byte   `json:"signature,omitempty"`
	Error     string   `json:"error,omitempty"`
}

// maxLine bounds a line: a checkpoint has a few hundred bytes.
const maxLine = 1 << 20

func main() {
	if err := serve(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "munimentd-pkcs11:", err)
		os.Exit(2)
	}
}

// serve answers until in ends.
func serve(in io.Reader, out io.Writer) error {
	runtime.LockOSThread() // the library is called from one thread only
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, maxLine)
	tell := json.NewEncoder(out)
	var t *token
	for lines.Scan() {
		var a answer
		var err error
		if t == nil {
			t, a.Public, err = begin(lines.Bytes())
		} else {
			a.Signature, err = t.answer(lines.Bytes())
		}
		if err != nil {
			a.Error = err.Error()
		}
		if err := tell.Encode(a); err != nil {
			return err
		}
	}
	return lines.Err()
}

func begin(line []byte) (*token, [][]byte, error) {
	var h hello
	if err := json.Unmarshal(line, &h); err != nil {
		return nil, nil, fmt.Errorf("the first line cannot be read: %w", err)
	}
	t, err := openToken(h)
	if err != nil {
		return nil, nil, err
	}
	var public [][]byte
	for _, k := range t.keys {
		public = append(public, k.public)
	}
	return t, public, nil
}

func (t *token) answer(line []byte) ([]byte, error) {
	var r request
	if err := json.Unmarshal(line, &r); err != nil {
		return nil, fmt.Errorf("the request cannot be read: %w", err)
	}
	if r.Key < 0 || r.Key >= len(t.keys) || len(r.Message) == 0 {
		return nil, fmt.Errorf("there is no key %d, or nothing to sign", r.Key)
	}
	return t.sign(t.keys[r.Key], r.Message)
}
