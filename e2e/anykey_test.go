package e2e

import (
	"net"
	"testing"

	"github.com/key2oauth/key2oauth/e2e/testenv"
	"github.com/key2oauth/key2oauth/shim/shimtest"
)

// TestKeyThatNobodyChecks: a server that takes any key when an app connects,
// here Firecrawl's own, does not open to whoever pastes one. The owner may go
// on, and is told.
func TestKeyThatNobodyChecks(t *testing.T) {
	testenv.Slow(t)
	npmBin(t)
	t.Parallel()
	addr := freeAddr(t)
	firecrawl(t, addr)
	a := startApp(t)
	e := a.addEndpoint("Firecrawl", "http://"+addr+"/mcp", "")

	rubbish := map[string]string{"api_key": "wrong-key-000", "action": "approve", "unverified": "1"}
	stranger := shimtest.NewOAuthClient(t, a.origin, "http://127.0.0.1:1/callback") // nothing listens there
	stranger.Resource = a.url(e)
	if p := shimtest.NewBrowser(t, a.origin).Consent(stranger.AuthorizeURL(), rubbish); p.Location != "" {
		t.Errorf("a stranger got in with a key that was never checked: %s", p.Location)
	}
	if n := len(a.grants()); n != 0 {
		t.Errorf("there are %d connected apps, want none", n)
	}

	e = a.addEndpoint("Firecrawl, with a key", "http://"+addr+"/mcp", "wrong-key-000")
	var now struct{ Credentials []struct{ State string } }
	a.api("GET", "/api/slugs/"+e.Slug, nil, &now)
	if len(now.Credentials) != 1 || now.Credentials[0].State != "unverified" {
		t.Errorf("the keys are %+v, want one that is not verified", now.Credentials)
	}
}

// firecrawl starts the server, which sends nothing anywhere until a tool is
// called.
func firecrawl(t *testing.T, addr string) {
	t.Helper()
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		t.Fatal(err)
	}
	cmd := npmCommand(t, "firecrawl-mcp")
	cmd.Env = append(cmd.Env, "HTTP_STREAMABLE_SERVER=true", "FIRECRAWL_API_URL=http://127.0.0.1:1", "HOST="+host, "PORT="+port)
	out := new(testenv.Output)
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { cmd.Wait(); close(ended) }()
	t.Cleanup(func() { cmd.Process.Kill(); <-ended })
	if !listens(addr, ended) {
		t.Fatalf("the server does not listen on %s and printed:\n%s", addr, out)
	}
}
