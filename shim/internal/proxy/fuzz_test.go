package proxy

import (
	"bufio"
	"net/http"
	"net/textproto"
	"net/url"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/key2oauth/key2oauth/shim/internal/endpoint"
)

// readHeader reads what a peer sent as net/http does.
func readHeader(raw string) http.Header {
	h, err := textproto.NewReader(bufio.NewReader(strings.NewReader(raw + "\r\n\r\n"))).ReadMIMEHeader()
	if err != nil {
		return nil
	}
	return http.Header(h)
}

// FuzzRequestHeader: no spelling of a refused header reaches an upstream, and
// allowed headers pass unchanged.
func FuzzRequestHeader(f *testing.F) {
	f.Add("Authorization: x\r\nAUTHORIZATION: y\r\nx_api_key: z\r\nMcp-Param-A: =?base64?eA==?=", "X-Api-Key")
	f.Add("X-Forwarded-For: 1\r\nX_FORWARDED_FOR: 1\r\nSec-Fetch-Mode: a\r\nsec_x: b\r\nngrok-x: c", "Authorization")
	f.Add("Cookie: a\r\nTe: b\r\nHttp2-Settings: c\r\nTRUE_client-IP: d", "Api-Key")
	f.Add("X-Api-Key: a\r\nX_Api_Key: b\r\nx_api-key: c", "X_Api_Key")
	f.Add("_:", "_")
	f.Add("ngrok- : a", "X-Api-Key")
	f.Fuzz(func(t *testing.T, raw, key string) {
		key = http.CanonicalHeaderKey(key)
		fold := func(name string) string { return strings.ReplaceAll(strings.ToLower(name), "_", "-") }
		h := readHeader(raw)
		if h == nil {
			return
		}
		for name := range h {
			if strings.Contains(name, " ") {
				return // the server answers it with 400
			}
		}
		before := h.Clone()
		h = cleanRequest(h, endpoint.Header{Name: key})
		if before["User-Agent"] == nil {
			delete(h, "User-Agent") // says that there is no body
		}
		for name, values := range h {
			if !slices.Equal(values, before[name]) {
				t.Errorf("%s: got %q, want %q", name, values, before[name])
			}
			low := fold(name)
			for _, bad := range []string{"authorization", "cookie", "forwarded", "origin", "referer", "via", "te", "trailer",
				"transfer-encoding", "connection", "upgrade", "expect", "content-length", fold(key)} {
				if low == bad {
					t.Errorf("%q passed", name)
				}
			}
			for _, bad := range []string{"proxy-", "x-forwarded-", "x-original-", "x-ngrok-", "ngrok-", "sec-", "cf-"} {
				if strings.HasPrefix(low, bad) {
					t.Errorf("%q passed", name)
				}
			}
		}
		for name := range before {
			if strings.HasPrefix(name, "Mcp-") && fold(name) != fold(key) && h[name] == nil {
				t.Errorf("%q did not pass", name)
			}
		}
	})
}

// FuzzAnswerHeader: for any header from an upstream, no browser treats the
// answer as a page or script of the issuer's origin.
func FuzzAnswerHeader(f *testing.F) {
	f.Add("Content-Type: application/json; x=,text/html\r\nSet-Cookie: a=b", int64(5))
	f.Add("Content-Type: text/html\r\nContent-Type: application/json", int64(-1))
	f.Add("X-Content-Type-Options: none\r\ncontent-security-policy: default-src *\r\nWWW-AUTHENTICATE: Bearer", int64(0))
	f.Fuzz(func(t *testing.T, raw string, length int64) {
		src := readHeader(raw)
		if src == nil {
			return
		}
		dst := http.Header{"Access-Control-Allow-Origin": {"*"}} // ours
		copyAnswer(dst, src, length)
		for name := range dst {
			switch low := strings.ToLower(name); {
			case low == "set-cookie", low == "www-authenticate", low == "location", low == "refresh", low == "link",
				low == "strict-transport-security", low == "clear-site-data", low == "service-worker-allowed", low == "alt-svc",
				strings.HasPrefix(low, "proxy-"), strings.HasPrefix(low, "access-control-") && low != "access-control-allow-origin",
				strings.HasPrefix(low, "content-security-policy-"):
				t.Errorf("%q passed", name)
			}
		}
		if !slices.Equal(dst["X-Content-Type-Options"], valueNosniff) || !slices.Equal(dst["Content-Security-Policy"], valueSandbox) ||
			!slices.Equal(dst["Access-Control-Allow-Origin"], []string{"*"}) {
			t.Errorf("got %v", dst)
		}
		types := dst["Content-Type"]
		if len(types) > 1 {
			t.Fatalf("got types %q", types)
		}
		if len(types) == 1 {
			kind := strings.ToLower(types[0])
			if strings.Contains(kind, ",") || strings.Contains(kind, "html") && !strings.Contains(kind, "json") ||
				!strings.HasPrefix(kind, "application/") && !strings.HasPrefix(kind, "text/event-stream") && !strings.HasPrefix(kind, "text/plain") {
				t.Errorf("got type %q", types[0])
			}
		}
	})
}

// FuzzSubpath: an accepted subpath stays below the endpoint's path, no matter
// how often it is decoded and cleaned.
func FuzzSubpath(f *testing.F) {
	for _, seed := range []string{"/a", "/../x", "/%2e%2e/x", "/..;/x", "/%252e%252e", "/a//b", "/.%2e/"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, sub string) {
		if !cleanSubpath(sub) {
			return
		}
		for range 3 {
			segments := strings.Split(strings.ReplaceAll(sub, "\\", "/"), "/")
			for i, s := range segments {
				segments[i], _, _ = strings.Cut(s, ";")
			}
			if p := path.Clean("/base/mcp" + strings.Join(segments, "/")); p != "/base/mcp" && !strings.HasPrefix(p, "/base/mcp/") {
				t.Fatalf("%q leads to %q", sub, p)
			}
			next, err := url.PathUnescape(sub)
			if err != nil {
				return
			}
			sub = next
		}
	})
}
