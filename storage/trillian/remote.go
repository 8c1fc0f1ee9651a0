package trillian

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"time"

	trillianpb "github.com/google/trillian"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/keepalive"
)

// RemoteConfig says where a Trillian log server is, with its administration API.
type RemoteConfig struct {
	Address string // host:port of its gRPC over TLS
	// CA is a file of PEM certificates that the server's must lead to. Empty: the system's.
	CA string
	// Certificate and Key are files in PEM by which we are known. Empty: we show none.
	Certificate, Key string
}

// remote is a Trillian log server at the other end of a connection. Its signer integrates
// by itself.
type remote struct {
	conn  *grpc.ClientConn
	log   trillianpb.TrillianLogClient
	admin trillianpb.TrillianAdminClient
}

// maxMessage bounds one answer: 1,024 leaves, of a few hundred bytes each.
const maxMessage = 16 << 20

// OpenRemote opens the second tree at a server. No request is made: one that is down shows
// in Head.
func OpenRemote(origin string, c RemoteConfig) (*Log, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if c.CA != "" {
		data, err := os.ReadFile(c.CA)
		if err != nil {
			return nil, err
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(data) {
			return nil, fmt.Errorf("%s holds no certificate in PEM", c.CA)
		}
	}
	if (c.Certificate == "") != (c.Key == "") {
		return nil, errors.New("a client certificate and its key go together")
	}
	if c.Certificate != "" {
		pair, err := tls.LoadX509KeyPair(c.Certificate, c.Key)
		if err != nil {
			return nil, fmt.Errorf("the client certificate %s and its key: %w", c.Certificate, err)
		}
		config.Certificates = []tls.Certificate{pair}
	}
	conn, err := grpc.NewClient(c.Address,
		grpc.WithTransportCredentials(credentials.NewTLS(config)),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 10 * time.Second, Timeout: 5 * time.Second}),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxMessage)),
		grpc.WithUserAgent("munimentd"))
	if err != nil {
		return nil, fmt.Errorf("the log server %s: %w", c.Address, err)
	}
	return newLog(origin, &remote{conn, trillianpb.NewTrillianLogClient(conn), trillianpb.NewTrillianAdminClient(conn)})
}

func (r *remote) AddSequencedLeaves(ctx context.Context, q *trillianpb.AddSequencedLeavesRequest) (*trillianpb.AddSequencedLeavesResponse, error) {
	return r.log.AddSequencedLeaves(ctx, q)
}

func (r *remote) GetLeavesByRange(ctx context.Context, q *trillianpb.GetLeavesByRangeRequest) (*trillianpb.GetLeavesByRangeResponse, error) {
	return r.log.GetLeavesByRange(ctx, q)
}

func (r *remote) GetLatestSignedLogRoot(ctx context.Context, q *trillianpb.GetLatestSignedLogRootRequest) (*trillianpb.GetLatestSignedLogRootResponse, error) {
	return r.log.GetLatestSignedLogRoot(ctx, q)
}

func (r *remote) InitLog(ctx context.Context, q *trillianpb.InitLogRequest) (*trillianpb.InitLogResponse, error) {
	return r.log.InitLog(ctx, q)
}

func (r *remote) ListTrees(ctx context.Context, q *trillianpb.ListTreesRequest) (*trillianpb.ListTreesResponse, error) {
	return r.admin.ListTrees(ctx, q)
}

func (r *remote) CreateTree(ctx context.Context, q *trillianpb.CreateTreeRequest) (*trillianpb.Tree, error) {
	return r.admin.CreateTree(ctx, q)
}

func (r *remote) UpdateTree(ctx context.Context, q *trillianpb.UpdateTreeRequest) (*trillianpb.Tree, error) {
	return r.admin.UpdateTree(ctx, q)
}

func (r *remote) DeleteTree(ctx context.Context, q *trillianpb.DeleteTreeRequest) (*trillianpb.Tree, error) {
	return r.admin.DeleteTree(ctx, q)
}

// patience is how long the signer is waited for without any progress; its interval is 100 ms
// by default.
const patience = 5 * time.Second

// integrate waits for the signer.
func (r *remote) integrate(ctx context.Context, tree *trillianpb.Tree, size uint64) error {
	pause, grew, last := 5*time.Millisecond, time.Now(), uint64(0)
	for {
		answer, err := r.log.GetLatestSignedLogRoot(ctx, &trillianpb.GetLatestSignedLogRootRequest{LogId: tree.TreeId})
		if err != nil {
			return err
		}
		root, err := parseRoot(answer.GetSignedLogRoot())
		if err != nil || root.TreeSize >= size {
			return err
		}
		if root.TreeSize > last {
			last, grew = root.TreeSize, time.Now()
		}
		if time.Since(grew) > patience {
			return nil
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return ctx.Err()
		}
		pause = min(2*pause, 100*time.Millisecond)
	}
}

// tidy leaves that to the server's own garbage collection.
func (r *remote) tidy(context.Context, *trillianpb.Tree, bool) error { return nil }

func (r *remote) close() error { return r.conn.Close() }
