package proxy

import (
	"container/list"
	"crypto/sha256"
	"net/http"
	"sync"
	"time"
)

// Bounds of the memory for sessions.
const (
	maxSessions = 10_000
	sessionLife = 24 * time.Hour
)

// A sessionID is the hash of an endpoint and a session id on it. An upstream may
// choose ids of any length.
type sessionID [sha256.Size]byte

func newSessionID(slug, id string) sessionID {
	var space [128]byte
	b := append(space[:0], slug...)
	b = append(b, 0)
	return sha256.Sum256(append(b, id...))
}

// sessions remembers which grant a session id was given to. All grants of an
// endpoint may share one key, so the upstream cannot tell their sessions apart,
// and a client that learns another's id must not enter its session. An unknown
// id passes: it may be older than this process.
type sessions struct {
	mu    sync.Mutex
	known map[sessionID]*list.Element
	used  list.List // of *session, most recently used first
}

type session struct {
	id    sessionID
	grant string // "" if the upstream gave the same id to several
	given time.Time
	seen  time.Time
}

// allowed reports whether grant may use every session that h names.
func (s *sessions) allowed(h http.Header, slug, grant string) bool {
	values := h[sessionHeader]
	if len(values) == 0 {
		return true
	}
	now := time.Now()
	for _, v := range values {
		id := newSessionID(slug, v)
		s.mu.Lock()
		owner := ""
		if e, ok := s.known[id]; ok {
			if have := e.Value.(*session); now.Sub(have.seen) > sessionLife {
				s.remove(e)
			} else if owner = have.grant; owner == grant {
				have.seen = now
				s.used.MoveToFront(e)
			}
		}
		s.mu.Unlock()
		if owner != "" && owner != grant {
			return false
		}
	}
	return true
}

// remember records that the upstream gave a session id to grant.
func (s *sessions) remember(slug, value, grant string) {
	id := newSessionID(slug, value)
	s.mu.Lock()
	defer s.mu.Unlock()
	if e, ok := s.known[id]; ok {
		have := e.Value.(*session)
		if have.grant != grant {
			have.grant = "" // the upstream does not tell its sessions apart
		}
		have.seen = time.Now()
		have.given = have.seen
		s.used.MoveToFront(e)
		return
	}
	if s.known == nil {
		s.known = map[sessionID]*list.Element{}
	}
	now := time.Now()
	s.known[id] = s.used.PushFront(&session{id: id, grant: grant, given: now, seen: now})
	if s.used.Len() > maxSessions {
		s.remove(s.used.Back())
	}
}

// given returns when the upstream gave a session id; the zero time if that is not
// known.
func (s *sessions) given(slug, value string) time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e, ok := s.known[newSessionID(slug, value)]; ok {
		return e.Value.(*session).given
	}
	return time.Time{}
}

// forget removes a session that has ended.
func (s *sessions) forget(slug, value string) {
	id := newSessionID(slug, value)
	s.mu.Lock()
	defer s.mu.Unlock()
	if e, ok := s.known[id]; ok {
		s.remove(e)
	}
}

func (s *sessions) remove(e *list.Element) {
	delete(s.known, e.Value.(*session).id)
	s.used.Remove(e)
}

// learn updates the sessions from an upstream's answer. An id in the answer to a
// request without one belongs to the grant that asked; a DELETE that succeeded
// ended the session.
func (s *sessions) learn(c *Call, r *http.Request, res *http.Response) {
	asked, given := r.Header[sessionHeader], res.Header[sessionHeader]
	if len(asked) == 0 && len(given) == 0 {
		return
	}
	ok := res.StatusCode/100 == 2
	switch {
	case len(asked) == 0 && ok && len(given) == 1:
		s.remember(c.Slug, given[0], c.Grant)
	case len(asked) == 1 && ok && r.Method == http.MethodDelete:
		s.forget(c.Slug, asked[0])
	}
}
