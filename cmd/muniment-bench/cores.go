package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"

	"golang.org/x/sys/unix"
)

// cores are the processors that a process may use; nil: those of its parent.
type cores = *unix.CPUSet

// apart leaves this process the second half of its processors, and returns the first half,
// for the servers that are measured: neither then takes the other's time.
func apart() (servers cores, err error) {
	var all, own unix.CPUSet
	if err := unix.SchedGetaffinity(0, &all); err != nil {
		return nil, err
	}
	if all.Count() < 2 {
		return nil, errors.New("--apart takes two processors")
	}
	servers = new(unix.CPUSet)
	for cpu, given := 0, 0; given < all.Count(); cpu++ {
		switch {
		case !all.IsSet(cpu):
			continue
		case given < all.Count()/2:
			servers.Set(cpu)
		default:
			own.Set(cpu)
		}
		given++
	}
	return servers, confine(&own)
}

// confine lets all threads of this process run on those processors alone. A new thread has
// those of the one that made it, so that none is left out once a look finds none.
func confine(to cores) error {
	for left := true; left; {
		threads, err := os.ReadDir("/proc/self/task")
		if err != nil {
			return err
		}
		left = false
		for _, t := range threads {
			id, err := strconv.Atoi(t.Name())
			if err != nil {
				return err
			}
			var has unix.CPUSet
			if err := unix.SchedGetaffinity(id, &has); errors.Is(err, unix.ESRCH) || has == *to {
				continue
			}
			left = true
			if err := unix.SchedSetaffinity(id, to); err != nil && !errors.Is(err, unix.ESRCH) {
				return fmt.Errorf("processors of thread %d: %w", id, err)
			}
		}
	}
	return nil
}

// startOn starts a command on those processors.
func startOn(cmd *exec.Cmd, on cores) error {
	if on == nil {
		return cmd.Start()
	}
	runtime.LockOSThread() // the command has the processors of the thread that starts it
	defer runtime.UnlockOSThread()
	var own unix.CPUSet
	if err := unix.SchedGetaffinity(0, &own); err != nil {
		return err
	}
	if err := unix.SchedSetaffinity(0, on); err != nil {
		return err
	}
	err := cmd.Start()
	return errors.Join(err, unix.SchedSetaffinity(0, &own))
}
