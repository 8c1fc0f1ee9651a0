package trillian

import (
	"context"
	"fmt"
	"log/slog"
	"sync"

	trillianpb "github.com/google/trillian"
	"github.com/google/trillian/extension"
	"github.com/google/trillian/log"
	"github.com/google/trillian/monitoring"
	"github.com/google/trillian/quota"
	rpc "github.com/google/trillian/server"
	"github.com/google/trillian/server/admin"
	"github.com/google/trillian/storage"
	"github.com/google/trillian/storage/postgresql"
	"github.com/google/trillian/trees"
	"github.com/google/trillian/util/clock"
	"github.com/jackc/pgx/v5/pgxpool"
	"k8s.io/klog/v2"

	"github.com/muniment/muniment/storage/postgres"
)

// embedded is Trillian's log server and sequencer in this process.
type embedded struct {
	*rpc.TrillianLogRPCServer
	*admin.Server
	storage storage.LogStorage
	pool    *pgxpool.Pool
}

// once prepares what Trillian keeps for the whole process.
var once sync.Once

// OpenEmbedded opens the second tree in the ledger's database. No request is made: a server
// that is down shows in Head.
func OpenEmbedded(ctx context.Context, origin string, c postgres.Config) (*Log, error) {
	pool, err := c.TrillianPool(ctx)
	if err != nil {
		return nil, err
	}
	once.Do(func() {
		log.InitMetrics(monitoring.InertMetricFactory{})
		logger := c.Logger
		if logger == nil {
			logger = slog.Default()
		}
		klog.SetSlogLogger(logger.With("of", "trillian"))
	})
	s := postgresql.NewLogStorage(pool, nil)
	registry := extension.Registry{
		AdminStorage: postgresql.NewAdminStorage(pool), LogStorage: s,
		QuotaManager: quota.Noop(), MetricFactory: monitoring.InertMetricFactory{},
	}
	return newLog(origin, &embedded{
		TrillianLogRPCServer: rpc.NewTrillianLogRPCServer(registry, clock.System),
		Server:               admin.New(registry, nil),
		storage:              s,
		pool:                 pool,
	})
}

// integration is how many leaves are integrated in one transaction.
const integration = 4096

func (e *embedded) integrate(ctx context.Context, tree *trillianpb.Tree, size uint64) error {
	for {
		n, err := log.IntegrateBatch(trees.NewContext(ctx, tree), tree, integration, 0, 0, clock.System, e.storage, quota.Noop())
		if err != nil || n < integration {
			return err
		}
	}
}

// tidy deletes rows that Trillian never does.
func (e *embedded) tidy(ctx context.Context, tree *trillianpb.Tree, deleted bool) error {
	if !deleted {
		_, err := e.pool.Exec(ctx, `DELETE FROM treehead WHERE treeid = $1
			AND treeheadtimestamp < (SELECT max(treeheadtimestamp) FROM treehead WHERE treeid = $1)`, tree.TreeId)
		return err
	}
	for _, table := range []string{"sequencedleafdata", "leafdata", "subtree", "treehead", "treecontrol", "trees"} {
		if _, err := e.pool.Exec(ctx, "DELETE FROM "+table+" WHERE treeid = $1", tree.TreeId); err != nil {
			return fmt.Errorf("deleting what is left of a tree: %w", err)
		}
	}
	return nil
}

func (e *embedded) close() error {
	e.pool.Close()
	return nil
}

// IsHealthy is of neither server alone.
func (e *embedded) IsHealthy() error { return e.storage.CheckDatabaseAccessible(context.Background()) }
