package servers

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
)

// minioVersion is what `make deps` builds. The server is never linked in: it runs as a
// process of its own.
const minioVersion = "v0.0.0-20260212201848-7aac2a2c5b7c"

// S3 is a MinIO server of its own: one process, one directory, one port of 127.0.0.1.
type S3 struct {
	Endpoint  string // URL
	AccessKey string
	SecretKey string

	dir     string
	address string
	process *exec.Cmd
	exited  chan struct{} // closed once process has
}

// StartS3 starts a server that keeps its data in dir/data, and returns once it answers.
// It ends with Stop or Kill, and at the latest with this process.
func StartS3(dir string) (*S3, error) {
	port, err := fixedPort()
	if err != nil {
		return nil, err
	}
	address := fmt.Sprintf("127.0.0.1:%d", port)
	s := &S3{
		Endpoint:  "http://" + address,
		AccessKey: "muniment",
		SecretKey: rand.Text(),
		dir:       dir,
		address:   address,
	}
	if err := s.Start(); err != nil {
		return nil, err
	}
	return s, nil
}

// PID is that of the server's process.
func (s *S3) PID() int { return s.process.Process.Pid }

// Start starts the server again after Stop or Kill: same port, same keys, same data.
func (s *S3) Start() error {
	binary, err := cached("minio-" + minioVersion)
	if err != nil {
		return err
	}
	log, err := os.Create(filepath.Join(s.dir, "minio.log"))
	if err != nil {
		return err
	}
	defer log.Close()
	p := exec.Command(binary, "server", "--quiet", "--address", s.address, filepath.Join(s.dir, "data"))
	p.Dir, p.Stdout, p.Stderr = s.dir, log, log
	// Nothing of the caller's environment may change what the server does.
	p.Env = []string{
		"HOME=" + s.dir, "PATH=" + os.Getenv("PATH"),
		"MINIO_ROOT_USER=" + s.AccessKey, "MINIO_ROOT_PASSWORD=" + s.SecretKey,
		"MINIO_BROWSER=off", "MINIO_UPDATE=off", "MINIO_API_REQUESTS_MAX=512", "MINIO_SCANNER_SPEED=slowest",
		"GOMEMLIMIT=512MiB",
	}
	if s.exited, err = launch(p); err != nil {
		return fmt.Errorf("servers: start %s: %w", binary, err)
	}
	s.process = p
	if err := s.ready(); err != nil {
		s.Kill()
		said, _ := os.ReadFile(log.Name())
		return fmt.Errorf("servers: MinIO: %w\n%s", err, said)
	}
	return nil
}

// ready waits until the server answers.
func (s *S3) ready() error {
	client := http.Client{Timeout: time.Second}
	defer client.CloseIdleConnections()
	for range 300 {
		resp, err := client.Get(s.Endpoint + "/minio/health/ready")
		if err == nil {
			_, _ = io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-s.exited:
			return errors.New("ended at once")
		case <-time.After(100 * time.Millisecond):
		}
	}
	return errors.New("does not answer after 30 s")
}

// Stop ends the server as an administrator would, and waits for its end.
func (s *S3) Stop() error {
	if err := s.process.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	select {
	case <-s.exited:
		return nil
	case <-time.After(10 * time.Second):
		s.Kill()
		return errors.New("servers: MinIO did not stop within 10 s and was killed")
	}
}

// Kill ends the server as a crash would, and waits for its end.
func (s *S3) Kill() {
	_ = s.process.Process.Kill() // it may have ended
	<-s.exited
}

// MakeBucket creates a bucket; lock: with Object Lock, and so with versions.
func (s *S3) MakeBucket(name string, lock bool) error {
	client, err := minio.New(s.address, &minio.Options{Creds: credentials.NewStaticV4(s.AccessKey, s.SecretKey, "")})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	return client.MakeBucket(ctx, name, minio.MakeBucketOptions{ObjectLocking: lock})
}
