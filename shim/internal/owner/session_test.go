package owner

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
	"testing/synctest"
	"time"

	"github.com/key2oauth/key2oauth/shim/internal/keychain"
	"github.com/key2oauth/key2oauth/shim/internal/vault"
)

// How long a session lives that is used every so often, or never.
func TestSessionEnds(t *testing.T) {
	for _, tt := range []struct {
		name  string
		every time.Duration
		ends  time.Duration
	}{
		{"never used", 100 * 24 * time.Hour, sessionRest},
		{"used every hour", time.Hour, sessionLife},
		{"used every minute", time.Minute, sessionLife},
		{"used twice a day", 12*time.Hour - time.Minute, sessionLife},
		{"used too seldom", 12*time.Hour + time.Minute, sessionRest},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			synctest.Test(t, func(t *testing.T) {
				v, err := vault.Open(vault.Config{Dir: dir, Mode: keychain.ModeMemory})
				if err != nil {
					t.Fatal(err)
				}
				defer v.Close()
				o := New(Config{Cookie: "c", Sessions: v})
				o.Serve("http://127.0.0.1:7450")
				link, err := url.Parse(o.Link("/"))
				if err != nil {
					t.Fatal(err)
				}
				value, err := o.redeem(link.Query().Get("ticket"))
				if err != nil {
					t.Fatal(err)
				}
				r := httptest.NewRequest("GET", "/", nil)
				r.AddCookie(&http.Cookie{Name: "c", Value: value})
				begun := time.Now()
				for time.Since(begun)+tt.every < tt.ends {
					time.Sleep(tt.every)
					if _, ok := o.Session(r); !ok {
						t.Fatalf("the session ended after %v", time.Since(begun))
					}
				}
				time.Sleep(tt.ends - time.Since(begun) + time.Second)
				if _, ok := o.Session(r); ok {
					t.Errorf("the session is still valid after %v", time.Since(begun))
				}
			})
		})
	}
}

// A session of an older version, which says nothing of its age, ends when it
// was to, and is not made longer by use.
func TestOldSession(t *testing.T) {
	if end, ok := sessionEnd("ABCDEFGHIJKLMNOPQRSTUVWXYZ", time.Now()); ok {
		t.Errorf("it would end at %v", end)
	}
}
