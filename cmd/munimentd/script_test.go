package main

import (
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/muniment/muniment/proofs/approval"
	"github.com/muniment/muniment/storage/storagetest/servers"
)

// TestScripts is what an operator sees, on the engines of one directory, and on PostgreSQL
// and S3 with Trillian embedded, at full size without it too: the scripts are the same, and what is truly about the directory is marked
// [embedded]. Beside the usual commands a script has
//
//	exits CODE COMMAND…          the command ends with exactly that code
//	http METHOD PATH STATUS      a request to $ADDR, or the URL, tried until something listens there
//	mode OCTAL FILE…             the files have that mode
//	newkey NAME                  an approver's key: NAME.key, and the vkey in $NAME
//	sign NAME FILE               the approver signs a request
//	alter FILE OLD NEW           one text takes the place of another
//
// and $ADDR and $OTHER, two addresses that nothing listens on.
func TestScripts(t *testing.T) {
	t.Run("embedded", func(t *testing.T) {
		runScripts(t, func(string) ([]string, error) { return nil, nil })
	})
	t.Run("production", func(t *testing.T) {
		cluster, err := servers.StartPostgres(filepath.Join(t.TempDir(), "postgres"), servers.PostgresOptions{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(cluster.Close)
		store, err := servers.StartS3(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(store.Kill)
		runScripts(t, func(name string) ([]string, error) {
			env, err := servers.Settings(cluster, store, name)
			return append(env, "MUNIMENT_TRILLIAN_MODE=embedded"), err
		})
		if torture() {
			t.Run("alone", func(t *testing.T) {
				runScripts(t, func(name string) ([]string, error) { return servers.Settings(cluster, store, name+"-alone") })
			})
		}
	})
}

// runScripts runs every script with the settings that there are for its name.
func runScripts(t *testing.T, settings func(name string) ([]string, error)) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata",
		Condition: func(name string) (bool, error) {
			if name != "embedded" {
				return false, fmt.Errorf("no condition %q", name)
			}
			return strings.HasSuffix(t.Name(), "/embedded"), nil
		},
		Deadline:            time.Now().Add(10 * time.Minute),
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(e *testscript.Env) error {
			env, err := settings(strings.TrimPrefix(filepath.Base(e.WorkDir), "script-"))
			if err != nil {
				return err
			}
			e.Vars = append(e.Vars, env...)
			for _, name := range []string{"ADDR", "OTHER"} {
				addr, err := freeAddress()
				if err != nil {
					return err
				}
				e.Setenv(name, addr)
			}
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits":  scriptExits,
			"http":   scriptHTTP,
			"mode":   scriptMode,
			"newkey": scriptNewKey,
			"sign":   scriptSign,
			"alter":  scriptAlter,
		},
	})
}

func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

func scriptExits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE COMMAND...")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	err = ts.Exec(args[1], args[2:]...)
	code := 0
	if exit, ok := err.(*exec.ExitError); ok {
		code = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if code != want {
		ts.Fatalf("exit code %d, not %d", code, want)
	}
}

func scriptHTTP(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: http METHOD PATH|URL STATUS")
	}
	url := args[1]
	if strings.HasPrefix(url, "/") {
		url = "http://" + ts.Getenv("ADDR") + url
	}
	req, err := http.NewRequest(args[0], url, nil)
	ts.Check(err)
	var resp *http.Response
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		if resp, err = http.DefaultTransport.RoundTrip(req); err == nil || time.Now().After(deadline) {
			break
		}
	}
	ts.Check(err)
	defer resp.Body.Close()
	_, err = io.Copy(ts.Stdout(), resp.Body)
	ts.Check(err)
	if strconv.Itoa(resp.StatusCode) != args[2] {
		ts.Fatalf("%s %s answers %s", args[0], args[1], resp.Status)
	}
}

func scriptMode(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: mode OCTAL FILE...")
	}
	want, err := strconv.ParseUint(args[0], 8, 32)
	ts.Check(err)
	for _, name := range args[1:] {
		info, err := os.Stat(ts.MkAbs(name))
		ts.Check(err)
		if got := info.Mode().Perm(); got != fs.FileMode(want) {
			ts.Fatalf("%s has mode %o, not %o", name, got, want)
		}
	}
}

func scriptNewKey(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: newkey NAME")
	}
	s, err := approval.NewSigner(args[0])
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]+".key"), []byte(s.Private()), 0o600))
	ts.Setenv(strings.ToUpper(args[0]), s.String())
}

func scriptSign(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: sign NAME FILE")
	}
	s, err := approval.ParseSigner(ts.ReadFile(args[0] + ".key"))
	ts.Check(err)
	_, n, err := approval.Open([]byte(ts.ReadFile(args[1])))
	ts.Check(err)
	n, err = s.Sign(n)
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), n.Marshal(), 0o600))
}

func scriptAlter(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: alter FILE OLD NEW")
	}
	text := ts.ReadFile(args[0])
	if strings.Count(text, args[1]) != 1 {
		ts.Fatalf("%q does not stand once in %s:\n%s", args[1], args[0], text)
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(strings.Replace(text, args[1], args[2], 1)), 0o600))
}
