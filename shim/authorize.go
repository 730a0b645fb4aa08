package shim

import (
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/key2oauth/key2oauth/shim/internal/httpx"
	"github.com/key2oauth/key2oauth/shim/internal/oauth"
	"github.com/key2oauth/key2oauth/shim/internal/owner"
	"github.com/key2oauth/key2oauth/shim/internal/timeline"
	"github.com/key2oauth/key2oauth/shim/internal/web"
)

// serveAuthorize checks an authorization request. A good one goes on to the
// consent page, which is on the loopback side always: at once if it came there,
// and by a page with a choice if it came from the internet. Nothing is
// consumed, so a reload or a browser warning that repeats the request does no
// harm.
func (o *origin) serveAuthorize(w http.ResponseWriter, r *http.Request) error {
	if o.loopback {
		req, ok := o.authorize(w, r)
		if !ok {
			return nil
		}
		h := w.Header()
		h.Set("Cache-Control", "no-store")
		h.Set("Referrer-Policy", "same-origin")
		http.Redirect(w, r, o.s.owner.Origin()+"/consent/"+req.ID, http.StatusSeeOther)
		return nil
	}
	if !o.limits.Authorize.Allow(o.from(r)) {
		return tooMany(w)
	}
	browser := o.browser(w, r)
	query := sha256.Sum256([]byte(r.URL.RawQuery))
	id, ok := o.s.visits.again(browser, query)
	if ok {
		_, ok = o.s.requests.Get(id)
	}
	if !ok {
		req, ok := o.authorize(w, r)
		if !ok {
			return nil
		}
		id = req.ID
		o.s.visits.add(id, visit{browser: browser, query: query, from: req.From})
	}
	o.showSignIn(w, r, id)
	return nil
}

// authorize checks a request. It is not ok, with the answer written, if there
// is something wrong with it.
func (o *origin) authorize(w http.ResponseWriter, r *http.Request) (*oauth.Request, bool) {
	req, err := o.as.Authorize(r)
	if e, ok := errors.AsType[*oauth.AuthorizeError](err); ok {
		if e.Location != "" {
			http.Redirect(w, r, e.Location, http.StatusFound)
		} else {
			showAuthorizeError(w, e, !o.loopback)
		}
		return nil, false
	}
	return req, true
}

// showSignIn shows the choice between this computer and another.
func (o *origin) showSignIn(w http.ResponseWriter, r *http.Request, id string) {
	req, ok := o.s.requests.Get(id)
	if !ok {
		showMessage(w, web.MessageOver)
		return
	}
	v, ok := o.s.visits.get(id)
	switch {
	case !ok:
		showMessage(w, web.MessageOver)
	case v.number != 0:
		o.showWaiting(w, id, v, req)
	default:
		web.Render(w, http.StatusOK, web.SignIn{
			Client: req.Client.Name, Verified: req.Client.Verified, ClientHost: req.Client.Host,
			Continue: o.s.owner.Origin() + "/consent/" + id, Ask: "/authorize/" + id,
			FormToken: o.s.owner.FormToken("ask "+id, string(v.browser[:])),
			Auto:      o.seemsHere(r) && o.s.visits.sendOn(id), Phone: !isDesktop(r.UserAgent()),
		})
	}
}

// cookieName is of the cookie by which a browser is known on a public origin.
// With this prefix no other site, and no other name of ours, can set it.
const cookieName = "__Host-k2o"

// browser returns the digest of the cookie that tells browsers apart, and hands
// one out. A browser that has one keeps it, for as long as its newest request
// may live.
func (o *origin) browser(w http.ResponseWriter, r *http.Request) [sha256.Size]byte {
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

// seemsHere guesses whether the browser runs on this computer: it comes from
// the address that we have in the world, and is none of a phone. A wrong guess
// costs a page that does not open.
func (o *origin) seemsHere(r *http.Request) bool {
	own := o.s.ownAddr.Load()
	addr, ok := o.clientAddr(r)
	return own != nil && ok && sender(*own) == sender(addr) && isDesktop(r.UserAgent())
}

func isDesktop(userAgent string) bool {
	if !strings.HasPrefix(userAgent, "Mozilla/") {
		return false
	}
	for _, s := range []string{"Mobile", "Android", "iPhone", "iPad", "Tablet"} {
		if strings.Contains(userAgent, s) {
			return false
		}
	}
	return true
}

// clientAddr is the address of whoever sent r. It is not ok if the way from the
// internet to us does not say so. What the sender wrote himself never counts:
// of a list, the last element is the one that our tunnel appended.
func (o *origin) clientAddr(r *http.Request) (addr netip.Addr, ok bool) {
	if o.loopback || o.addrHeader == "" {
		return addr, false
	}
	all := r.Header[http.CanonicalHeaderKey(o.addrHeader)]
	if len(all) == 0 {
		return addr, false
	}
	last := all[len(all)-1]
	last = strings.TrimSpace(last[strings.LastIndexByte(last, ',')+1:])
	if ap, err := netip.ParseAddrPort(last); err == nil {
		return ap.Addr(), true
	}
	addr, err := netip.ParseAddr(last)
	return addr, err == nil
}

// from names the sender of r, "" on this machine.
func (o *origin) from(r *http.Request) string {
	if o.loopback {
		return ""
	}
	addr, _ := o.clientAddr(r)
	return sender(addr)
}

// ownVisit returns the visit of a request to the browser that brought it. It is
// not ok, with the answer written, for every other one, and where there is no
// visit.
func (o *origin) ownVisit(w http.ResponseWriter, r *http.Request, id string) (visit, bool) {
	v, ok := o.s.visits.get(id)
	if !ok {
		// Long over, or from before a restart. Whoever has no such request learns
		// nothing by that.
		showMessage(w, web.MessageOver)
		return visit{}, false
	}
	if browser, known := knownBrowser(r); !known || browser != v.browser {
		showMessage(w, web.MessageOtherBrowser)
		return visit{}, false
	}
	return v, true
}

// serveWait shows how a request stands to the browser that brought it, and
// sends it back to the client once the owner has answered on its number. To
// every other browser it says nothing.
func (o *origin) serveWait(w http.ResponseWriter, r *http.Request) error {
	if err := owner.RequireNavigation(r); err != nil {
		return err
	}
	id := r.PathValue("id")
	v, ok := o.ownVisit(w, r, id)
	if !ok {
		return nil
	}
	req, open := o.s.requests.Get(id)
	switch {
	case v.end == endAnswered:
		return leave(w, v.req, v.location, v.denied)
	case v.end == endElsewhere:
		showMessage(w, web.MessageElsewhere)
	case v.end == endNumber:
		showMessage(w, web.MessageWrongNumber)
	case !open:
		showMessage(w, web.MessageOver)
	case v.number == 0:
		o.showSignIn(w, r, id)
	default:
		o.showWaiting(w, id, v, req)
	}
	return nil
}

// showWaiting shows the number. The page looks again by itself, less and less
// often: each look is a request that the tunnel's owner may have to pay for.
func (o *origin) showWaiting(w http.ResponseWriter, id string, v visit, req *oauth.Request) {
	p := web.Waiting{Client: req.Client.Name, Number: v.number, Check: "/authorize/" + id}
	switch waited := o.s.visits.now().Sub(v.asked); {
	case waited < time.Minute:
		p.Every = 3 * time.Second
	case waited < 5*time.Minute:
		p.Every = 15 * time.Second
	}
	web.Render(w, http.StatusOK, p)
}

// serveAsk has the owner asked on his computer. It opens nothing there.
func (o *origin) serveAsk(w http.ResponseWriter, r *http.Request) error {
	if err := owner.RequireFrom(r, o.as.Issuer); err != nil {
		return err
	}
	id := r.PathValue("id")
	v, ok := o.ownVisit(w, r, id)
	if !ok {
		return nil
	}
	r.Body = http.MaxBytesReader(w, r.Body, 4<<10)
	if err := o.s.owner.ParseForm(r); err != nil {
		return err
	}
	if err := o.s.owner.CheckForm(r, "ask "+id, string(v.browser[:])); err != nil {
		return err
	}
	if !o.limits.Ask.Allow(v.from) {
		return tooMany(w)
	}
	switch err := o.s.visits.ask(id); {
	case errors.Is(err, errTooManyAsk):
		return tooMany(w)
	case err != nil:
		return err
	}
	o.s.requests.MarkViewed(id)
	if req, ok := o.s.requests.Get(id); ok {
		o.s.noteRequest(req, timeline.Waiting, "")
	}
	o.s.promptOwner(id)
	http.Redirect(w, r, "/authorize/"+id, http.StatusSeeOther)
	return nil
}

// isOpen reports whether a request still waits for an answer.
func (s *Shim) isOpen(id string) bool {
	_, ok := s.requests.Get(id)
	return ok
}

func showMessage(w http.ResponseWriter, m web.PublicMessage) { web.Render(w, m.Status, m) }

// tooMany answers a browser that came too often, or too late behind others.
func tooMany(w http.ResponseWriter) error {
	w.Header().Set("Retry-After", "60")
	showMessage(w, web.MessageTooMany)
	return nil
}

// limitRegister refuses whoever registers clients without end.
func (o *origin) limitRegister(next httpx.HandlerFunc) httpx.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) error {
		if !o.loopback && !o.limits.Register.Allow(o.from(r)) {
			o.observe(r, oauth.Sight{Step: oauth.StepRegister, Why: oauth.WhyTooMany})
			return &httpx.Error{
				Status: http.StatusTooManyRequests, Code: "temporarily_unavailable",
				Msg:    "too many registrations came from this address; try again in a minute",
				Header: http.Header{"Retry-After": {"60"}},
			}
		}
		return next(w, r)
	}
}
