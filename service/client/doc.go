// Package client deposits documents with a Muniment depository, and believes no
// receipt it has not looked into.
//
//	c := &client.Client{Server: "https://depository.example", APIKey: key, Verifier: proofs.NewVerifier(policy)}
//	receipt, err := c.Deposit(ctx, client.Deposit{
//		Key:      "loan 2026-0117, signed contract",
//		Claims:   claims, // contract.number, …
//		Document: func() (io.ReadCloser, error) { return os.Open("contract.pdf") },
//		Size:     size,
//	})
//
// One call is one deposit, however often it has to be sent: every attempt carries
// the same Idempotency-Key. A document is streamed, and is never held in memory.
// Answers are bounded in size and in time, whoever gives them.
package client
