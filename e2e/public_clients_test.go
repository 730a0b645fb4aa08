package e2e

import (
	"testing"

	"github.com/key2oauth/key2oauth/e2e/testenv"
)

// TestM01TypeScriptClientsThroughTunnel is TestM01TypeScriptClients for clients
// on the internet.
func TestM01TypeScriptClientsThroughTunnel(t *testing.T) { typeScriptClients(t, startTunneled) }

// TestM01GoClientThroughTunnel is TestM01GoClient for a client on the internet.
func TestM01GoClientThroughTunnel(t *testing.T) {
	testenv.Slow(t)
	t.Parallel()
	goClients(t, startTunneled)
}

// TestM01MCPRemoteThroughTunnel is TestM01MCPRemote for a client on the
// internet.
func TestM01MCPRemoteThroughTunnel(t *testing.T) { mcpRemote(t, startTunneled) }

// TestM01InspectorThroughTunnel is TestM01Inspector for a client on the
// internet.
func TestM01InspectorThroughTunnel(t *testing.T) { inspectors(t, startTunneled) }
