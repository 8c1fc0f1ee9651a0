package certificate

import (
	"testing"
)

// BenchmarkCertificate makes and signs certificates in both languages, with RSA and a
// time-stamp authority over HTTP, on every processor at once.
func BenchmarkCertificate(b *testing.B) {
	a, client := authority(b, soon)
	h := newHouse(origin, "court.example/witness")
	h.stamps = a
	in := input(h, 1000)
	in.Language, in.Logo = Both, logoPNG(200, 60)
	key, certs := chain(b, true)
	signer := must(NewSigner(key, certs, client))
	in.Signer = signer.Signed()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			must(signer.Sign(b.Context(), must(Make(in)), in.Issued))
		}
	})
}
