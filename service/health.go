package service

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"slices"
	"time"

	"github.com/muniment/muniment/notary"
	"github.com/muniment/muniment/proofs"
	"github.com/muniment/muniment/service/api"
)

// GetHealth implements GET /healthz: whoever can answer is alive.
func (s *server) GetHealth(w http.ResponseWriter, _ *http.Request) {
	health(w, http.StatusOK, api.Health{Status: "alive", Version: s.Build.Version, Revision: s.Build.Revision, Sha256: s.Build.SHA256})
}

// readinessTimeout is how soon the ledger must answer a ready depository.
const readinessTimeout = 2 * time.Second

// GetReadiness implements GET /readyz.
func (s *server) GetReadiness(w http.ResponseWriter, r *http.Request) {
	body := s.status(r.Context())
	code := http.StatusOK
	if len(body.Problems) > 0 {
		code = http.StatusServiceUnavailable
	}
	health(w, code, body)
}

// status asks notary and canary.
func (s *server) status(ctx context.Context) api.Health {
	ctx, cancel := context.WithTimeout(ctx, readinessTimeout)
	defer cancel()
	told := s.Notary.Status(ctx)
	body := api.Health{
		Status:         "ready",
		Version:        s.Build.Version,
		Origin:         s.Policy.Logs[0].Name,
		Committed:      told.Committed,
		Published:      told.Published,
		CheckpointTime: proofs.FormatTime(told.Checkpoint),
		Problems:       named(told.Problems),
	}
	if s.Canary != nil && s.Canary() != nil {
		body.Problems = append(body.Problems, "canary")
	}
	for _, i := range told.Lagging {
		body.Notes = append(body.Notes, fmt.Sprintf("anchor-%d-lags", i))
	}
	if s.SingleCopy != nil {
		if single, err := s.SingleCopy(ctx); err == nil && single {
			body.Notes = append(body.Notes, "single-copy")
		}
	}
	if told.Unwitnessed {
		body.Notes = append(body.Notes, "unwitnessed")
	}
	if told.Opinion != nil {
		body.Notes = append(body.Notes, named([]error{told.Opinion})...)
	}
	if len(body.Problems) > 0 {
		body.Status = "unready"
	}
	return body
}

// readiness is the status as a number.
func (s *server) readiness() float64 {
	if len(s.status(context.Background()).Problems) > 0 {
		return 0
	}
	return 1
}

// singleCopy is the note as a number.
func (s *server) singleCopy() float64 {
	ctx, cancel := context.WithTimeout(context.Background(), readinessTimeout)
	defer cancel()
	switch single, err := s.SingleCopy(ctx); {
	case err != nil:
		return math.NaN()
	case single:
		return 1
	}
	return 0
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
			{notary.ErrBacklog, backlog}, {notary.ErrQuorum, witnessQuorum}, {notary.ErrClock, clock}, {notary.ErrNoRoom, insufficientStorage}, {notary.ErrDamaged, damaged},
		} {
			if errors.Is(err, known.err) {
				name = known.problem.name
			}
		}
		switch {
		case errors.Is(err, notary.ErrTreeBehind):
			name = secondOpinion.name + "-behind"
		case errors.Is(err, notary.ErrTreeClock):
			name = secondOpinion.name + "-clock"
		case errors.Is(err, notary.ErrOpinion):
			name = secondOpinion.name
		}
		if a := new(notary.AnchorError); name == unavailable.name && errors.As(err, &a) {
			name = fmt.Sprintf("anchor-%d", a.Anchor)
		}
		names = append(names, name)
	}
	slices.Sort(names)
	return slices.Compact(names)
}
