package servers

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
)

// launch starts the process on a thread that lives as long as it does: the kernel sends
// Pdeathsig when the thread ends that started the process, not the program. The channel
// is closed once the process has ended.
func launch(p *exec.Cmd) (chan struct{}, error) {
	p.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	started, exited := make(chan error), make(chan struct{})
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		defer close(exited)
		err := p.Start()
		started <- err
		if err == nil {
			_ = p.Wait() // how it ended is told by who ended it
		}
	}()
	return exited, <-started
}

// cached is the path of a server that `make deps` builds outside the tree.
func cached(name string) (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	path := filepath.Join(cache, "muniment", name)
	if _, err := os.Stat(path); err != nil {
		return "", fmt.Errorf("servers: `make deps` builds %s: %w", name, err)
	}
	return path, nil
}
