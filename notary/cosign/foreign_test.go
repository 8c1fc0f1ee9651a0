package cosign_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/muniment/muniment/notary"
	"github.com/muniment/muniment/notary/cosign"
	"github.com/muniment/muniment/notary/notarytest"
	"github.com/muniment/muniment/proofs"
)

// TestWordsOfWitnessesAreNotLogged: what a witness answers stands in no log line.
func TestWordsOfWitnessesAreNotLogged(t *testing.T) {
	const words = "forged-log-line"
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var served sync.WaitGroup
	served.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = io.WriteString(conn, words+"\r\n\r\n")
			_ = conn.Close()
		}
	})
	defer served.Wait()
	defer l.Close()
	public, _, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	key, err := proofs.NewVerifierKey("log.example/test/1", proofs.TypeEd25519, public)
	if err != nil {
		t.Fatal(err)
	}
	w := notarytest.NewWitness("w", key, time.Now)
	line := strings.Replace(w.Line(), "http://w.test/prefix/", "http://"+l.Addr().String(), 1)
	policy, err := proofs.ParsePolicy([]byte("log " + key.String() + "\n" + line + "quorum w\n"))
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	c, err := cosign.New(cosign.Config{Policy: policy, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	c.Cosign(ctx, notary.Sealed{Checkpoint: proofs.Checkpoint{Origin: key.Name, Size: 1}})
	c.Close()
	if got := log.String(); !strings.Contains(got, "does not cosign") || strings.Contains(got, words) {
		t.Errorf("logged: %s", got)
	}
}
