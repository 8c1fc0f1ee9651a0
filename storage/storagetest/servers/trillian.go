package servers

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

// trillianVersion is what `make deps` builds.
const trillianVersion = "v1.8.0"

// Trillian is a log server and a signer as a supervisor runs them: two processes on a
// database of their own, with Trillian's own schema, and gRPC over TLS on one port of
// 127.0.0.1.
type Trillian struct {
	Address string // host:port
	CA      string // file in PEM, which the server's certificate leads to

	dir, database  string
	server, signer *trillianProcess
}

type trillianProcess struct {
	name   string
	args   []string
	cmd    *exec.Cmd
	exited chan struct{}
}

// StartTrillian makes a database in the cluster, which keeps the tree, and starts both.
func StartTrillian(dir string, p *Postgres) (*Trillian, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	t := &Trillian{dir: dir, CA: filepath.Join(dir, "ca.pem")}
	if err := t.layOut(p); err != nil {
		return nil, err
	}
	if err := t.certify(); err != nil {
		return nil, err
	}
	rpc, err := fixedPort()
	if err != nil {
		return nil, err
	}
	own, err := fixedPort()
	if err != nil {
		return nil, err
	}
	t.Address = fmt.Sprintf("127.0.0.1:%d", rpc)
	common := []string{"--storage_system=postgresql", "--postgresql_uri=" + t.database, "--quota_system=noop", "--http_endpoint=", "--logtostderr"}
	t.server = &trillianProcess{name: "trillian_log_server", args: append([]string{"--rpc_endpoint=" + t.Address,
		"--tls_cert_file=" + t.CA, "--tls_key_file=" + filepath.Join(dir, "key.pem"), "--max_msg_size_bytes=16777216"}, common...)}
	t.signer = &trillianProcess{name: "trillian_log_signer", args: append([]string{fmt.Sprintf("--rpc_endpoint=127.0.0.1:%d", own),
		"--force_master", "--sequencer_interval=20ms", "--batch_size=4096"}, common...)}
	if err := errors.Join(t.StartServer(), t.StartSigner()); err != nil {
		t.Close()
		return nil, err
	}
	return t, nil
}

// layOut makes the database, with the schema that comes with Trillian.
func (t *Trillian) layOut(p *Postgres) error {
	folder, err := cached("trillian-" + trillianVersion)
	if err != nil {
		return err
	}
	schema, err := os.ReadFile(filepath.Join(folder, "storage.sql"))
	if err != nil {
		return err
	}
	if err := p.exec("CREATE DATABASE trillian"); err != nil {
		return err
	}
	t.database = p.url("muniment", "trillian")
	ctx, cancel := context.WithTimeout(context.Background(), postgresStarts)
	defer cancel()
	conn, err := pgx.Connect(ctx, t.database)
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	// Below this isolation two sequencers at a time destroy a tree.
	_, err = conn.Exec(ctx, string(schema)+"\nALTER DATABASE trillian SET default_transaction_isolation = 'repeatable read';")
	return err
}

// certify makes a certificate of 127.0.0.1 that signs itself.
func (t *Trillian) certify() error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "trillian"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return err
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	return errors.Join(
		os.WriteFile(t.CA, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600),
		os.WriteFile(filepath.Join(t.dir, "key.pem"), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}), 0o600))
}

// StartServer starts the log server, again after KillServer too, and returns once it
// answers.
func (t *Trillian) StartServer() error {
	if err := t.server.start(t.dir); err != nil {
		return err
	}
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		conn, err := tls.Dial("tcp", t.Address, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}}) //nolint:gosec // only whether it is there
		if err == nil {
			return conn.Close()
		}
		select {
		case <-t.server.exited:
			return fmt.Errorf("servers: trillian_log_server ended; see %s", filepath.Join(t.dir, t.server.name+".log"))
		default:
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("servers: trillian_log_server does not answer: %w", err)
		}
	}
}

// StartSigner starts the signer, again after KillSigner too.
func (t *Trillian) StartSigner() error { return t.signer.start(t.dir) }

// KillServer and KillSigner end a process without a warning.
func (t *Trillian) KillServer() { t.server.kill() }

// KillSigner is KillServer for the signer.
func (t *Trillian) KillSigner() { t.signer.kill() }

// Database is the connection URI of its database.
func (t *Trillian) Database() string { return t.database }

// Close ends both.
func (t *Trillian) Close() {
	t.server.kill()
	t.signer.kill()
}

func (p *trillianProcess) start(dir string) error {
	folder, err := cached("trillian-" + trillianVersion)
	if err != nil {
		return err
	}
	log, err := os.OpenFile(filepath.Join(dir, p.name+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	p.cmd = exec.Command(filepath.Join(folder, p.name), p.args...)
	p.cmd.Dir, p.cmd.Stdout, p.cmd.Stderr = dir, log, log
	if p.exited, err = launch(p.cmd); err != nil {
		return fmt.Errorf("servers: start %s: %w", p.name, err)
	}
	return nil
}

func (p *trillianProcess) kill() {
	if p.cmd == nil || p.exited == nil {
		return
	}
	_ = p.cmd.Process.Signal(syscall.SIGKILL) // it may have ended by itself
	<-p.exited
}
