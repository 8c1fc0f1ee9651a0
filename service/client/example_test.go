package client_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"time"

	"github.com/muniment/muniment/proofs"
	"github.com/muniment/muniment/service/client"
)

// policy came from the depository's operator on paper, or from a court; not from the
// depository's own server.
var policy proofs.Policy

// A deposit under a key of the caller's own. The call may be made again after a crash, an
// hour or a year later: there is one deposit, and this is its receipt.
func ExampleClient_Deposit() {
	c := &client.Client{
		Server:   "https://depository.example",
		APIKey:   os.Getenv("MUNIMENT_API_KEY"),
		Verifier: proofs.NewVerifier(policy),
	}
	claims, err := proofs.ParseMembers(`{"contract.number": "LC-2026-0117", "terms.amount": "120000.00"}`)
	if err != nil {
		log.Fatal(err)
	}
	info, err := os.Stat("contract.pdf")
	if err != nil {
		log.Fatal(err)
	}
	deposit := client.Deposit{
		Key:      "loan 2026-0117, signed contract",
		Claims:   claims,
		Document: func() (io.ReadCloser, error) { return os.Open("contract.pdf") },
		Size:     info.Size(),
		Name:     "contract.pdf",
		Wait:     5 * time.Second,
	}
	receipt, err := c.Deposit(context.Background(), deposit)
	var p *client.Problem
	for errors.As(err, &p) && p.Type == client.ProblemSealingDelayed {
		// It is in the log, and its seal is late. The same key tells later.
		time.Sleep(time.Minute)
		receipt, err = c.Deposit(context.Background(), deposit)
	}
	if err != nil {
		log.Fatal(err)
	}
	if err := os.WriteFile("contract.pdf.tlog-proof", receipt.Marshal(), 0o600); err != nil {
		log.Fatal(err)
	}
}

// Digests of a day's repayments, all of them or none.
func ExampleClient_DepositBatch() {
	c := &client.Client{
		Server:   "https://depository.example",
		APIKey:   os.Getenv("MUNIMENT_API_KEY"),
		Verifier: proofs.NewVerifier(policy),
	}
	batch := client.Batch{Key: "repayments of 2026-11-23"}
	for contract, digest := range map[string]string{
		"LC-2026-0117": "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824",
		"LC-2026-0118": "486ea46224d1bb4fb680f34f7c9ad96a8f24ec88be73ea8e5a6c65260e9cb8a7",
	} {
		line, err := proofs.ParseMembers(fmt.Sprintf(`{"contract.number": %q, "content.sha256": %q}`, contract, digest))
		if err != nil {
			log.Fatal(err)
		}
		batch.Lines = append(batch.Lines, line)
	}
	receipts, err := c.DepositBatch(context.Background(), batch)
	var p *client.Problem
	if errors.As(err, &p) && p.Type == client.ProblemInvalidBatch {
		for _, l := range p.Lines {
			log.Printf("line %d, %q: %s", l.Line, l.Member, l.Detail)
		}
	}
	if err != nil {
		log.Fatal(err)
	}
	for _, r := range receipts {
		fmt.Println(r.Index)
	}
}

// Years later, without the network: the receipt, the document and the policy are enough.
func Example_offline() {
	file, err := os.ReadFile("contract.pdf.tlog-proof")
	if err != nil {
		log.Fatal(err)
	}
	receipt, err := proofs.ParseReceipt(file)
	if err != nil {
		log.Fatal(err)
	}
	document, err := os.Open("contract.pdf")
	if err != nil {
		log.Fatal(err)
	}
	defer document.Close()
	evidence, err := proofs.NewVerifier(policy).Verify(receipt, document)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(evidence.Outcome(), evidence.Entry.Time, evidence.Explain(proofs.English).Verdict)
}

// An auditor keeps the last checkpoint, and sees that the log has only grown since.
func ExampleClient_Consistent() {
	c := &client.Client{Server: "https://depository.example", Verifier: proofs.NewVerifier(policy)}
	kept, err := os.ReadFile("checkpoint")
	if err != nil {
		log.Fatal(err)
	}
	older, outcome, reason := c.Verifier.Checkpoint(kept)
	if outcome != proofs.Verified {
		log.Fatal(reason)
	}
	note, err := c.Checkpoint(context.Background())
	if err != nil {
		log.Fatal(err)
	}
	newer, _, _ := c.Verifier.Checkpoint(note)
	if err := c.Consistent(context.Background(), older, newer); err != nil {
		log.Fatal(err)
	}
}
