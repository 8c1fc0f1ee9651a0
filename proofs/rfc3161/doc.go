// Package rfc3161 checks time-stamp tokens (RFC 3161, as updated by RFC 5816) for package
// proofs, and writes and reads what is said to an authority.
//
// A token is a CMS SignedData (RFC 5652) around a TSTInfo, which says that an authority saw
// a digest at a time. It is believed when all of this holds:
//
//   - it is DER, and nothing stands after it;
//   - its imprint is the SHA-256, SHA-384 or SHA-512 of the message;
//   - there is exactly one signer, whose certificate stands in the token;
//   - a chain leads from there to a root that the verifier brought, each certificate being
//     valid at the token's own time;
//   - the signer's certificate is for time-stamping and for nothing else: its extended key
//     usage is critical, with id-kp-timeStamping alone;
//   - the signed attributes are the content's type, its digest, and an ESSCertIDv2
//     (RFC 5035) of that very certificate, so that no other can be put in its place;
//   - the signature over them holds: RSA of 2,048 bits or more (PKCS #1 v1.5), ECDSA, or
//     Ed25519, with one of these three digests;
//   - the rules under which it was issued are among those asked for, if any were.
//
// Whether a certificate was revoked is not asked: a verifier has no network.
package rfc3161
