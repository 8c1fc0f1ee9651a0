package main

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// unit reads the settings of munimentd.service; of one that stands twice, the last.
func unit(t *testing.T) map[string]string {
	t.Helper()
	data, err := os.ReadFile("munimentd.service")
	if err != nil {
		t.Fatal(err)
	}
	settings := map[string]string{}
	for line := range strings.Lines(string(data)) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") || strings.HasPrefix(line, "[") {
			continue
		}
		name, value, ok := strings.Cut(line, "=")
		if !ok {
			t.Errorf("no setting: %q", line)
		}
		settings[name] = value
	}
	return settings
}

// TestUnit holds the unit file against the command it starts: its flags, its exit codes
// and how long it takes to stop.
func TestUnit(t *testing.T) {
	u := unit(t)
	words := strings.Fields(u["ExecStart"])
	if len(words) < 2 || filepath.Base(words[0]) != "munimentd" || words[1] != "serve" {
		t.Fatalf("ExecStart=%s", u["ExecStart"])
	}
	flags := serveCommand().Flags()
	if err := flags.Parse(words[2:]); err != nil {
		t.Errorf("ExecStart=%s: %v", u["ExecStart"], err)
	}
	if _, err := readConfig(flags, nil); err != nil {
		t.Error(err)
	}
	if dir := flags.Lookup("dir").Value.String(); !strings.HasPrefix(dir, "/var/lib/"+u["StateDirectory"]+"/") {
		t.Errorf("--dir %s is not within the state directory %s, all that it may write to", dir, u["StateDirectory"])
	}
	if u["RestartPreventExitStatus"] != strconv.Itoa(exitFatal) {
		t.Errorf("RestartPreventExitStatus=%s, but it exits with %d when it must be looked at", u["RestartPreventExitStatus"], exitFatal)
	}
	if n, err := strconv.Atoi(u["TimeoutStopSec"]); err != nil || time.Duration(n)*time.Second <= stopWithin {
		t.Errorf("TimeoutStopSec=%s, and stopping takes up to %v", u["TimeoutStopSec"], stopWithin)
	}
	for name, want := range map[string]string{
		"Type": "notify", "Restart": "on-failure", "NoNewPrivileges": "yes", "ProtectSystem": "strict",
		"UMask": "0077", "LimitCORE": "0", "CapabilityBoundingSet": "",
	} {
		if got, ok := u[name]; !ok || got != want {
			t.Errorf("%s=%s, not %s", name, got, want)
		}
	}
}

// TestUnitVerifies asks systemd itself, where it is.
func TestUnitVerifies(t *testing.T) {
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip("systemd is not on this machine")
	}
	data, err := os.ReadFile("munimentd.service")
	if err != nil {
		t.Fatal(err)
	}
	binary, err := exec.LookPath("munimentd")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "munimentd.service")
	if err := os.WriteFile(path, []byte(strings.ReplaceAll(string(data), "/usr/local/bin/munimentd", binary)), 0o644); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(analyze, "verify", path).CombinedOutput()
	if err != nil || strings.Contains(string(out), "munimentd.service:") {
		t.Errorf("%v: %s", err, out)
	}
}

// TestNotifiesSystemd: READY=1 comes when it serves, and not before; STOPPING=1 when
// it was told to stop. By a socket in the file system, and by an abstract one.
func TestNotifiesSystemd(t *testing.T) {
	d := layout(t)
	for _, name := range []string{filepath.Join(t.TempDir(), "notify"), "@muniment-test-" + strconv.Itoa(os.Getpid())} {
		l, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: name, Net: "unixgram"})
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		t.Setenv("NOTIFY_SOCKET", name)
		p := d.launch(t, nil)
		expect := func(want string) {
			t.Helper()
			var buf [100]byte
			l.SetReadDeadline(time.Now().Add(20 * time.Second))
			n, err := l.Read(buf[:])
			if err != nil || string(buf[:n]) != want {
				t.Fatalf("%s: %q, %v, want %s: %s", name, buf[:n], err, want, p.out)
			}
		}
		expect("READY=1")
		if !p.wait(time.Second) {
			t.Errorf("told ready before it answered: %s", p.out)
		}
		p.stop(t)
		expect("STOPPING=1")
	}
	// One that nobody listens on is no reason not to serve.
	t.Setenv("NOTIFY_SOCKET", filepath.Join(t.TempDir(), "nobody"))
	d.serve(t).stop(t)
}
