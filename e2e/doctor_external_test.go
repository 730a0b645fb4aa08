package e2e

import (
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"

	"github.com/key2oauth/key2oauth/e2e/testenv"
	"github.com/key2oauth/key2oauth/shim/shimtest"
	"github.com/key2oauth/key2oauth/shim/shimtest/catalogue"
	"github.com/key2oauth/key2oauth/tunnel"
)

// fronts are setups between the internet and the program, some of them broken,
// for an owner who runs a separate tunnel.
var fronts = []struct {
	name  string
	front func(next http.Handler) http.Handler
	id    string // of the finding
	whose string
	words string
	next  string
}{
	{"login page", func(http.Handler) http.Handler {
		return http.HandlerFunc(loginPage)
	}, "public.reach", "yours", tunnel.ProblemOf(tunnel.CauseProbeHTML).Words, tunnel.ProblemOf(tunnel.CauseProbeHTML).Next},
	{"protection against bots", func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodPost {
				w.WriteHeader(http.StatusForbidden)
				io.WriteString(w, "<!doctype html><title>Just a moment</title>")
				return
			}
			next.ServeHTTP(w, r)
		})
	}, "public.challenge", "yours", catalogue.TextBots, catalogue.NextBots},
	{"buffers answers", func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			rec := httptest.NewRecorder()
			next.ServeHTTP(rec, r)
			maps.Copy(w.Header(), rec.Header())
			w.WriteHeader(rec.Code)
			w.Write(rec.Body.Bytes())
		})
	}, "public.stream", "yours", catalogue.TextHeldBack, catalogue.NextHeldBack},
	{"takes the token away", func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			r.Header.Del("Authorization")
			next.ServeHTTP(w, r)
		})
	}, "public.call", "yours", catalogue.TextNoToken, catalogue.NextPassHeader},
	{"takes the challenge away", func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			next.ServeHTTP(&withoutHeader{w, "Www-Authenticate"}, r)
		})
	}, "public.challenge", "yours", catalogue.TextNoChallenge, catalogue.NextPassHeader},
	{"another name", func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			r.Host = "127.0.0.1:7451"
			next.ServeHTTP(w, r)
		})
	}, "public.reach", "yours", tunnel.ProblemOf(tunnel.CauseProbeHost).Words, tunnel.ProblemOf(tunnel.CauseProbeHost).Next},
	{"another program", func(http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { http.Error(w, "404 page not found", http.StatusNotFound) })
	}, "public.reach", "yours", tunnel.ProblemOf(tunnel.CauseProbeOther).Words, tunnel.ProblemOf(tunnel.CauseProbeOther).Next},
	{"nothing behind it", func(http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { http.Error(w, "bad gateway", http.StatusBadGateway) })
	}, "public.reach", "yours", tunnel.ProblemOf(tunnel.CauseProbeLoop).Words, tunnel.ProblemOf(tunnel.CauseProbeLoop).Next},
}

func loginPage(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/html")
	io.WriteString(w, "<!doctype html><title>Log in</title>")
}

// A withoutHeader takes a header out of an answer.
type withoutHeader struct {
	http.ResponseWriter
	name string
}

func (w *withoutHeader) WriteHeader(status int) {
	w.Header().Del(w.name)
	w.ResponseWriter.WriteHeader(status)
}

func (w *withoutHeader) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// TestDoctorOwnTunnel breaks the setup that an owner runs between the internet
// and the program.
func TestDoctorOwnTunnel(t *testing.T) {
	testenv.Slow(t)
	t.Parallel()
	o := newOwnTunnel(t)
	a := o.start(t)
	o.waitListening(t, a)
	up := shimtest.NewUpstream(t, shimtest.Options{})
	a.addEndpoint("Server", up.URL, up.Key())
	if c := a.doctor(); !c.OK || c.find("public.revoke").State != "ok" {
		t.Fatalf("a tunnel with nothing wrong: %+v", c.Findings)
	}
	for _, tt := range fronts {
		t.Run(tt.name, func(t *testing.T) {
			o.front.Store(&tt.front)
			defer o.front.Store(nil)
			c := a.doctor()
			f := c.find(tt.id)
			if f.State != "failed" || f.Whose != tt.whose || f.Words != tt.words || f.Next == "" || f.Next != tt.next {
				t.Errorf("got %+v, want that of %s; the report is %+v", f, tt.whose, c.Findings)
			}
			blamed := slices.DeleteFunc(c.Findings, func(g finding) bool { return g.State != "failed" || g.ID == f.ID })
			if len(blamed) > 0 {
				t.Errorf("also blamed: %+v", blamed)
			}
		})
	}
}
