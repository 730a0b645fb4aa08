//go:build k2otest

package cimd

import (
	"context"
	"net"
	"os"
	"strings"
)

type dialFunc = func(ctx context.Context, network, addr string) (net.Conn, error)

// dial lets tests of the built program serve documents on this computer:
// KEY2OAUTH_TEST_CIMD_DIAL holds host=address pairs, separated by commas.
func dial(guarded dialFunc) dialFunc {
	places := make(map[string]string)
	for pair := range strings.SplitSeq(os.Getenv("KEY2OAUTH_TEST_CIMD_DIAL"), ",") {
		if host, address, ok := strings.Cut(pair, "="); ok {
			places[strings.TrimSpace(host)] = strings.TrimSpace(address)
		}
	}
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		if host, _, err := net.SplitHostPort(addr); err == nil && places[host] != "" {
			return new(net.Dialer).DialContext(ctx, network, places[host])
		}
		return guarded(ctx, network, addr)
	}
}
