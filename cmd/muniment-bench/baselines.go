package main

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// baselines are the machine's own rates, measured beside the load: what they and the
// depository share, such as a noisy neighbour, drops out of their ratio.
type baselines struct {
	Handler     float64 `json:"empty_handler_per_second"`
	HandlerP99  float64 `json:"empty_handler_p99_ms"`
	HandlerCPU  float64 `json:"empty_handler_cpu_us"`
	Connections int     `json:"empty_handler_connections"`
	Flush       float64 `json:"flushes_per_second"`                    // append of 4 KiB and fdatasync
	TwoFlushes  float64 `json:"dependent_flushes_per_second"`          // pairs: append, then overwrite
	TwoInPlace  float64 `json:"dependent_flushes_in_place_per_second"` // pairs: overwrite, then overwrite
	Hash        float64 `json:"sha256_100kib_per_second"`              // on one core, as are the next two
	Sign        float64 `json:"ed25519_sign_per_second"`
	Verify      float64 `json:"ed25519_verify_per_second"`
}

// measureBaselines takes about four times d. The requests are of the load's first kind.
func measureBaselines(ctx context.Context, w *workload, m mix, clients int, dir string, d time.Duration) (baselines, error) {
	b := baselines{Connections: clients}
	var err error
	if err = b.measureFlushes(dir, d/2); err != nil {
		return b, err
	}
	b.Hash, b.Sign, b.Verify = measureCrypto(d / 3)
	if err := b.measureHandler(ctx, w, m, clients, d); err != nil {
		return b, fmt.Errorf("empty handler: %w", err)
	}
	return b, nil
}

// mean is the mean of two measurements, one before the load and one after.
func (b baselines) mean(o baselines) baselines {
	for _, p := range [][2]*float64{
		{&b.Handler, &o.Handler}, {&b.HandlerP99, &o.HandlerP99}, {&b.HandlerCPU, &o.HandlerCPU}, {&b.Flush, &o.Flush},
		{&b.TwoFlushes, &o.TwoFlushes}, {&b.TwoInPlace, &o.TwoInPlace}, {&b.Hash, &o.Hash}, {&b.Sign, &o.Sign}, {&b.Verify, &o.Verify},
	} {
		*p[0] = (*p[0] + *p[1]) / 2
	}
	return b
}

// perSecond repeats work for d.
func perSecond(d time.Duration, work func()) float64 {
	began, n := time.Now(), 0
	for time.Since(began) < d {
		work()
		n++
	}
	return float64(n) / time.Since(began).Seconds()
}

func measureCrypto(d time.Duration) (hash, sign, verify float64) {
	block, message := make([]byte, 100<<10), bytes.Repeat([]byte("checkpoint"), 15)
	key := ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))
	signature := ed25519.Sign(key, message)
	public := key.Public().(ed25519.PublicKey)
	hash = perSecond(d, func() { sha256.Sum256(block) })
	sign = perSecond(d, func() { ed25519.Sign(key, message) })
	verify = perSecond(d, func() { ed25519.Verify(public, message, signature) })
	return hash, sign, verify
}

// measureFlushes measures what the disk under dir gives to one who waits for it: an
// append with its flush, and two flushes of which the second waits for the first, as a
// deposit has them: a record to the end of a log, then a block of an anchor in place.
// A log that writes over a file of its own, as ledgers do that recycle theirs, is
// spared the change of the file's size; that is the third rate.
func (b *baselines) measureFlushes(dir string, d time.Duration) error {
	grown, err := scratch(dir)
	if err != nil {
		return err
	}
	defer grown.Close()
	fixed, err := scratch(dir)
	if err != nil {
		return err
	}
	defer fixed.Close()
	block := make([]byte, 4096)
	const recycled = 8 << 20 // of fixed, behind the anchor's block
	if _, err := fixed.Write(make([]byte, recycled)); err != nil {
		return err
	}
	if err := fixed.Sync(); err != nil {
		return err
	}
	written := func(f *os.File, p []byte, at int64) error {
		_, err := f.WriteAt(p, at)
		return errors.Join(err, unix.Fdatasync(int(f.Fd())))
	}
	var end, place int64
	b.Flush = perSecond(d, func() {
		err = errors.Join(err, written(grown, block, end))
		end += int64(len(block))
	})
	b.TwoFlushes = perSecond(d, func() {
		err = errors.Join(err, written(grown, block[:1024], end), written(fixed, block, 0))
		end += 1024
	})
	b.TwoInPlace = perSecond(d, func() {
		place = (place + 1024) % (recycled - 8192)
		err = errors.Join(err, written(fixed, block[:1024], 4096+place), written(fixed, block, 0))
	})
	return err
}

// scratch is a file without a name.
func scratch(dir string) (*os.File, error) {
	f, err := os.CreateTemp(dir, "muniment-bench-*")
	if err != nil {
		return nil, err
	}
	return f, os.Remove(f.Name())
}
