package oauth

import (
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"

	"github.com/key2oauth/key2oauth/shim/internal/httpx"
)

// A form is a set of request parameters. RFC 6749, Section 3.1: parameters
// without a value count as omitted, unknown ones are ignored, and none may
// occur twice. RFC 8707, Section 2 makes resource the exception.
type form url.Values

func parseForm(raw string) (form, error) {
	v, err := url.ParseQuery(raw)
	if err != nil {
		return nil, errors.New("the parameters are not correctly encoded")
	}
	return form(v), nil
}

// get returns the value of name, or "" if it is missing, empty or repeated.
// Callers that must tell these apart use repeated.
func (f form) get(name string) string {
	if v := f[name]; len(v) == 1 {
		return v[0]
	}
	return ""
}

// all returns the non-empty values of name.
func (f form) all(name string) []string {
	var vs []string
	for _, v := range f[name] {
		if v != "" {
			vs = append(vs, v)
		}
	}
	return vs
}

// repeated returns the first of names that occurs more than once, or "".
func (f form) repeated(names ...string) string {
	for _, n := range names {
		if len(f[n]) > 1 {
			return n
		}
	}
	return ""
}

// readForm reads the body of a POST. The URL's query is ignored: RFC 6749,
// Section 2.3.1 keeps credentials out of it.
func readForm(r *http.Request, known ...string) (form, error) {
	if r.Method != http.MethodPost {
		return nil, methodNotAllowed("POST")
	}
	if mt, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || mt != "application/x-www-form-urlencoded" {
		return nil, invalidRequest("the body must be application/x-www-form-urlencoded")
	}
	body, e := readBody(r)
	if e != nil {
		return nil, e
	}
	f, err := parseForm(string(body))
	if err != nil {
		return nil, invalidRequest(err.Error())
	}
	if n := f.repeated(known...); n != "" {
		return nil, invalidRequest(n + " is given more than once")
	}
	return f, nil
}

// readBody reads at most maxBody bytes, and rejects longer bodies.
func readBody(r *http.Request) ([]byte, *httpx.Error) {
	if r.ContentLength > maxBody {
		return nil, invalidRequest("the body is larger than 64 kB")
	}
	b, err := io.ReadAll(io.LimitReader(r.Body, maxBody+1))
	if err != nil {
		return nil, &httpx.Error{Status: http.StatusBadRequest, Code: "invalid_request", Msg: "the body did not arrive completely", Err: err}
	}
	if len(b) > maxBody {
		return nil, invalidRequest("the body is larger than 64 kB")
	}
	return b, nil
}
