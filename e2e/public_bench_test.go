package e2e

import (
	"testing"

	"github.com/key2oauth/key2oauth/shim/shimtest"
)

// BenchmarkTunnel shows what the tunnel adds to a call. It uses the same client
// and upstream, on this machine and through the edge.
func BenchmarkTunnel(b *testing.B) {
	for _, bb := range []struct {
		name  string
		start func(testing.TB) *app
	}{{"local", startApp}, {"tunnel", startTunneled}} {
		b.Run(bb.name, func(b *testing.B) {
			up := shimtest.NewUpstream(b, shimtest.Options{Stateless: true, JSON: true})
			a := bb.start(b)
			u := signedIn(b, a, a.url(a.addEndpoint("Linear", up.URL, "")), up.Key())
			u.http = a.http() // this client keeps its connection
			u.mustCall("at first")
			for b.Loop() {
				u.mustCall("in the loop")
			}
		})
	}
}
