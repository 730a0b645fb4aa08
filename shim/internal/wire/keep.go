package wire

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

const (
	// unhinted is how long a connection may be idle if its peer does not say for
	// how long it keeps it. Many servers close after five seconds.
	unhinted = 4 * time.Second
	// early is how much before its peer a connection is closed. A request that
	// is sent in that time would meet the peer's FIN, and would be lost.
	early = time.Second
)

// Keep returns how long a connection may be idle before it is used again, after
// an answer with header h: a second less than its peer keeps it, at most most.
//
// A server may close an idle connection at any time (RFC 9112, Section 9.5),
// and a request that is already on its way then must not be repeated. Servers
// announce when they will in the Keep-Alive header (RFC 2068, Section 19.7.1.1).
func Keep(h http.Header, most time.Duration) time.Duration {
	keep := unhinted
	if values := h["Keep-Alive"]; len(values) > 0 {
		if announced, ok := timeout(values); ok {
			keep = max(0, announced-early)
		}
	}
	return min(keep, most)
}

// timeout returns the shortest timeout that a Keep-Alive header announces.
func timeout(values []string) (d time.Duration, ok bool) {
	for _, v := range values {
		for param := range strings.SplitSeq(v, ",") {
			name, value, _ := strings.Cut(param, "=")
			if !strings.EqualFold(strings.TrimSpace(name), "timeout") {
				continue
			}
			n, err := strconv.ParseUint(strings.Trim(strings.TrimSpace(value), `"`), 10, 64)
			if err != nil {
				continue
			}
			announced := time.Duration(min(n, 24*60*60)) * time.Second
			if !ok || announced < d {
				d, ok = announced, true
			}
		}
	}
	return d, ok
}
