package shim_test

import (
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"github.com/key2oauth/key2oauth/e2e/testenv"
	"github.com/key2oauth/key2oauth/shim/shimtest"
)

// TestOtherNetwork gives the computer another address, in a network namespace
// of its own: the next call must go to a connection that was made afterwards.
func TestOtherNetwork(t *testing.T) {
	const inside = "K2O_INSIDE_NETWORK"
	if os.Getenv(inside) == "" {
		testenv.Need(t, "ip")
		args := []string{testenv.Need(t, "unshare"), "--net", os.Args[0], "-test.run=^TestOtherNetwork$", "-test.count=1", "-test.v"}
		if os.Getuid() != 0 {
			args = append([]string{"sudo", "-n", "--preserve-env=CI," + inside}, args...)
		}
		cmd := exec.CommandContext(t.Context(), args[0], args[1:]...)
		cmd.Env = append(os.Environ(), inside+"=1")
		if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "--- PASS") {
			t.Errorf("%v\n%s", err, out)
		}
		return
	}
	ip := func(args string) {
		t.Helper()
		if out, err := exec.Command("ip", strings.Fields(args)...).CombinedOutput(); err != nil {
			t.Fatalf("ip %s: %v\n%s", args, err, out)
		}
	}
	ip("link set lo up")
	p := start(t)
	var mu sync.Mutex
	var from []string // the connections of calls
	up := shimtest.NewUpstream(t, shimtest.Options{Stateless: true, JSON: true})
	up.Break(func(w http.ResponseWriter, r *http.Request) bool {
		w.Header().Set("Keep-Alive", "timeout=600") // so that no other rule ends the connection
		mu.Lock()
		from = append(from, r.RemoteAddr)
		mu.Unlock()
		return false
	})
	slug, mcpURL := p.add(up.URL, map[string]any{"api_key": up.Key()})
	c := p.client(mcpURL)
	_, obj := p.api("GET", "/api/slugs/"+slug, nil)
	saved := obj["credentials"].([]any)[0].(map[string]any)["id"].(string)
	page := p.owner().Consent(c.AuthorizeURL(), map[string]string{"credential": saved, "action": "approve"})
	if status, body := c.Redeem(c.CodeFrom(page.Location)); status != http.StatusOK {
		t.Fatalf("POST /token = %d %v", status, body)
	}
	call := func() string {
		t.Helper()
		if resp, body := p.post(mcpURL, c.Access, `{"jsonrpc":"2.0","id":1,"method":"tools/list"}`); resp.StatusCode != http.StatusOK {
			t.Fatalf("call = %d %s", resp.StatusCode, body)
		}
		mu.Lock()
		defer mu.Unlock()
		return from[len(from)-1]
	}
	first := call()
	if second := call(); second != first {
		t.Fatalf("without a change calls came from %s and %s", first, second)
	}
	ip("addr add 10.77.0.2/32 dev lo")
	waitFor(t, "a call after the change to have a connection of its own", func() bool { return call() != first })
}
