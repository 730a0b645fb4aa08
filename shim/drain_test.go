package shim_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/key2oauth/key2oauth/e2e/testenv"
	"github.com/key2oauth/key2oauth/shim/shimtest"
)

// TestQuitDrains quits the program during a call that is nearly done and one
// that is not.
func TestQuitDrains(t *testing.T) {
	testenv.Slow(t) // the upstream keeps working after its client is gone
	t.Parallel()
	p := start(t)
	up := shimtest.NewUpstream(t, shimtest.Options{Stateless: true, JSON: true})
	_, mcpURL := p.add(up.URL, map[string]any{"api_key": up.Key()})
	c := p.client(mcpURL)
	c.Connect(p.browser(), up.Key())
	up.Reset()

	type answer struct {
		which, body string
		status      int
	}
	answers := make(chan answer, 2)
	call := func(which string, millis int) {
		resp, body := p.post(mcpURL, c.Access, fmt.Sprintf(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"slow","arguments":{"millis":%d}}}`, millis))
		answers <- answer{which, body, resp.StatusCode}
	}
	go call("short", 1000)
	go call("long", 10_000)
	for deadline := time.Now().Add(time.Minute); len(up.Requests()) < 2; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the calls never came to the upstream")
		}
	}
	p.stop()
	if a := <-answers; a.which != "short" || a.status != http.StatusOK || !strings.Contains(a.body, "done") {
		t.Errorf("first came the %s call: %d %s, want the short one's answer", a.which, a.status, a.body)
	}
	if a := <-answers; a.which != "long" || a.status != http.StatusServiceUnavailable {
		t.Errorf("then came the %s call: %d %s, want the long one to be told 503", a.which, a.status, a.body)
	}
}
