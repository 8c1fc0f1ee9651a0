package service

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"time"

	"github.com/muniment/muniment/notary"
	"github.com/muniment/muniment/service/api"
)

// GetHealth implements GET /healthz: whoever can answer is alive.
func (s *server) GetHealth(w http.ResponseWriter, _ *http.Request) {
	health(w, http.StatusOK, api.Health{Status: "alive"})
}

// readinessTimeout is how soon the ledger must answer a ready depository.
const readinessTimeout = 2 * time.Second

// GetReadiness implements GET /readyz.
func (s *server) GetReadiness(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), readinessTimeout)
	defer cancel()
	problems := named(s.Notary.Status(ctx).Problems)
	if len(problems) > 0 {
		health(w, http.StatusServiceUnavailable, api.Health{Status: "unready", Problems: problems})
		return
	}
	health(w, http.StatusOK, api.Health{Status: "ready"})
}

func health(w http.ResponseWriter, status int, body api.Health) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	encode(w, body)
}

// named reduces the notary's words on its health to names: /readyz is open to all,
// and the words hold paths and ids.
func named(problems []error) []string {
	var names []string
	for _, err := range problems {
		name := unavailable.name
		for _, known := range []struct {
			err     error
			problem *problem
		}{
			{notary.ErrBacklog, backlog}, {notary.ErrClock, clock}, {notary.ErrNoRoom, insufficientStorage}, {notary.ErrDamaged, damaged},
		} {
			if errors.Is(err, known.err) {
				name = known.problem.name
			}
		}
		names = append(names, name)
	}
	slices.Sort(names)
	return slices.Compact(names)
}
