package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// A machine is where the figures come from.
type machine struct {
	CPU        string `json:"cpu"`
	Cores      int    `json:"cores"`
	Memory     int64  `json:"memory_bytes"`
	System     string `json:"system"`
	FileSystem string `json:"file_system"` // of the depository's or the scratch directory
	Go         string `json:"go"`
	// Busy is the load average of the minute before: what else the machine had to do.
	Busy float64 `json:"load_average_before"`
}

func thisMachine(dir string) machine {
	m := machine{Cores: runtime.NumCPU(), Go: runtime.Version(), CPU: field("/proc/cpuinfo", "model name")}
	memory, _, _ := strings.Cut(field("/proc/meminfo", "MemTotal"), " ")
	kib, _ := strconv.ParseInt(memory, 10, 64) // 0 where it is not told
	m.Memory = kib << 10
	if data, err := os.ReadFile("/proc/loadavg"); err == nil {
		minute, _, _ := strings.Cut(string(data), " ")
		m.Busy, _ = strconv.ParseFloat(minute, 64) // 0 where it is not told
	}
	var u unix.Utsname
	if unix.Uname(&u) == nil {
		m.System = unix.ByteSliceToString(u.Sysname[:]) + " " + unix.ByteSliceToString(u.Release[:]) + " " + unix.ByteSliceToString(u.Machine[:])
	}
	var s unix.Statfs_t
	if unix.Statfs(dir, &s) == nil {
		m.FileSystem = fileSystem(s.Type)
	}
	return m
}

func fileSystem(magic int64) string {
	switch magic {
	case unix.EXT4_SUPER_MAGIC:
		return "ext4"
	case unix.XFS_SUPER_MAGIC:
		return "xfs"
	case unix.BTRFS_SUPER_MAGIC:
		return "btrfs"
	case unix.TMPFS_MAGIC:
		return "tmpfs"
	case unix.OVERLAYFS_SUPER_MAGIC:
		return "overlay"
	}
	return fmt.Sprintf("type %#x", magic)
}

// field is the first field of that name in a file of the kind of /proc/cpuinfo.
func field(path, name string) string {
	data, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	for in := bufio.NewScanner(bytes.NewReader(data)); in.Scan(); {
		key, value, _ := strings.Cut(in.Text(), ":")
		if strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// usage is what a process has used.
type usage struct {
	cpu      time.Duration
	resident int64 // bytes now
	peak     int64 // bytes at most since the last forgetPeak
}

// tick is the unit of times in /proc: USER_HZ, a hundredth of a second on every Linux.
const tick = 10 * time.Millisecond

// usageOf reads what a process has used so far.
func usageOf(pid int) (usage, error) {
	var u usage
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return u, err
	}
	// The second field is the command in brackets, which may itself hold brackets.
	rest := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	if len(rest) < 13 {
		return u, fmt.Errorf("/proc/%d/stat is cut off", pid)
	}
	for _, s := range rest[11:13] { // utime, stime
		n, err := strconv.ParseInt(s, 10, 64)
		if err != nil {
			return u, err
		}
		u.cpu += time.Duration(n) * tick
	}
	status := fmt.Sprintf("/proc/%d/status", pid)
	for name, into := range map[string]*int64{"VmRSS": &u.resident, "VmHWM": &u.peak} {
		kib, err := strconv.ParseInt(strings.TrimSuffix(field(status, name), " kB"), 10, 64)
		if err != nil {
			return u, fmt.Errorf("%s: %s: %w", status, name, err)
		}
		*into = kib << 10
	}
	return u, nil
}

// forgetPeak makes the peak of a process begin anew (proc(5), clear_refs).
func forgetPeak(pid int) error {
	return os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", pid), []byte("5"), 0)
}

// usageOfSelf is what the bench itself has used.
func usageOfSelf() usage {
	var r syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &r) // fails for a wrong argument alone
	return usage{cpu: time.Duration(r.Utime.Nano() + r.Stime.Nano()), peak: r.Maxrss << 10}
}

// diskUse is the bytes that the files under dir take on the disk. Files that go
// meanwhile are not counted.
func diskUse(dir string) (int64, error) {
	var total int64
	err := filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return ignoreMissing(err)
		}
		info, err := d.Info()
		if err != nil {
			return ignoreMissing(err)
		}
		total += info.Sys().(*syscall.Stat_t).Blocks * 512
		return nil
	})
	return total, err
}

func ignoreMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
