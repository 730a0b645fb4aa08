package ngrok

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/key2oauth/key2oauth/tunnel"
	"github.com/key2oauth/key2oauth/tunnel/tunneltest"
)

const (
	probePath = "/.well-known/key2oauth/abc"
	nonce     = "0123456789abcdef"
)

// A probe comes through the edge as a client does, passes the warning page, and
// distinguishes ngrok's faults from ours.
func TestProbe(t *testing.T) {
	t.Parallel()
	k := newKit(t, tunneltest.Config{Interstitial: true}, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.UserAgent(), "Mozilla") || r.Header.Get("ngrok-skip-browser-warning") == "" {
			t.Errorf("got %v", r.Header)
		}
		switch r.URL.Path {
		case probePath:
			io.WriteString(w, nonce+"\n")
		case "/broken":
			panic(http.ErrAbortHandler)
		}
	})).run()
	probe := func(path string) tunnel.Cause {
		err := tunnel.Probe(t.Context(), k.edge.Client(true), origin, path, nonce)
		if err == nil {
			return ""
		}
		f, ok := errors.AsType[*tunnel.Fault](err)
		if !ok {
			t.Fatalf("no Fault: %v", err)
		}
		return f.Problem.Cause
	}
	check := func(what string, got, want tunnel.Cause) {
		t.Helper()
		if got != want {
			t.Errorf("%s: got %q, want %q", what, got, want)
		}
	}
	check("offline", probe(probePath), "3200")
	k.s.Set(tunnel.Want{Tunnel: k.ngrok(goodToken)})
	k.until("online", isOnline)
	check("online", probe(probePath), "")
	check("another page of ours", probe("/other"), tunnel.CauseProbeOther)
	check("no answer", probe("/broken"), "3004")
	for _, code := range []tunnel.Cause{"725", "727", "734", "3208", "8012"} {
		k.edge.UseUp(string(code))
		check("ngrok says "+string(code), probe(probePath), code)
	}
	k.edge.UseUp("")
	check("online again", probe(probePath), "")
	k.edge.Close()
	check("an edge that is gone", probe(probePath), tunnel.CauseProbeRefused)
}
