package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	"github.com/muniment/muniment/notary"
)

// The key files of a depository, each readable by its owner alone:
//
//	keys/log.pem              the log's Ed25519 key, PKCS#8, unless it is kept elsewhere
//	keys/log-next.pem         in a rotation, the one that follows it
//	keys/tenants/<id>.key     one tenant's wrap and index keys (tenantkeyfiles.go); the depository's own is the zero id
//	keys/canary.key           the API key of the depository's deposits with itself

func logKeyPath(dir string) string { return filepath.Join(dir, "keys", "log.pem") }

func tenantKeyPath(dir string, tenant notary.ID) string {
	return filepath.Join(dir, "keys", "tenants", tenant.String()+".key")
}

func canaryKeyPath(dir string) string { return filepath.Join(dir, "keys", "canary.key") }

// keyFiles lists the key files under a key directory, relative to it: the log's first,
// unless it is kept elsewhere.
func keyFiles(keys string) ([]string, error) {
	entries, err := os.ReadDir(filepath.Join(keys, "tenants"))
	if err != nil {
		return nil, err
	}
	var names []string
	for _, name := range []string{"log.pem", "log-next.pem"} {
		if _, err := os.Stat(filepath.Join(keys, name)); err == nil {
			names = append(names, name)
		} else if !errors.Is(err, os.ErrNotExist) {
			return nil, err
		}
	}
	for _, e := range entries {
		if isFile(filepath.Join(keys, "tenants"), e) && filepath.Ext(e.Name()) == ".key" {
			names = append(names, filepath.Join("tenants", e.Name()))
		}
	}
	return names, nil
}

// isFile reports whether an entry of a directory is a file, or a link to one: Kubernetes
// mounts secrets as links.
func isFile(dir string, e os.DirEntry) bool {
	info, err := os.Stat(filepath.Join(dir, e.Name()))
	return err == nil && info.Mode().IsRegular()
}

// private refuses a key file that others than its owner may read. One that root alone
// could change and that a group may read is as Kubernetes mounts a secret for its
// container.
func private(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if info.Mode().Perm()&0o077 == 0 || mounted(info) {
		return nil
	}
	return fmt.Errorf("%s may be read by others; run chmod 600 on it", path)
}

// mounted reports whether a file is root's, and may be read by root and its group, and
// written by nobody.
func mounted(info os.FileInfo) bool {
	return info.Mode().Perm()&^0o440 == 0 && info.Sys().(*syscall.Stat_t).Uid == 0
}

// newFilePrefix is how files are called that newFile has not finished.
const newFilePrefix = ".new-"

// newFile writes a file for its owner alone, durable on return; os.ErrExist if there is
// one, which then is durable too. Several processes may try: all find the same one, whole.
func newFile(path string, data []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), newFilePrefix+"*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err = os.Link(f.Name(), path); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	return errors.Join(err, syncDir(filepath.Dir(path)))
}

// writeFile writes a whole file, durable on return.
func writeFile(path string, data []byte, mode os.FileMode) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, mode)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

func syncDir(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
