// Package esignature finds the electronic signatures inside a PDF (ISO 32000-2 §12.8) and
// reports whether the bytes that each covers are those that were signed.
//
// It does not parse PDF. A signature covers the file from its first byte to some byte, but for
// one gap, which holds the signature itself (its /ByteRange says so); whether these bytes are
// intact does not depend on what they mean. What in them is shown to a reader, and whether a
// certificate is to be believed, is another question, and not answered here unless roots are
// given.
//
// Whatever the bytes are, work is bounded by them: at most MaxFindings signatures are checked,
// each with one pass over the file, and of a signature at most 256 KiB are read.
package esignature
