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

func (u usage) plus(o usage) usage {
	return usage{u.cpu + o.cpu, u.resident + o.resident, u.peak + o.peak}
}

// tick is the unit of times in /proc: USER_HZ, a hundredth of a second on every Linux.
const tick = 10 * time.Millisecond

// usageOf reads what a process has used so far.
func usageOf(pid int) (usage, error) {
	var u usage
	stat, err := readStat(pid)
	if err != nil {
		return u, err
	}
	u.cpu = stat.own
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

// stat is what /proc/PID/stat tells.
type stat struct {
	parent int
	own    time.Duration // of CPU
	ended  time.Duration // of children that have ended
}

func readStat(pid int) (stat, error) {
	var s stat
	path := fmt.Sprintf("/proc/%d/stat", pid)
	data, err := os.ReadFile(path)
	if err != nil {
		return s, err
	}
	// The second field is the command in brackets, which may itself hold brackets.
	rest := strings.Fields(string(data[bytes.LastIndexByte(data, ')')+1:]))
	if len(rest) < 15 {
		return s, fmt.Errorf("%s is cut off", path)
	}
	var n [5]int
	for i, at := range [...]int{1, 11, 12, 13, 14} { // ppid, utime, stime, cutime, cstime
		if n[i], err = strconv.Atoi(rest[at]); err != nil {
			return s, fmt.Errorf("%s: %w", path, err)
		}
	}
	return stat{n[0], time.Duration(n[1]+n[2]) * tick, time.Duration(n[3]+n[4]) * tick}, nil
}

// cpuOfFamily is the CPU that a process and all its children have used, those that have
// ended too.
func cpuOfFamily(pid int) time.Duration {
	dirs, _ := filepath.Glob("/proc/[0-9]*") // the pattern is well formed
	children, of := map[int][]int{}, map[int]stat{}
	for _, dir := range dirs {
		child, _ := strconv.Atoi(filepath.Base(dir))
		if s, err := readStat(child); err == nil { // else it has ended meanwhile
			of[child], children[s.parent] = s, append(children[s.parent], child)
		}
	}
	var cpu time.Duration
	for all := []int{pid}; len(all) > 0; all = all[1:] {
		cpu += of[all[0]].own + of[all[0]].ended
		all = append(all, children[all[0]]...)
	}
	return cpu
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
