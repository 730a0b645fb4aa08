package proxy

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/key2oauth/key2oauth/shim/internal/endpoint"
	"github.com/key2oauth/key2oauth/shim/internal/upstream"
)

func TestP01P02KeyHeader(t *testing.T) {
	tests := []struct {
		name   string
		header endpoint.Header
		want   string
	}{
		{"bearer", endpoint.DefaultHeader, "Bearer " + testKey},
		{"bare authorization", endpoint.Header{Name: "Authorization"}, testKey},
		{"basic", endpoint.Header{Name: "Authorization", Prefix: "Basic "}, "Basic " + testKey},
		{"x-api-key", endpoint.Header{Name: "X-Api-Key"}, testKey},
		{"custom", endpoint.Header{Name: "X-Vendor-Token", Prefix: "Token token="}, "Token token=" + testKey},
		{"underscores in its name", endpoint.Header{Name: "X_vendor_token"}, testKey},
	}
	o := newOrigin(t, nil)
	b := newBench(t, o.URL+"/mcp")
	for _, tt := range tests {
		b.set(func(c *Call) {
			u := *c.Upstream
			c.Upstream = &upstream.Target{URL: u.URL, Header: tt.header, Key: u.Key}
		})
		name := tt.header.Name
		under := strings.ReplaceAll(name, "-", "_")
		requests := map[string]string{
			"plain":                "",
			"own copy":             name + ": stolen\r\n",
			"lower case":           strings.ToLower(name) + ": stolen\r\n",
			"odd case":             strings.ToUpper(name) + ": stolen\r\n" + name + ": stolen too\r\n",
			"underscores":          under + ": stolen\r\n",
			"hyphens":              strings.ReplaceAll(name, "_", "-") + ": stolen\r\n",
			"listed in Connection": "Connection: " + name + "\r\n" + name + ": stolen\r\n",
			"listed, lower case":   "Connection: close, " + strings.ToLower(name) + "\r\n",
			"proxy authorization":  "Proxy-Authorization: Basic c3RvbGVu\r\n",
			"empty copy":           name + ":\r\n",
		}
		for what, extra := range requests {
			res := b.raw(t, "POST /s1/mcp HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer stolen\r\n"+extra+
				"Content-Type: application/json\r\nContent-Length: "+strconv.Itoa(len(listBody))+"\r\n\r\n"+listBody)
			if res.StatusCode != 200 {
				t.Fatalf("%s, %s: got status %d", tt.name, what, res.StatusCode)
			}
			got, _, _ := o.got()
			t.Run("P02 one key header/"+tt.name+"/"+what, func(t *testing.T) {
				if v := got.Header.Values(name); len(v) != 1 || v[0] != tt.want {
					t.Errorf("got %d values of %s, the first our own: %v; want ours alone", len(v), name, len(v) > 0 && v[0] == tt.want)
				}
			})
			t.Run("P01 no client credential/"+tt.name+"/"+what, func(t *testing.T) {
				for k, v := range got.Header {
					if strings.Contains(strings.Join(v, ","), "stolen") || strings.HasPrefix(k, "Proxy") {
						t.Errorf("the upstream got %s: %v", k, v)
					}
				}
			})
		}
	}
}

func TestP03ForeignHeaders(t *testing.T) {
	o := newOrigin(t, nil)
	b := newBench(t, o.URL+"/mcp")
	foreign := []string{
		"Cookie", "Cookie2", "Origin", "Referer", "Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto",
		"X-Forwarded-Prefix", "X-Real-IP", "X-Original-URL", "X-Original-Host", "True-Client-IP", "CF-Connecting-IP", "CF-Ray", "Via",
		"ngrok-skip-browser-warning", "ngrok-auth-user-id", "X-Ngrok-Foo", "Sec-Fetch-Site", "Sec-Fetch-Mode", "Sec-CH-UA",
		"DNT", "Priority", "Upgrade-Insecure-Requests", "Keep-Alive", "TE", "Trailer", "Proxy-Connection", "Proxy-Foo",
		"X_Forwarded_For", "x_real_ip", "SEC_FETCH_SITE", "Mcp_Session_Id", "X-Listed", "X-Listed-Too",
	}
	var h strings.Builder
	for _, name := range foreign {
		h.WriteString(name + ": foreign\r\n")
	}
	res := b.raw(t, "POST /s1/mcp HTTP/1.1\r\nHost: public.example\r\nConnection: X-Listed\r\nConnection: close,x-listed-too\r\n"+
		h.String()+"X-Custom: kept\r\nX-Request-Id: kept\r\nUser-Agent: kept/1\r\nAccept-Language: de\r\nTraceparent: 00-1\r\n"+
		"Content-Length: "+strconv.Itoa(len(listBody))+"\r\n\r\n"+listBody)
	if res.StatusCode != 200 {
		t.Fatalf("got status %d", res.StatusCode)
	}
	got, _, _ := o.got()
	for name, v := range got.Header {
		if slices.Contains(v, "foreign") {
			t.Errorf("the upstream got %s: %v", name, v)
		}
	}
	for name, want := range map[string]string{"X-Custom": "kept", "X-Request-Id": "kept", "User-Agent": "kept/1", "Accept-Language": "de", "Traceparent": "00-1"} {
		if got.Header.Get(name) != want {
			t.Errorf("%s: got %q, want %q", name, got.Header.Get(name), want)
		}
	}
	if got.Header.Get("Accept-Encoding") != "identity" {
		t.Errorf("Accept-Encoding: got %q, want identity", got.Header.Get("Accept-Encoding"))
	}
	// If a client sends no User-Agent, Go's is not added.
	b.raw(t, "POST /s1/mcp HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
	if got, _, _ := o.got(); got.Header.Get("User-Agent") != "" {
		t.Errorf("got User-Agent %q, want none", got.Header.Get("User-Agent"))
	}
}

func TestP05HeadersUnchanged(t *testing.T) {
	o := newOrigin(t, nil)
	b := newBench(t, o.URL+"/mcp")
	want := map[string][]string{
		"Mcp-Session-Id":       {"AbC-123=="},
		"Mcp-Protocol-Version": {"2026-07-28"},
		"Last-Event-Id":        {"7_1"},
		"Mcp-Method":           {"tools/call"},
		"Mcp-Name":             {"=?base64?w7xiZXI=?="},
		"Mcp-Param-Region":     {"EU  West, 1"},
		"Mcp-Param-Long":       {strings.Repeat("x", 60<<10)},
		"Mcp-Param-Two":        {"a", "b"},
		"Mcp-Future":           {"Yes"},
	}
	var h strings.Builder
	for name, values := range want {
		for i, v := range values {
			if i%2 == 0 {
				name = strings.ToLower(name)
			}
			h.WriteString(name + ": " + v + "\r\n")
		}
	}
	b.raw(t, "POST /s1/mcp HTTP/1.1\r\nHost: x\r\n"+h.String()+"Content-Length: "+strconv.Itoa(len(listBody))+"\r\n\r\n"+listBody)
	got, body, _ := o.got()
	for name, v := range want {
		if !slices.Equal(got.Header[name], v) {
			t.Errorf("%s: got %.80q, want %.80q", name, got.Header[name], v)
		}
	}
	if string(body) != listBody {
		t.Errorf("body: got %q, want %q", body, listBody)
	}
}

func TestP04Host(t *testing.T) {
	o := newOrigin(t, nil)
	b := newBench(t, o.URL+"/mcp")
	b.raw(t, "POST /s1/mcp HTTP/1.1\r\nHost: evil.example\r\nX-Forwarded-Host: evil.example\r\nContent-Length: 0\r\n\r\n")
	if got, _, _ := o.got(); got.Host != strings.TrimPrefix(o.URL, "http://") {
		t.Errorf("got Host %q, want the upstream's own %q", got.Host, o.URL)
	}
}

func TestP07AnswerHeaders(t *testing.T) {
	bad := []string{
		"Set-Cookie", "WWW-Authenticate", "Proxy-Authenticate", "Authentication-Info", "Access-Control-Allow-Origin",
		"Access-Control-Allow-Credentials", "Strict-Transport-Security", "Alt-Svc", "Clear-Site-Data",
		"Content-Security-Policy-Report-Only", "Report-To", "NEL", "Reporting-Endpoints", "Public-Key-Pins", "Refresh",
		"Location", "Link", "Server", "X-Powered-By", "Service-Worker-Allowed", "SourceMap", "Mcp-Listed", "Ngrok-Error-Code",
	}
	for _, kind := range []string{"application/json", "text/event-stream"} {
		for _, status := range []int{200, 400, 401, 403, 500} {
			o := newOrigin(t, func(w http.ResponseWriter, _ *http.Request) {
				h := w.Header()
				// A 103 would carry headers past every rule, and so would
				// trailers.
				h.Set("Link", "</evil>; rel=preload")
				h.Set("Set-Cookie", "foreign=1")
				w.WriteHeader(http.StatusEarlyHints)
				for _, name := range bad {
					h.Set(name, "foreign")
				}
				h.Set("Connection", "Mcp-Listed")
				h.Set("Content-Security-Policy", "foreign")
				h.Set("Content-Type", kind)
				h.Set("Trailer", "X-Trailer")
				w.WriteHeader(status)
				io.WriteString(w, "data: x\n\n")
				h.Set("X-Trailer", "foreign")
				h.Set(http.TrailerPrefix+"Set-Cookie", "foreign")
			})
			b := newBench(t, o.URL+"/mcp")
			r := b.request(t, "POST", "", listBody)
			r = r.WithContext(httptrace.WithClientTrace(r.Context(), &httptrace.ClientTrace{
				Got1xxResponse: func(code int, h textproto.MIMEHeader) error {
					t.Errorf("%s %d: the client got %d with %v", kind, status, code, h)
					return nil
				}}))
			res, _ := b.do(t, r)
			if got := res.Header.Values("Access-Control-Allow-Origin"); len(got) != 1 || got[0] != "*" {
				t.Errorf("%s %d: got Access-Control-Allow-Origin %q, want the shim's own", kind, status, got)
			}
			for name, v := range res.Header {
				if strings.Contains(strings.Join(v, " "), "foreign") {
					t.Errorf("%s %d: the client got %s: %v", kind, status, name, v)
				}
			}
			if len(res.Trailer) != 0 {
				t.Errorf("%s %d: the client got the trailers %v", kind, status, res.Trailer)
			}
			if got := res.Header.Get("X-Content-Type-Options"); got != "nosniff" {
				t.Errorf("%s %d: got X-Content-Type-Options %q", kind, status, got)
			}
			if got := res.Header.Values("Content-Security-Policy"); len(got) != 1 || got[0] != "sandbox; default-src 'none'" {
				t.Errorf("%s %d: got Content-Security-Policy %q", kind, status, got)
			}
		}
	}
}

func TestP16ContentTypes(t *testing.T) {
	plain := "text/plain; charset=utf-8"
	tests := []struct{ kind, want string }{
		{"text/html", plain}, {"text/html; charset=utf-8", plain}, {"TEXT/HTML", plain}, {"image/svg+xml", plain},
		{"application/xhtml+xml", plain}, {"text/xml", plain}, {"application/javascript", plain}, {"garbage", plain},
		{"multipart/form-data", plain}, {"application/<script>+json", plain}, {"application/json, text/html", plain},
		{"application/json;x=,text/html", "application/json"}, {"text/plain; x=1, text/html", "text/plain"},
		{"application/json", "application/json"}, {"application/json; charset=utf-8", "application/json; charset=utf-8"},
		{"application/problem+json", "application/problem+json"}, {"text/plain", "text/plain"}, {"text/event-stream", "text/event-stream"},
		{"Application/JSON", "Application/JSON"},
	}
	o := newOrigin(t, nil)
	b := newBench(t, o.URL+"/mcp")
	const page = "<!doctype html><script>alert(1)</script>"
	for _, tt := range tests {
		o.set(answerWith(200, tt.kind, page))
		res, body := b.post(t, callBody)
		if got := res.Header.Values("Content-Type"); len(got) != 1 || got[0] != tt.want || body != page {
			t.Errorf("%s: got %q, want %q", tt.kind, got, tt.want)
		}
	}
	t.Run("P16 several types", func(t *testing.T) {
		o.set(answerWith(200, "application/json", page, "Content-Type", "text/html"))
		if res, _ := b.post(t, callBody); res.Header.Values("Content-Type")[0] != plain || len(res.Header.Values("Content-Type")) != 1 {
			t.Errorf("got %q, want text/plain alone", res.Header.Values("Content-Type"))
		}
	})
	t.Run("P16 no type", func(t *testing.T) {
		o.set(func(w http.ResponseWriter, r *http.Request) {
			w.Header()["Content-Type"] = nil
			w.WriteHeader(200)
			http.NewResponseController(w).Flush() // length unknown
			io.WriteString(w, page)
		})
		if res, _ := b.post(t, callBody); res.Header["Content-Type"] != nil {
			t.Errorf("got %q, want no type rather than a guessed one", res.Header["Content-Type"])
		}
	})
}

func TestCacheControl(t *testing.T) {
	tests := []struct{ kind, sent, want string }{
		{"application/json", "", "no-store"}, {"application/json", "public, max-age=60", "no-store"},
		{"application/json", "private, max-age=60", "private, max-age=60"}, {"application/json", "No-Store", "No-Store"},
		{"text/event-stream", "no-cache", "no-store, no-transform"},
	}
	o := newOrigin(t, nil)
	b := newBench(t, o.URL+"/mcp")
	for _, tt := range tests {
		header := []string{}
		if tt.sent != "" {
			header = []string{"Cache-Control", tt.sent}
		}
		o.set(answerWith(200, tt.kind, "{}", header...))
		res, _ := b.post(t, callBody)
		if got := res.Header.Get("Cache-Control"); got != tt.want {
			t.Errorf("%s %q: got %q, want %q", tt.kind, tt.sent, got, tt.want)
		}
		if got, want := res.Header.Get("X-Accel-Buffering") == "no", tt.kind == "text/event-stream"; got != want {
			t.Errorf("%s: X-Accel-Buffering: no is %v, want %v", tt.kind, got, want)
		}
	}
}

// Of an upstream's headers only those on the list pass, since a proxy in front
// of us may act on any other.
func TestP07OnlyListedAnswerHeaders(t *testing.T) {
	pass := []string{
		"Mcp-Session-Id", "MCP-Protocol-Version", "mcp-future", "Content-Language", "Retry-After", "RateLimit", "RateLimit-Policy",
		"RateLimit-Remaining", "X-RateLimit-Limit", "x-ratelimit-reset-requests", "Allow", "X-Request-Id", "Request-Id",
		"Openai-Request-Id", "traceparent", "tracestate",
	}
	drop := []string{
		"X-Accel-Redirect", "X-Accel-Buffering", "X-Accel-Expires", "X-Accel-Charset", "X-Accel-Limit-Rate", "X-Sendfile", "X-Lighttpd-Send-File",
		"X-Reproxy-URL", "CDN-Cache-Control", "Surrogate-Control", "Surrogate-Key", "Cloudflare-CDN-Cache-Control", "Edge-Control",
		"Cache-Tag", "Set-Login", "Accept-CH", "Critical-CH", "Content-Location", "Content-Disposition", "ETag", "Last-Modified", "Expires", "Age", "Vary",
		"Pragma", "Warning", "Speculation-Rules", "Origin-Agent-Cluster", "Cross-Origin-Opener-Policy", "Document-Policy", "Permissions-Policy",
		"X-Frame-Options", "X-Forwarded-Host", "Timing-Allow-Origin", "Status", "Xrequest-Id-X", "X-Mcp-Session-Id", "X-RateLimit", "Keep-Alive", "No-Such-Header",
	}
	o := newOrigin(t, func(w http.ResponseWriter, _ *http.Request) {
		for _, name := range slices.Concat(pass, drop) {
			w.Header()[name] = []string{"foreign"}
		}
		w.Header().Set("Content-Type", "application/json")
		io.WriteString(w, "{}")
	})
	b := newBench(t, o.URL+"/mcp")
	var log bytes.Buffer
	b.proxy.Log = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	res, _ := b.post(t, listBody)
	for _, name := range pass {
		if res.Header.Get(name) != "foreign" {
			t.Errorf("%s was dropped", name)
		}
	}
	for _, name := range drop {
		if slices.Contains(res.Header.Values(name), "foreign") {
			t.Errorf("the client got %s", name)
		}
	}
	b.last(t, 1)
	if want := fmt.Sprintf("headers=%d", len(drop)+1); !strings.Contains(log.String(), want) { // and Date
		t.Errorf("the log does not say %q: %s", want, &log)
	}
}
