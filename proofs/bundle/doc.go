// Package bundle writes and checks case bundles: one ZIP with all deposits of a contract
// number, their documents, receipts and evidence records, the depository's policies, and a
// page that checks all of it without a network.
//
// Nothing in a bundle is believed because it stands there. Every statement comes from a
// receipt that verifies under the policy of whoever checks; the manifest is a table of
// contents, held against the receipts and against every file. A policy found in the bundle
// proves nothing about who signed.
//
// # The ZIP
//
//	manifest.json              what is in it: Manifest
//	policy                     the depository's policy in force
//	policies/<fingerprint>     those that were in force before
//	timestamp-roots.pem        roots of the depository's time-stamp authorities, if it has any
//	receipts/0001.tlog-proof   of deposit number 1 of the case
//	evidence/0001.evidence     its evidence record, if it was dated
//	certificates/0001.pdf      its certificate, in bundles that have them
//	documents/0001-<name>      its document, if the depository held it
//	verify.html, README.txt    for people
//
// Documents are stored, all else is deflated. Sizes beyond 4 GiB, and more than 65,535 files,
// are ZIP64. The same case in the same state gives the same bytes,
// but for certificates, which bear a time of issue. The manifest comes last,
// since it has the digest of every other file; a bundle that was cut off has none.
package bundle
