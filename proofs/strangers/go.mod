module github.com/muniment/muniment/proofs/strangers

go 1.26.0

require (
	filippo.io/torchwood v0.9.0
	github.com/gowebpki/jcs v1.0.2
	github.com/muniment/muniment v0.0.0
	github.com/transparency-dev/formats v0.1.1
	github.com/transparency-dev/merkle v0.0.2
	golang.org/x/mod v0.42.0
)

require (
	filippo.io/mldsa v1.0.0 // indirect
	golang.org/x/crypto v0.58.0 // indirect
	golang.org/x/sync v0.24.0 // indirect
)

replace github.com/muniment/muniment => ../..
