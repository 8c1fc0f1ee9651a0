// Package client deposits documents and digests with a Muniment depository, reads them
// again, and believes nothing that it has not looked into.
//
//	c := &client.Client{Server: "https://depository.example", APIKey: key, Verifier: proofs.NewVerifier(policy)}
//	receipt, err := c.Deposit(ctx, client.Deposit{
//		Key:      "loan 2026-0117, signed contract",
//		Claims:   claims, // contract.number, …
//		Document: func() (io.ReadCloser, error) { return os.Open("contract.pdf") },
//		Size:     size,
//	})
//
// # Once, however often it is sent
//
// One call is one deposit, or one batch: every attempt carries the same
// Idempotency-Key. Choose the key yourself, from what the content is in your own system,
// and write it down before the call: after a crash the same call completes what it began,
// or returns what it made. A call repeats by itself whatever may succeed the next time, up
// to six attempts and two minutes of waiting in all; then its error is a [*Problem] if the
// server answered.
//
// # What is believed
//
// A receipt is returned only if it is of what was sent, holds in itself, and satisfies
// [Client.Verifier]; what is wrong with it is an error that wraps [ErrReceipt]. Once
// returned it needs neither this package nor the server: store [proofs.Receipt.Marshal],
// and judge it with package proofs, offline. A document is held against its receipt.
// Tiles, entries, lists and cases are the server's word; [Client.Included] and
// [Client.Consistent] tie the log to checkpoints that are believed, and what does not hold
// wraps [ErrLog].
//
// A [Mirror] copies the whole log into a folder that any web server can serve, and keeps
// nothing that did not lead to a signed root.
//
// # Bounds
//
// Documents are streamed, and never held in memory. Answers are bounded in size, whoever
// gives them, and in time: [Client.Patience] is how long a request may make no progress,
// and of an answer at least 256 KiB must come in one patience. A context ends a call
// wherever it is.
package client
