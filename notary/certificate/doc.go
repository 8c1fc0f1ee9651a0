// Package certificate makes certificates of deposits, PDFs for people, and checks them.
//
// A certificate is made from a receipt, the policy it is judged by and a few words beside
// it, all of which are embedded in the file. Make verifies the receipt and prints what
// follows from it; a Signer signs the file (PAdES, ETSI EN 319 142-1); Check takes the files
// out, makes the certificate again and compares every byte. The receipt stays the evidence:
// who relies on it judges it by a policy of their own.
//
//	made, err := certificate.Make(in)
//	pdf, err := signer.Sign(ctx, made, in.Issued)
//	…
//	checked, err := certificate.Check(pdf, nil)
//	receipt, err := proofs.ParseReceipt(checked.Receipt)
//	evidence, err := proofs.NewVerifier(policy).Verify(receipt, document)
//
// The package imports proofs and nothing else of this module, so that programs on the
// court's side can use it.
//
// Files are PDF 1.7 and PDF/A-3b (ISO 19005-3), uncompressed, at most MaxFile bytes.
package certificate
