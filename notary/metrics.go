package notary

import (
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// stage is a part of a deposit's way that is timed.
type stage int

// The stages, in the order in which a deposit passes them.
const (
	stageStore   stage = iota // a document's Put: read, encrypted, durable
	stagePool                 // the wait for the sequencer
	stageCommit               // one transaction of the ledger, with its look-ups
	stageSeal                 // the audit before a signature, and the signature
	stageSegment              // the second copy of what is to be sealed, beside the audit
	stageOpinion              // the second tree: fed and compared, beside the audit
	stageAnchor               // every anchor's Advance
	stageCosign               // the witnesses, until their quorum stands or is given up
	stagePublish              // the ledger's Publish
	stageProve                // path and verification of a request's receipts
	stageTrail                // one write of the trail, which is no part of a deposit's way
	stages
)

var stageNames = [stages]string{"store", "pool", "commit", "seal", "segment", "opinion", "anchor", "cosign", "publish", "prove", "trail"}

// metrics is what a Notary counts while it works. What it knows anyway is read when
// somebody asks. No label holds more than the names in this file: nothing of a
// tenant, nothing a caller chose.
type metrics struct {
	n *Notary // read by Collect

	documents, digests, lines prometheus.Counter // deposits, by kind
	replays                   prometheus.Counter
	rows, operations          prometheus.Histogram
	stage                     [stages]prometheus.Observer
	scrubbed                  prometheus.Gauge
	due                       prometheus.Gauge
	scrubBegan                prometheus.Gauge
	departure                 prometheus.Gauge
	stampFailures             []prometheus.Counter // of each time-stamp authority
	refusedTimes              prometheus.Counter   // by the second tree

	counted []prometheus.Collector // all of the above
}

var (
	stageBuckets = []float64{.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10}
	batchBuckets = []float64{1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384}
)

func newMetrics(n *Notary) *metrics {
	m := &metrics{n: n}
	counter := func(name, help string) prometheus.Counter {
		c := prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
		m.counted = append(m.counted, c)
		return c
	}
	gauge := func(name, help string) prometheus.Gauge {
		g := prometheus.NewGauge(prometheus.GaugeOpts{Name: name, Help: help})
		m.counted = append(m.counted, g)
		return g
	}
	histogram := func(name, help string) prometheus.Histogram {
		h := prometheus.NewHistogram(prometheus.HistogramOpts{Name: name, Help: help, Buckets: batchBuckets})
		m.counted = append(m.counted, h)
		return h
	}
	deposits := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "muniment_deposits_total",
		Help: "Deposits committed, and known to be so by the request that made them: documents, digests, and the lines of batches. Replays are not among them.",
	}, []string{"kind"})
	timed := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name:    "muniment_stage_duration_seconds",
		Help:    "Time that each stage of a deposit took, failures included: store, pool and prove of each request, commit of each batch, seal, segment, opinion, anchor, cosign and publish of each round; trail of each write of the trail.",
		Buckets: stageBuckets,
	}, []string{"stage"})
	m.counted = append(m.counted, deposits, timed)
	m.documents, m.digests, m.lines = deposits.WithLabelValues("document"), deposits.WithLabelValues("digest"), deposits.WithLabelValues("batch")
	for s, name := range stageNames {
		m.stage[s] = timed.WithLabelValues(name)
	}
	m.replays = counter("muniment_replays_total", "Requests answered with the deposits that their idempotency keys stood for already.")
	m.rows = histogram("muniment_batch_rows", "Entries in one commit of the ledger.")
	m.operations = histogram("muniment_batch_operations", "Operations, each under one idempotency key, in one commit of the ledger.")
	m.scrubbed = gauge("muniment_scrub_entries", "Entries that the scrubber has read and re-hashed in its present pass.")
	m.due = gauge("muniment_retention_due_deposits", "Deposits whose term of retention had ended when the scrubber's last whole pass came to them, and that are not erased; held ones count too.")
	m.scrubBegan = gauge("muniment_scrub_pass_started_timestamp_seconds", "When the scrubber's present pass began, in Unix time.")
	m.departure = gauge("muniment_clock_departure_seconds", "By how much the ledger's clock is ahead of the steady count since the start; beyond 2 either way it is not believed.")
	m.countAuthorities(n.config.Timestamps)
	if n.config.SecondTree != nil {
		m.refusedTimes = counter("muniment_trillian_refused_times_total", "Times that Trillian did not go on, since its clock was not past the time of its newest root.")
	}
	return m
}

// countAuthorities counts what fails of each time-stamp authority, by the name that the
// configuration gives it.
func (m *metrics) countAuthorities(t *Timestamps) {
	if t == nil {
		return
	}
	failures := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "muniment_timestamp_failures_total",
		Help: "Times that a time-stamp authority did not answer, or not with a token that holds.",
	}, []string{"authority"})
	m.counted = append(m.counted, failures)
	for _, a := range t.Authorities {
		m.stampFailures = append(m.stampFailures, failures.WithLabelValues(a.Name()))
	}
}

// accepted counts a deposit that was committed.
func (m *metrics) accepted(held bool) {
	if held {
		m.documents.Inc()
	} else {
		m.digests.Inc()
	}
}

// batch counts a commit.
func (m *metrics) batch(b *Batch, operations int) {
	m.rows.Observe(float64(len(b.Rows)))
	m.operations.Observe(float64(operations))
}

// since times a stage that began then, and ends now.
func (m *metrics) since(s stage, begun time.Time) {
	m.stage[s].Observe(time.Since(begun).Seconds())
}

// What the notary knows without counting.
var (
	descSize      = prometheus.NewDesc("muniment_tree_size_entries", "Entries of the log: committed to the ledger, sealed at every anchor, cosigned by the quorum of the witnesses if there are any, and under the published checkpoint.", []string{"state"}, nil)
	descPublished = prometheus.NewDesc("muniment_checkpoint_published_timestamp_seconds", "When this process published its newest checkpoint, in Unix time by the ledger's clock.", nil, nil)
	descOldest    = prometheus.NewDesc("muniment_unpublished_age_seconds", "For how long something committed has waited for a checkpoint, counted from the last one that was published; 0 when nothing waits.", nil, nil)
	descPool      = prometheus.NewDesc("muniment_pool_operations", "Deposits under way, between intake and answer; batches are not among them.", nil, nil)
	descCapacity  = prometheus.NewDesc("muniment_pool_capacity_operations", "Deposits that may be under way; beyond, they are refused as busy.", nil, nil)
	descDamage    = prometheus.NewDesc("muniment_damage_findings", "Pieces of damage in storage found since the start, 100 at most.", nil, nil)
	descSealer    = prometheus.NewDesc("muniment_sealer", "1 on the replica that seals, 0 on the others.", nil, nil)
	descAnchor    = prometheus.NewDesc("muniment_anchor_size_entries", "Entries that are sealed at each anchor, by its place in the list of anchors from 0, as it was last seen.", []string{"anchor"}, nil)
	descQuorum    = prometheus.NewDesc("muniment_witness_quorum", "1 while the quorum of the policy's witnesses stands for the newest checkpoint that they were asked to cosign, 0 while it does not; absent without witnesses, and 1 where another replica seals.", nil, nil)
	descTree      = prometheus.NewDesc("muniment_trillian_size_entries", "Entries that the second tree held when it was last heard of.", nil, nil)
	descAgreement = prometheus.NewDesc("muniment_trillian_agreement", "1 while the second tree confirms what it is asked about, 0 while it disagrees, is behind or does not answer; absent without one, and 1 where another replica seals.", nil, nil)
	descAgreed    = prometheus.NewDesc("muniment_trillian_agreed_timestamp_seconds", "When the second tree last had the ledger's root, in Unix time; absent before it first had.", nil, nil)
	descStamp     = prometheus.NewDesc("muniment_timestamp_newest_timestamp_seconds", "The time in the newest time-stamp that this process obtained over a checkpoint, in Unix time; absent before the first.", nil, nil)
	descStampSize = prometheus.NewDesc("muniment_timestamp_size_entries", "Entries of the log under the newest checkpoint that this process had dated.", nil, nil)
	descStampEnds = prometheus.NewDesc("muniment_timestamp_certificate_expiry_timestamp_seconds", "When the certificates that the newest time-stamp rests on end, in Unix time.", nil, nil)
	descRotations = prometheus.NewDesc("muniment_tenant_key_rotations", "Tenants whose key was ever rotated, by how far the last rotation has come: offered to the replicas, sealing (data keys are being sealed anew), clean.", []string{"phase"}, nil)
	descLacking   = prometheus.NewDesc("muniment_tenant_keys_lacking", "Tenants whose key in force is not in the key files of this process.", nil, nil)
	descResealed  = prometheus.NewDesc("muniment_resealed_keys_total", "Data keys that this process has sealed anew in rotations of tenants' keys.", nil, nil)
	descNoted     = prometheus.NewDesc("muniment_trail_events_total", "Events that this process has written to the trail.", nil, nil)
	descNoting    = prometheus.NewDesc("muniment_trail_waiting_events", "Events of the trail that wait to be written; when the queue is full, what is private is not given out.", nil, nil)
	descTrailing  = prometheus.NewDesc("muniment_trail_failing", "1 while the trail cannot be written and what is private is not given out, else 0.", nil, nil)
	descTiles     = prometheus.NewDesc("muniment_tile_reads_total", "Reads of tiles for receipts, answered from memory (hit) or by the ledger (miss).", []string{"result"}, nil)
)

// number is a truth as metrics have it.
func number(truth bool) float64 {
	if truth {
		return 1
	}
	return 0
}

// Describe implements prometheus.Collector.
func (m *metrics) Describe(out chan<- *prometheus.Desc) {
	for _, c := range m.counted {
		c.Describe(out)
	}
	for _, d := range []*prometheus.Desc{descSize, descPublished, descOldest, descPool, descCapacity, descDamage, descSealer, descQuorum, descAnchor, descTiles, descStamp, descStampSize, descStampEnds, descTree, descAgreement, descAgreed, descRotations, descLacking, descResealed, descNoted, descNoting, descTrailing} {
		out <- d
	}
}

// Collect implements prometheus.Collector.
func (m *metrics) Collect(out chan<- prometheus.Metric) {
	for _, c := range m.counted {
		c.Collect(out)
	}
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	r := m.n.ready.look()
	gauge(descSize, float64(r.committed), "committed")
	gauge(descSize, float64(r.sealed), "sealed")
	gauge(descSize, float64(r.published), "published")
	if m.n.config.Witnesses != nil {
		gauge(descSize, float64(r.cosigned), "cosigned")
		gauge(descQuorum, number(r.quorum))
	}
	gauge(descPublished, float64(m.n.view.Load().at.UnixMilli())/1e3)
	gauge(descOldest, r.oldest.Seconds())
	gauge(descPool, float64(m.n.underWay.used()))
	gauge(descCapacity, float64(m.n.config.Pool))
	gauge(descDamage, float64(r.damage))
	gauge(descSealer, number(m.n.leading()))
	for i := range m.n.registers {
		gauge(descAnchor, float64(m.n.registers[i].size.Load()), strconv.Itoa(i))
	}
	if s, ends := m.n.stamper.fresh.Load(), m.n.stamper.ends.Load(); s != nil && ends != nil {
		gauge(descStamp, float64(s.at.UnixMilli())/1e3)
		gauge(descStampSize, float64(s.size))
		gauge(descStampEnds, float64(ends.Unix()))
	}
	if m.n.config.Keys != nil {
		for phase, count := range m.n.keyring.phases() {
			gauge(descRotations, count, phase)
		}
		gauge(descLacking, float64(m.n.keyring.lacking.Load()))
		out <- prometheus.MustNewConstMetric(descResealed, prometheus.CounterValue, float64(m.n.keyring.resealed.Load()))
	}
	if m.n.config.Trail != nil {
		t := &m.n.trailer
		out <- prometheus.MustNewConstMetric(descNoted, prometheus.CounterValue, float64(t.written.Load()))
		gauge(descNoting, float64(len(t.queue)))
		gauge(descTrailing, number(t.failing.Load()))
	}
	if m.n.config.SecondTree != nil {
		held, at := m.n.opinion.look()
		gauge(descTree, float64(held))
		gauge(descAgreement, number(m.n.opinion.fault() == nil))
		if !at.IsZero() {
			gauge(descAgreed, float64(at.UnixMilli())/1e3)
		}
	}
	for result, v := range map[string]uint64{"hit": m.n.tiles.hits.Load(), "miss": m.n.tiles.misses.Load()} {
		out <- prometheus.MustNewConstMetric(descTiles, prometheus.CounterValue, float64(v), result)
	}
}
