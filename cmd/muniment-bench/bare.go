package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
)

// bare is what the same servers do for one who only wants bytes kept, and what the rows
// come to beside it. A ratio that was not measured is 0.
type bare struct {
	Settings map[string]string `json:"postgresql_settings"`    // as the server has them
	Unnest   float64           `json:"unnest_rows_per_second"` // over one connection
	Unnest4  float64           `json:"unnest_rows_per_second_4_connections"`
	Put      float64           `json:"put_objects_per_second"`
	PutSize  int               `json:"put_bytes"`
	Putters  int               `json:"put_clients"`

	Single    float64 `json:"single_to_unnest"` // in deposits, as is the next
	Batches   float64 `json:"batches_to_unnest"`
	Documents float64 `json:"documents_to_put"`
	Three     float64 `json:"three_replicas_to_one"`
	Grown     float64 `json:"grown_to_first"`
}

// Rows of the bare insert.
const (
	unnestRows = 1024 // a statement
	unnestSize = 600  // bytes of a row
)

// measure measures the servers themselves, for d each.
func (b *bare) measure(ctx context.Context, s *stores, d time.Duration) (err error) {
	if b.Settings, err = settings(ctx, s.postgres.URL()); err != nil {
		return err
	}
	if b.Unnest, err = unnest(ctx, s.postgres.URL(), 1, d); err != nil {
		return fmt.Errorf("bare insert: %w", err)
	}
	if b.Unnest4, err = unnest(ctx, s.postgres.URL(), 4, d); err != nil {
		return fmt.Errorf("bare insert: %w", err)
	}
	if b.Put, err = b.put(ctx, s, d); err != nil {
		return fmt.Errorf("bare PutObject: %w", err)
	}
	return nil
}

// settings are those that say what the figures of a PostgreSQL are worth.
func settings(ctx context.Context, url string) (map[string]string, error) {
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return nil, err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	all := map[string]string{}
	for _, name := range []string{"server_version", "fsync", "synchronous_commit", "full_page_writes", "shared_buffers", "max_wal_size", "wal_compression"} {
		var value string
		if err := conn.QueryRow(ctx, "SELECT current_setting($1)", name).Scan(&value); err != nil {
			return nil, err
		}
		all[name] = value
	}
	return all, nil
}

// mean is the mean of two measurements, one before the rows and one after.
func (b *bare) mean(after bare) {
	b.Unnest, b.Unnest4, b.Put = (b.Unnest+after.Unnest)/2, (b.Unnest4+after.Unnest4)/2, (b.Put+after.Put)/2
}

// unnest inserts rows into a table with a key and nothing else, over that many
// connections, each statement a commit of its own. It returns rows a second.
func unnest(ctx context.Context, url string, connections int, d time.Duration) (float64, error) {
	conns := make([]*pgx.Conn, connections)
	for i := range conns {
		var err error
		if conns[i], err = pgx.Connect(ctx, url); err != nil {
			return 0, err
		}
		defer conns[i].Close(context.WithoutCancel(ctx))
	}
	if _, err := conns[0].Exec(ctx, "CREATE TABLE bare (index bigint PRIMARY KEY, data bytea NOT NULL)"); err != nil {
		return 0, err
	}
	defer func() {
		_, _ = conns[0].Exec(context.WithoutCancel(ctx), "DROP TABLE bare") // of a cluster that goes with the run
	}()
	var next atomic.Int64
	return together(connections, d, func(i int) (int, error) {
		indexes, data := make([]int64, unnestRows), make([][]byte, unnestRows)
		random := make([]byte, unnestRows*unnestSize) // sealed records do not compress
		rand.Read(random)
		end := next.Add(unnestRows)
		for j := range indexes {
			indexes[j], data[j] = end-int64(j), random[j*unnestSize:(j+1)*unnestSize]
		}
		_, err := conns[i].Exec(ctx, "INSERT INTO bare SELECT * FROM unnest($1::bigint[], $2::bytea[])", indexes, data)
		return unnestRows, err
	})
}

// put stores objects as minio-go does by itself. It returns objects a second.
func (b *bare) put(ctx context.Context, s *stores, d time.Duration) (float64, error) {
	client, err := minio.New(strings.TrimPrefix(s.s3.Endpoint, "http://"), &minio.Options{Creds: credentials.NewStaticV4(s.s3.AccessKey, s.s3.SecretKey, "")})
	if err != nil {
		return 0, err
	}
	object := make([]byte, b.PutSize)
	rand.Read(object)
	return together(b.Putters, d, func(int) (int, error) {
		_, err := client.PutObject(ctx, bareBucket, rand.Text(), io.NopCloser(bytes.NewReader(object)), int64(len(object)), minio.PutObjectOptions{})
		return 1, err
	})
}

// together repeats work in that many goroutines for d, and returns how much was done a
// second.
func together(n int, d time.Duration, work func(worker int) (done int, err error)) (float64, error) {
	var all sync.WaitGroup
	var done atomic.Int64
	var failed atomic.Pointer[error]
	began := time.Now()
	for i := range n {
		all.Go(func() {
			for time.Since(began) < d && failed.Load() == nil {
				n, err := work(i)
				if err != nil {
					failed.Store(&err)
					return
				}
				done.Add(int64(n))
			}
		})
	}
	all.Wait()
	if err := failed.Load(); err != nil {
		return 0, *err
	}
	return float64(done.Load()) / time.Since(began).Seconds(), nil
}

func (b *bare) print(out io.Writer) {
	fmt.Fprintf(out, "Bare servers: PostgreSQL %s, fsync %s, synchronous_commit %s: %s rows/s in inserts by unnest of %s rows of %d bytes over one connection, %s over 4;\n",
		b.Settings["server_version"], b.Settings["fsync"], b.Settings["synchronous_commit"], grouped(b.Unnest), grouped(unnestRows), unnestSize, grouped(b.Unnest4))
	fmt.Fprintf(out, "  S3 %s objects/s of %s bytes by %d clients with minio-go alone\n", grouped(b.Put), grouped(float64(b.PutSize)), b.Putters)
	fmt.Fprintf(out, "Ratios: single deposits %.2f and batches %.2f of the insert over one connection; documents %.2f of minio-go alone; three replicas %.2f of one",
		b.Single, b.Batches, b.Documents, b.Three)
	if b.Grown > 0 {
		fmt.Fprintf(out, "; the grown log %.2f of the first", b.Grown)
	}
	fmt.Fprint(out, "\n\n")
}
