package owner

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"net/http"
	"strings"

	"github.com/key2oauth/key2oauth/shim/internal/httpx"
	"github.com/key2oauth/key2oauth/shim/internal/web"
)

// FormToken is what a form must send back. It is bound to the cookies of the
// browser that the form was shown to, and to the purpose of the form.
func (o *Owner) FormToken(purpose string, cookies ...string) string {
	m := hmac.New(sha256.New, o.cfg.FormKey)
	m.Write([]byte(purpose))
	for _, c := range cookies {
		m.Write([]byte{0})
		m.Write([]byte(c))
	}
	return base64.RawURLEncoding.EncodeToString(m.Sum(nil))
}

// FormTokens returns the function that makes the form tokens of a page from
// the paths that its forms are sent to.
func (o *Owner) FormTokens(r *http.Request) func(action string) string {
	value, _ := o.Session(r)
	return func(action string) string { return o.FormToken(action, value) }
}

// CheckForm rejects a form whose token is not the one for this purpose and
// these cookies.
func (o *Owner) CheckForm(r *http.Request, purpose string, cookies ...string) error {
	want, got := o.FormToken(purpose, cookies...), r.PostFormValue("form_token")
	if subtle.ConstantTimeCompare([]byte(got), []byte(want)) != 1 {
		return httpx.New(http.StatusForbidden, web.TextFormOld)
	}
	return nil
}

// ParseForm reads a form, with its file if it has one. Everything stays in
// memory: a key must not end up in a temporary file.
func (o *Owner) ParseForm(r *http.Request) error {
	err := r.ParseForm()
	if strings.HasPrefix(r.Header.Get("Content-Type"), "multipart/form-data") {
		err = r.ParseMultipartForm(o.cfg.MaxForm)
	}
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return &httpx.Error{Status: http.StatusRequestEntityTooLarge, Msg: web.TextFormLarge, Err: err}
	}
	if err != nil {
		return &httpx.Error{Status: http.StatusBadRequest, Msg: web.TextFormTorn, Err: err}
	}
	return nil
}

// RequireSameOrigin rejects requests that did not come from one of our own
// loopback pages.
func RequireSameOrigin(r *http.Request) error { return RequireFrom(r, "http://"+r.Host) }

// RequireFrom rejects requests that may have come from a page of another
// origin. Browsers that know Sec-Fetch-Site send it with every request, and
// older ones send Origin with every POST. A request with neither does not come
// from a browser, and programs have the admin token instead.
func RequireFrom(r *http.Request, own string) error {
	site, origin := r.Header.Get("Sec-Fetch-Site"), r.Header.Get("Origin")
	switch {
	case site == "" && origin == "",
		site != "" && site != "same-origin",
		origin != "" && !strings.EqualFold(origin, own):
		return httpx.New(http.StatusForbidden, web.TextForeignForm)
	}
	return nil
}

// RequireNavigation rejects requests that would show a page inside another
// page, or hand it to a script. Older browsers send neither header; there the
// frame-ancestors directive does the work.
func RequireNavigation(r *http.Request) error {
	dest, mode := r.Header.Get("Sec-Fetch-Dest"), r.Header.Get("Sec-Fetch-Mode")
	if (dest != "" && dest != "document") || (mode != "" && mode != "navigate") {
		return httpx.New(http.StatusForbidden, web.TextOwnWindow)
	}
	return nil
}
