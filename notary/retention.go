package notary

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/muniment/muniment/proofs"
)

// RetentionLabel is the label by which a deposit names its class of retention.
const RetentionLabel = "label.retention"

// A RetentionTerm ends a while after a date of the record, or after the entry's time.
type RetentionTerm struct {
	Member              string // a member that holds a date, YYYY-MM-DD; empty: the entry's time
	Years, Months, Days int
}

// String is the term as ParseRetention reads it.
func (t RetentionTerm) String() string {
	count, unit := t.Days, "days"
	if t.Years > 0 {
		count, unit = t.Years, "years"
	} else if t.Months > 0 {
		count, unit = t.Months, "months"
	}
	if t.Member == "" {
		return fmt.Sprintf("%d %s", count, unit)
	}
	return fmt.Sprintf("%s + %d %s", t.Member, count, unit)
}

// Retention is how long deposits are kept at least, by class. The class "default" is that
// of deposits that name none, or one that is not there.
type Retention map[string]RetentionTerm

// DefaultRetention is the class of deposits that name no other.
const DefaultRetention = "default"

var retentionText = regexp.MustCompile(`^(?:([a-z][a-z0-9_.]*) *\+ *)?([0-9]{1,5}) *(years?|months?|days?)$`)

// ParseRetention reads a term: "10 years", "terms.end + 5 years".
func ParseRetention(text string) (RetentionTerm, error) {
	m := retentionText.FindStringSubmatch(strings.TrimSpace(text))
	if m == nil {
		return RetentionTerm{}, fmt.Errorf("%q is not a term such as \"10 years\" or \"terms.end + 5 years\"", text)
	}
	t := RetentionTerm{Member: m[1]}
	count, _ := strconv.Atoi(m[2])
	switch m[3][0] {
	case 'y':
		t.Years = count
	case 'm':
		t.Months = count
	default:
		t.Days = count
	}
	if _, known := proofs.NameType(t.Member); t.Member != "" && !known {
		return RetentionTerm{}, fmt.Errorf("there is no member %q", t.Member)
	}
	if t.Years > 1000 {
		return RetentionTerm{}, fmt.Errorf("%d years are too long; at most 1,000", t.Years)
	}
	return t, nil
}

// End returns until when a record is kept; zero without a term for it. A date that is
// missing, or none, counts as the entry's own.
func (r Retention) End(record proofs.Record, entered time.Time) time.Time {
	v, _ := record.Get(RetentionLabel)
	class, _ := v.Text()
	term, ok := r[class]
	if !ok {
		if term, ok = r[DefaultRetention]; !ok {
			return time.Time{}
		}
	}
	from := entered
	v, _ = record.Get(term.Member)
	if text, isText := v.Text(); isText && term.Member != "" {
		if date, err := time.Parse(time.DateOnly, text); err == nil && date.After(entered) {
			from = date
		}
	}
	return from.AddDate(term.Years, term.Months, term.Days)
}
