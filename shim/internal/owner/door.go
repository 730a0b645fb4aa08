package owner

import (
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"net/http"

	"github.com/key2oauth/key2oauth/shim/internal/httpx"
	"github.com/key2oauth/key2oauth/shim/internal/oauth"
	"github.com/key2oauth/key2oauth/shim/internal/web"
)

// Door holds everything behind it to our own address and to the owner's OS
// user, so that no handler has to remember it.
func (o *Owner) Door(next http.Handler) httpx.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) error {
		if !httpx.CleanPath(r.URL) {
			return httpx.New(http.StatusNotFound, web.TextNoPage)
		}
		if err := o.requireOwnHost(r); err != nil {
			return err
		}
		if err := RequireSameUser(r); err != nil {
			return err
		}
		next.ServeHTTP(w, r)
		return nil
	}
}

// requireOwnHost is the defense against DNS rebinding. The pages are at one
// address only, because a browser keeps cookies by host name.
func (o *Owner) requireOwnHost(r *http.Request) error {
	own := o.Origin()
	if "http://"+r.Host == own {
		return nil
	}
	return &httpx.Error{Status: http.StatusMisdirectedRequest, Msg: fmt.Sprintf(web.TextOpenAt, own)}
}

// NeedOwner answers a browser that is not signed in.
func NeedOwner(w http.ResponseWriter, words string) error {
	web.Render(w, http.StatusUnauthorized, web.OwnerNeededPage{Words: words, Command: "key2oauth open"})
	return nil
}

// Page shows a page to the owner only.
func (o *Owner) Page(h httpx.HandlerFunc) httpx.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) error {
		if err := RequireNavigation(r); err != nil {
			return err
		}
		if _, ok := o.Session(r); !ok {
			return NeedOwner(w, web.TextNeedOwner)
		}
		return h(w, r)
	}
}

// Script shows a page to the script of one of the owner's pages, which exchanges
// what has changed.
func (o *Owner) Script(h httpx.HandlerFunc) httpx.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) error {
		if err := RequireSameOrigin(r); err != nil {
			return err
		}
		if _, ok := o.Session(r); !ok {
			return httpx.New(http.StatusUnauthorized, web.TextNeedOwner)
		}
		return h(w, r)
	}
}

// Form accepts a form from a page that the owner was shown. The cookie alone is
// not enough: browsers send it to every program that serves pages on
// 127.0.0.1.
func (o *Owner) Form(h httpx.HandlerFunc) httpx.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) error {
		if err := RequireSameOrigin(r); err != nil {
			return err
		}
		value, ok := o.Session(r)
		if !ok {
			return NeedOwner(w, web.TextNeedOwner)
		}
		if err := o.ParseForm(r); err != nil {
			return err
		}
		if err := o.CheckForm(r, r.URL.Path, value); err != nil {
			return err
		}
		return h(w, r)
	}
}

// HasToken reports whether a request carries the admin token. present is true
// if it carries any Authorization at all.
func (o *Owner) HasToken(r *http.Request) (has, present bool) {
	token, present, ok := oauth.Bearer(r)
	got := sha256.Sum256([]byte(token))
	return ok && subtle.ConstantTimeCompare(got[:], o.adminDigest[:]) == 1, present
}

// Admin lets through requests with the admin token, and those of the owner's
// own pages.
func (o *Owner) Admin(h httpx.HandlerFunc) httpx.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) error {
		switch has, present := o.HasToken(r); {
		case has:
			return h(w, r)
		case present:
			return httpx.New(http.StatusUnauthorized, "this is not the admin token; `key2oauth token` prints it")
		}
		if _, ok := o.Session(r); !ok {
			return httpx.New(http.StatusUnauthorized, "send the admin token as a Bearer token; `key2oauth token` prints it")
		}
		if err := RequireSameOrigin(r); err != nil {
			return err
		}
		return h(w, r)
	}
}

// Token lets through requests with the admin token only.
func (o *Owner) Token(h httpx.HandlerFunc) httpx.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) error {
		if has, _ := o.HasToken(r); !has {
			return httpx.New(http.StatusForbidden, "send the admin token as a Bearer token")
		}
		return h(w, r)
	}
}
