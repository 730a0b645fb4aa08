package proxy

import (
	"net/http"
	"strings"

	"github.com/key2oauth/key2oauth/shim/internal/endpoint"
)

// cleanRequest returns the part of a client's header that goes to the upstream.
// It drops what concerns only the hop from client to us: credentials, what
// browsers, tunnels and proxies add, and hop-by-hop headers (RFC 9110, Section
// 7.6.1). Everything else passes unchanged, for later protocol revisions. The
// values are shared with in.
func cleanRequest(in http.Header, key endpoint.Header) http.Header {
	own := http.CanonicalHeaderKey(dashed(key.Name))
	out := make(http.Header, len(in)+2) // with the key's and Accept-Encoding
	for name, values := range in {
		plain := dashed(name)
		if refusedRequest(plain) || plain == own || plain != name && plain == sessionHeader {
			continue // the upstream's client sets the key
		}
		out[name] = values
	}
	dropNamed(out, in["Connection"])
	if out["User-Agent"] == nil {
		out["User-Agent"] = valueNone // or the transport would send its own
	}
	return out
}

// dashed is a name as servers behind CGI or WSGI read it: they cannot tell '_'
// from '-', so a refused name is refused in both spellings.
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
		"Accept-Encoding", "Host", "Content-Length",
		// A part of an answer could hold half a key, and the guard knows none in
		// another character set.
		"Range", "If-Range", "Accept-Charset":
		return true
	}
	// The first two letters rule out the prefixes for most names.
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

// passesAnswer reports whether a header of an upstream's answer reaches the
// client: those that MCP and its clients act on, and no other. The answers share
// an origin with our authorization server, and a proxy in front of us acts on
// names that we cannot know: nginx delivers a file for X-Accel-Redirect.
func passesAnswer(name string) bool {
	switch name {
	case "Content-Type", "Content-Length", "Content-Language", "Content-Encoding", "Cache-Control",
		"Allow", "Retry-After", "Traceparent", "Tracestate", "Request-Id", "Ratelimit":
		return true
	}
	// The first two letters rule out the prefixes for most names.
	switch name[:min(2, len(name))] {
	case "Mc":
		return strings.HasPrefix(name, "Mcp-")
	case "Ra":
		return strings.HasPrefix(name, "Ratelimit-")
	case "X-":
		return strings.HasPrefix(name, "X-Ratelimit-") || strings.HasSuffix(name, "-Request-Id")
	}
	return strings.HasSuffix(name, "-Request-Id")
}

const sessionHeader = "Mcp-Session-Id"

// Header values that all answers share.
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

// copyAnswer copies the headers that may pass into dst, which may already hold
// headers of ours, and adds those of every answer. It reports whether the body
// is an event stream, and how many headers were dropped. length is the body's,
// -1 if unknown.
func copyAnswer(dst, src http.Header, length int64) (stream bool, dropped int) {
	for name, values := range src {
		if !passesAnswer(name) {
			dropped++
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
	return stream, dropped
}

// harden adds headers that keep a browser from acting on an answer.
func harden(h http.Header) {
	h["X-Content-Type-Options"] = valueNosniff
	h["Content-Security-Policy"] = valueSandbox
}

// setContentType passes the types of MCP and declares every other body plain
// text. It reports whether the body is an event stream.
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
		// A browser takes what follows a comma for another type, which wins
		// (Fetch, Section 2.2.2, "extract a MIME type").
		if strings.IndexByte(params, ',') >= 0 {
			h["Content-Type"] = []string{kind}
		}
		return kind == "text/event-stream" || strings.EqualFold(kind, "text/event-stream")
	}
	h["Content-Type"] = valuePlain
	return false
}

// passes reports whether a content type other than the two usual ones passes
// unchanged.
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

// eventsOnly reports whether a client accepts an event stream but no JSON.
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
