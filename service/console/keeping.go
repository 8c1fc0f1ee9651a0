package console

import (
	"net/url"
	"strconv"
	"time"

	"github.com/muniment/muniment/proofs"
	"github.com/muniment/muniment/service/api"
)

// keepingView is what has to be kept, and what need not be any more.
type keepingView struct {
	Waiting, Held noticeList
	Due           []row
	At            string // the time before which terms have ended
	Next          string
}

// noticeList is the beginning of a list of notices.
type noticeList struct {
	Rows []api.FoundNotice
	More bool
}

// keeping shows erasures that wait for a second person, deposits under a hold, and those whose
// term has ended.
func (v *visit) keeping() (err error) {
	var k keepingView
	if k.Waiting, err = v.openNotices("erasure-asked"); err != nil {
		return err
	}
	if k.Held, err = v.openNotices("hold"); err != nil {
		return err
	}
	k.At = proofs.FormatTime(v.now.UTC().Truncate(time.Millisecond))
	q, wrong := asked{Due: k.At, Cursor: v.r.URL.Query().Get("cursor")}.query(v.zone())
	if wrong != nil {
		return wrong
	}
	var list api.DepositList
	if err := v.get("/v1/deposits", q, &list); err != nil {
		return err
	}
	if k.Due, err = rowsOf(list.Deposits); err != nil {
		return err
	}
	if list.Next != "" {
		k.Next = v.to("/keeping", "cursor", list.Next)
	}
	return v.show("keeping", k)
}

const (
	mostNotices = 100 // of one sort, on a page
	// mostPages bounds what a page asks for to fill a list: the API's pages may be empty while
	// others follow.
	mostPages = 20
)

// openNotices lists what notices of a sort began and is still open, the oldest first.
func (v *visit) openNotices(act string) (out noticeList, err error) {
	q := url.Values{"act": {act}, "state": {"open"}, "limit": {strconv.Itoa(mostNotices)}}
	for range mostPages {
		var list api.NoticeList
		if err := v.get("/v1/notices", q, &list); err != nil {
			return out, err
		}
		out.Rows = append(out.Rows, list.Notices...)
		if out.More = len(out.Rows) > mostNotices; out.More {
			out.Rows = out.Rows[:mostNotices]
			return out, nil
		}
		if out.More = list.Next != ""; !out.More {
			return out, nil
		}
		q.Set("cursor", list.Next)
	}
	return out, nil
}
