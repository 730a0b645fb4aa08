package owner

import (
	"crypto/rand"
	"crypto/sha256"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// A cookie goes to every port of 127.0.0.1 (RFC 6265, Section 8.5), so that
// another user's web server on this computer gets it from a single visit. The
// kernel is asked who connects, and an unused session ends soon.
const (
	sessionLife = 30 * 24 * time.Hour // however much it is used
	sessionRest = 12 * time.Hour      // without use
	// usedEvery is how often the use of a session is saved.
	usedEvery = 10 * time.Minute
)

// newSession returns the value of a cookie. It begins with the time, so that the
// value itself says when the session has lived long enough.
func newSession(now time.Time) string {
	return strconv.FormatInt(now.Unix(), 36) + "." + rand.Text()
}

// sessionEnd is when a session that is used now ends. ok is false for one that
// was made before sessions ended without use: it ends when it was to.
func sessionEnd(value string, now time.Time) (end time.Time, ok bool) {
	since, _, ok := strings.Cut(value, ".")
	n, err := strconv.ParseInt(since, 36, 64)
	if !ok || err != nil {
		return time.Time{}, false
	}
	end = now.Add(sessionRest)
	if last := time.Unix(n, 0).Add(sessionLife); last.Before(end) {
		end = last
	}
	return end, true
}

// setCookie hands out a session. It is Lax and not Strict because the owner
// arrives at the consent page from another site, and not Secure because the
// loopback side is http and Safari keeps no Secure cookie there.
func (o *Owner) setCookie(w http.ResponseWriter, value string) {
	http.SetCookie(w, &http.Cookie{
		Name: o.cfg.Cookie, Value: value, Path: "/", HttpOnly: true,
		SameSite: http.SameSiteLaxMode, MaxAge: int(sessionLife / time.Second),
	})
}

// DropCookie takes the session cookie out of the browser. The session itself
// stays; see SignOut.
func (o *Owner) DropCookie(w http.ResponseWriter) {
	http.SetCookie(w, &http.Cookie{Name: o.cfg.Cookie, Path: "/", MaxAge: -1, HttpOnly: true, SameSite: http.SameSiteLaxMode})
}

// Session returns the value of the owner's cookie if r carries a valid one.
// The cookie alone unlocks only what a GET shows.
func (o *Owner) Session(r *http.Request) (value string, ok bool) {
	for _, c := range r.CookiesNamed(o.cfg.Cookie) {
		digest := sha256.Sum256([]byte(c.Value))
		if o.cfg.Sessions.HasSession(digest) {
			o.use(c.Value, digest)
			return c.Value, true
		}
	}
	return "", false
}

// use lets a session live on. Where that cannot be saved, it ends earlier.
func (o *Owner) use(value string, digest [sha256.Size]byte) {
	now := time.Now()
	end, ok := sessionEnd(value, now)
	if !ok {
		return
	}
	o.mu.Lock()
	saved := now.Sub(o.used[digest]) < usedEvery
	if !saved {
		for d, at := range o.used {
			if now.Sub(at) > sessionRest {
				delete(o.used, d)
			}
		}
		o.used[digest] = now
	}
	o.mu.Unlock()
	if !saved {
		o.cfg.Sessions.AddSession(digest, end)
	}
}

// SignOut ends the session of this browser.
func (o *Owner) SignOut(w http.ResponseWriter, r *http.Request) error {
	value, _ := o.Session(r)
	o.DropCookie(w)
	return o.cfg.Sessions.EndSession(sha256.Sum256([]byte(value)))
}
