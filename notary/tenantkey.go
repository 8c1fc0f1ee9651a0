package notary

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
)

// TenantKey is the secret of one tenant. Wrap seals the data keys of its deposits and can
// be rotated; Index makes its Terms and never changes, since idempotency keys are kept for
// ever under it.
type TenantKey struct {
	// Wrap is the generation under which everything new is sealed.
	Wrap, Index [32]byte
	// Generation is that of Wrap; 0 is the first, 1.
	Generation uint32
	// Others open what was sealed before a rotation, or wait to be put in force by one.
	Others []WrapKey
}

// WrapKey is one generation of the half of a tenant's key that seals data keys.
type WrapKey struct {
	Generation uint32 // from 1
	Key        [32]byte
}

// ErrGeneration: the tenant's key that this process has lacks the generation asked for.
// Nothing is wrong with what is stored: a replica, or whoever restored a key file, has not
// got the newest, or the oldest, of it.
var ErrGeneration = errors.New("the tenant's key file here lacks a generation of the key")

// maxGenerations bounds those of one key file. Two are needed, while a rotation is under way.
const maxGenerations = 8

const (
	tenantKeyHeader    = "muniment/tenant-key@v1"
	generationsHeader  = "muniment/tenant-key@v2"
	checkPurpose       = "wrap-key-check"
	firstGeneration    = uint32(1)
	generationsAtLeast = 4 // lines of a file: header, index, how many, one generation
)

// NewTenantKey reads a new key from random.
func NewTenantKey(random io.Reader) (TenantKey, error) {
	var k TenantKey
	if _, err := io.ReadFull(random, k.Wrap[:]); err != nil {
		return TenantKey{}, err
	}
	_, err := io.ReadFull(random, k.Index[:])
	return k, err
}

// generation is that of Wrap.
func (k TenantKey) generation() uint32 { return max(k.Generation, firstGeneration) }

// Generations returns all of them, in ascending order.
func (k TenantKey) Generations() []WrapKey {
	all := append([]WrapKey{{k.generation(), k.Wrap}}, k.Others...)
	slices.SortFunc(all, func(a, b WrapKey) int { return int(a.Generation) - int(b.Generation) })
	return all
}

// Under returns the key with that generation in force, or ErrGeneration.
func (k TenantKey) Under(generation uint32) (TenantKey, error) {
	if generation == k.generation() {
		return k, nil
	}
	out := TenantKey{Index: k.Index}
	for _, g := range k.Generations() {
		if g.Generation == generation {
			out.Wrap, out.Generation = g.Key, g.Generation
		} else {
			out.Others = append(out.Others, g)
		}
	}
	if out.Generation == 0 {
		return TenantKey{}, fmt.Errorf("%w: generation %d", ErrGeneration, generation)
	}
	return out, nil
}

// wrapOf returns the key of one generation.
func (k *TenantKey) wrapOf(generation uint32) (*[32]byte, error) {
	if generation == k.generation() {
		return &k.Wrap, nil
	}
	for i := range k.Others {
		if k.Others[i].Generation == generation {
			return &k.Others[i].Key, nil
		}
	}
	return nil, fmt.Errorf("%w: generation %d", ErrGeneration, generation)
}

// With returns the key with one more generation, which is not in force.
func (k TenantKey) With(random io.Reader) (TenantKey, uint32, error) {
	all := k.Generations()
	next := WrapKey{Generation: all[len(all)-1].Generation + 1}
	if len(all) == maxGenerations {
		return k, 0, fmt.Errorf("a key has at most %d generations; retire the old ones first", maxGenerations)
	}
	if _, err := io.ReadFull(random, next.Key[:]); err != nil {
		return k, 0, err
	}
	k.Others = append(slices.Clone(k.Others), next)
	return k, next.Generation, nil
}

// Check tells two keys of one generation apart, and nothing of either.
func (g WrapKey) Check() [16]byte {
	return [16]byte(dataKey(g.Key).derive(checkPurpose, 16))
}

// Marshal returns the key's file: a header and one line for each half, and for each
// generation of the wrap half once there was a second.
func (k TenantKey) Marshal() []byte {
	e := base64.StdEncoding.EncodeToString
	all := k.Generations()
	if len(all) == 1 && all[0].Generation == firstGeneration {
		return []byte(tenantKeyHeader + "\nwrap " + e(k.Wrap[:]) + "\nindex " + e(k.Index[:]) + "\n")
	}
	var out strings.Builder
	fmt.Fprintf(&out, "%s\nindex %s\ngenerations %d\n", generationsHeader, e(k.Index[:]), len(all))
	for _, g := range all {
		fmt.Fprintf(&out, "wrap %d %s\n", g.Generation, e(g.Key[:]))
	}
	return []byte(out.String())
}

// ParseTenantKey reads what TenantKey.Marshal writes; of several generations the lowest is
// in force. Its errors hold no byte of the key.
func ParseTenantKey(data []byte) (TenantKey, error) {
	lines := strings.Split(string(data), "\n")
	switch {
	case len(lines) == 4 && lines[0] == tenantKeyHeader && lines[3] == "":
		var k TenantKey
		err := errors.Join(halfLine(lines, 1, "wrap ", &k.Wrap), halfLine(lines, 2, "index ", &k.Index))
		if err != nil {
			return TenantKey{}, err
		}
		return k, nil
	case len(lines) > generationsAtLeast && lines[0] == generationsHeader && lines[len(lines)-1] == "":
		return parseGenerations(lines[:len(lines)-1])
	}
	return TenantKey{}, fmt.Errorf("not a %s file, nor one of a later version", tenantKeyHeader)
}

func parseGenerations(lines []string) (TenantKey, error) {
	var k TenantKey
	if err := halfLine(lines, 1, "index ", &k.Index); err != nil {
		return TenantKey{}, err
	}
	// A file that was cut off lacks a key that something may be sealed under.
	if lines[2] != fmt.Sprint("generations ", len(lines)-3) || len(lines)-3 > maxGenerations {
		return TenantKey{}, errors.New("the tenant key file has not as many generations as it says, or too many")
	}
	before := uint32(0)
	for i := 3; i < len(lines); i++ {
		words := strings.SplitN(lines[i], " ", 3)
		n, err := strconv.ParseUint(words[min(1, len(words)-1)], 10, 32)
		if err != nil || len(words) != 3 || uint32(n) <= before {
			return TenantKey{}, fmt.Errorf("line %d of the tenant key file names no generation after %d", i+1, before)
		}
		g := WrapKey{Generation: uint32(n)}
		if err := halfLine(lines, i, "wrap "+words[1]+" ", &g.Key); err != nil {
			return TenantKey{}, err
		}
		if before == 0 {
			k.Wrap, k.Generation = g.Key, g.Generation
		} else {
			k.Others = append(k.Others, g)
		}
		before = g.Generation
	}
	if len(k.Others) == 0 && k.Generation == firstGeneration {
		return TenantKey{}, errors.New("a tenant key file of one generation, the first, is written otherwise")
	}
	return k, nil
}

// halfLine reads one line of a key file, counted from 0.
func halfLine(lines []string, i int, name string, to *[32]byte) error {
	text, ok := strings.CutPrefix(lines[i], name)
	b, err := base64.StdEncoding.Strict().DecodeString(text)
	if !ok || err != nil || len(b) != len(to) {
		return fmt.Errorf("line %d of the tenant key file is not %q and 32 bytes in base64", i+1, name)
	}
	copy(to[:], b)
	return nil
}
