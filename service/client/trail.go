package client

import (
	"context"
	"fmt"
	"iter"
	"net/http"
	"strconv"
	"time"

	"github.com/muniment/muniment/proofs"
	"github.com/muniment/muniment/service/api"
)

// maxTrailPages bounds how often a list of events may say that it goes on.
const maxTrailPages = 10 * maxPages

// TrailQuery says which events are wanted: all that match every field that is set.
type TrailQuery struct {
	Deposit, Contract, Caller, Action string
	From, To                          time.Time // From is within, To is not
}

// Trail lists the events of the tenant's trail page by page, in their order. It ends after
// the first error. No proof backs an event: it is the server's word, until the day's digest
// is compared with the log.
func (c *Client) Trail(ctx context.Context, q TrailQuery) iter.Seq2[api.TrailEvent, error] {
	return func(yield func(api.TrailEvent, error) bool) {
		cursor := ""
		for n := 0; ; n++ {
			list, err := c.trailPage(ctx, q, cursor)
			if err == nil && list.Next != "" && (n == maxTrailPages || list.Next == cursor) {
				err = fmt.Errorf("%w: its list has no end", ErrAnswer)
			}
			if err != nil {
				yield(api.TrailEvent{}, err)
				return
			}
			for _, e := range list.Events {
				if !yield(e, nil) {
					return
				}
			}
			if cursor = list.Next; cursor == "" {
				return
			}
		}
	}
}

func (c *Client) trailPage(ctx context.Context, q TrailQuery, cursor string) (list api.TrailList, err error) {
	v := paging(cursor)
	v.Set("limit", strconv.Itoa(trailPageSize))
	for name, value := range map[string]string{"deposit": q.Deposit, "contract": q.Contract, "caller": q.Caller, "action": q.Action} {
		if value != "" {
			v.Set(name, value)
		}
	}
	for name, t := range map[string]time.Time{"from": q.From, "to": q.To} {
		if !t.IsZero() {
			v.Set(name, proofs.FormatTime(t))
		}
	}
	data, err := c.get(ctx, call{method: http.MethodGet, path: "/v1/trail", query: v, want: http.StatusOK, limit: maxPage})
	if err != nil {
		return list, err
	}
	return list, decode(data, &list)
}

const trailPageSize = 500
