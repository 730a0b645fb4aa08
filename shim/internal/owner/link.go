package owner

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"time"

	"github.com/key2oauth/key2oauth/shim/internal/httpx"
	"github.com/key2oauth/key2oauth/shim/internal/web"
)

const (
	linkLife   = 30 * time.Second // to redeem it
	startLife  = 10 * time.Minute // to redeem the one that a start prints
	linkMemory = 24 * time.Hour   // to notice a second redemption
	maxLinks   = 100
)

// A link is a one-time link. It is remembered after it was redeemed, so that a
// second redemption is noticed.
type link struct {
	created  time.Time
	life     time.Duration // to redeem it
	next     string        // where it leads
	redeemed bool
	session  [sha256.Size]byte // that the redemption opened
}

// Link makes a one-time link to a path on the loopback side. It is good for 30
// seconds, and empty before Serve.
func (o *Owner) Link(next string) string { return o.makeLink(next, linkLife) }

// StartLink makes the one-time link that a program prints on the terminal it was
// started from. It is good for ten minutes, since a person reads it there later
// than a browser that is opened at once.
func (o *Owner) StartLink() string { return o.makeLink("/", startLife) }

func (o *Owner) makeLink(next string, life time.Duration) string {
	origin := o.Origin()
	if origin == "" {
		return ""
	}
	ticket := rand.Text()
	o.mu.Lock()
	defer o.mu.Unlock()
	o.forgetLinks()
	o.links[sha256.Sum256([]byte(ticket))] = &link{created: time.Now(), life: life, next: next}
	u := origin + "/open?ticket=" + ticket
	if next != "" && next != "/" {
		u += "&next=" + base64.RawURLEncoding.EncodeToString([]byte(next))
	}
	return u
}

// forgetLinks drops links that are too old to matter, and the oldest of too
// many. The caller holds mu.
func (o *Owner) forgetLinks() {
	for len(o.links) >= maxLinks {
		var oldest [sha256.Size]byte
		var at time.Time
		for d, l := range o.links {
			if at.IsZero() || l.created.Before(at) {
				oldest, at = d, l.created
			}
		}
		delete(o.links, oldest)
	}
	for d, l := range o.links {
		if time.Since(l.created) > linkMemory {
			delete(o.links, d)
		}
	}
}

var (
	errLinkUsed = httpx.New(http.StatusForbidden, web.TextTicketUsed)
	errLinkOld  = httpx.New(http.StatusForbidden, web.TextTicketOld)
)

// redeem opens a session for the ticket of a link, and returns the cookie's
// value. A second redemption means that the link leaked, so it ends the session
// that the first one opened.
func (o *Owner) redeem(ticket string) (string, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	l, ok := o.links[sha256.Sum256([]byte(ticket))]
	switch {
	case !ok:
		return "", errLinkOld
	case l.redeemed:
		if err := o.cfg.Sessions.EndSession(l.session); err != nil {
			return "", err
		}
		return "", errLinkUsed
	case time.Since(l.created) > l.life:
		return "", errLinkOld
	}
	value := newSession(time.Now())
	digest := sha256.Sum256([]byte(value))
	if err := o.cfg.Sessions.AddSession(digest, time.Now().Add(sessionRest)); err != nil {
		return "", err
	}
	l.redeemed, l.session = true, digest
	if l.next == o.asked.path {
		o.asked.path = ""
	}
	return value, nil
}

// AskedFor is how long the desktop offers the link that a page asked for.
const AskedFor = 5 * time.Minute

// Ask has the desktop offer a link to path. It opens nothing: the click is the
// owner's word.
func (o *Owner) Ask(path string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.asked.path, o.asked.at = path, time.Now()
}

// Asked is the path that a page has asked a link for, or "".
func (o *Owner) Asked() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	if time.Since(o.asked.at) > AskedFor {
		return ""
	}
	return o.asked.path
}

// confirmLife is how long a link confirms what its page asks for.
const confirmLife = 10 * time.Minute

// Confirmed reports whether the session of this browser began with a link to
// path, a moment ago. For what a session alone must not do, such a link is the
// owner's word: it comes from the tray, a notification or the command line, and
// never from a page.
func (o *Owner) Confirmed(r *http.Request, path string) bool { return o.confirmation(r, path) != nil }

// Spend takes a confirmation back, once what it was for is done.
func (o *Owner) Spend(r *http.Request, path string) {
	if l := o.confirmation(r, path); l != nil {
		o.mu.Lock()
		defer o.mu.Unlock()
		l.next = ""
	}
}

func (o *Owner) confirmation(r *http.Request, path string) *link {
	value, ok := o.Session(r)
	if !ok {
		return nil
	}
	digest := sha256.Sum256([]byte(value))
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, l := range o.links {
		if l.redeemed && l.session == digest && l.next == path && time.Since(l.created) < confirmLife {
			return l
		}
	}
	return nil
}

// ShowLink answers the GET of a link with a page that redeems it. A GET alone
// redeems nothing: mail scanners and previews follow links too.
func (o *Owner) ShowLink(w http.ResponseWriter, r *http.Request) error {
	if err := RequireNavigation(r); err != nil {
		return err
	}
	q := r.URL.Query()
	web.Render(w, http.StatusOK, web.OpenLink{Action: "/open", Ticket: q.Get("ticket"), Next: q.Get("next")})
	return nil
}

// Redeem answers the form of ShowLink: it signs the browser in and leads to
// where the link points.
func (o *Owner) Redeem(w http.ResponseWriter, r *http.Request) error {
	if err := RequireSameOrigin(r); err != nil {
		return err
	}
	if err := o.ParseForm(r); err != nil {
		return err
	}
	value, err := o.redeem(r.PostFormValue("ticket"))
	if err != nil {
		return err
	}
	o.setCookie(w, value)
	http.Redirect(w, r, o.cfg.Next(r.PostFormValue("next")), http.StatusSeeOther)
	return nil
}
