package trial

import (
	"bytes"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/key2oauth/key2oauth/shim/internal/endpoint"
	"github.com/key2oauth/key2oauth/shim/shimtest"
)

// sent is the key that came with a request.
func sent(h http.Header) string { return strings.TrimPrefix(h.Get("Authorization"), "Bearer ") }

// unless lets f answer requests that do not come with key.
func unless(key string, f shimtest.Fault) shimtest.Fault {
	return func(w http.ResponseWriter, r *http.Request) bool { return sent(r.Header) != key && f(w, r) }
}

// late lets the upstream answer after d.
func late(d time.Duration) shimtest.Fault {
	return func(_ http.ResponseWriter, r *http.Request) bool {
		// The end of a connection is noticed once the body is read.
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return true
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		select {
		case <-time.After(d):
		case <-r.Context().Done():
		}
		return false
	}
}

// wellFormed lets requests pass whose key looks like one of GitHub's. Its
// server does that until a tool is called.
func wellFormed() shimtest.Fault {
	form := regexp.MustCompile(`^ghp_[A-Za-z0-9]{36}$`)
	return func(w http.ResponseWriter, r *http.Request) bool {
		return !form.MatchString(sent(r.Header)) && shimtest.Status(401, "bad token")(w, r)
	}
}

// TestTryOtherHalf: a key works if it was taken and a wrong one was refused, and
// not otherwise.
func TestTryOtherHalf(t *testing.T) {
	const limit = 4 * time.Second
	const rubbish = "wrong-key-000"
	const github = "ghp_0123456789abcdefghijABCDEFGHIJ012345"
	first := []string{"server/discover", "initialize", "notifications/initialized"}
	tests := []struct {
		name    string
		open    []string
		fault   shimtest.Fault
		key     string
		outcome Outcome
		wrong   int // requests with another key, or without one; -1 for any number
	}{
		{"checks keys", nil, nil, shimtest.DefaultKey, OK, 1},
		{"checks keys at the list", first, nil, shimtest.DefaultKey, OK, -1},
		{"refuses with 403", []string{"*"}, unless(shimtest.DefaultKey, shimtest.Status(403, "no")), shimtest.DefaultKey, OK, 1},
		{"refuses with 400", []string{"*"}, unless(shimtest.DefaultKey, shimtest.Status(400, "invalid api key")), shimtest.DefaultKey, OK, 1},
		{"refuses in JSON-RPC", []string{"*"}, unless(shimtest.DefaultKey, shimtest.Status(200, `{"jsonrpc":"2.0","id":null,"error":{"code":-32001,"message":"Unauthorized"}}`)), shimtest.DefaultKey, OK, 1},
		{"refuses late", nil, unless(shimtest.DefaultKey, late(limit*2/5)), shimtest.DefaultKey, OK, 1},
		{"takes anonymous requests, and refuses wrong keys", []string{"*"}, func(w http.ResponseWriter, r *http.Request) bool {
			return sent(r.Header) != "" && sent(r.Header) != shimtest.DefaultKey && shimtest.Status(401, "wrong")(w, r)
		}, shimtest.DefaultKey, OK, 1},

		{"needs no key", []string{"*"}, nil, rubbish, Keyless, -1},
		{"needs no key, and is slow without", []string{"*"}, unless(rubbish, late(limit/4)), rubbish, "", -1},
		{"needs no key, and never answers without", []string{"*"}, unless(rubbish, shimtest.Hang()), rubbish, Unproven, -1},
		{"busy without a key", []string{"*"}, func(w http.ResponseWriter, r *http.Request) bool {
			return sent(r.Header) == "" && shimtest.Status(503, "later")(w, r)
		}, rubbish, Unproven, -1},
		{"busy with any other key", []string{"*"}, unless(rubbish, shimtest.Status(503, "later")), rubbish, Unproven, 1},
		{"too many requests with any other key", []string{"*"}, unless(rubbish, shimtest.Status(429, "later")), rubbish, Unproven, -1},
		{"a page with any other key", []string{"*"}, unless(rubbish, shimtest.HTML()), rubbish, Unproven, -1},
		{"breaks off with any other key", []string{"*"}, unless(rubbish, shimtest.CutMidBody()), rubbish, Unproven, 1},
		{"refuses requests without a key", []string{"*"}, func(w http.ResponseWriter, r *http.Request) bool {
			return sent(r.Header) == "" && shimtest.Status(401, "no key")(w, r)
		}, rubbish, Unproven, -1},
		{"looks at the form of a key", []string{"*"}, wellFormed(), github, Unproven, -1},
		{"looks at the form, which this key has not", []string{"*"}, wellFormed(), rubbish, Rejected, 0},
		{"only calls need the key", append(first, "tools/list"), nil, rubbish, Keyless, -1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			u := shimtest.NewUpstream(t, shimtest.Options{})
			u.OpenTo(tt.open...)
			u.Break(tt.fault)
			k := newTester(t)
			k.Limit = limit
			tg := target(t, u, endpoint.DefaultHeader)
			tg.Key = endpoint.NewSecret(tt.key)
			v := k.Try(t.Context(), *tg)
			if tt.outcome == "" {
				if v.Outcome != Keyless && v.Outcome != Unproven {
					t.Errorf("got %+v, want one of those that prove nothing", v)
				}
			} else if v.Outcome != tt.outcome {
				t.Errorf("got %+v, want %s", v, tt.outcome)
			}
			if v.Words == "" || strings.Contains(v.Words, tt.key) {
				t.Errorf("words are %q", v.Words)
			}
			wrong := 0
			for _, r := range u.Requests() {
				if sent(r.Header) != tt.key {
					wrong++
				}
			}
			if tt.wrong >= 0 && wrong != tt.wrong {
				t.Errorf("%d requests came with another key, want %d", wrong, tt.wrong)
			}
		})
	}
}

// TestOtherHalfIsRemembered: a refusal of a wrong key is seen once a day. It
// does not count for keys of another kind, nor once the upstream takes what it
// refused.
func TestOtherHalfIsRemembered(t *testing.T) {
	u := shimtest.NewUpstream(t, shimtest.Options{})
	k := newTester(t)
	try := func(key string, outcome Outcome, wrong int) {
		t.Helper()
		u.Reset()
		tg := target(t, u, endpoint.DefaultHeader)
		tg.Key = endpoint.NewSecret(key)
		if v := k.Try(t.Context(), *tg); v.Outcome != outcome {
			t.Errorf("got %+v, want %s", v, outcome)
		}
		n := 0
		for _, r := range u.Requests() {
			if sent(r.Header) != u.Key() {
				n++
			}
		}
		if n != wrong {
			t.Errorf("%d wrong keys came, want %d", n, wrong)
		}
	}
	try(u.Key(), OK, 1)
	try(u.Key(), OK, 0)
	try("wrong-key-000", Rejected, 1)
	try(u.Key(), OK, 0)
	u.SetKey("other-kind-of-key")
	try(u.Key(), OK, 1)
	try(shimtest.DefaultKey, Rejected, 1)
	u.OpenTo("*")
	tg := target(t, u, endpoint.DefaultHeader)
	tg.Key = endpoint.NewSecret(shimtest.DefaultKey)
	if v := k.Try(t.Context(), *tg); v.Outcome != Keyless {
		t.Errorf("got %+v, want %s", v, Keyless)
	}
}
