package proxy

import (
	"net/http"
	"testing"

	"github.com/key2oauth/key2oauth/shim/internal/endpoint"
)

func BenchmarkRequestHeader(b *testing.B) {
	b.ReportAllocs()
	in := http.Header{
		"Authorization": {"Bearer k2o_at_x"}, "Content-Type": {"application/json"}, "Accept": {"application/json, text/event-stream"},
		"User-Agent": {"Claude-User"}, "Mcp-Protocol-Version": {"2025-11-25"}, "Mcp-Session-Id": {"0123456789abcdef"},
		"X-Forwarded-For": {"192.0.2.1"}, "X-Forwarded-Proto": {"https"}, "Accept-Encoding": {"gzip"}, "Content-Length": {"300"},
	}
	for b.Loop() {
		cleanRequest(in, endpoint.DefaultHeader)
	}
}

func BenchmarkAnswerHeader(b *testing.B) {
	b.ReportAllocs()
	src := http.Header{
		"Content-Type": {"application/json"}, "Content-Length": {"300"}, "Date": {"Thu, 01 Jan 2026 00:00:00 GMT"},
		"Server": {"x"}, "Mcp-Session-Id": {"0123456789abcdef"}, "Set-Cookie": {"a=b"},
	}
	dst := make(http.Header, 16)
	for b.Loop() {
		clear(dst)
		copyAnswer(dst, src, 300)
	}
}
