package notary

import (
	"context"
	"time"
)

// Session is a person's sign-in at the console. Its token is 256 random bits in a cookie;
// what is kept of it is a hash, so that who reads the ledger cannot take it up.
type Session struct {
	Hash [32]byte // SHA-256 of the token's text
	// Key is the hash of the API key that it began with, which must still be good at each
	// request; zero: it began with an issuer's word, and is what that said.
	Key [32]byte
	// Tenant, Role, Caller and Supervises are as in Principal; with a Key, those of the key.
	Tenant     ID
	Role       Role
	Caller     string
	Supervises []ID
	Name       string    // whom the page greets: of the API key, or what the issuer calls its bearer; may be empty
	Begun      time.Time // UTC, whole milliseconds, as the two below
	Seen       time.Time // the last request, give or take a minute
	Ends       time.Time // whatever is done meanwhile
}

// Sessions are the sign-ins at the console, which every replica knows. The drivers of Ledger
// implement it too. They are no evidence: no export has them, and a restore or a recovery ends them all.
type Sessions interface {
	// BeginSession stores a session, durable on return. ErrExists if its hash is there.
	BeginSession(ctx context.Context, s Session) error
	// Session returns the session of that hash, or ErrNotFound.
	Session(ctx context.Context, hash [32]byte) (Session, error)
	// SeeSession sets Seen, if the session is still there; it is no error if it is not.
	SeeSession(ctx context.Context, hash [32]byte, at time.Time) error
	// EndSession takes a session away: on a nil return no replica finds it any more. A
	// missing one is no error.
	EndSession(ctx context.Context, hash [32]byte) error
	// SweepSessions takes away those whose Ends is before a time.
	SweepSessions(ctx context.Context, before time.Time) error
}
