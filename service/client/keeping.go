package client

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"net/http"

	"github.com/muniment/muniment/proofs"
	"github.com/muniment/muniment/service/api"
)

// Act is what is to be noted of a deposit.
type Act string

// The acts. An erasure takes two callers: the first call asks, and the same by another
// caller within 30 days carries it out.
const (
	Hold    Act = "hold"
	Release Act = "release"
	Erase   Act = "erasure"
)

// Notice is what a caller of the role compliance has noted of a deposit.
type Notice struct {
	Deposit string // id
	Act     Act
	// Matter names the proceedings of a hold or release, 1 to 200 characters; of an erasure
	// the lawful order, without which none is done before its term of retention ends.
	Matter string
	Reason string // 1 to 1,000 characters
	// Key is the idempotency key; a fresh one if it is empty.
	Key string
}

// Noted is a notice that stands in the log, and how the deposit stands with it.
type Noted struct {
	Notice   api.Notice
	Receipt  proofs.Receipt // of the notice, judged as that of a deposit
	Standing api.Standing
	// Remains is what an erasure cannot reach, in words for people.
	Remains []string
}

const maxStanding = 8 << 20 // a thousand notices with their reasons

// Note has a notice put into the log. It repeats what can be repeated, under one key.
func (c *Client) Note(ctx context.Context, n Notice) (Noted, error) {
	if err := depositID(n.Deposit); err != nil {
		return Noted{}, err
	}
	if n.Key == "" {
		n.Key = rand.Text()
	}
	request := api.NoticeRequest{Reason: n.Reason}
	if n.Matter != "" {
		request.Matter = &n.Matter
	}
	body, err := json.Marshal(request)
	if err != nil {
		return Noted{}, err
	}
	k := call{
		method: http.MethodPost, path: "/v1/deposits/" + n.Deposit + "/" + string(n.Act), key: n.Key, kind: "application/json", length: int64(len(body)),
		body: func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil },
		want: http.StatusCreated, alsoWant: http.StatusAccepted, limit: maxStanding,
	}
	data, err := c.get(ctx, k)
	if err != nil {
		return Noted{}, err
	}
	var answer api.NoticeAnswer
	if err := json.Unmarshal(data, &answer); err != nil {
		return Noted{}, fmt.Errorf("%w: %w", ErrAnswer, err)
	}
	r, err := c.believe([]byte(answer.Receipt))
	if err != nil {
		return Noted{}, err
	}
	told := func(name string) string {
		v, _ := r.Member(name)
		text, _ := v.Text()
		return text
	}
	if r.Entry.Kind != proofs.KindNotice || told("notice.deposit") != n.Deposit || told("notice.reason") != n.Reason || told("notice.matter") != n.Matter {
		return Noted{}, fmt.Errorf("%w: it is not of what was to be noted", ErrReceipt)
	}
	return Noted{answer.Notice, r, answer.Standing, answer.Remains}, nil
}

// Standing returns how a deposit stands: every hold, release and erasure, and what they
// come to. It is the server's word; each notice has a receipt that proves it.
func (c *Client) Standing(ctx context.Context, id string) (api.Standing, error) {
	if err := depositID(id); err != nil {
		return api.Standing{}, err
	}
	data, err := c.get(ctx, call{method: http.MethodGet, path: "/v1/deposits/" + id + "/notices", want: http.StatusOK, limit: maxStanding})
	if err != nil {
		return api.Standing{}, err
	}
	var s api.Standing
	if err := json.Unmarshal(data, &s); err != nil {
		return s, fmt.Errorf("%w: %w", ErrAnswer, err)
	}
	return s, nil
}

// NoticeQuery says which notices are wanted.
type NoticeQuery struct {
	Act         string // hold, release, erasure-asked or erasure; empty: any
	Open        bool   // those alone that are open: what is held now, and what waits to be erased
	NewestFirst bool   // else in the order of the log
}

// Notices lists the tenant's notices page by page. It ends after the first error. It is the
// server's word; each notice has a receipt that proves it.
func (c *Client) Notices(ctx context.Context, q NoticeQuery) iter.Seq2[api.FoundNotice, error] {
	return func(yield func(api.FoundNotice, error) bool) {
		cursor := ""
		for n := 0; ; n++ {
			list, err := c.noticePage(ctx, q, cursor)
			if err == nil && list.Next != "" && (n == maxPages || list.Next == cursor) {
				err = fmt.Errorf("%w: its list has no end", ErrAnswer)
			}
			if err != nil {
				yield(api.FoundNotice{}, err)
				return
			}
			for _, found := range list.Notices {
				if !yield(found, nil) {
					return
				}
			}
			if cursor = list.Next; cursor == "" {
				return
			}
		}
	}
}

func (c *Client) noticePage(ctx context.Context, q NoticeQuery, cursor string) (list api.NoticeList, err error) {
	v := paging(cursor)
	if q.Act != "" {
		v.Set("act", q.Act)
	}
	if q.Open {
		v.Set("state", "open")
	}
	if q.NewestFirst {
		v.Set("order", "desc")
	}
	data, err := c.get(ctx, call{method: http.MethodGet, path: "/v1/notices", query: v, want: http.StatusOK, limit: maxPage})
	if err != nil {
		return list, err
	}
	return list, decode(data, &list)
}

// depositID refuses what is no id.
func depositID(id string) error {
	if v, err := proofs.Text(id); err != nil || !proofs.TypeUUID.Holds(v) {
		return fmt.Errorf("%q is not the id of a deposit", id)
	}
	return nil
}
