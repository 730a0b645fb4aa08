package reach

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/key2oauth/key2oauth/e2e/testenv"
	"github.com/key2oauth/key2oauth/shim/api"
	"github.com/key2oauth/key2oauth/shim/internal/standing"
	"github.com/key2oauth/key2oauth/shim/internal/web"
	"github.com/key2oauth/key2oauth/tunnel"
)

// A world is what answers self-tests: us, or a web page until it leads to us.
type world struct {
	here  atomic.Bool
	asked atomic.Int64
}

func (w *world) RoundTrip(r *http.Request) (*http.Response, error) {
	w.asked.Add(1)
	res, err := echo{}.RoundTrip(r)
	if !w.here.Load() {
		res.StatusCode = http.StatusBadGateway
	}
	return res, err
}

// TestRetest: what a self-test found is said only as long as it is true. Our next
// test finds out, or the owner's click.
func TestRetest(t *testing.T) {
	external := Start{Mode: tunnel.ProviderExternal, URL: "https://k2o.example.com"}
	ngrok := Start{Mode: tunnel.ProviderNgrok, Authtoken: tunnel.NewAuthtoken("2abc")}
	for _, tt := range []struct {
		name  string
		start Start
		click bool
	}{
		{"external, by itself", external, false},
		{"external, by a click", external, true},
		{"ngrok, by itself", ngrok, false},
		{"ngrok, by a click", ngrok, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			k, w := newKit(t, tt.start), new(world)
			k.c.Outside = func() *http.Client { return &http.Client{Transport: w} }
			k.retestEvery = 5 * time.Millisecond
			if tt.click {
				k.retestEvery = time.Hour
			}
			k.run(t)
			says := func(what string, ok func(api.TunnelStatus) bool) {
				t.Helper()
				for end := time.Now().Add(testenv.Patience); !ok(k.Status()); time.Sleep(time.Millisecond) {
					if time.Now().After(end) {
						t.Fatalf("%s: %+v", what, k.Status())
					}
				}
			}
			trouble := tunnel.ProblemOf(tunnel.CauseProbeLoop).Words
			says("no trouble was found", func(st api.TunnelStatus) bool { return strings.HasPrefix(st.Test, trouble) })
			if tt.start.Mode == tunnel.ProviderExternal && strings.Contains(k.Status().Words, k.Origin()) {
				t.Errorf("in trouble the status says %q", k.Status().Words)
			}
			if !tt.click {
				n := w.asked.Load()
				says("it is not tested again", func(api.TunnelStatus) bool { return w.asked.Load() > n+2 })
			}
			w.here.Store(true)
			if tt.click {
				if words, ok, err := k.Test(t.Context()); !ok || err != nil {
					t.Errorf("the test = %q, %v, %v", words, ok, err)
				}
			}
			want := fmt.Sprintf(web.TextTunnelOnline, k.Origin())
			says("the trouble is still told", func(st api.TunnelStatus) bool { return st.Test == "" && st.Words == want })
			testenv.Still(t, "self-tests of a tunnel that works", w.asked.Load)
			if tt.click { // and the other way round
				w.here.Store(false)
				k.Test(t.Context())
				says("a click found trouble, and no one says so", func(st api.TunnelStatus) bool { return strings.HasPrefix(st.Test, trouble) })
			}
		})
	}
}

// TestRequestProves: what came through the owner's own tunnel proves it, whatever
// a self-test found. A self-test's own request does not, nor one for another host.
func TestRequestProves(t *testing.T) {
	k, w := newKit(t, Start{Mode: tunnel.ProviderExternal, URL: "https://k2o.example.com"}), new(world)
	k.c.Outside = func() *http.Client { return &http.Client{Transport: w} }
	k.retestEvery = time.Hour
	k.run(t)
	state := func(want string) {
		t.Helper()
		for end := time.Now().Add(testenv.Patience); standing.Internet(k.Status(), false).State != want; time.Sleep(time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("the internet is %+v, want %q", standing.Internet(k.Status(), false), want)
			}
		}
	}
	for end := time.Now().Add(testenv.Patience); k.Status().Test == ""; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("no trouble was found")
		}
	}
	state(api.InternetWaiting)
	get := func(url string) {
		k.Meter.Count(http.NotFoundHandler()).ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", url, nil))
	}
	get("https://k2o.example.com/.well-known/key2oauth/nonce")
	get("https://other.example.com/register")
	get("https://k2o.example.com/.well-known/key2oauth/nonce")
	state(api.InternetWaiting)
	for end := time.Now().Add(testenv.Patience); !k.Meter.awaited.Load(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("a request for another host ended the waiting")
		}
	}
	get("https://k2o.example.com/register")
	state(api.InternetOnline)

	// A test that fails later says that something has changed, until the next
	// request.
	if _, ok, err := k.Test(t.Context()); ok || err != nil {
		t.Fatal(ok, err)
	}
	state(api.InternetUnreachable)
	get("https://k2o.example.com/register")
	state(api.InternetOnline)
	w.here.Store(true)
	if _, ok, err := k.Test(t.Context()); !ok || err != nil {
		t.Fatal(ok, err)
	}
	state(api.InternetOnline)
}
