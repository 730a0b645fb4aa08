package e2e

import (
	"testing"

	"github.com/key2oauth/key2oauth/e2e/testenv"
)

// TestM01TypeScriptClientsThroughTunnel is TestM01TypeScriptClients for clients
// that are somewhere in the world.
func TestM01TypeScriptClientsThroughTunnel(t *testing.T) { typeScriptClients(t, startTunneled) }

// TestM01GoClientThroughTunnel is TestM01GoClient for one that is somewhere in
// the world.
func TestM01GoClientThroughTunnel(t *testing.T) {
	testenv.Slow(t)
	t.Parallel()
	goClients(t, startTunneled)
}

// TestM01MCPRemoteThroughTunnel is TestM01MCPRemote for one that is somewhere
// in the world.
func TestM01MCPRemoteThroughTunnel(t *testing.T) { mcpRemote(t, startTunneled) }

// TestM01InspectorThroughTunnel is TestM01Inspector for one that is somewhere
// in the world.
func TestM01InspectorThroughTunnel(t *testing.T) { inspectors(t, startTunneled) }
