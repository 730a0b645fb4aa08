package e2e

import (
	"context"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/key2oauth/key2oauth/e2e/testenv"
)

// TestM06ForgottenSession restarts a server under a client. The server answers
// 401 to the session that it forgot, and the client begins a new one at 404
// only. No key was replaced, so none may count as rejected.
func TestM06ForgottenSession(t *testing.T) {
	testenv.Slow(t)
	npmBin(t)
	t.Parallel()
	for _, server := range []string{"forgetful-server.mjs", "fastmcp-server.mjs"} {
		t.Run("M06 "+server, func(t *testing.T) {
			t.Parallel()
			forgottenSession(t, server)
		})
	}
}

func forgottenSession(t *testing.T, server string) {
	addr := freeAddr(t)
	stop := forgetful(t, server, addr)
	a := startApp(t)
	e := a.addEndpoint("Forgetful", "http://"+addr+"/mcp", "")
	h := newHome(t, a.npmEnv())
	cmd := h.command("mcp-remote", a.url(e), "--protocol", "legacy")
	stderr := new(testenv.Output)
	cmd.Stderr = stderr
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("mcp-remote printed:\n%s", stderr)
		}
	})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	type connected struct {
		session *mcp.ClientSession
		err     error
	}
	done := make(chan connected, 1)
	go func() {
		s, err := mcp.NewClient(&mcp.Implementation{Name: "e2e", Version: "1"}, nil).Connect(ctx,
			&mcp.CommandTransport{Command: cmd}, &mcp.ClientSessionOptions{ProtocolVersion: "2025-11-25"})
		done <- connected{s, err}
	}()
	h.approve(a, new(gate))
	c := <-done
	if c.err != nil {
		t.Fatal(c.err)
	}
	defer c.session.Close()

	seen := map[string]bool{simpleText(ctx, t, c.session): true}
	for range strikesAndOne {
		stop()
		stop = forgetful(t, server, addr)
		seen[simpleText(ctx, t, c.session)] = true
	}
	if len(seen) != strikesAndOne+1 {
		t.Errorf("the calls were answered by %d processes, want %d: %v", len(seen), strikesAndOne+1, seen)
	}
	var now struct{ Credentials []struct{ State string } }
	a.api("GET", "/api/slugs/"+e.Slug, nil, &now)
	if len(now.Credentials) != 1 || now.Credentials[0].State != "ok" {
		t.Errorf("the keys are %+v, want one that is ok", now.Credentials)
	}
	if n := len(h.opened()); n != 1 {
		t.Errorf("there were %d sign-ins, want 1", n)
	}
}

// strikesAndOne is more restarts than unconfirmed 401 would count as confirmed.
const strikesAndOne = 4

// forgetful starts a server of e2e/clients.
func forgetful(t *testing.T, server, addr string) (stop func()) {
	t.Helper()
	return startServer(t, npmCommand(t, "node", "clients/"+server, portOf(t, addr), apiKey), addr)
}
