package s3

import (
	"bytes"
	"encoding/binary"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
)

// The two below put the same bytes, 16 at a time, to the same server. What Put does
// besides is to read each document back, and a retention where one is set.

const benchSize = 100 << 10

// side is how many puts are under way at once.
const side = 16

func BenchmarkPut100KiB(bench *testing.B) {
	b := open(bench, Config{Bucket: newBucket(bench, false)})
	putSideBySide(bench, func(body []byte) error {
		_, err := b.Put(bench.Context(), name(), bytes.NewReader(body))
		return err
	})
}

func BenchmarkPutAndRetain100KiB(bench *testing.B) {
	b := open(bench, Config{Bucket: newBucket(bench, true), Retention: Retention{Years: 10}})
	putSideBySide(bench, func(body []byte) error {
		n := name()
		if _, err := b.Put(bench.Context(), n, bytes.NewReader(body)); err != nil {
			return err
		}
		return b.Retain(bench.Context(), n, time.Now(), time.Time{})
	})
}

func BenchmarkBareMinio(bench *testing.B) {
	at := newBucket(bench, false)
	b, err := connect(at, 0, 1)
	if err != nil {
		bench.Fatal(err)
	}
	defer b.close()
	putSideBySide(bench, func(body []byte) error {
		_, err := b.core.Client.PutObject(bench.Context(), at.Bucket, name(), bytes.NewReader(body), int64(len(body)), minio.PutObjectOptions{})
		return err
	})
}

func putSideBySide(bench *testing.B, put func(body []byte) error) {
	bench.SetBytes(benchSize)
	bench.SetParallelism(max(1, side/runtime.GOMAXPROCS(0)))
	var count atomic.Uint64
	bench.ResetTimer()
	bench.RunParallel(func(pb *testing.PB) {
		body := random(benchSize)
		for pb.Next() {
			binary.BigEndian.PutUint64(body, count.Add(1))
			if err := put(body); err != nil {
				bench.Error(err)
				return
			}
		}
	})
	bench.ReportMetric(float64(bench.N)/bench.Elapsed().Seconds(), "docs/s")
}
