package e2e

import (
	"bufio"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/key2oauth/key2oauth/e2e/testenv"
	"github.com/key2oauth/key2oauth/shim/shimtest"
)

// TestM03AuthorizationConformance runs the suite's scenarios for authorization
// servers. Failures, skips and warnings all fail the test.
func TestM03AuthorizationConformance(t *testing.T) {
	testenv.Slow(t)
	npmBin(t)
	t.Parallel()
	up := shimtest.NewUpstream(t, shimtest.Options{})
	a := startApp(t)
	a.addEndpoint("Linear", up.URL, "")
	_, port, _ := strings.Cut(freeAddr(t), ":")
	c := oauthClient(t, a, "http://127.0.0.1:"+port+"/callback", "")

	dir := t.TempDir()
	cmd := npmCommand(t, "conformance", "authorization", "--url", a.origin, "--client-id", c.ID, "--port", port, "-o", dir)
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })

	// The suite prints where the user has to go, and listens for the redirect.
	var authorize string
	for lines := bufio.NewScanner(stdout); lines.Scan(); {
		switch line := strings.TrimSpace(lines.Text()); {
		case strings.HasPrefix(line, a.origin+"/authorize?"):
			authorize = line
		case strings.HasPrefix(line, "Callback server started"):
			b := shimtest.NewBrowser(t, a.origin)
			p := b.Consent(authorize, map[string]string{"api_key": up.Key(), "action": "approve"})
			resp, err := http.Get(p.Location)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
		}
	}
	reports, err := filepath.Glob(filepath.Join(dir, "*", "checks.json"))
	if err != nil {
		t.Fatal(err)
	}
	if len(reports) != 2 {
		t.Errorf("the suite reported %d scenarios, want 2", len(reports))
	}
	passed := 0
	for _, name := range reports {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		var checks []struct{ ID, Status, ErrorMessage string }
		if err := json.Unmarshal(b, &checks); err != nil {
			t.Fatal(err)
		}
		for _, c := range checks {
			switch {
			case c.Status == "SUCCESS":
				passed++
			case c.Status != "INFO":
				t.Errorf("%s: %s %s", c.ID, c.Status, c.ErrorMessage)
			}
		}
	}
	t.Logf("%d checks passed", passed)
	if passed == 0 {
		t.Error("no check passed")
	}
}
