// Package proofs is the court's side of Muniment: the bytes of entries, records,
// checkpoints, receipts and policies, the Merkle mathematics that ties them
// together, and [Verifier.Verify], the one door through which a receipt is believed.
//
// It imports the standard library alone, does no I/O beyond reading the document
// it is handed, and needs no network and no word from the depository.
//
// # From a document to a conclusion
//
// A deposit is described by a [Record]: members such as content.sha256 or
// contract.number, each hashed with a salt of its own. The hashes are folded into
// one commitment, which stands in the [Entry], the four public lines that are a
// leaf of the log. The leaf is under the root that a [Checkpoint] states, and the
// checkpoint is a C2SP signed [Note], signed by the log and by its witnesses. A
// [Receipt] carries all of that but the document. A [Policy], which the verifier
// brings and never takes from the evidence, says whose signatures are enough.
//
//	policy, err := proofs.ParsePolicy(policyFile)
//	receipt, err := proofs.ParseReceipt(receiptFile)
//	evidence, err := proofs.NewVerifier(policy).Verify(receipt, document)
//	if evidence.Outcome() == proofs.Verified { … }
//
// What the standard library lacks is plugged in by an [Option]; package proofs/mldsa has
// ML-DSA-44. Without it a signature that a quorum needs leaves the evidence undecided.
//
// # Time
//
// The log dates its own entries. That somebody else saw a checkpoint at a time is what a
// time-stamp token says (RFC 3161), for those who bring the roots of the authorities they
// trust: [WithTimestamps] plugs in package proofs/rfc3161, which needs more than the
// standard library. An [EvidenceRecord] beside the receipt keeps tokens provable beyond
// the end of their certificates.
//
// # Canonical bytes
//
// Every parser accepts exactly one spelling of a value: what Marshal or String
// would write. Anything else is [ErrMalformed]. So a receipt cannot be changed
// without changing what it says. [ParseValue], [ParseMembers] and [ParseDisclosures]
// alone, which read what is sent over the network, take any spelling of JSON and make it
// canonical; a policy is kept verbatim, since its bytes are its fingerprint.
//
// # Formats
//
// RFC 6962 §2.1 (hashes and proofs), RFC 8785 (JSON in records), and of C2SP:
// signed-note, tlog-checkpoint, tlog-cosignature, tlog-tiles, tlog-proof and
// tlog-policy. SPEC.md in this folder gives the bytes well enough to
// implement them again; testdata holds vectors for that.
package proofs
