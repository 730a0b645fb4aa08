package signin

import (
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"net/http"
	"time"

	"github.com/key2oauth/key2oauth/shim/internal/httpx"
	"github.com/key2oauth/key2oauth/shim/internal/oauth"
	"github.com/key2oauth/key2oauth/shim/internal/owner"
	"github.com/key2oauth/key2oauth/shim/internal/timeline"
	"github.com/key2oauth/key2oauth/shim/internal/web"
)

// serveAuthorize checks an authorization request. The consent page is always on
// the loopback side: a request from there is redirected to it at once, and one
// from the internet gets a page with a choice. A GET consumes nothing, so a
// reload, or a browser warning that repeats the request, does no harm.
func (o *front) serveAuthorize(w http.ResponseWriter, r *http.Request) error {
	// A page could else send requests by the thousand, as pictures.
	if err := owner.RequireNavigation(r); err != nil {
		return err
	}
	if o.Loopback {
		req, ok := o.authorize(w, r)
		if !ok {
			return nil
		}
		h := w.Header()
		h.Set("Cache-Control", "no-store")
		h.Set("Referrer-Policy", "same-origin")
		http.Redirect(w, r, o.cfg.Owner.Origin()+"/consent/"+req.ID, http.StatusSeeOther)
		return nil
	}
	if !o.Limits.Authorize.Allow(o.From(r)) {
		return tooMany(w)
	}
	browser := o.browser(w, r)
	query := sha256.Sum256([]byte(r.URL.RawQuery))
	id, ok := o.visits.again(browser, query)
	if ok {
		_, ok = o.cfg.Requests.Get(id)
	}
	if !ok {
		req, ok := o.authorize(w, r)
		if !ok {
			return nil
		}
		id = req.ID
		o.visits.add(id, visit{browser: browser, query: query, from: req.From})
	}
	o.showSignIn(w, r, id)
	return nil
}

// authorize checks a request. It returns false, with the answer written, if
// something is wrong with it.
func (o *front) authorize(w http.ResponseWriter, r *http.Request) (*oauth.Request, bool) {
	req, err := o.Server.Authorize(r)
	if e, ok := errors.AsType[*oauth.AuthorizeError](err); ok {
		if e.Location != "" {
			http.Redirect(w, r, e.Location, http.StatusFound)
		} else {
			showAuthorizeError(w, e, !o.Loopback)
		}
		return nil, false
	}
	return req, true
}

// showSignIn shows the choice between this computer and another.
func (o *front) showSignIn(w http.ResponseWriter, r *http.Request, id string) {
	req, ok := o.cfg.Requests.Get(id)
	if !ok {
		showMessage(w, web.MessageOver)
		return
	}
	v, ok := o.visits.get(id)
	switch {
	case !ok:
		showMessage(w, web.MessageOver)
	case v.asks:
		o.showWaiting(w, id, req)
	default:
		web.Render(w, http.StatusOK, web.SignIn{
			App:      req.Client.App(),
			Continue: o.cfg.Owner.Origin() + "/consent/" + id, Ask: "/authorize/" + id,
			FormToken: o.cfg.Owner.FormToken("ask "+id, string(v.browser[:])),
			Auto:      o.Here(r) && o.visits.sendOn(id), Phone: !httpx.IsDesktop(r.UserAgent()),
		})
	}
}

// cookieName is the cookie that identifies a browser on a public origin. No
// other site, and no other host of ours, can set a cookie with this prefix.
const cookieName = "__Host-k2o"

// browser returns the digest of the cookie that tells browsers apart, and sets
// the cookie. A browser keeps its value for as long as its newest request may
// live.
func (o *front) browser(w http.ResponseWriter, r *http.Request) [sha256.Size]byte {
	value := rand.Text()
	if _, ok := knownBrowser(r); ok {
		c, _ := r.Cookie(cookieName)
		value = c.Value
	}
	http.SetCookie(w, &http.Cookie{
		Name: cookieName, Value: value, Path: "/", Secure: true, HttpOnly: true,
		SameSite: http.SameSiteLaxMode, MaxAge: int(oauth.RequestTTL / time.Second),
	})
	return sha256.Sum256([]byte(value))
}

func knownBrowser(r *http.Request) (d [sha256.Size]byte, ok bool) {
	c, err := r.Cookie(cookieName)
	if err != nil || len(c.Value) != len(rand.Text()) {
		return d, false
	}
	return sha256.Sum256([]byte(c.Value)), true
}

// ownVisit returns the visit of a request to the browser that made it. For any
// other browser, or if there is no visit, it returns false with the answer
// written.
func (o *front) ownVisit(w http.ResponseWriter, r *http.Request, id string) (visit, bool) {
	v, ok := o.visits.get(id)
	if !ok {
		// The request is long over, or from before a restart. The answer tells
		// a stranger nothing.
		showMessage(w, web.MessageOver)
		return visit{}, false
	}
	if browser, known := knownBrowser(r); !known || browser != v.browser {
		showMessage(w, web.MessageOtherBrowser)
		return visit{}, false
	}
	return v, true
}

// serveWait tells the browser that made a request how the request stands, and
// sends it back to the client once the owner has typed its number. Other
// browsers learn nothing.
func (o *front) serveWait(w http.ResponseWriter, r *http.Request) error {
	if err := owner.RequireNavigation(r); err != nil {
		return err
	}
	id := r.PathValue("id")
	v, ok := o.ownVisit(w, r, id)
	if !ok {
		return nil
	}
	req, open := o.cfg.Requests.Get(id)
	switch {
	case v.outcome == outcomeAnswered:
		return leave(w, v.back)
	case v.outcome == outcomeElsewhere:
		showMessage(w, web.MessageElsewhere)
	case v.outcome == outcomeNumber:
		showMessage(w, web.MessageWrongNumber)
	case !open:
		showMessage(w, web.MessageOver)
	case v.asks:
		o.showWaiting(w, id, req)
	default:
		o.showSignIn(w, r, id)
	}
	return nil
}

// showWaiting shows the number, or that the request is in line. The page checks
// again automatically, but less and less often: each check is a request that
// counts against the quota of the tunnel.
func (o *front) showWaiting(w http.ResponseWriter, id string, req *oauth.Request) {
	o.took(id, o.visits.look(id))
	v, _ := o.visits.get(id)
	p := web.WaitingPage{App: req.Client.App(), Number: v.number, Check: "/authorize/" + id}
	switch waited := o.visits.now().Sub(v.asked); {
	case waited < time.Minute:
		p.Every = 3 * time.Second
	case waited < 5*time.Minute:
		p.Every = 15 * time.Second
	}
	web.Render(w, http.StatusOK, p)
}

// serveAsk asks the owner, on the computer that runs Key2OAuth. It opens
// nothing there.
func (o *front) serveAsk(w http.ResponseWriter, r *http.Request) error {
	if err := owner.RequireFrom(r, o.Server.Issuer); err != nil {
		return err
	}
	id := r.PathValue("id")
	v, ok := o.ownVisit(w, r, id)
	if !ok {
		return nil
	}
	r.Body = http.MaxBytesReader(w, r.Body, 4<<10)
	if err := o.cfg.Owner.ParseForm(r); err != nil {
		return err
	}
	if err := o.cfg.Owner.CheckForm(r, "ask "+id, string(v.browser[:])); err != nil {
		return err
	}
	if !o.Limits.Ask.Allow(v.from) {
		return tooMany(w)
	}
	t, err := o.visits.ask(id)
	switch {
	case errors.Is(err, errTooManyAsk):
		return tooMany(w)
	case err != nil:
		return err
	}
	o.took(id, t)
	http.Redirect(w, r, "/authorize/"+id, http.StatusSeeOther)
	return nil
}

// took does what follows from the placement of a request. Requests without a place are
// kept like those that do not wait: there may be very many.
func (s *SignIns) took(id string, t placement) {
	if t.replaced != "" {
		s.cfg.Requests.Take(t.replaced) // its page says that it is over
	}
	if t.moved != "" {
		s.cfg.Requests.Release(t.moved)
	}
	if t.inLine {
		s.cfg.Requests.MarkPolled(id)
	}
	if !t.placed {
		return
	}
	s.cfg.Requests.Hold(id)
	if req, ok := s.cfg.Requests.Get(id); ok {
		s.note(req, timeline.Waiting, "")
	}
	s.promptOwner(id)
}

func showMessage(w http.ResponseWriter, m web.PublicMessage) { web.Render(w, m.Status, m) }

// tooMany answers a browser that comes too often, or that has too many others
// ahead of it.
func tooMany(w http.ResponseWriter) error {
	w.Header().Set("Retry-After", "60")
	showMessage(w, web.MessageTooMany)
	return nil
}
