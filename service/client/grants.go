package client

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/muniment/muniment/proofs"
	"github.com/muniment/muniment/service/api"
)

// Opening is what a caller of the role compliance opens to a court.
type Opening struct {
	// Contract is the number of the case; empty: Deposit alone, an id, is opened.
	Contract, Deposit string
	// To is the court's id as a tenant; empty: a link is made.
	To     string
	Until  time.Time
	Matter string // may be empty
	Reason string // 1 to 1,000 characters
	// Key is the idempotency key; a fresh one if it is empty.
	Key string
}

// Granted is a grant that stands in the log.
type Granted struct {
	Grant   api.Grant
	Receipt proofs.Receipt // of the entry that opened or revoked it, judged as that of a deposit
	// Link is what its bearer shows in the place of an API key, where no court was named.
	Link string
}

const maxGrants = 8 << 20 // a thousand grants with their reasons

// Grant opens a case or a deposit. It repeats what can be repeated, under one key.
func (c *Client) Grant(ctx context.Context, o Opening) (Granted, error) {
	path, err := grantsPath(o.Contract, o.Deposit)
	if err != nil {
		return Granted{}, err
	}
	if o.Key == "" {
		o.Key = rand.Text()
	}
	request := map[string]any{"until": proofs.FormatTime(o.Until), "reason": o.Reason}
	if o.To != "" {
		request["to"] = o.To
	} else {
		request["link"] = true
	}
	if o.Matter != "" {
		request["matter"] = o.Matter
	}
	body, err := json.Marshal(request)
	if err != nil {
		return Granted{}, err
	}
	g, err := c.granted(ctx, call{
		method: http.MethodPost, path: path, key: o.Key, kind: "application/json", length: int64(len(body)),
		body: func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil },
		want: http.StatusCreated, limit: maxGrants,
	})
	if err != nil {
		return Granted{}, err
	}
	told := told(g.Receipt)
	wrong := told("notice.act") != "grant" || told("notice.reason") != o.Reason || told("notice.matter") != o.Matter || told("grant.to") != o.To ||
		told("grant.until") != proofs.FormatTime(o.Until) || (told("grant.case") != "") != (o.Contract != "") || told("id") != g.Grant.Id
	if wrong || o.Deposit != "" && told("grant.deposit") != o.Deposit || (g.Link != "") != (o.To == "") {
		return Granted{}, fmt.Errorf("%w: it is not of what was to be opened", ErrReceipt)
	}
	return g, nil
}

// told reads texts of a receipt.
func told(r proofs.Receipt) func(name string) string {
	return func(name string) string {
		v, _ := r.Member(name)
		text, _ := v.Text()
		return text
	}
}

// Revoke ends a grant.
func (c *Client) Revoke(ctx context.Context, id string) (Granted, error) {
	if err := depositID(id); err != nil {
		return Granted{}, err
	}
	g, err := c.granted(ctx, call{method: http.MethodDelete, path: "/v1/grants/" + id, want: http.StatusOK, limit: maxGrants})
	if told := told(g.Receipt); err == nil && (told("notice.act") != "revocation" || told("grant.revokes") != id) {
		err = fmt.Errorf("%w: it is not of the grant that was to be revoked", ErrReceipt)
	}
	return g, err
}

func (c *Client) granted(ctx context.Context, k call) (Granted, error) {
	data, err := c.get(ctx, k)
	if err != nil {
		return Granted{}, err
	}
	var answer api.GrantAnswer
	if err := json.Unmarshal(data, &answer); err != nil {
		return Granted{}, fmt.Errorf("%w: %w", ErrAnswer, err)
	}
	r, err := c.believe([]byte(answer.Receipt))
	if err != nil {
		return Granted{}, err
	}
	if r.Entry.Kind != proofs.KindNotice {
		return Granted{}, fmt.Errorf("%w: it is of no notice", ErrReceipt)
	}
	return Granted{answer.Grant, r, answer.Link}, nil
}

// GrantsOf lists to whom a case, or a deposit, is or was open. It is the server's word.
func (c *Client) GrantsOf(ctx context.Context, contract, deposit string) ([]api.Grant, error) {
	path, err := grantsPath(contract, deposit)
	if err != nil {
		return nil, err
	}
	list, err := c.grants(ctx, path, nil)
	return list.Grants, err
}

// Grants lists what is open to a court, or by a link, or for the role compliance all grants
// of its tenant, at most 100,000.
func (c *Client) Grants(ctx context.Context) (all []api.Grant, err error) {
	query := url.Values{}
	for len(all) < 100_000 {
		list, err := c.grants(ctx, "/v1/grants", query)
		if err != nil {
			return nil, err
		}
		all = append(all, list.Grants...)
		if list.Next == "" {
			return all, nil
		}
		if list.Next == query.Get("cursor") {
			break
		}
		query.Set("cursor", list.Next)
	}
	return nil, fmt.Errorf("%w: its list has no end", ErrAnswer)
}

func (c *Client) grants(ctx context.Context, path string, query url.Values) (list api.GrantList, err error) {
	data, err := c.get(ctx, call{method: http.MethodGet, path: path, query: query, want: http.StatusOK, limit: maxGrants})
	if err != nil {
		return list, err
	}
	return list, decode(data, &list)
}

func grantsPath(contract, deposit string) (string, error) {
	if contract != "" {
		return "/v1/cases/" + segment(contract) + "/grants", nil
	}
	return "/v1/deposits/" + deposit + "/grants", depositID(deposit)
}

// segment is a contract number as one segment of a path. A proxy resolves dots as if they
// were folders.
func segment(contract string) string {
	s := url.PathEscape(contract)
	if strings.Trim(s, ".") == "" {
		s = strings.ReplaceAll(s, ".", "%2E")
	}
	return s
}
