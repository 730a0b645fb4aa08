package main

import (
	"encoding/json"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/key2oauth/key2oauth/e2e/testenv"
	"github.com/key2oauth/key2oauth/shim/api"
)

// A port of 0 is any that is free: which one it is has to be said, for the
// owner's tunnel must lead there.
func TestPublicAddrAnyPort(t *testing.T) {
	s := serveHere(t, "--tunnel", "external", "--public-url", "https://key2oauth.invalid", "--public-addr", "127.0.0.1:0")
	const before = "through your tunnel to http://"
	for deadline := time.Now().Add(time.Minute); !strings.Contains(s.stderr.String(), before); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("where the tunnel leads is not said:\n%s", s.stderr)
		}
	}
	_, said, _ := strings.Cut(s.stderr.String(), before)
	said, _, _ = strings.Cut(strings.Fields(said)[0], ",")
	if ap, err := netip.ParseAddrPort(said); err != nil || ap.Port() == 0 {
		t.Errorf("the output says %q, which names no port", said)
	}
	var stdout, stderr testenv.Output
	var st api.Status
	err := run(t.Context(), []string{"status", "--json", "--data-dir", s.dir}, strings.NewReader(""), &stdout, &stderr)
	if json.Unmarshal([]byte(stdout.String()), &st) != nil || st.PublicListener == nil || *st.PublicListener != "http://"+said {
		t.Errorf("the status says %s, want the port of %s: %v %s", &stdout, said, err, &stderr)
	}
	s.cancel()
	if err := <-s.done; err != nil {
		t.Errorf("serve: %v", err)
	}
}
