package trillian_test

import (
	"crypto/tls"
	"crypto/x509"
	"os"
	"testing"

	trillianpb "github.com/google/trillian"
	"github.com/google/trillian/client"
	"github.com/transparency-dev/merkle/rfc6962"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	"github.com/google/trillian/types"

	"github.com/muniment/muniment/proofs"
)

// TestStrangersClient: Trillian's own client reads our entries from the server that a
// supervisor runs, and verifies their inclusion against the root that our checkpoint has.
func TestStrangersClient(t *testing.T) {
	s := stock(t)
	origin := newOrigin()
	l := remote(t, s, origin)
	begin(t, l)
	all := entries(0, 300)
	_, err := l.Extend(t.Context(), 0, all)
	must(t, err)
	ours := rooted(all) // by package proofs, as in a checkpoint

	pem, err := os.ReadFile(s.CA)
	must(t, err)
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	conn, err := grpc.NewClient(s.Address, grpc.WithTransportCredentials(credentials.NewTLS(&tls.Config{RootCAs: roots})))
	must(t, err)
	defer conn.Close()
	list, err := trillianpb.NewTrillianAdminClient(conn).ListTrees(t.Context(), &trillianpb.ListTreesRequest{})
	must(t, err)
	var tree *trillianpb.Tree
	for _, found := range list.GetTree() {
		if found.GetDescription() == origin {
			tree = found
		}
	}
	log := trillianpb.NewTrillianLogClient(conn)
	stranger, err := client.NewFromTree(log, tree, types.LogRootV1{})
	must(t, err)
	verifier := client.NewLogVerifier(rfc6962.DefaultHasher)
	root := &types.LogRootV1{TreeSize: ours.Size, RootHash: ours.Root[:]}
	leaves, err := stranger.ListByIndex(t.Context(), 0, int64(len(all)))
	must(t, err)
	if len(leaves) != len(all) {
		t.Fatalf("%d leaves", len(leaves))
	}
	for i, leaf := range leaves {
		if string(leaf.LeafValue) != string(all[i]) {
			t.Errorf("leaf %d is not our entry", i)
		}
		answer, err := log.GetInclusionProof(t.Context(), &trillianpb.GetInclusionProofRequest{LogId: tree.TreeId, LeafIndex: int64(i), TreeSize: int64(ours.Size)})
		must(t, err)
		hash := proofs.LeafHash(all[i])
		must(t, verifier.VerifyInclusionByHash(root, hash[:], answer.GetProof()))
		hash[3] ^= 1
		if verifier.VerifyInclusionByHash(root, hash[:], answer.GetProof()) == nil {
			t.Errorf("another leaf verifies at %d", i)
		}
	}
}
