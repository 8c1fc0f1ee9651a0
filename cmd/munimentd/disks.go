package main

import (
	"golang.org/x/sys/unix"
)

// Shares of a file system, in percent, below which the room left is wrong or worth
// mending. At the first the notary refuses deposits.
const (
	tooLittle = 5
	little    = 10
	leastRoom = 128 << 20 // what the ledger keeps free on a small disk
)

// unfit are file systems that do not keep what an fsync promises, by their magic
// numbers (statfs(2)).
var unfit = map[uint32]string{
	unix.NFS_SUPER_MAGIC:       "a network file system (NFS)",
	unix.SMB_SUPER_MAGIC:       "a network file system (SMB)",
	unix.SMB2_SUPER_MAGIC:      "a network file system (SMB)",
	unix.CIFS_SUPER_MAGIC:      "a network file system (CIFS)",
	unix.V9FS_MAGIC:            "a network file system (9P)",
	unix.CEPH_SUPER_MAGIC:      "a network file system (Ceph)",
	unix.AFS_SUPER_MAGIC:       "a network file system (AFS)",
	unix.FUSE_SUPER_MAGIC:      "a file system of a program (FUSE)",
	unix.TMPFS_MAGIC:           "in memory (tmpfs)",
	unix.RAMFS_MAGIC:           "in memory (ramfs)",
	unix.OVERLAYFS_SUPER_MAGIC: "a layer of a container (overlayfs), which may end with it",
}

// disks checks each file system that the depository is on, once.
func (e *examination) disks() {
	seen := map[unix.Fsid]bool{}
	for _, path := range e.config.places() {
		var st unix.Statfs_t
		if err := unix.Statfs(path, &st); err != nil || seen[st.Fsid] {
			continue // what is not there has been told
		}
		seen[st.Fsid] = true
		e.disk(path, &st)
	}
}

func (e *examination) disk(path string, st *unix.Statfs_t) {
	free, total := st.Bavail*uint64(st.Bsize), st.Blocks*uint64(st.Bsize)
	mend := "make room on the file system of " + path + ", or move the depository to a larger one"
	switch share := 100 * free / max(total, 1); {
	case share < tooLittle || free < leastRoom:
		e.add("disk", wrong, mend, "%d MiB free under %s, %d%%: deposits are refused", free>>20, path, share)
	case share < little:
		e.add("disk", doubtful, mend, "%d MiB free under %s, %d%%; at %d%% deposits are refused", free>>20, path, share, tooLittle)
	default:
		e.add("disk", sound, "", "%d MiB free under %s, %d%%", free>>20, path, share)
	}
	if st.Files > 0 { // some file systems have no bound
		switch share := 100 * st.Ffree / st.Files; {
		case share < tooLittle/5:
			e.add("disk", wrong, mend, "%d inodes free under %s, %d%%: each document takes one", st.Ffree, path, share)
		case share < little:
			e.add("disk", doubtful, mend, "%d inodes free under %s, %d%%: each document takes one", st.Ffree, path, share)
		}
	}
	if what, ok := unfit[uint32(st.Type)]; ok {
		e.add("disk", doubtful, "move the depository to a local file system (ext4, XFS or btrfs)", "%s is %s: what is written there may not last", path, what)
	}
}
