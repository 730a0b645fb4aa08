package proxy

import (
	"net/http"
	"strings"

	"github.com/key2oauth/key2oauth/shim/internal/endpoint"
)

// cleanRequest returns what of a client's header goes to the upstream: not what
// concerns only the hop between client and us, which is credentials of any
// kind, what browsers, tunnels and proxies add, and hop-by-hop headers
// (RFC 9110, Section 7.6.1). Whatever else there is passes unchanged, so that
// headers of later protocol revisions do. The values are shared with in.
func cleanRequest(in http.Header, key endpoint.Header) http.Header {
	own := dashed(key.Name)
	out := make(http.Header, len(in)+2) // with the key's and Accept-Encoding
	for name, values := range in {
		plain := dashed(name)
		if refusedRequest(plain) || plain == own || plain != name && plain == sessionHeader {
			continue // the key goes where the upstream's client puts it
		}
		out[name] = values
	}
	dropNamed(out, in["Connection"])
	if out["User-Agent"] == nil {
		out["User-Agent"] = valueNone // or the transport would say its own
	}
	return out
}

// dashed is a name as servers behind CGI or WSGI read it, which cannot tell '_'
// from '-': what may not come in by one spelling may not by the other.
func dashed(name string) string {
	if strings.IndexByte(name, '_') < 0 {
		return name
	}
	return http.CanonicalHeaderKey(strings.ReplaceAll(name, "_", "-"))
}

func refusedRequest(name string) bool {
	switch name {
	case "Authorization", "Cookie", "Cookie2", "Forwarded", "X-Forwarded", "X-Real-Ip", "True-Client-Ip", "Via",
		"Origin", "Referer", "Dnt", "Priority", "Upgrade-Insecure-Requests",
		"Connection", "Keep-Alive", "Te", "Trailer", "Transfer-Encoding", "Upgrade", "Http2-Settings", "Expect",
		"Accept-Encoding", "Host", "Content-Length":
		return true
	}
	// The first letters tell most names apart from all of the prefixes.
	switch name[:min(2, len(name))] {
	case "Pr":
		return strings.HasPrefix(name, "Proxy-")
	case "X-":
		return strings.HasPrefix(name, "X-Forwarded-") || strings.HasPrefix(name, "X-Original-") ||
			strings.HasPrefix(name, "X-Ngrok-")
	case "Cf":
		return strings.HasPrefix(name, "Cf-")
	case "Ng":
		return strings.HasPrefix(name, "Ngrok-")
	case "Se":
		return strings.HasPrefix(name, "Sec-")
	}
	return false
}

// refusedAnswer names what an upstream may not say to a client. The answers
// share an origin with the authorization server, so nothing may pass that
// changes how a browser treats that origin; and a challenge would send the
// client to another authorization server.
func refusedAnswer(name string) bool {
	switch name {
	case "Set-Cookie", "Set-Cookie2", "Www-Authenticate", "Authentication-Info",
		"Strict-Transport-Security", "Alt-Svc", "Clear-Site-Data", "Report-To", "Nel", "Reporting-Endpoints",
		"Public-Key-Pins", "Public-Key-Pins-Report-Only", "Refresh", "Location", "Link", "Server", "X-Powered-By",
		"Service-Worker-Allowed", "Sourcemap", "X-Sourcemap",
		"Connection", "Keep-Alive", "Te", "Trailer", "Transfer-Encoding", "Upgrade":
		return true
	}
	switch name[:min(2, len(name))] {
	case "Ac":
		return strings.HasPrefix(name, "Access-Control-")
	case "Co":
		return strings.HasPrefix(name, "Content-Security-Policy")
	case "Pr":
		return strings.HasPrefix(name, "Proxy-")
	case "Ng":
		return strings.HasPrefix(name, "Ngrok-") // only the tunnel itself may say these
	}
	return false
}

const sessionHeader = "Mcp-Session-Id"

// Values that are the same in every answer; header maps share them.
var (
	valueNosniff  = []string{"nosniff"}
	valueSandbox  = []string{"sandbox; default-src 'none'"}
	valueNoStore  = []string{"no-store"}
	valueStream   = []string{"no-store, no-transform"}
	valueNo       = []string{"no"}
	valueNone     = []string{""}
	valuePlain    = []string{"text/plain; charset=utf-8"}
	valueJSON     = []string{"application/json"}
	valueEvents   = []string{"text/event-stream"}
	valueRetry    = []string{"30"}
	valueAllowed  = []string{"GET, HEAD, POST, DELETE, OPTIONS"}
	valuePost     = []string{"POST, OPTIONS"}
	noContentType = []string(nil)
)

// copyAnswer moves what may pass of an upstream's header into dst, which may
// hold headers of ours already, and adds what every answer carries. It reports
// whether the body is an event stream. length is the body's, -1 if unknown.
func copyAnswer(dst, src http.Header, length int64) (stream bool) {
	for name, values := range src {
		if refusedAnswer(name) {
			continue
		}
		if have := dst[name]; have != nil {
			values = append(have[:len(have):len(have)], values...)
		}
		dst[name] = values
	}
	stream = setContentType(dst, length)
	harden(dst)
	switch {
	case stream:
		dst["Cache-Control"] = valueStream
		dst["X-Accel-Buffering"] = valueNo
		delete(dst, "Content-Length")
	case !private(dst["Cache-Control"]):
		dst["Cache-Control"] = valueNoStore
	}
	return stream
}

// harden adds what keeps a browser from doing anything with an answer.
func harden(h http.Header) {
	h["X-Content-Type-Options"] = valueNosniff
	h["Content-Security-Policy"] = valueSandbox
}

// setContentType lets the types of MCP pass and declares every other body to
// be plain text. It reports whether the body is an event stream.
func setContentType(h http.Header, length int64) (stream bool) {
	values := h["Content-Type"]
	if len(values) == 0 {
		// A nil value keeps the HTTP server from guessing one.
		h["Content-Type"] = noContentType
		if length > 0 {
			h["Content-Type"] = valuePlain
		}
		return false
	}
	kind, params, _ := strings.Cut(values[0], ";")
	kind = strings.TrimSpace(kind)
	switch {
	case len(values) > 1:
	case kind == "application/json", kind == "text/event-stream", passes(kind):
		// A browser that finds a comma takes what follows it for another,
		// later type (Fetch, Section 2.2.2, "extract a MIME type").
		if strings.IndexByte(params, ',') >= 0 {
			h["Content-Type"] = []string{kind}
		}
		return kind == "text/event-stream" || strings.EqualFold(kind, "text/event-stream")
	}
	h["Content-Type"] = valuePlain
	return false
}

// passes reports whether a content type other than the two usual ones is
// delivered as it is.
func passes(kind string) bool {
	kind = strings.ToLower(kind)
	switch kind {
	case "application/json", "text/event-stream", "text/plain":
		return true
	}
	name, ok := strings.CutPrefix(kind, "application/")
	if !ok || !strings.HasSuffix(name, "+json") {
		return false
	}
	for _, c := range []byte(name) {
		switch {
		case 'a' <= c && c <= 'z', '0' <= c && c <= '9', strings.IndexByte("!#$&-^_.+", c) >= 0:
		default:
			return false // RFC 6838, Section 4.2
		}
	}
	return true
}

// private reports whether a Cache-Control keeps answers out of shared caches.
func private(values []string) bool {
	for _, v := range values {
		for directive := range strings.SplitSeq(v, ",") {
			switch strings.ToLower(strings.TrimSpace(directive)) {
			case "no-store", "private":
				return true
			}
		}
	}
	return false
}

// eventsOnly reports whether a client takes an event stream and no JSON.
func eventsOnly(accept []string) bool {
	events := false
	for _, v := range accept {
		for part := range strings.SplitSeq(v, ",") {
			kind, _, _ := strings.Cut(part, ";")
			switch strings.ToLower(strings.TrimSpace(kind)) {
			case "application/json", "application/*", "*/*":
				return false
			case "text/event-stream", "text/*":
				events = true
			}
		}
	}
	return events
}
