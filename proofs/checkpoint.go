package proofs

import (
	"strconv"
	"strings"
)

// A Checkpoint states the size and root of one log (C2SP tlog-checkpoint).
// Muniment's checkpoints have no extension lines.
type Checkpoint struct {
	Origin string
	Size   uint64
	Root   Hash
}

// String returns the checkpoint's body: the text that is signed.
func (c Checkpoint) String() string {
	return c.Origin + "\n" + strconv.FormatUint(c.Size, 10) + "\n" + c.Root.String() + "\n"
}

// ParseCheckpoint reads the body of a checkpoint.
func ParseCheckpoint(text string) (Checkpoint, error) {
	lines := strings.SplitN(text, "\n", 5)
	if len(lines) != 4 || lines[3] != "" || !validKeyName(lines[0]) {
		return Checkpoint{}, malformed("checkpoint is not origin, size and root in three lines")
	}
	size, err := parseUint(lines[1])
	if err != nil {
		return Checkpoint{}, err
	}
	root, err := ParseHash(lines[2])
	if err != nil {
		return Checkpoint{}, err
	}
	if size == 0 && root != EmptyRoot {
		return Checkpoint{}, malformed("checkpoint of size 0 has a root")
	}
	return Checkpoint{Origin: lines[0], Size: size, Root: root}, nil
}

// parseUint reads a decimal up to MaxSize that formats back to itself.
func parseUint(s string) (uint64, error) {
	n, err := strconv.ParseUint(s, 10, 63)
	if err != nil || strconv.FormatUint(n, 10) != s {
		return 0, malformed("not a decimal number below 2^63 in its shortest form")
	}
	return n, nil
}

// Environment is the middle part of an origin: what a log's evidence is worth.
type Environment string

// Evidence from a log that is not Prod has no evidential value, and says so.
const (
	Dev  Environment = "dev"
	Test Environment = "test"
	Prod Environment = "prod"
)

// ParseOrigin checks that s is a Muniment origin, <dns name>/<dev|test|prod>/<label>
// in at most 128 bytes of lower-case ASCII, and returns its environment.
func ParseOrigin(s string) (Environment, error) {
	parts := strings.SplitN(s, "/", 4)
	if len(s) > 128 || len(parts) != 3 || !validDNSName(parts[0]) || !validLabel(parts[2]) {
		return "", malformed("origin is not <dns name>/<dev|test|prod>/<label> in lower case")
	}
	switch env := Environment(parts[1]); env {
	case Dev, Test, Prod:
		return env, nil
	}
	return "", malformed("origin's environment is not dev, test or prod")
}

func validDNSName(s string) bool {
	for _, label := range strings.Split(s, ".") {
		if len(label) > 63 || !validLabel(label) || strings.ContainsAny(label, "._") {
			return false
		}
	}
	return true
}

// validLabel: letters and digits, with . _ - between them.
func validLabel(s string) bool {
	for i := 0; i < len(s); i++ {
		c := s[i]
		alnum := c >= 'a' && c <= 'z' || c >= '0' && c <= '9'
		edge := i == 0 || i == len(s)-1
		if !alnum && (edge || !strings.ContainsRune("._-", rune(c))) {
			return false
		}
	}
	return s != ""
}
