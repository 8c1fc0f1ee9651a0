package main

import (
	"archive/zip"
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/text/encoding/simplifiedchinese"

	"github.com/muniment/muniment/proofs"
	"github.com/muniment/muniment/proofs/rfc3161/rfc3161test"
	"github.com/muniment/muniment/storage/storagetest/servers"
)

// TestMain lets testscript run this test binary as muniment.
func TestMain(m *testing.M) {
	testscript.Main(withDepository{m}, map[string]func(){"muniment": main})
}

// withDepository has munimentd, the depository that the scripts talk to, on the PATH
// of the tests: as its own tests run it, so that it ends where an answer is not as
// openapi.yaml promises.
type withDepository struct{ *testing.M }

func (m withDepository) Run() int {
	dir, err := os.MkdirTemp("", "munimentd")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 2
	}
	defer os.RemoveAll(dir)
	build := exec.Command("go", "test", "-c", "-o", filepath.Join(dir, "munimentd"), "../munimentd")
	build.Stdout, build.Stderr = os.Stderr, os.Stderr
	if err := build.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "building munimentd:", err)
		return 2
	}
	os.Setenv("PATH", dir+string(filepath.ListSeparator)+os.Getenv("PATH"))
	return m.M.Run()
}

// TestScripts is what a depositor sees, on the engines of one directory and on PostgreSQL
// and S3: the scripts are the same, and what is truly about the directory is marked
// [embedded].
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
		runScripts(t, func(name string) ([]string, error) { return servers.Settings(cluster, store, name) })
	})
}

// settingsKey is under which a script keeps the settings of its depositories.
type settingsKey struct{}

// runScripts runs every script with the settings that there are for its name.
func runScripts(t *testing.T, settings func(name string) ([]string, error)) {
	sample, err := filepath.Abs("testdata/case")
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir: "testdata",
		Setup: func(env *testscript.Env) error {
			env.Setenv("CASE", sample)
			vars, err := settings(strings.TrimPrefix(filepath.Base(env.WorkDir), "script-"))
			env.Vars = append(env.Vars, vars...)
			env.Values[settingsKey{}] = vars
			return err
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"depository": depository,
			"halt":       halt,
			"exits":      exits,
			"flip":       flip,
			"sparse":     sparse,
			"frugal":     frugal,
			"field":      field,
			"interrupt":  interrupt,
			"files":      files,
			"lines":      lines,
			"count":      count,
			"gb18030":    gb18030,
			"hostile":    hostile,
			"authority":  authority,
			"dated":      dated,
			"witness":    serveWitness,
			"cosign":     cosign,
			"tamper":     tamper,
			"unpack":     unpack,
			"swelling":   swelling,
		},
		Condition: func(name string) (bool, error) {
			switch name {
			case "long":
				return !testing.Short(), nil
			case "embedded":
				return strings.HasSuffix(t.Name(), "/embedded"), nil
			}
			return false, fmt.Errorf("no condition %q", name)
		},
		RequireUniqueNames: true,
	})
}

// depository DIR [flags…] runs munimentd on DIR, and sets MUNIMENT_SERVER and, when
// DIR is new, MUNIMENT_API_KEY.
func depository(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: depository DIR [flags…]")
	}
	runDepository(ts, nil, args)
}

// runDepository is depository with more in the environment.
func runDepository(ts *testscript.TestScript, vars, args []string) {
	cmd := exec.Command("munimentd", append([]string{"serve", "--dir", ts.MkAbs(args[0]), "--listen", "127.0.0.1:0"}, args[1:]...)...)
	cmd.Env = slices.Concat(os.Environ(), ts.Value(settingsKey{}).([]string), vars)
	out, err := cmd.StdoutPipe()
	ts.Check(err)
	var log strings.Builder
	cmd.Stderr = &log
	ts.Check(cmd.Start())
	stop := func() {
		cmd.Process.Signal(syscall.SIGTERM)
		cmd.Wait()
		if cmd.ProcessState.ExitCode() == 70 { // it answered what openapi.yaml does not promise
			fmt.Fprintln(os.Stderr, log.String())
		}
	}
	ts.Defer(stop)
	ts.Setenv("DEPOSITORY_PID", fmt.Sprint(cmd.Process.Pid))
	late := time.AfterFunc(30*time.Second, func() { cmd.Process.Kill() })
	defer late.Stop()
	for in := bufio.NewScanner(out); in.Scan(); {
		if key, ok := strings.CutPrefix(in.Text(), "api-key: "); ok {
			ts.Setenv("MUNIMENT_API_KEY", key)
		}
		if _, address, ok := strings.Cut(in.Text(), " on http://"); ok {
			ts.Setenv("MUNIMENT_SERVER", "http://"+address)
			return
		}
	}
	stop()
	ts.Fatalf("munimentd did not start:\n%s", log.String())
}

// authority NAME runs a time-stamp authority, writes its root to NAME.pem, and sets
// NAME_URL.
func authority(ts *testscript.TestScript, neg bool, args []string) {
	a := rfc3161test.New(args[0], time.Now, 20*365*24*time.Hour, 5*365*24*time.Hour)
	server := httptest.NewServer(a)
	ts.Defer(server.Close)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]+".pem"), rfc3161test.RootsPEM(a), 0o644))
	ts.Setenv(args[0]+"_URL", server.URL)
}

// dated DIR URL… ROOTS runs munimentd on DIR, which it lays out, with time-stamp authorities
// that are asked on demand alone.
func dated(ts *testscript.TestScript, neg bool, args []string) {
	ts.Setenv("MUNIMENT_TIMESTAMP_AUTHORITIES", "["+strings.Join(args[1:len(args)-1], ", ")+"]")
	ts.Setenv("MUNIMENT_TIMESTAMP_ROOTS", ts.MkAbs(args[len(args)-1]))
	ts.Setenv("MUNIMENT_TIMESTAMP_EVERY", "0")
	vars := []string{}
	for _, name := range []string{"AUTHORITIES", "ROOTS", "EVERY"} {
		vars = append(vars, "MUNIMENT_TIMESTAMP_"+name+"="+ts.Getenv("MUNIMENT_TIMESTAMP_"+name))
	}
	runDepository(ts, vars, args[:1])
}

// halt stops the depository that was started last, and waits until it is gone.
func halt(ts *testscript.TestScript, neg bool, args []string) {
	var pid int
	_, err := fmt.Sscan(ts.Getenv("DEPOSITORY_PID"), &pid)
	ts.Check(err)
	ts.Check(syscall.Kill(pid, syscall.SIGTERM))
	for range 100 {
		// A zombie still has its pid, but no address space.
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
		if err != nil || strings.HasPrefix(string(stat), "0 ") {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	ts.Fatalf("the depository does not stop")
}

// exits CODE command… runs a command that must end with that code.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE command…")
	}
	code := 0
	err := ts.Exec(args[1], args[2:]...)
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		code = exit.ExitCode()
	case err != nil:
		ts.Fatalf("%v", err)
	}
	if fmt.Sprint(code) != args[0] {
		ts.Fatalf("exit code %d, want %s\n%s%s", code, args[0], ts.ReadFile("stdout"), ts.ReadFile("stderr"))
	}
}

// flip FILE changes one byte of a file: of a receipt where what it discloses begins, so that it
// can be read no more; of any other file in its middle.
func flip(ts *testscript.TestScript, neg bool, args []string) {
	path := ts.MkAbs(args[0])
	data, err := os.ReadFile(path)
	ts.Check(err)
	at := len(data) / 2
	if before, _, ok := bytes.Cut(data, []byte("\nextra ")); ok {
		at = len(before) + len("\nextra ") + base64.StdEncoding.EncodedLen(len(`{"disclosures":`))
	}
	data[at] ^= 1
	ts.Check(os.WriteFile(path, data, 0o644))
}

// tamper ZIP NAME OUT changes one byte in the middle of a file in a ZIP, and packs it anew.
func tamper(ts *testscript.TestScript, neg bool, args []string) {
	in, err := zip.OpenReader(ts.MkAbs(args[0]))
	ts.Check(err)
	defer in.Close()
	out, err := os.Create(ts.MkAbs(args[2]))
	ts.Check(err)
	defer out.Close()
	z, found := zip.NewWriter(out), false
	for _, f := range in.File {
		r, err := f.Open()
		ts.Check(err)
		data, err := io.ReadAll(r)
		ts.Check(err)
		if f.Name == args[1] {
			data[len(data)/2] ^= 1
			found = true
		}
		w, err := z.Create(f.Name)
		ts.Check(err)
		_, err = w.Write(data)
		ts.Check(err)
	}
	ts.Check(z.Close())
	if !found {
		ts.Fatalf("there is no %s in %s", args[1], args[0])
	}
}

// unpack ZIP DIR unpacks a ZIP.
func unpack(ts *testscript.TestScript, neg bool, args []string) {
	in, err := zip.OpenReader(ts.MkAbs(args[0]))
	ts.Check(err)
	defer in.Close()
	ts.Check(os.CopyFS(ts.MkAbs(args[1]), in))
}

// swelling notes what the depository has had in memory at most; with MEBIBYTES, it must not
// have grown by more than that since.
func swelling(ts *testscript.TestScript, neg bool, args []string) {
	var pid int
	_, err := fmt.Sscan(ts.Getenv("DEPOSITORY_PID"), &pid)
	ts.Check(err)
	now := peak(pid)
	if len(args) == 1 {
		before, _ := strconv.ParseInt(ts.Getenv("SWELLING"), 10, 64)
		most, err := strconv.ParseInt(args[0], 10, 64)
		ts.Check(err)
		if now-before > most || now == 0 {
			ts.Fatalf("the depository went from %d to %d MiB, want at most %d more", before, now, most)
		}
		ts.Logf("the depository went from %d to %d MiB", before, now)
	}
	ts.Setenv("SWELLING", fmt.Sprint(now))
}

// sparse FILE MEBIBYTES makes a file of zeros.
func sparse(ts *testscript.TestScript, neg bool, args []string) {
	var mebibytes int64
	_, err := fmt.Sscan(args[1], &mebibytes)
	ts.Check(err)
	f, err := os.Create(ts.MkAbs(args[0]))
	ts.Check(err)
	ts.Check(errors.Join(f.Truncate(mebibytes<<20), f.Close()))
}

// frugal MEBIBYTES command… runs a command that must succeed and never have more
// than that in memory.
func frugal(ts *testscript.TestScript, neg bool, args []string) {
	var mebibytes int64
	_, err := fmt.Sscan(args[0], &mebibytes)
	ts.Check(err)
	cmd := exec.Command(args[1], args[2:]...)
	cmd.Dir = ts.MkAbs(".")
	for _, name := range []string{"PATH", "MUNIMENT_SERVER", "MUNIMENT_API_KEY"} {
		cmd.Env = append(cmd.Env, name+"="+ts.Getenv(name))
	}
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &out
	ts.Check(cmd.Start())
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	// Not ru_maxrss: in it a child has what its parent had when it was made.
	var used int64
	for running := true; running; {
		used = max(used, peak(cmd.Process.Pid))
		select {
		case err := <-ended:
			ts.Logf("%s", out.String())
			ts.Check(err)
			running = false
		case <-time.After(10 * time.Millisecond):
		}
	}
	if used > mebibytes || used == 0 {
		ts.Fatalf("%d MiB in memory, want at most %d", used, mebibytes)
	}
	ts.Logf("%d MiB in memory", used)
}

// peak is the most that a running process has had in memory, in MiB; 0 if it has ended.
func peak(pid int) int64 {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(status), "VmHWM:")
	var kib int64
	fmt.Sscan(rest, &kib)
	return kib >> 10
}

// field VARIABLE NAME FILE takes the string that stands behind "NAME": in JSON.
func field(ts *testscript.TestScript, neg bool, args []string) {
	_, rest, ok := strings.Cut(ts.ReadFile(args[2]), `"`+args[1]+`":"`)
	value, _, ok2 := strings.Cut(rest, `"`)
	if !ok || !ok2 {
		ts.Fatalf("no %s in %s", args[1], args[2])
	}
	ts.Setenv(args[0], value)
}

// interrupt SIGNAL DIR COUNT command… runs a command, and sends it the signal when DIR
// holds COUNT receipts, or with "pending" when a batch is about to be sent, or with
// "bundles:COUNT" when that many bundles of the log are mirrored there. It must not have come to its end by itself. What it said on standard error goes to interrupted.
func interrupt(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 4 {
		ts.Fatalf("usage: interrupt SIGNAL DIR COUNT command…")
	}
	signal := map[string]syscall.Signal{"INT": syscall.SIGINT, "KILL": syscall.SIGKILL}[args[0]]
	cmd := exec.Command(args[3], args[4:]...)
	cmd.Dir = ts.MkAbs(".")
	for _, name := range []string{"PATH", "MUNIMENT_SERVER", "MUNIMENT_API_KEY"} {
		cmd.Env = append(cmd.Env, name+"="+ts.Getenv(name))
	}
	var said strings.Builder
	cmd.Stderr = &said
	ts.Check(cmd.Start())
	late := time.AfterFunc(time.Minute, func() { cmd.Process.Kill() })
	defer late.Stop()
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	for {
		select {
		case err := <-ended:
			ts.Fatalf("it came to its end before it could be interrupted: %v\n%s", err, said.String())
		case <-time.After(time.Millisecond):
		}
		if reached(ts.MkAbs(args[1]), args[2]) {
			break
		}
	}
	ts.Check(cmd.Process.Signal(signal))
	if err := <-ended; err == nil {
		ts.Fatalf("the signal came too late")
	}
	ts.Check(os.WriteFile(ts.MkAbs("interrupted"), []byte(said.String()), 0o644))
	ts.Logf("%d receipts when it was interrupted", len(receiptsIn(ts.MkAbs(args[1]))))
}

// reached reports whether a folder is as far as it should be.
func reached(dir, want string) bool {
	if want == "pending" {
		_, err := os.Stat(filepath.Join(dir, pendingFile))
		return err == nil
	}
	if count, ok := strings.CutPrefix(want, "bundles:"); ok {
		n, _ := strconv.Atoi(count)
		entries, _ := os.ReadDir(filepath.Join(dir, "tile", "entries"))
		return len(entries) >= n
	}
	n, _ := strconv.Atoi(want)
	return len(receiptsIn(dir)) >= n
}

func receiptsIn(dir string) []string {
	paths, _ := filepath.Glob(filepath.Join(dir, "*"+receiptSuffix))
	return paths
}

// files DIR COUNT makes that many documents.
func files(ts *testscript.TestScript, neg bool, args []string) {
	n, err := strconv.Atoi(args[1])
	ts.Check(err)
	ts.Check(os.MkdirAll(ts.MkAbs(args[0]), 0o777))
	for i := range n {
		name := filepath.Join(ts.MkAbs(args[0]), fmt.Sprintf("document-%04d.txt", i))
		ts.Check(os.WriteFile(name, fmt.Appendf(nil, "document %d\n", i), 0o666))
	}
}

// lines FILE COUNT makes a CSV file of that many lines, ten to a contract.
func lines(ts *testscript.TestScript, neg bool, args []string) {
	n, err := strconv.Atoi(args[1])
	ts.Check(err)
	var b strings.Builder
	b.WriteString("content.sha256,contract.number,party.0.name,terms.amount\n")
	for i := range n {
		fmt.Fprintf(&b, "%x,HT-%d,\"示例, %d\",%d.00\n", sha256.Sum256(fmt.Append(nil, i)), i/10, i, i)
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(b.String()), 0o666))
}

// count DIR COUNT demands that many receipts.
func count(ts *testscript.TestScript, neg bool, args []string) {
	if got := fmt.Sprint(len(receiptsIn(ts.MkAbs(args[0])))); got != args[1] != neg {
		ts.Fatalf("%s receipts in %s, want %s", got, args[0], args[1])
	}
}

// gb18030 FILE writes a file as Chinese Excel does: that encoding, and CR LF.
func gb18030(ts *testscript.TestScript, neg bool, args []string) {
	text := strings.ReplaceAll(ts.ReadFile(args[0]), "\n", "\r\n")
	data, err := simplifiedchinese.GB18030.NewEncoder().String(text)
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(data), 0o666))
}

// hostile DIR makes files whose names would steer a terminal or a reader's eye.
func hostile(ts *testscript.TestScript, neg bool, args []string) {
	ts.Check(os.MkdirAll(ts.MkAbs(args[0]), 0o777))
	for _, name := range []string{"a\x1b[2Jb.txt", "fdp.\u202egpj.txt", "line\nVERIFIED.txt", "%s%n.txt", "-rf.txt", "*.txt", "[x].txt"} {
		ts.Check(os.WriteFile(filepath.Join(ts.MkAbs(args[0]), name), []byte(name), 0o666))
	}
	// A name that is not UTF-8 cannot stand in a record.
	ts.Check(os.WriteFile(filepath.Join(ts.MkAbs(args[0]), "\xff\xfe.txt"), []byte("x"), 0o666))
}

// witness DIR [flags…] runs a witness, and sets WITNESS and WITNESS_PID.
func serveWitness(ts *testscript.TestScript, neg bool, args []string) {
	cmd := exec.Command("muniment", append([]string{"witness", "serve", "--listen", "127.0.0.1:0", "--dir", ts.MkAbs(args[0])}, args[1:]...)...)
	cmd.Dir = ts.MkAbs(".")
	out, err := cmd.StdoutPipe()
	ts.Check(err)
	var log strings.Builder
	cmd.Stderr = &log
	ts.Check(cmd.Start())
	stop := sync.OnceFunc(func() {
		cmd.Process.Signal(syscall.SIGTERM)
		if err := cmd.Wait(); err != nil {
			ts.Logf("the witness ended: %v\n%s", err, log.String())
		}
	})
	ts.Defer(stop)
	ts.Setenv("WITNESS_PID", fmt.Sprint(cmd.Process.Pid))
	late := time.AfterFunc(30*time.Second, func() { cmd.Process.Kill() })
	defer late.Stop()
	in := bufio.NewScanner(out)
	if in.Scan() {
		if _, address, ok := strings.Cut(in.Text(), " on http://"); ok {
			ts.Setenv("WITNESS", "http://"+address)
			return
		}
	}
	stop()
	ts.Fatalf("the witness did not start:\n%s%s", in.Text(), log.String())
}

// cosign RECEIPT OLD STATUS asks the witness to cosign a receipt's checkpoint, without a
// proof, and puts the cosignatures that it gives into the receipt.
func cosign(ts *testscript.TestScript, neg bool, args []string) {
	path := ts.MkAbs(args[0])
	data, err := os.ReadFile(path)
	ts.Check(err)
	r, err := proofs.ParseReceipt(data)
	ts.Check(err)
	body := append([]byte("old "+args[1]+"\n\n"), r.Checkpoint...)
	resp, err := http.Post(ts.Getenv("WITNESS")+"/add-checkpoint", "text/plain", bytes.NewReader(body))
	ts.Check(err)
	defer resp.Body.Close()
	said, err := io.ReadAll(resp.Body)
	ts.Check(err)
	if fmt.Sprint(resp.StatusCode) != args[2] {
		ts.Fatalf("the witness says %d, want %s: %s", resp.StatusCode, args[2], said)
	}
	if resp.StatusCode == http.StatusOK && bytes.Count(r.Checkpoint, []byte("— ")) == 1 {
		r.Checkpoint = append(r.Checkpoint, said...)
		ts.Check(os.WriteFile(path, r.Marshal(), 0o666))
	}
}
