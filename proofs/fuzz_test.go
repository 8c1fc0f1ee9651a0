package proofs

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// The fuzz targets are I18: what a parser accepts, it writes again byte for byte; what
// it does not accept is ErrMalformed, with a zero value beside it.

// seeds adds the bodies of the vectors of a kind.
func seeds(f *testing.F, kind string) {
	f.Helper()
	files, err := filepath.Glob(filepath.Join("testdata", "vectors", kind, "*.txt"))
	if err != nil {
		f.Fatal(err)
	}
	for _, name := range files {
		data, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		_, body, _ := bytes.Cut(data, []byte("\n\n"))
		f.Add(body)
	}
}

// canonical fails the test unless marshalled is the input, or there is an error and
// the value is its type's zero.
func canonical[T any](t *testing.T, input []byte, value T, err error, marshal func(T) []byte) {
	t.Helper()
	if err != nil {
		var zero T
		if !errors.Is(err, ErrMalformed) || !reflect.DeepEqual(value, zero) {
			t.Fatalf("error %v, value %v", err, value)
		}
		return
	}
	if again := marshal(value); !bytes.Equal(again, input) {
		t.Fatalf("read:    %q\nwritten: %q", input, again)
	}
}

func FuzzEntry(f *testing.F) {
	seeds(f, "entry")
	f.Fuzz(func(t *testing.T, data []byte) {
		e, err := ParseEntry(string(data))
		canonical(t, data, e, err, func(e Entry) []byte { return []byte(e.String()) })
	})
}

func FuzzNote(f *testing.F) {
	seeds(f, "note")
	seeds(f, "checkpoint")
	policy := newTestLog(testOrigin).policy(witnessLine("A", "w1.example"), "quorum A")
	f.Fuzz(func(t *testing.T, data []byte) {
		n, err := ParseNote(data)
		canonical(t, data, n, err, Note.Marshal)
		if _, outcome, reason := policy.judge(data, nil); (outcome == Verified) != (reason == "") {
			t.Fatal(outcome, reason)
		}
	})
}

func FuzzCheckpoint(f *testing.F) {
	seeds(f, "checkpoint")
	f.Add([]byte(newTestLog(testOrigin).checkpoint(1).String()))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := ParseCheckpoint(string(data))
		canonical(t, data, c, err, func(c Checkpoint) []byte { return []byte(c.String()) })
	})
}

func FuzzVerifierKey(f *testing.F) {
	f.Add([]byte(logKey(testOrigin, "log").String()))
	f.Add([]byte(witnessKey("w1.example", "w1.example").String()))
	f.Add([]byte(mlKey("m", "m").String()))
	f.Fuzz(func(t *testing.T, data []byte) {
		k, err := ParseVerifierKey(string(data))
		canonical(t, data, k, err, func(k VerifierKey) []byte { return []byte(k.String()) })
		k.verify("x\n", make([]byte, ed25519.SignatureSize))
	})
}

func FuzzPolicy(f *testing.F) {
	seeds(f, "policy")
	note := newTestLog(testOrigin).note(1, "w1.example")
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := ParsePolicy(data)
		canonical(t, data, p, err, func(p Policy) []byte { return []byte(p.String()) })
		_, _, _ = p.judge(note, nil)
	})
}

// FuzzRecord: records may come in any spelling, so it is the canonical form that must
// read itself.
func FuzzRecord(f *testing.F) {
	seeds(f, "record")
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := ParseMembers(string(data))
		if err != nil {
			canonical(t, data, r, err, nil)
			return
		}
		again, err := ParseMembers(r.JSON())
		if err != nil || !reflect.DeepEqual(again, r) || len(r.JSON()) > len(data) {
			t.Fatalf("%q, %q, %v", r.JSON(), again.JSON(), err)
		}
		for _, m := range r {
			if s, ok := m.Value.Text(); ok {
				if v, err := Text(s); err != nil || v != m.Value {
					t.Fatalf("%q: %v", s, err)
				}
			}
		}
	})
}

func FuzzValue(f *testing.F) {
	for _, s := range []string{`"\ud83d\ude00"`, `{"b":[1,{}],"a":-1}`, `9007199254740991`, `[[[[[[[[]]]]]]]]`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		v, err := ParseValue(string(data))
		canonical(t, []byte(v.JSON()), v, err, func(v Value) []byte {
			again, err := ParseValue(v.JSON())
			if err != nil {
				t.Fatal(err)
			}
			return []byte(again.JSON())
		})
	})
}

func FuzzReceipt(f *testing.F) {
	seeds(f, "receipt")
	r, policy := minimal()
	f.Add(r.Marshal())
	v := NewVerifier(policy)
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := ParseReceipt(data)
		canonical(t, data, r, err, Receipt.Marshal)
		e, err := v.Verify(r, strings.NewReader("loan 1"))
		if err != nil || (e.Outcome() == Verified) != (e.Reason == "") {
			t.Fatal(e.Outcome(), e.Reason, err)
		}
		for _, lang := range []Language{English, Chinese} {
			e.Explain(lang)
		}
	})
}

// FuzzExtra reaches behind the base64.
func FuzzExtra(f *testing.F) {
	r, _ := minimal()
	f.Add(r.extra())
	f.Fuzz(func(t *testing.T, data []byte) {
		file := withExtra(string(data))
		r, err := ParseReceipt(file)
		canonical(t, file, r, err, Receipt.Marshal)
	})
}

func FuzzOrigin(f *testing.F) {
	seeds(f, "origin")
	f.Add([]byte("localhost/dev/0123456789abcdef"))
	f.Fuzz(func(t *testing.T, data []byte) {
		env, err := ParseOrigin(string(data))
		canonical(t, data, env, err, func(env Environment) []byte {
			if parts := strings.Split(string(data), "/"); len(parts) != 3 || parts[1] != string(env) || !validKeyName(string(data)) {
				t.Fatalf("%q is taken for an origin in %s", data, env)
			}
			return data
		})
	})
}

func FuzzTile(f *testing.F) {
	for _, width := range []int{0, 1, 2, 3, 255, 256, 257} {
		f.Add(make([]byte, width*HashSize))
	}
	f.Add(make([]byte, 33))
	f.Fuzz(func(t *testing.T, data []byte) {
		tile, err := ParseTile(data)
		canonical(t, data, tile, err, (*Tile).Marshal)
	})
}

// FuzzTree: no size, index or path makes the Merkle mathematics fail otherwise than
// with an error.
func FuzzTree(f *testing.F) {
	f.Add(uint64(3), uint64(7), []byte{})
	f.Add(uint64(1)<<62, uint64(1)<<63, make([]byte, 64*HashSize))
	f.Fuzz(func(t *testing.T, a, b uint64, data []byte) {
		path := make([]Hash, len(data)/HashSize)
		for i := range path {
			path[i] = Hash(data[i*HashSize:])
		}
		if VerifyInclusion(path, a, b, Hash{1}, Hash{2}) == nil {
			t.Fatal("a proof out of nothing")
		}
		if VerifyConsistency(path, a, b, Hash{1}, Hash{2}) == nil {
			t.Fatal("a proof out of nothing")
		}
		_, errInclusion := InclusionProof(a, b, allTiles{t})
		_, errConsistency := ConsistencyProof(a, b, allTiles{t})
		if (errInclusion == nil) != (a < b && b <= MaxSize) || (errConsistency == nil) != (a <= b && b <= MaxSize) {
			t.Fatal(errInclusion, errConsistency)
		}
	})
}
