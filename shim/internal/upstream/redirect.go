package upstream

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
)

// A RedirectError reports a redirect that is not followed: it leads where the
// key may not be sent, or would lose the request's method or body.
type RedirectError struct {
	To     *url.URL // without query: upstreams repeat keys there
	Status int
	Unsafe bool // from https to http, and there is no other way to read it
}

func (e *RedirectError) Error() string {
	return fmt.Sprintf("the upstream redirects to %s (status %d)", e.To, e.Status)
}

// isRedirect reports whether resp is a redirect. A 304, or another answer of the
// 300s without a Location, is not.
func isRedirect(resp *http.Response) bool {
	switch resp.StatusCode {
	case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther,
		http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
		return true
	}
	return resp.StatusCode/100 == 3 && resp.Header.Get("Location") != ""
}

// restore returns to on the origin that the owner entered, if a server behind a
// proxy left out what it does not know of that: the scheme, since TLS ends at
// the proxy, or the port. Such a redirect is meant to stay.
func restore(to *url.URL, t *Target) *url.URL {
	if to.Opaque != "" || !strings.EqualFold(to.Hostname(), t.URL.Hostname()) || sameOrigin(to, t.URL) {
		return to
	}
	schemeLost := strings.EqualFold(to.Scheme, "http") && t.URL.Scheme == "https"
	if !schemeLost && !strings.EqualFold(to.Scheme, t.URL.Scheme) {
		return to // to https, which the owner has to enter
	}
	if p := to.Port(); p != "" && !(schemeLost && (p == "80" || p == t.URL.Port())) {
		return to // something else listens there
	}
	stayed := *to
	stayed.Scheme, stayed.Host = t.URL.Scheme, t.URL.Host
	return &stayed
}

// redirectTarget returns the URL that resp redirects to, or a *RedirectError if
// the request may not follow: only 307 and 308 keep method and body, and the
// key belongs to one origin.
func redirectTarget(from *url.URL, t *Target, resp *http.Response) (*url.URL, error) {
	to, err := from.Parse(resp.Header.Get("Location"))
	if err != nil || resp.Header.Get("Location") == "" {
		return nil, &RedirectError{To: &url.URL{Path: "nowhere"}, Status: resp.StatusCode}
	}
	asked := to
	to = restore(to, t)
	if to != asked && to.EscapedPath() == from.EscapedPath() && (to.RawQuery == "" || to.RawQuery == from.RawQuery) {
		// It would lead in a circle.
		return nil, &RedirectError{To: shown(asked, t), Status: resp.StatusCode, Unsafe: t.URL.Scheme == "https" && !strings.EqualFold(asked.Scheme, "https")}
	}
	keeps := resp.StatusCode == http.StatusTemporaryRedirect || resp.StatusCode == http.StatusPermanentRedirect
	if !keeps || !sameOrigin(to, t.URL) || to.Opaque != "" {
		return nil, &RedirectError{To: shown(to, t), Status: resp.StatusCode, Unsafe: t.URL.Scheme == "https" && strings.EqualFold(to.Scheme, "http")}
	}
	next := *to
	next.Scheme, next.Host, next.User, next.Fragment, next.RawFragment = t.URL.Scheme, t.URL.Host, nil, "", ""
	if next.RawQuery == "" {
		next.RawQuery = from.RawQuery
	} else {
		next.RawQuery = mergeQuery(t.URL.RawQuery, next.RawQuery)
	}
	return &next, nil
}

// shown is the part of a URL that people and logs may see: no query, no user
// name, and no path that repeats the key.
func shown(u *url.URL, t *Target) *url.URL {
	s := &url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path, RawPath: u.RawPath}
	if key := t.Key.Reveal(); key != "" && strings.Contains(u.String(), key) && strings.Contains(s.String(), key) {
		s.Path, s.RawPath = "/", ""
		if strings.Contains(s.Host, key) {
			s.Host = "another host"
		}
	}
	return s
}

// A pathKey is a requested path on one origin.
type pathKey struct{ scheme, host, path string }

// maxPaths bounds a pathMemory: an upstream that redirects every path must not
// fill memory.
const maxPaths = 256

// A pathMemory remembers something of a path, such as where a redirecting
// upstream answered in the end: the next call goes there at once, without
// sending its body twice. Reading takes no lock.
type pathMemory[V any] struct {
	mu  sync.Mutex
	now atomic.Pointer[map[pathKey]V]
}

func (m *pathMemory[V]) get(k pathKey) (v V, ok bool) {
	now := m.now.Load()
	if now == nil {
		return v, false
	}
	v, ok = (*now)[k]
	return v, ok
}

func (m *pathMemory[V]) learn(k pathKey, v V) {
	m.change(func(next map[pathKey]V) {
		if len(next) >= maxPaths {
			clear(next)
		}
		next[k] = v
	})
}

func (m *pathMemory[V]) forget(k pathKey) {
	m.change(func(next map[pathKey]V) { delete(next, k) })
}

func (m *pathMemory[V]) change(f func(map[pathKey]V)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	next := map[pathKey]V{}
	if now := m.now.Load(); now != nil {
		for k, v := range *now {
			next[k] = v
		}
	}
	f(next)
	m.now.Store(&next)
}

// setPath gives u an escaped path.
func setPath(u *url.URL, escaped string) {
	path, err := url.PathUnescape(escaped)
	if err != nil {
		return
	}
	u.Path, u.RawPath = path, escaped
}
