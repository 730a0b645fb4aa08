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
)

const (
	probePath = "/.well-known/key2oauth/abc"
	nonce     = "0123456789abcdef"
	origin    = "https://mcp.example.com"
)

// causeOf returns what a probe found, "" for nothing.
func causeOf(t *testing.T, err error) Cause {
	t.Helper()
	if err == nil {
		return ""
	}
	f, ok := errors.AsType[*Fault](err)
	if !ok {
		t.Fatalf("no Fault: %v", err)
	}
	return f.Problem.Cause
}

// If something else answers in our place, it is named.
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
		want Cause
	}{
		{"us", answer(200, nil, nonce), ""},
		{"us with another nonce", answer(200, nil, "fedcba"), CauseProbeOther},
		{"a nonce with more behind it", answer(200, nil, nonce+"x"), CauseProbeOther},
		{"a nonce with a status that is none of ours", answer(404, nil, nonce), CauseProbeOther},
		{"us by another name", answer(421, nil, `{"error":"wrong Host"}`), CauseProbeHost},
		{"someone else by another name", answer(421, nil, "no such site"), CauseProbeOther},
		{"a login page", answer(200, page, "<!doctype html><title>Log in</title>"), CauseProbeHTML},
		{"a redirect to one", answer(302, map[string]string{"Location": "https://login.example/"}, ""), CauseProbeOther},
		{"a page that does not say so", answer(200, map[string]string{"Content-Type": "text/plain"}, " <!DOCTYPE html>"), CauseProbeHTML},
		{"cloudflare's challenge", answer(403, cf, "<!doctype html>"), CauseProbeCF},
		{"cloudflare without its origin", answer(530, cf, "error code: 1033"), CauseProbeCFOrigin},
		{"a proxy without us", answer(502, nil, "Bad Gateway"), CauseProbeLoop},
		{"too much", answer(200, nil, strings.Repeat("x", 1<<20)), CauseProbeOther},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			srv := httptest.NewTLSServer(test.h)
			defer srv.Close()
			if got := causeOf(t, Probe(t.Context(), srv.Client(), srv.URL, probePath, nonce)); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
	srv := httptest.NewTLSServer(answer(200, nil, nonce))
	defer srv.Close()
	if got := causeOf(t, Probe(t.Context(), nil, srv.URL, probePath, nonce)); got != CauseBadCert {
		t.Errorf("an untrusted certificate: got %q", got)
	}
	plain := httptest.NewServer(answer(200, nil, nonce))
	defer plain.Close()
	if got := causeOf(t, Probe(t.Context(), nil, strings.Replace(plain.URL, "http:", "https:", 1), probePath, nonce)); got != CauseProbeNotTLS {
		t.Errorf("no https: got %q", got)
	}
	nowhere := &http.Client{Transport: &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) {
		return nil, &net.DNSError{Err: "no such host", Name: "mcp.example.com", IsNotFound: true}
	}}}
	if got := causeOf(t, Probe(t.Context(), nowhere, "https://mcp.example.com", probePath, nonce)); got != CauseProbeName && got != CauseOffline {
		t.Errorf("no such name: got %q", got)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 1)
	defer cancel()
	if got := causeOf(t, Probe(ctx, nil, srv.URL, probePath, nonce)); got != CauseProbeSlow && got != CauseOffline {
		t.Errorf("no time: got %q", got)
	}
}

// A probe accepts only the nonce, no matter what answers, and repeats nothing
// of what it read.
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
		ours := status == 200 && strings.TrimSpace(body) == nonce && CodeIn(code) == ""
		if (err == nil) != ours {
			t.Errorf("%d %q: got %v", status, body, err)
		}
		if causeOf(t, err) != "" && len(body) > 40 && strings.Contains(err.Error(), body) {
			t.Errorf("told what it read: %v", err)
		}
	})
}

type answers func(*http.Request) *http.Response

func (a answers) RoundTrip(r *http.Request) (*http.Response, error) { return a(r), nil }
