// Package owner answers one question about a request: does it come from the
// owner, the person whose desktop session runs the program? The proofs are a
// one-time link (link.go), the session that it opens (this file), a form token
// and the same origin for everything that changes something (form.go), the
// admin token, and the OS user at the other end of the connection (peer.go).
// The handlers that hold a route to these proofs are in door.go.
package owner

import (
	"crypto/rand"
	"crypto/sha256"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// A SessionStore keeps the digests of session cookies.
type SessionStore interface {
	// AddSession adds a session, or changes when it ends.
	AddSession(digest [sha256.Size]byte, expires time.Time) error
	HasSession(digest [sha256.Size]byte) bool
	EndSession(digest [sha256.Size]byte) error
}

// Config says how an Owner proves who the owner is.
type Config struct {
	// Cookie is the name of the session cookie. It is random per install:
	// browsers send the cookies of 127.0.0.1 to every port there.
	Cookie     string
	FormKey    []byte // signs form tokens
	AdminToken string // its holder can read files of the owner's OS user
	Sessions   SessionStore
	// Next returns the path that a link leads to from what the link says, which
	// a stranger may have written.
	Next func(encoded string) string
	// MaxForm is the longest multipart form, in bytes.
	MaxForm int64
}

// An Owner issues one-time links, session cookies and form tokens, and checks
// them.
type Owner struct {
	cfg         Config
	adminDigest [sha256.Size]byte
	origin      atomic.Pointer[string] // of the loopback side, nil before Serve

	mu    sync.Mutex
	links map[[sha256.Size]byte]*link
	used  map[[sha256.Size]byte]time.Time // when the use of a session was last saved
	asked struct {
		path string // of a page that waits for a link
		at   time.Time
	}
}

// New returns an Owner without a link. Call Serve before its handlers run.
func New(cfg Config) *Owner {
	return &Owner{
		cfg: cfg, adminDigest: sha256.Sum256([]byte(cfg.AdminToken)),
		links: make(map[[sha256.Size]byte]*link), used: make(map[[sha256.Size]byte]time.Time),
	}
}

// Serve says at which origin the loopback side is.
func (o *Owner) Serve(origin string) { o.origin.Store(&origin) }

// Origin is the origin of the loopback side, or empty before Serve.
func (o *Owner) Origin() string {
	if p := o.origin.Load(); p != nil {
		return *p
	}
	return ""
}

// Browser returns the value of the cookie that ties a consent form to the
// browser that was shown the form, and sets one if there is none. It proves
// nothing else. A nil w sets no cookie.
func (o *Owner) Browser(w http.ResponseWriter, r *http.Request) string {
	name := o.cfg.Cookie + "_b"
	if c, err := r.Cookie(name); err == nil && len(c.Value) == len(rand.Text()) {
		return c.Value
	}
	value := rand.Text()
	if w != nil {
		http.SetCookie(w, &http.Cookie{Name: name, Value: value, Path: "/consent", HttpOnly: true, SameSite: http.SameSiteLaxMode})
	}
	return value
}
