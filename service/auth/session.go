package auth

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/muniment/muniment/notary"
)

const (
	// SessionLife is how long a session lasts at most.
	SessionLife = 8 * time.Hour
	// SessionIdle is how long it lasts without a request.
	SessionIdle = 30 * time.Minute
	// seenEvery is how often a session's last request is written down.
	seenEvery = time.Minute
)

// NewSession begins the session of a principal, and returns it with its token. The session
// has still to be stored.
func NewSession(p notary.Principal, now time.Time) (s notary.Session, token string) {
	var b [32]byte
	rand.Read(b[:]) // never fails
	token = base64.RawURLEncoding.EncodeToString(b[:])
	now = now.UTC().Truncate(time.Millisecond)
	tenant := p.Tenant.ID
	if p.Grant != (notary.ID{}) {
		tenant = p.At
	}
	return notary.Session{
		Hash: sha256.Sum256([]byte(token)), Tenant: tenant, Role: p.Role, Caller: p.Caller, Supervises: p.Supervises, Name: p.Name,
		Begun: now, Seen: now, Ends: now.Add(SessionLife),
	}, token
}

// FormToken is what the forms of a session carry: another site cannot know it, and who reads
// a page learns nothing of the session's own token by it.
func FormToken(token string) string {
	mac := hmac.New(sha256.New, []byte(token))
	mac.Write([]byte("muniment/form@v1"))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// SignInByKey begins a session with an API key, which must be good now and whenever the
// session is used. The session has still to be stored. Its errors are those of Authenticate.
func (a *Authenticator) SignInByKey(ctx context.Context, text string) (s notary.Session, token string, err error) {
	if !isKey(text) {
		return s, "", ErrUnauthenticated
	}
	p, ends, err := a.byKey(ctx, text)
	if err != nil {
		return s, "", err
	}
	s, token = NewSession(p, time.Now())
	s.Key = Hash(text)
	if !ends.IsZero() && ends.Before(s.Ends) {
		s.Ends = ends.UTC().Truncate(time.Millisecond)
	}
	return s, token, nil
}

// BySession returns the session of a token and whose it is. Its errors are those of
// Authenticate: a session that has ended is as one that never was.
func (a *Authenticator) BySession(ctx context.Context, sessions notary.Sessions, token string) (s notary.Session, p notary.Principal, err error) {
	s, err = sessions.Session(ctx, sha256.Sum256([]byte(token)))
	if errors.Is(err, notary.ErrNotFound) {
		return s, p, ErrUnauthenticated
	}
	if err != nil {
		return s, p, fmt.Errorf("%w: looking up a session: %w", notary.ErrUnavailable, err)
	}
	now := time.Now().UTC().Truncate(time.Millisecond)
	if !now.Before(s.Ends) || now.Sub(s.Seen) >= SessionIdle {
		return s, p, ErrUnauthenticated
	}
	if p, err = a.ofSession(ctx, s); err != nil {
		return s, p, err
	}
	if now.Sub(s.Seen) >= seenEvery {
		if err := sessions.SeeSession(ctx, s.Hash, now); err != nil {
			return s, p, fmt.Errorf("%w: keeping a session: %w", notary.ErrUnavailable, err)
		}
	}
	return s, p, nil
}

// ofSession is who has a session: whoever has its key, as that is now; whom an issuer said; or
// who came by a link.
func (a *Authenticator) ofSession(ctx context.Context, s notary.Session) (notary.Principal, error) {
	if s.Key != ([32]byte{}) {
		if p, ok := a.recall(s.Key); ok {
			return p, nil
		}
		p, ends, err := a.byHash(ctx, s.Key)
		if err == nil {
			a.remember(s.Key, p, ends)
		}
		return p, err
	}
	p := notary.Principal{Role: s.Role, Caller: s.Caller, Name: s.Name, Supervises: s.Supervises}
	if id, ok := strings.CutPrefix(s.Caller, "link:"); ok {
		// What the link opened is looked up with each read, and may be shut by then.
		grant, err := notary.ParseID(id)
		p.At, p.Grant = s.Tenant, grant
		return p, err
	}
	if s.Tenant == (notary.ID{}) {
		return p, nil
	}
	t, err := a.accounts.Tenant(ctx, s.Tenant)
	if errors.Is(err, notary.ErrNotFound) {
		return p, ErrUnauthenticated
	}
	if err != nil {
		return p, fmt.Errorf("%w: looking up a session's tenant: %w", notary.ErrUnavailable, err)
	}
	p.Tenant = t
	return p, nil
}
