package shim

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/key2oauth/key2oauth/shim/internal/httpx"
	"github.com/key2oauth/key2oauth/shim/internal/vault"
	"github.com/key2oauth/key2oauth/shim/internal/web"
)

// The owner is the person whose desktop session runs the program. He proves it
// by opening a link that only he can get: from the tray, or from a command
// that reads a file only his user can read.

const (
	ticketLife  = 30 * time.Second
	maxTickets  = 100
	sessionLife = 30 * 24 * time.Hour
)

// sessions is where owner's sessions are kept, as digests.
type sessions interface {
	AddSession(d vault.Digest, expires time.Time) error
	HasSession(d vault.Digest) bool
	EndSession(d vault.Digest) error
}

// An owner issues one-time links, cookies and form tokens.
type owner struct {
	origin  string // of the loopback side
	cookie  string // name; random per install, since cookies know no ports
	key     []byte // of form tokens
	store   sessions
	now     func() time.Time
	mu      sync.Mutex
	tickets map[[32]byte]*ticket
}

// A ticket is one one-time link. It is remembered for a while after it was
// redeemed, so that a second redemption is noticed.
type ticket struct {
	made     time.Time
	redeemed bool
	session  [32]byte
}

// link makes a one-time link that leads to next, a path on the loopback side.
func (o *owner) link(next string) string {
	t := rand.Text()
	o.mu.Lock()
	defer o.mu.Unlock()
	o.forget()
	o.tickets[sha256.Sum256([]byte(t))] = &ticket{made: o.now()}
	u := o.origin + "/open?ticket=" + t
	if next != "" && next != "/" {
		u += "&next=" + base64.RawURLEncoding.EncodeToString([]byte(next))
	}
	return u
}

// forget drops tickets that are too old to matter, and the oldest of too many.
// The caller holds mu.
func (o *owner) forget() {
	for len(o.tickets) >= maxTickets {
		var oldest [32]byte
		var at time.Time
		for d, t := range o.tickets {
			if at.IsZero() || t.made.Before(at) {
				oldest, at = d, t.made
			}
		}
		delete(o.tickets, oldest)
	}
	for d, t := range o.tickets {
		if o.now().Sub(t.made) > 24*time.Hour {
			delete(o.tickets, d)
		}
	}
}

var (
	errTicketUsed = errors.New("this link was used before")
	errTicketOld  = errors.New("this link is not valid any more")
)

// redeem turns a ticket into a session and returns the cookie's value. A
// second redemption means that somebody else saw the link: it ends the session
// that the first one made.
func (o *owner) redeem(ticketText string) (string, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	t, ok := o.tickets[sha256.Sum256([]byte(ticketText))]
	switch {
	case !ok:
		return "", errTicketOld
	case t.redeemed:
		if err := o.store.EndSession(t.session); err != nil {
			return "", err
		}
		return "", errTicketUsed
	case o.now().Sub(t.made) > ticketLife:
		return "", errTicketOld
	}
	value := rand.Text()
	digest := sha256.Sum256([]byte(value))
	if err := o.store.AddSession(digest, o.now().Add(sessionLife)); err != nil {
		return "", err
	}
	t.redeemed, t.session = true, digest
	return value, nil
}

// setCookie hands out a session. Lax and not Strict, because the owner arrives
// at consent from another site. Not Secure: the loopback side is http, and
// Safari keeps no Secure cookie there.
func (o *owner) setCookie(w http.ResponseWriter, value string) {
	http.SetCookie(w, &http.Cookie{
		Name: o.cookie, Value: value, Path: "/", HttpOnly: true,
		SameSite: http.SameSiteLaxMode, MaxAge: int(sessionLife / time.Second),
	})
}

// session returns the value of the owner's cookie if r carries a valid one.
// That alone only unlocks what a GET shows.
func (o *owner) session(r *http.Request) (value string, ok bool) {
	for _, c := range r.CookiesNamed(o.cookie) {
		if o.store.HasSession(sha256.Sum256([]byte(c.Value))) {
			return c.Value, true
		}
	}
	return "", false
}

// end signs the owner out of this browser.
func (o *owner) end(w http.ResponseWriter, value string) error {
	http.SetCookie(w, &http.Cookie{Name: o.cookie, Path: "/", MaxAge: -1, HttpOnly: true, SameSite: http.SameSiteLaxMode})
	return o.store.EndSession(sha256.Sum256([]byte(value)))
}

// browser returns the value of the cookie that ties a consent form to the
// browser which was shown it, making one if there is none. It proves nothing
// but that.
func (o *owner) browser(w http.ResponseWriter, r *http.Request) string {
	name := o.cookie + "_b"
	if c, err := r.Cookie(name); err == nil && len(c.Value) == len(rand.Text()) {
		return c.Value
	}
	value := rand.Text()
	if w != nil {
		http.SetCookie(w, &http.Cookie{Name: name, Value: value, Path: "/consent", HttpOnly: true, SameSite: http.SameSiteLaxMode})
	}
	return value
}

// formToken is what a form must send back. It is bound to the cookies of the
// browser that the form was shown to, and to what the form is for.
func (o *owner) formToken(purpose string, cookies ...string) string {
	m := hmac.New(sha256.New, o.key)
	m.Write([]byte(purpose))
	for _, c := range cookies {
		m.Write([]byte{0})
		m.Write([]byte(c))
	}
	return base64.RawURLEncoding.EncodeToString(m.Sum(nil))
}

func (o *owner) checkForm(r *http.Request, purpose string, cookies ...string) error {
	want := o.formToken(purpose, cookies...)
	got := r.PostFormValue("form_token")
	if subtle.ConstantTimeCompare([]byte(got), []byte(want)) != 1 {
		return httpx.New(http.StatusForbidden, web.TextFormOld)
	}
	return nil
}

// requireSameOrigin refuses a request that another page may have sent than one
// of the loopback side.
func requireSameOrigin(r *http.Request) error { return requireFrom(r, "http://"+r.Host) }

// requireFrom refuses a request that a page of another origin may have sent.
// Browsers that know Sec-Fetch-Site send it with every request, older ones
// send Origin with every POST; a request with neither comes from no browser,
// and what is not for browsers has the admin token.
func requireFrom(r *http.Request, own string) error {
	site, origin := r.Header.Get("Sec-Fetch-Site"), r.Header.Get("Origin")
	refuse := httpx.New(http.StatusForbidden, web.TextForeignForm)
	if site == "" && origin == "" {
		return refuse
	}
	if site != "" && site != "same-origin" {
		return refuse
	}
	if origin != "" && !strings.EqualFold(origin, own) {
		return refuse
	}
	return nil
}

// requireNavigation refuses to show a page inside another, or to a script.
// Older browsers send none of these headers; for them there is
// frame-ancestors.
func requireNavigation(r *http.Request) error {
	dest, mode := r.Header.Get("Sec-Fetch-Dest"), r.Header.Get("Sec-Fetch-Mode")
	if (dest != "" && dest != "document") || (mode != "" && mode != "navigate") {
		return httpx.New(http.StatusForbidden, web.TextOwnWindow)
	}
	return nil
}
