package tunnel

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/key2oauth/key2oauth/tunnel/tunneltest"
)

const (
	probePath = "/.well-known/key2oauth/abc"
	nonce     = "0123456789abcdef"
)

// faultKey returns the name of what a probe found, "" for nothing.
func faultKey(t *testing.T, err error) string {
	t.Helper()
	if err == nil {
		return ""
	}
	f, ok := errors.AsType[*Fault](err)
	if !ok {
		t.Fatalf("no Fault: %v", err)
	}
	return f.Problem.key
}

// A probe comes through the edge as a client does, passes the warning page, and
// tells ngrok's faults from ours.
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
	probe := func(path string) string {
		return faultKey(t, Probe(t.Context(), k.edge.Client(true), origin, path, nonce))
	}
	check := func(what, got, want string) {
		t.Helper()
		if got != want {
			t.Errorf("%s: got %q, want %q", what, got, want)
		}
	}
	check("offline", probe(probePath), "3200")
	k.s.Set(Want{Tunnel: k.ngrok(goodToken)})
	k.until("online", isOnline)
	check("online", probe(probePath), "")
	check("another page of ours", probe("/other"), probeOther)
	check("no answer", probe("/broken"), "3004")
	for _, code := range []string{"725", "727", "734", "3208", "8012"} {
		k.edge.UseUp(code)
		check("ngrok says "+code, probe(probePath), code)
	}
	k.edge.UseUp("")
	check("online again", probe(probePath), "")
	k.edge.Close()
	check("an edge that is gone", probe(probePath), probeRefused)
}

// What answers in our place is named.
func TestProbeElsewhere(t *testing.T) {
	t.Parallel()
	answer := func(status int, header map[string]string, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			for k, v := range header {
				w.Header().Set(k, v)
			}
			w.WriteHeader(status)
			io.WriteString(w, body)
		}
	}
	cf := map[string]string{"Cf-Ray": "8f2"}
	page := map[string]string{"Content-Type": "text/html; charset=utf-8"}
	tests := []struct {
		name string
		h    http.HandlerFunc
		want string
	}{
		{"us", answer(200, nil, nonce), ""},
		{"us with another nonce", answer(200, nil, "fedcba"), probeOther},
		{"a nonce with more behind it", answer(200, nil, nonce+"x"), probeOther},
		{"a nonce with a status that is none of ours", answer(404, nil, nonce), probeOther},
		{"us by another name", answer(421, nil, `{"error":"wrong Host"}`), probeHost},
		{"somebody else by another name", answer(421, nil, "no such site"), probeOther},
		{"a login page", answer(200, page, "<!doctype html><title>Log in</title>"), probeHTML},
		{"a redirect to one", answer(302, map[string]string{"Location": "https://login.example/"}, ""), probeOther},
		{"a page that does not say so", answer(200, map[string]string{"Content-Type": "text/plain"}, " <!DOCTYPE html>"), probeHTML},
		{"cloudflare's challenge", answer(403, cf, "<!doctype html>"), probeCF},
		{"cloudflare without its origin", answer(530, cf, "error code: 1033"), probeCFOrigin},
		{"a proxy without us", answer(502, nil, "Bad Gateway"), probeLoop},
		{"too much", answer(200, nil, strings.Repeat("x", 1<<20)), probeOther},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			srv := httptest.NewTLSServer(test.h)
			defer srv.Close()
			if got := faultKey(t, Probe(t.Context(), srv.Client(), srv.URL, probePath, nonce)); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
	srv := httptest.NewTLSServer(answer(200, nil, nonce))
	defer srv.Close()
	if got := faultKey(t, Probe(t.Context(), nil, srv.URL, probePath, nonce)); got != badCert {
		t.Errorf("a certificate that nobody trusts: got %q", got)
	}
	plain := httptest.NewServer(answer(200, nil, nonce))
	defer plain.Close()
	if got := faultKey(t, Probe(t.Context(), nil, strings.Replace(plain.URL, "http:", "https:", 1), probePath, nonce)); got != probeNotTLS {
		t.Errorf("no https: got %q", got)
	}
	nowhere := &http.Client{Transport: &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) {
		return nil, &net.DNSError{Err: "no such host", Name: "mcp.example.com", IsNotFound: true}
	}}}
	if got := faultKey(t, Probe(t.Context(), nowhere, "https://mcp.example.com", probePath, nonce)); got != probeName && got != offline {
		t.Errorf("no such name: got %q", got)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 1)
	defer cancel()
	if got := faultKey(t, Probe(ctx, nil, srv.URL, probePath, nonce)); got != probeSlow && got != offline {
		t.Errorf("no time: got %q", got)
	}
}

// Whatever answers, a probe is content with nothing but the nonce, and says
// nothing of what it read.
func FuzzProbe(f *testing.F) {
	f.Add(200, "text/plain", "", nonce)
	f.Add(502, "text/html", "ERR_NGROK_3004", "<html>")
	f.Add(530, "", "", "")
	f.Fuzz(func(t *testing.T, status int, typ, code, body string) {
		client := &http.Client{Transport: answers(func(r *http.Request) *http.Response {
			return &http.Response{
				StatusCode: status, Request: r, Body: io.NopCloser(strings.NewReader(body)),
				Header: http.Header{"Content-Type": {typ}, "Ngrok-Error-Code": {code}},
			}
		})}
		err := Probe(t.Context(), client, origin, probePath, nonce)
		ours := status == 200 && strings.TrimSpace(body) == nonce && codeIn(code) == ""
		if (err == nil) != ours {
			t.Errorf("%d %q: got %v", status, body, err)
		}
		if faultKey(t, err) != "" && len(body) > 40 && strings.Contains(err.Error(), body) {
			t.Errorf("told what it read: %v", err)
		}
	})
}

type answers func(*http.Request) *http.Response

func (a answers) RoundTrip(r *http.Request) (*http.Response, error) { return a(r), nil }
