package signin

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/key2oauth/key2oauth/shim/display"
	"github.com/key2oauth/key2oauth/shim/internal/cimd"
	"github.com/key2oauth/key2oauth/shim/internal/endpoint"
	"github.com/key2oauth/key2oauth/shim/internal/httpx"
	"github.com/key2oauth/key2oauth/shim/internal/oauth"
	"github.com/key2oauth/key2oauth/shim/internal/owner"
	"github.com/key2oauth/key2oauth/shim/internal/problem"
	"github.com/key2oauth/key2oauth/shim/internal/timeline"
	"github.com/key2oauth/key2oauth/shim/internal/trial"
	"github.com/key2oauth/key2oauth/shim/internal/web"
)

// A consentView is one look at a consent page: the request, and who is looking.
type consentView struct {
	req     *oauth.Request
	visit   visit  // of the browser that brought the request, if it came from the internet
	session string // the owner's cookie, or empty for others
	browser string
	slug    string // the endpoint, "" while it is not chosen
	answer  web.Answer
	locked  string // why only the owner may see the page, if this is someone else
}

func (c *consentView) owner() bool { return c.session != "" }

func (c *consentView) purpose() string { return "consent " + c.req.ID }

// elsewhere reports whether the answer goes to a browser on another device.
func (c *consentView) elsewhere() bool { return c.visit.asks }

// answer is what is known about the answer to a request.
func (s *SignIns) answer(req *oauth.Request, v visit) web.Answer {
	a := web.Answer{
		Kind: oauth.RedirectKind(req.RedirectURI), Host: oauth.RedirectHost(req.RedirectURI),
		Flow: web.FlowPublic, Approved: s.cfg.Control.KnownRedirect(req.RedirectURI), BuiltIn: cimd.IsBuiltInRedirect(req.RedirectURI),
	}
	switch {
	case v.asks:
		a.Flow = web.FlowDevice
	case req.Issuer == s.cfg.Local().Issuer:
		a.Flow = web.FlowLocal
	}
	return a
}

// viewConsent finds the request that a consent page is about. It returns nil,
// with the answer written, if there is nothing to consent to.
func (s *SignIns) viewConsent(w http.ResponseWriter, r *http.Request) *consentView {
	req, ok := s.cfg.Requests.Get(r.PathValue("id"))
	if !ok || req.Unresolved {
		web.Render(w, http.StatusGone, web.ErrorPage{Title: web.TitleRequestOver, Words: web.TextRequestGone, Next: web.TextStartAgain})
		return nil
	}
	c := &consentView{req: req, slug: req.Slug}
	c.session, _ = s.cfg.Owner.Session(r)
	c.visit, _ = s.visits.get(req.ID)
	c.answer = s.answer(req, c.visit)
	all := s.cfg.Control.Endpoints()
	switch {
	case s.cfg.Issuer(req.Issuer) == nil:
		web.Render(w, http.StatusGone, web.ErrorPage{Title: web.TitleRequestOver, Words: web.TextOriginGone, Next: web.TextStartAgain})
		return nil
	case c.elsewhere() && !c.owner():
		// The number does not replace the owner's session.
		c.locked = web.TextOwnerReview
	case c.answer.MustConfirm() && !c.owner():
		c.locked = web.TextOwnerForNew
	case c.slug != "":
		if _, ok := s.cfg.Control.Endpoint(c.slug); !ok {
			web.Render(w, http.StatusGone, web.ErrorPage{Title: web.TitleRequestOver, Words: web.TextServerGone, Next: web.TextStartAgain})
			return nil
		}
	case len(all) == 0:
		web.Render(w, http.StatusConflict, web.ErrorPage{Title: web.TitleNoEndpoints, Words: web.TextNoEndpoints, Home: true})
		return nil
	case len(all) == 1:
		c.slug = all[0].Slug
	case !c.owner():
		// The list of servers is for the owner only.
		c.locked = web.TextOwnerPicks
	}
	return c
}

// ShowConsent shows the consent page, at GET /consent/{id}.
func (s *SignIns) ShowConsent(w http.ResponseWriter, r *http.Request) error {
	if err := owner.RequireNavigation(r); err != nil {
		return err
	}
	// The browser has arrived on this computer, even if the page shows an
	// error.
	s.visits.change(r.PathValue("id"), func(v *visit) { v.viewed = true })
	if !s.resolveClient(w, r) {
		return nil
	}
	c := s.viewConsent(w, r)
	if c == nil {
		return nil
	}
	s.tellViewed(c)
	if c.locked != "" {
		showLocked(w, c)
		return nil
	}
	c.browser = s.cfg.Owner.Browser(w, r)
	if c.elsewhere() && !c.visit.told {
		s.showNumber(w, http.StatusOK, c, "")
		return nil
	}
	s.note(c.req, timeline.Shown, "")
	s.cfg.Changes.Notify()
	s.renderConsent(w, http.StatusOK, c, consentAnswer{})
	return nil
}

// showLocked tells a browser that is not signed in how the owner sees the page.
func showLocked(w http.ResponseWriter, c *consentView) {
	web.Render(w, http.StatusUnauthorized, web.OwnerNeededPage{Words: c.locked, Command: "key2oauth open", Keep: "/consent/" + c.req.ID + "/open", Told: !c.elsewhere()})
}

// KeepOpen hears from a consent page that it is still open, at POST
// /consent/{id}/open.
func (s *SignIns) KeepOpen(w http.ResponseWriter, r *http.Request) error {
	if err := owner.RequireSameOrigin(r); err != nil {
		return err
	}
	s.cfg.Requests.MarkOpen(r.PathValue("id"))
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// A consentAnswer is what the form sent, and what is wrong with it.
type consentAnswer struct {
	credential string // id, "new", or ""
	key        string
	confirmed  bool // the box is checked
	problem    string
	trouble    web.Trouble // of the problem
	canSkip    bool
}

func (s *SignIns) renderConsent(w http.ResponseWriter, status int, c *consentView, a consentAnswer) {
	req := c.req
	p := web.Consent{
		App: req.Client.App(), Unchecked: req.Client.Unchecked,
		Answer: c.answer, Number: c.visit.number, Confirmed: a.confirmed, Trouble: a.trouble,
		Owner: c.owner(), Action: "/consent/" + req.ID, FormToken: s.cfg.Owner.FormToken(c.purpose(), c.browser, c.session),
		SelectedKey: a.credential, Error: a.problem, CanSkip: a.canSkip && c.owner(),
		KeyHeld: s.cfg.Control.FormKeys.Put(a.key, c.browser), Mode: web.ShownKeychain(s.cfg.Control.Keychain()).Mode,
	}
	if k := s.cfg.Control.Keychain(); !k.Usable() {
		p.NeedUnlock = k.Words
	}
	if e, ok := s.cfg.Control.Endpoint(c.slug); ok && (req.Slug != "" || len(s.cfg.Control.Endpoints()) == 1) {
		p.Endpoint, p.UpstreamHost = e.Name, e.UpstreamHost()
		p.UpstreamPlain = e.Unencrypted()
		if c.owner() {
			p.Saved = s.savedKeys(e.Slug)
		}
	} else {
		p.Selected = c.slug
		for _, e := range s.cfg.Control.Endpoints() {
			p.Pick = append(p.Pick, web.EndpointChoice{Slug: e.Slug, Name: e.Name, UpstreamHost: e.UpstreamHost(), Saved: s.savedKeys(e.Slug)})
		}
	}
	web.Render(w, status, p)
}

func (s *SignIns) savedKeys(slug string) []web.SavedKey {
	var keys []web.SavedKey
	for _, c := range s.cfg.Control.OwnerKeys(slug) {
		keys = append(keys, web.SavedKey{ID: c.ID, Label: c.Label, State: string(c.State)})
	}
	return keys
}

// formAnswer is what the form says.
func (s *SignIns) formAnswer(r *http.Request, c *consentView) consentAnswer {
	a := consentAnswer{
		credential: r.PostFormValue("credential"), key: r.PostFormValue("api_key"), confirmed: r.PostFormValue("confirmed") != "",
	}
	if a.key == "" {
		a.key = s.cfg.Control.FormKeys.Take(r.PostFormValue("key_held"), c.browser)
	}
	return a
}

// AnswerConsent answers the form of the consent page, at POST /consent/{id}. It
// uses the request up only once it is decided: a wrong key, a locked keychain
// or a full disk loses nothing.
func (s *SignIns) AnswerConsent(w http.ResponseWriter, r *http.Request) error {
	if err := owner.RequireSameOrigin(r); err != nil {
		return err
	}
	if err := s.cfg.Owner.ParseForm(r); err != nil {
		return err
	}
	c := s.viewConsent(w, r)
	if c == nil {
		return nil
	}
	if c.locked != "" {
		showLocked(w, c)
		return nil
	}
	c.browser = s.cfg.Owner.Browser(nil, r)
	if err := s.cfg.Owner.CheckForm(r, c.purpose(), c.browser, c.session); err != nil {
		if c.owner() && s.cfg.Owner.CheckForm(r, c.purpose(), c.browser, "") == nil {
			// The same browser has become the owner's since: the page told its
			// reader to open the window and to reload. Nothing is done but to
			// show the page as the owner sees it.
			s.renderConsent(w, http.StatusOK, c, s.formAnswer(r, c))
			return nil
		}
		return err
	}
	if c.elsewhere() && !c.visit.told {
		return s.answerNumber(w, r, c)
	}
	if r.PostFormValue("action") == "deny" {
		if _, ok := s.cfg.Requests.Take(c.req.ID); !ok {
			return errAnswered
		}
		s.note(c.req, timeline.Approved, "denied")
		return s.answered(w, c, s.cfg.Local().Deny(c.req), true)
	}
	a := s.formAnswer(r, c)
	// The server is the one that the request names, or else the one that the
	// owner picked; only the owner is shown a picker.
	if picked := r.PostFormValue("slug"); c.req.Slug == "" && picked != "" && c.owner() {
		if _, ok := s.cfg.Control.Endpoint(picked); ok {
			c.slug = picked
		}
	}
	switch {
	case c.slug == "":
		a.problem, a.trouble = web.TextChooseServer, web.TroubleIncomplete
	case c.answer.MustConfirm() && !a.confirmed:
		a.problem, a.trouble = web.Say(c.answer, "").BoxMissing, web.TroubleIncomplete
	}
	if a.problem != "" {
		s.renderConsent(w, http.StatusUnprocessableEntity, c, a)
		return nil
	}
	key, ok := s.tryAnswer(r.Context(), c, &a, r.PostFormValue("unverified") != "")
	if !ok {
		s.renderConsent(w, http.StatusUnprocessableEntity, c, a)
		return nil
	}
	return s.approve(w, r, c, a, key)
}

// answered hands the answer to the one browser that gets it: the one that
// posted the form, or the one that shows the number.
func (s *SignIns) answered(w http.ResponseWriter, c *consentView, location string, denied bool) error {
	d := clientRedirect{req: c.req, location: location, denied: denied, link: byHand(c.req, c.answer, denied), public: c.elsewhere()}
	if !c.elsewhere() {
		s.visits.change(c.req.ID, func(v *visit) { v.outcome = outcomeElsewhere })
		s.cfg.Changes.Notify()
		return leave(w, d)
	}
	s.visits.change(c.req.ID, func(v *visit) { v.outcome, v.back = outcomeAnswered, d })
	s.promptAgain()
	if denied {
		web.Render(w, http.StatusOK, web.MessageDeniedElsewhere)
	} else {
		web.Render(w, http.StatusOK, web.MessageApprovedElsewhere)
	}
	return nil
}

var errAnswered = &httpx.Error{Status: http.StatusGone, Msg: web.TextRequestGone + " " + web.TextStartAgain}

// An answeredKey is the key that the form chose: a saved one or a new one.
type answeredKey struct {
	saved string // id of a saved credential
	key   endpoint.Secret
	state endpoint.CredentialState
}

// tryAnswer finds the key that the form names and tries it at the upstream. If
// something is wrong, it sets a.problem and returns false.
func (s *SignIns) tryAnswer(ctx context.Context, c *consentView, a *consentAnswer, skip bool) (k answeredKey, ok bool) {
	e, found := s.cfg.Control.Endpoint(c.slug)
	switch kc := s.cfg.Control.Keychain(); {
	case !found:
		a.problem, a.trouble = web.TextServerRemoved, web.TroubleGone
		return k, false
	case !kc.Usable():
		a.problem, a.trouble = kc.Words, web.TroubleLocked
		s.note(c.req, timeline.Key, "locked")
		return k, false
	}
	k, err := s.answeredKey(c, a, e.Header)
	if err != nil {
		a.problem = problem.Text(err)
		return k, false
	}
	v, err := s.cfg.Control.TryKey(ctx, e, k.saved, k.key, c.owner())
	if err != nil {
		a.problem, a.trouble = problem.Text(err), web.TroubleState
		return k, false
	}
	e, _ = s.cfg.Control.Endpoint(c.slug) // may have got another header by the trial
	if v.Header != e.Header {
		s.note(c.req, timeline.Key, "header")
		a.trouble = web.TroubleHeader
		a.problem = fmt.Sprintf(web.TextOtherHeader, web.DescribeHeader(v.Header), web.DescribeHeader(e.Header))
		return k, false
	}
	s.note(c.req, timeline.Key, keyWhy(v))
	a.problem, a.trouble = v.Words, web.Trouble(v.Outcome)
	switch v.Outcome {
	case trial.OK:
		k.state = endpoint.Working
		return k, true
	case trial.Rejected:
		a.key = "" // keeping it would only try it again
		return k, false
	case trial.Redirect, trial.Refused:
		return k, false
	}
	// The key could not be checked. Only the owner may continue anyway;
	// otherwise anyone could connect with any key.
	k.state = endpoint.Unverified
	a.canSkip = c.owner()
	if !c.owner() {
		a.problem = problem.Join(v.Words, web.TextUnverified)
	}
	return k, skip && c.owner()
}

// answeredKey is the key that the form chose or carries. A saved key is the
// owner's, and belongs to one server.
func (s *SignIns) answeredKey(c *consentView, a *consentAnswer, h endpoint.Header) (k answeredKey, err error) {
	saved := s.cfg.Control.OwnerKeys(c.slug)
	if a.credential != "" && a.credential != "new" {
		if !c.owner() || !slices.ContainsFunc(saved, func(c endpoint.Credential) bool { return c.ID == a.credential }) {
			// Without JavaScript, the picker may send a choice that was made
			// for another server. A pasted key then decides.
			a.credential = ""
			if strings.TrimSpace(a.key) != "" {
				a.credential = "new"
			}
		}
	}
	switch {
	case a.credential != "" && a.credential != "new":
		k.saved = a.credential
		if k.key, err = s.cfg.Control.Key(k.saved); err != nil {
			a.trouble = web.TroubleUnreadable
			return k, problem.Sentence(web.TextCannotOpen)
		}
		return k, nil
	case strings.TrimSpace(a.key) != "":
		if k.key, err = endpoint.ParseKey(a.key, h); err != nil {
			a.key, a.trouble = "", web.TroubleKeyForm
		}
		return k, err
	case c.owner() && len(saved) == 1 && c.req.Slug == "" && a.credential == "":
		// Without JavaScript, nothing is chosen of the server that was picked.
		a.credential = saved[0].ID
		return s.answeredKey(c, a, h)
	case c.owner() && len(saved) > 0 && a.credential != "new":
		a.trouble = web.TroubleIncomplete
		return k, problem.Sentence(web.TextChooseKey)
	}
	a.trouble = web.TroubleIncomplete
	return k, problem.Sentence(web.TextPasteKey)
}

// approve makes the grant and sends the browser back with the code. It takes
// the request first, so two answers at once make only one grant.
func (s *SignIns) approve(w http.ResponseWriter, r *http.Request, c *consentView, a consentAnswer, k answeredKey) error {
	req, ok := s.cfg.Requests.Take(c.req.ID)
	if !ok {
		return errAnswered
	}
	grant := oauth.NewGrantID()
	credential, fresh := k.saved, false
	var err error
	if credential == "" {
		// Pasting a key proves possession of the key and nothing more, so
		// without the owner's session it is good for this grant only.
		only := grant
		if c.owner() {
			only = ""
		}
		var saved endpoint.Credential
		if saved, err = s.cfg.Control.SaveKey(c.slug, only, k.key, k.state); err == nil {
			credential, fresh = saved.ID, true
		}
	} else if k.state == endpoint.Working {
		err = s.cfg.Control.MarkWorking(credential)
	}
	var location string
	if err == nil {
		location, err = s.cfg.Issuer(req.Issuer).Approve(req, c.slug, credential, grant, string(c.answer.Flow))
	}
	if err != nil {
		if fresh {
			err = errors.Join(err, s.cfg.Control.DropKey(credential))
		}
		s.cfg.Requests.Add(req)
		s.note(req, timeline.Approved, "disk")
		s.cfg.Log.Warn("consent was not saved", "slug", c.slug, "err", err)
		a.problem, a.trouble = problem.Text(s.cfg.Control.Explain(err)), web.TroubleState
		if e, ok := errors.AsType[*httpx.Error](s.cfg.Control.Explain(err)); ok {
			a.problem = e.Msg
		}
		s.renderConsent(w, http.StatusServiceUnavailable, c, a)
		return nil
	}
	s.cfg.Log.Info("a client was connected", "grant", grant, "slug", c.slug, "redirect_host", oauth.RedirectHost(req.RedirectURI))
	s.noteGrant(req, timeline.Approved, "", grant)
	s.cfg.Control.Flush() // how the grant came to be
	s.cfg.Control.Changed()
	return s.answered(w, c, location, false)
}

// byHand reports whether the browser goes back only by a click: with a denial,
// where neither the owner nor the program knows an app, and by a link that starts
// a program which was never approved before, since the link does not show
// what that program does.
func byHand(req *oauth.Request, a web.Answer, denied bool) bool {
	return !a.Trusted() && (denied || a.Kind == oauth.RedirectCustom && !oauth.IsAppCallback(req.RedirectURI))
}

// A clientRedirect is the way of a browser back to the client.
type clientRedirect struct {
	req      *oauth.Request
	location string
	denied   bool
	link     bool // only by a click
	public   bool // from a public origin
}

// leave sends the browser back to the client. It uses 303 (RFC 9700, Section
// 4.12): 307 would repeat the form's POST, with the key, at the client's
// server. A custom scheme gets a page with a link, because some browsers do
// nothing with such a redirect.
func leave(w http.ResponseWriter, d clientRedirect) error {
	kind := oauth.RedirectKind(d.req.RedirectURI)
	if d.link || kind == oauth.RedirectCustom || d.location == "" {
		to := d.req.Client.App()
		if kind == oauth.RedirectWebsite {
			to = display.App{Host: oauth.RedirectHost(d.req.RedirectURI)}
		}
		web.Render(w, http.StatusOK, web.ReturnPage{To: to.String(), URL: d.location, Refresh: !d.link, Denied: d.denied, Public: d.public})
		return nil
	}
	h := w.Header()
	h.Set("Location", d.location)
	h.Set("Cache-Control", "no-store")
	h.Set("Referrer-Policy", "same-origin")
	w.WriteHeader(http.StatusSeeOther)
	return nil
}

// keyWhy is the outcome of a key trial in one word, empty if the key works.
func keyWhy(v trial.Verdict) string {
	if v.Outcome == trial.OK {
		return ""
	}
	return string(v.Outcome)
}
