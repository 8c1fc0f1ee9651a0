package notary

import (
	"encoding/binary"
	"encoding/hex"
	"io"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/muniment/muniment/proofs"
)

// An ID is a UUID in its 16 bytes. New ones are UUIDv7 (RFC 9562 §5.7).
type ID [16]byte

// NewID returns a UUIDv7 for the given time, its other 74 bits read from random.
func NewID(now time.Time, random io.Reader) (ID, error) {
	var id ID
	if _, err := io.ReadFull(random, id[6:]); err != nil {
		return ID{}, err
	}
	var ms [8]byte
	binary.BigEndian.PutUint64(ms[:], uint64(now.UnixMilli()))
	copy(id[:6], ms[2:])
	id[6] = id[6]&0x0f | 0x70
	id[8] = id[8]&0x3f | 0x80
	return id, nil
}

// String returns the lower-case form xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx.
func (id ID) String() string {
	var b [36]byte
	hex.Encode(b[0:8], id[0:4])
	hex.Encode(b[9:13], id[4:6])
	hex.Encode(b[14:18], id[6:8])
	hex.Encode(b[19:23], id[8:10])
	hex.Encode(b[24:36], id[10:16])
	b[8], b[13], b[18], b[23] = '-', '-', '-', '-'
	return string(b[:])
}

// ParseID reads what ID.String writes, and nothing else.
func ParseID(s string) (ID, error) {
	var id ID
	if len(s) != 36 || s[8] != '-' || s[13] != '-' || s[18] != '-' || s[23] != '-' {
		return ID{}, ErrNotFound
	}
	_, err := hex.Decode(id[:], []byte(s[0:8]+s[9:13]+s[14:18]+s[19:23]+s[24:36]))
	if err != nil || id.String() != s {
		return ID{}, ErrNotFound
	}
	return id, nil
}

// Tenant is a lender or a court with isolated data.
type Tenant struct {
	ID           ID
	Name         string // legal name, as it stands in each record
	Registration string // registered number (USCC, LEI); may be empty
	// Verified is how its identity was established, and VerifiedBy by whom; they stand in each
	// record beside the name. Both or neither.
	Verified, VerifiedBy string
	Created              time.Time
	// Request is the digest of the Idempotency-Key under which it was asked for over HTTP;
	// zero: it was made on the machine.
	Request [32]byte
}

// Role is what a principal may do.
type Role string

const (
	Depositor  Role = "depositor"  // deposits, and reads its tenant's deposits
	Compliance Role = "compliance" // deposits, reads, holds and erases its tenant's deposits, and opens them to courts
	Auditor    Role = "auditor"    // reads the deposits of the tenants that it supervises
	Court      Role = "court"      // reads what was opened to it
	Operator   Role = "operator"   // keeps tenants and keys, and reads no deposit
)

// Roles are all that there are.
var Roles = []Role{Depositor, Compliance, Auditor, Court, Operator}

// MayDeposit reports whether the role may add entries for its tenant.
func (r Role) MayDeposit() bool { return r == Depositor || r == Compliance }

// MaySubscribe reports whether the role may have its tenant's webhooks called.
func (r Role) MaySubscribe() bool { return r == Depositor }

// MayRead reports whether the role may read all that is its own tenant's.
func (r Role) MayRead() bool { return r == Depositor || r == Compliance }

// MayKeep reports whether the role may hold, release and erase its tenant's deposits, and
// open them to courts.
func (r Role) MayKeep() bool { return r == Compliance }

// MayOperate reports whether the role may keep tenants and keys.
func (r Role) MayOperate() bool { return r == Operator }

// MayAudit reports whether the role may read its tenant's trail.
func (r Role) MayAudit() bool { return r == Compliance }

// Principal is an authenticated caller.
type Principal struct {
	Tenant Tenant // its own; zero of an operator, and of who came by a link
	Role   Role
	// Caller names who it is among the tenant's callers, by the means it used: "key:" and
	// 16 hex digits of the hash of an API key, "link:" and the id of a grant. It tells two
	// callers apart, and gives no secret away.
	Caller string
	// Name is what its credential calls it, and what stands in the records of its deposits;
	// empty: nothing, and Caller stands there. See CallerName.
	Name string
	// At is the tenant whose deposits the call is about; zero: its own.
	At ID
	// Supervises are the tenants whose deposits an auditor reads.
	Supervises []ID
	// Grant is the one by whose link a court came, which then reads what that opened and
	// nothing else; zero: it came by itself.
	Grant ID
}

// maxCallerName bounds what a caller is called, in characters.
const maxCallerName = 200

// CallerName returns the first of the names that a record can call a caller by: valid text of
// at most 200 characters, all of which can be seen. None is cut or altered to make it fit:
// what is wrong is passed over, and without any that is right it is empty.
func CallerName(names ...string) string {
	for _, name := range names {
		_, err := proofs.Text(name)
		// The character for what could not be read stands in a name that was damaged before.
		hidden := strings.ContainsFunc(name, func(c rune) bool { return !unicode.IsGraphic(c) || c == utf8.RuneError })
		if err == nil && name != "" && !hidden && utf8.RuneCountInString(name) <= maxCallerName {
			return name
		}
	}
	return ""
}

// depositor is what the records of its deposits call it.
func (p Principal) depositor() string { return CallerName(p.Name, p.Caller) }

// LooksAt is the tenant whose deposits the call is about, whether or not they are its to read.
func (p Principal) LooksAt() ID {
	if p.At == (ID{}) {
		return p.Tenant.ID
	}
	return p.At
}

// reads returns the tenant whose deposits the call reads. It is the one rule of who reads
// whose: everything of a tenant is read through it. To a tenant that is not the caller's to
// read it is ErrNotFound, as to one that never was. A court may look at any, and finds
// there what Notary.admits lets it.
func (p Principal) reads() (ID, error) {
	at := p.LooksAt()
	var allowed bool
	switch p.Role {
	case Depositor, Compliance:
		allowed = at == p.Tenant.ID
	case Auditor:
		allowed = slices.Contains(p.Supervises, at)
	case Court:
		allowed = true
	default:
		return ID{}, ErrForbidden
	}
	if !allowed || at == (ID{}) { // the depository's own entries are nobody's to read
		return ID{}, ErrNotFound
	}
	return at, nil
}

// APIKey is what the ledger keeps of an API key: never the key itself.
type APIKey struct {
	Hash    [32]byte // SHA-256 of the key's text; the key has 256 random bits
	Tenant  ID       // zero of an operator's
	Role    Role
	Created time.Time
	Name    string    // what the operator calls it; may be empty
	Expires time.Time // from when on it is refused; zero: never
	// Supervises are the tenants that a key of the role auditor reads, at most MaxSupervised.
	Supervises []ID

	// Request is as in Tenant.
	Request [32]byte
	// AskedBy is the caller that asked for it over HTTP; empty: it was made on the machine,
	// which takes nobody else.
	AskedBy string
	// ConfirmedBy is the other caller that confirmed it, Confirmed when.
	ConfirmedBy string
	Confirmed   time.Time
}

// MaxSupervised is how many tenants one key may supervise.
const MaxSupervised = 100

// TakesTwo reports whether a key of the role takes two callers, where it is asked for over
// HTTP: such keys read or erase what others deposited, or make more keys.
func (r Role) TakesTwo() bool { return r == Compliance || r == Auditor || r == Operator }

// Pending reports whether the key waits for another caller to confirm it, and is none.
func (k APIKey) Pending() bool { return k.AskedBy != "" && k.ConfirmedBy == "" && k.Role.TakesTwo() }

// Lapsed reports whether the key was asked for so long ago that nobody can confirm it.
func (k APIKey) Lapsed(now time.Time) bool {
	return k.Pending() && !now.Before(k.Created.Add(AskedFor))
}

// Caller is how a principal with the key is called.
func (k APIKey) Caller() string { return "key:" + hex.EncodeToString(k.Hash[:8]) }

// Expired reports whether the key is refused at that time.
func (k APIKey) Expired(now time.Time) bool { return !k.Expires.IsZero() && !now.Before(k.Expires) }
