package servers

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

// PostgresOptions says how a cluster differs from one with PostgreSQL's defaults.
type PostgresOptions struct {
	Settings map[string]string // of postgresql.conf
}

// Postgres is a private cluster with a database muniment, on one port of 127.0.0.1 for
// its life. It survives a crash as any cluster does: fsync is on unless Settings say
// otherwise. It ends at once when the program does. One caller at a time.
type Postgres struct {
	dir      string // data, the server's log, and the password while initdb reads it
	owner    *syscall.Credential
	password string
	port     int
	process  *exec.Cmd // nil while it is stopped
	ended    chan struct{}
}

// Bounds of a server's start and stop. A start after a crash replays the log.
const (
	postgresStarts = time.Minute
	postgresStops  = time.Minute
)

// StartPostgres makes a cluster in dir, which it creates, and starts it. PostgreSQL
// refuses to run as root; root's cluster is run by the system's user postgres. Who
// deletes dir calls Close first.
func StartPostgres(dir string, o PostgresOptions) (*Postgres, error) {
	p, err := newPostgres(dir, rand.Text())
	if err != nil {
		return nil, err
	}
	if err := p.initialize(o); err != nil {
		return nil, err
	}
	if err := p.Start(); err != nil {
		return nil, err
	}
	err = p.exec("CREATE ROLE app LOGIN PASSWORD '"+p.password+"'", "CREATE DATABASE muniment")
	if err != nil {
		p.Close()
		return nil, err
	}
	return p, nil
}

// newPostgres makes an empty directory for a cluster, and chooses its port.
func newPostgres(dir, password string) (*Postgres, error) {
	port, err := fixedPort()
	if err != nil {
		return nil, err
	}
	p := &Postgres{dir: dir, password: password, port: port}
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, err
	}
	if os.Geteuid() != 0 {
		return p, nil
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		return nil, fmt.Errorf("root cannot run PostgreSQL, and there is no user to run it: %w", err)
	}
	uid, uidErr := strconv.ParseUint(u.Uid, 10, 32)
	gid, gidErr := strconv.ParseUint(u.Gid, 10, 32)
	if err := errors.Join(uidErr, gidErr, os.Chown(dir, int(uid), int(gid)), reachable(dir)); err != nil {
		return nil, err
	}
	p.owner = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	return p, nil
}

// reachable lets other users pass through the temporary directories above dir: a test's
// are its own user's alone. No other directory is touched.
func reachable(dir string) error {
	for parent := filepath.Dir(dir); strings.HasPrefix(parent, filepath.Clean(os.TempDir())+"/"); parent = filepath.Dir(parent) {
		info, err := os.Stat(parent)
		if err != nil {
			return err
		}
		if err := os.Chmod(parent, info.Mode().Perm()|0o011); err != nil {
			return err
		}
	}
	return nil
}

func (p *Postgres) initialize(o PostgresOptions) error {
	secret := filepath.Join(p.dir, "password")
	if err := os.WriteFile(secret, []byte(p.password), 0o600); err != nil {
		return err
	}
	if p.owner != nil {
		if err := os.Chown(secret, int(p.owner.Uid), int(p.owner.Gid)); err != nil {
			return err
		}
	}
	// A machine that loses power here loses a cluster in which nothing is yet.
	err := p.run("initdb", "--no-sync", "--locale=C", "--encoding=UTF8", "--auth=scram-sha-256",
		"--username=muniment", "--pwfile="+secret, "-D", p.data())
	if err := errors.Join(err, os.Remove(secret)); err != nil {
		return err
	}
	f, err := os.OpenFile(filepath.Join(p.data(), "postgresql.conf"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	for name, value := range o.Settings {
		_, e := fmt.Fprintf(f, "%s = '%s'\n", name, strings.ReplaceAll(value, "'", "''"))
		err = errors.Join(err, e)
	}
	return errors.Join(err, f.Close())
}

func (p *Postgres) data() string { return filepath.Join(p.dir, "data") }

// URL is that of the superuser muniment.
func (p *Postgres) URL() string { return p.url("muniment", "muniment") }

// AppURL is that of app, a login that may do nothing until it is granted.
func (p *Postgres) AppURL() string { return p.url("app", "muniment") }

func (p *Postgres) url(login, database string) string {
	return fmt.Sprintf("postgres://%s:%s@%s/%s?sslmode=disable", login, p.password, p.Addr(), database)
}

// Addr is where it listens, host and port: what a proxy before it is told.
func (p *Postgres) Addr() string { return fmt.Sprintf("127.0.0.1:%d", p.port) }

// PID is that of the running server, the parent of its other processes.
func (p *Postgres) PID() int { return p.process.Process.Pid }

// Start starts the stopped server again and waits until it takes connections.
func (p *Postgres) Start() error {
	log, err := os.OpenFile(p.log(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	// Its port is not in the configuration, which a standby copies. A socket's path may
	// be longer than a test's directories allow, so there is none.
	p.process = p.command("postgres", "-D", p.data(), "-p", strconv.Itoa(p.port),
		"-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=")
	p.process.Stdout, p.process.Stderr = log, log
	p.process.SysProcAttr.Pdeathsig = syscall.SIGQUIT // its children end with it
	if err := p.process.Start(); err != nil {
		p.process = nil
		return err
	}
	ended := make(chan struct{})
	p.ended = ended
	go func(process *exec.Cmd) {
		_ = process.Wait() // its log says how it ended
		close(ended)
	}(p.process)
	return p.ready()
}

func (p *Postgres) ready() error {
	for deadline := time.Now().Add(postgresStarts); ; {
		err := p.exec()
		if err == nil {
			return nil
		}
		select {
		case <-p.ended:
			p.process = nil
			return fmt.Errorf("PostgreSQL ended by itself: %s", p.said())
		case <-time.After(10 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			p.Close()
			return fmt.Errorf("PostgreSQL does not answer: %w: %s", err, p.said())
		}
	}
}

func (p *Postgres) log() string { return filepath.Join(p.dir, "log") }

// said is the end of the server's log.
func (p *Postgres) said() string {
	log, err := os.ReadFile(p.log())
	if err != nil {
		return err.Error()
	}
	return string(log[max(0, len(log)-2000):])
}

// Stop stops the server: "fast" as an operator does, "immediate" as a crash would.
func (p *Postgres) Stop(mode string) error {
	signals := map[string]syscall.Signal{"fast": syscall.SIGINT, "immediate": syscall.SIGQUIT}
	if p.process == nil || signals[mode] == 0 {
		return fmt.Errorf("PostgreSQL cannot be stopped %q: it is stopped, or there is no such way", mode)
	}
	if err := p.process.Process.Signal(signals[mode]); err != nil {
		return fmt.Errorf("PostgreSQL ended by itself: %w: %s", err, p.said())
	}
	select {
	case <-p.ended:
		p.process = nil
		return nil
	case <-time.After(postgresStops):
		return fmt.Errorf("PostgreSQL does not stop: %s", p.said())
	}
}

// Standby makes a copy of the cluster in dir, which it creates, and starts it as the
// synchronous standby: from its return on, a commit waits until both have it.
func (p *Postgres) Standby(dir string) (*Postgres, error) {
	s, err := newPostgres(dir, p.password)
	if err != nil {
		return nil, err
	}
	if err := s.run("pg_basebackup", "--write-recovery-conf", "--checkpoint=fast", "--no-sync",
		"-D", s.data(), "-d", p.url("muniment", "postgres")); err != nil {
		return nil, err
	}
	if err := s.Start(); err != nil {
		return nil, err
	}
	err = p.exec("ALTER SYSTEM SET synchronous_standby_names = '*'", "SELECT pg_reload_conf()")
	for deadline := time.Now().Add(postgresStarts); err == nil; time.Sleep(10 * time.Millisecond) {
		var waits bool
		// Both: the standby streams, and commits wait for it.
		waits, err = p.ask("SELECT count(*) > 0 FROM pg_stat_replication WHERE sync_state = 'sync'")
		if err == nil && waits {
			return s, nil
		}
		if time.Now().After(deadline) {
			err = errors.Join(err, fmt.Errorf("the standby does not stream: %s", s.said()))
		}
	}
	s.Close()
	return nil, err
}

// Promote makes a standby take writes. Its primary must be stopped: nothing here keeps
// two apart.
func (p *Postgres) Promote() error {
	promoted, err := p.ask("SELECT pg_promote()")
	if err == nil && !promoted {
		return fmt.Errorf("the standby is not promoted: %s", p.said())
	}
	return err
}

// Close stops the server, if it runs, as a crash would.
func (p *Postgres) Close() {
	if p.process == nil {
		return
	}
	_ = p.Stop("immediate") // what does not stop so is killed
	if p.process != nil {
		_ = p.process.Process.Kill()
		<-p.ended
		p.process = nil
	}
}

// exec runs statements as the superuser, in the database postgres, on a connection of their
// own.
func (p *Postgres) exec(statements ...string) error {
	ctx, cancel := context.WithTimeout(context.Background(), postgresStarts)
	defer cancel()
	c, err := pgx.Connect(ctx, p.url("muniment", "postgres"))
	if err != nil {
		return err
	}
	defer c.Close(ctx)
	for _, s := range statements {
		if _, err := c.Exec(ctx, s); err != nil {
			return err
		}
	}
	return nil
}

// ask returns the answer to a question that is true or false.
func (p *Postgres) ask(question string) (answer bool, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*postgresStarts)
	defer cancel()
	c, err := pgx.Connect(ctx, p.url("muniment", "postgres"))
	if err != nil {
		return false, err
	}
	defer c.Close(ctx)
	err = c.QueryRow(ctx, question).Scan(&answer)
	return answer, err
}

// run runs one of PostgreSQL's programs to its end.
func (p *Postgres) run(program string, args ...string) error {
	out, err := p.command(program, args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w: %s", program, err, out)
	}
	return nil
}

func (p *Postgres) command(program string, args ...string) *exec.Cmd {
	cmd := exec.Command(postgresProgram(program), args...)
	cmd.Dir = p.dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: p.owner, Pdeathsig: syscall.SIGKILL}
	return cmd
}

// postgresProgram is that of the newest PostgreSQL where Debian puts them, beside one
// another and not on the PATH; elsewhere the one on the PATH.
func postgresProgram(name string) string {
	newest, path := 14, name
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/" + name) // the pattern is well formed
	for _, f := range found {
		version, err := strconv.Atoi(filepath.Base(filepath.Dir(filepath.Dir(f))))
		if err == nil && version > newest {
			newest, path = version, f
		}
	}
	return path
}
