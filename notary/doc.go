// Package notary is the product: it takes a deposit, gives it its place in the
// log, seals the log, and proves what it holds. It knows no SQL, no HTTP and no
// file; what it needs of the outer world is the three interfaces in ports.go.
//
// # The life of a deposit
//
// [Notary.Deposit] checks the description, streams the document to [Blobs] while
// hashing it (blob durable), prepares every hash that does not depend on the
// place in the log, and joins a bounded pool. The sequencer takes all that waits,
// and under the lock of the ledger's head fixes one time, each index and each
// place in a case, and commits them in one transaction (committed). The sealer
// re-reads what was stored, checks it against the head by a computation of its
// own, proves that the new head continues the sealed one, signs, and moves the
// [Anchor] (sealed), and only then publishes the signature (published). The
// depositor's own goroutine builds the receipt, verifies it with the code a court
// will use, and returns it.
//
// Beside all that, on the replica that seals, published checkpoints are shown to time-stamp
// authorities ([Notary.Stamp]), and what they sign is renewed before it ends.
//
// # What stops it
//
// A state that cannot be explained ends the process through Config.Fatal before
// anything is signed: a hash that differs when computed twice, a root that is not
// the root of what is stored, an anchor that someone else moved. Start-up audits
// the ledger against every anchor with the same code.
package notary
