package postgres

import (
	"bytes"
	"fmt"
	"strconv"
	"testing"

	"github.com/muniment/muniment/notary"
	"github.com/muniment/muniment/storage/storagetest"
)

// BenchmarkAppend measures batches of that many deposits, each the first of its case,
// with the sizes that real ones have, fsync on.
func BenchmarkAppend(b *testing.B) {
	for _, rows := range []int{1, 64, 1024} {
		b.Run(strconv.Itoa(rows), func(b *testing.B) {
			l := mustOpen(b, fresh(b))
			log := storagetest.NewLog()
			for b.Loop() {
				b.StopTimer()
				batch, lookups := deposits(log, rows)
				b.StartTimer()
				if err := l.Append(b.Context(), lookups, func(notary.State) (*notary.Batch, error) { return batch, nil }); err != nil {
					b.Fatal(err)
				}
				log.Took(batch)
			}
			b.ReportMetric(float64(b.N*rows)/b.Elapsed().Seconds(), "rows/s")
		})
	}
}

// deposits is the next batch of a log: digests that each have a key of their own.
func deposits(log *storagetest.Log, rows int) (*notary.Batch, notary.Lookups) {
	specs := make([]storagetest.Spec, rows)
	for i := range specs {
		about := func(what string) notary.Term { return term(fmt.Sprint(what, log.Head.Size+uint64(i))) }
		contract := about("contract")
		specs[i] = storagetest.Spec{Tenant: alice, Contract: &contract, Terms: []notary.Term{about("digest"), contract, about("label")}}
	}
	batch := log.Batch(specs...)
	var lookups notary.Lookups
	for i := range batch.Rows {
		r := &batch.Rows[i]
		r.Body, r.Secrets = bytes.Repeat(r.ID[:], 22), bytes.Repeat(r.ID[:], 5)[:76]
		o := notary.Operation{Tenant: alice, Key: term(fmt.Sprint("key", r.Index)), First: r.Index, Count: 1}
		batch.Operations = append(batch.Operations, o)
		lookups.Operations = append(lookups.Operations, notary.Operation{Tenant: alice, Key: o.Key})
		lookups.Cases = append(lookups.Cases, notary.Case{Tenant: alice, Contract: *specs[i].Contract})
	}
	return batch, lookups
}

// BenchmarkRawUnnest measures what the same server does with rows of the same size that
// nothing is asked of: one statement, one commit, no index but that of the key.
func BenchmarkRawUnnest(b *testing.B) {
	for _, rows := range []int{1, 64, 1024} {
		b.Run(strconv.Itoa(rows), func(b *testing.B) {
			conn := superuser(b, fresh(b))
			if _, err := conn.Exec(b.Context(), "CREATE TABLE raw (index bigint PRIMARY KEY, data bytea NOT NULL)"); err != nil {
				b.Fatal(err)
			}
			indexes, data := make([]int64, rows), make([][]byte, rows)
			next := int64(0)
			for b.Loop() {
				for i := range indexes {
					indexes[i], data[i] = next, bytes.Repeat([]byte{byte(next)}, 600)
					next++
				}
				if _, err := conn.Exec(b.Context(), "INSERT INTO raw SELECT * FROM unnest($1::bigint[], $2::bytea[])", indexes, data); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.N*rows)/b.Elapsed().Seconds(), "rows/s")
		})
	}
}
