package proxy

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/andybalholm/brotli"

	"github.com/key2oauth/key2oauth/shim/internal/coding"
	"github.com/key2oauth/key2oauth/shim/internal/sse"
	"github.com/key2oauth/key2oauth/shim/internal/upstream"
)

// noCoding are the fields by which servers say that an answer is not compressed.
var noCoding = map[string][]string{
	"no field":            nil,
	"empty":               {""},
	"identity":            {"identity"},
	"another case":        {"Identity"},
	"none":                {"none"},
	"identity twice":      {"identity, identity"},
	"two fields":          {"identity", "identity"},
	"identity and a none": {"identity", "none"},
}

// TestNoCoding: an answer whose field says that it has no coding is treated like
// one without the field, over both transports.
func TestNoCoding(t *testing.T) {
	for name, fields := range noCoding {
		t.Run(name, func(t *testing.T) {
			open := func(first string) http.HandlerFunc {
				return func(w http.ResponseWriter, r *http.Request) {
					if fields != nil {
						w.Header()["Content-Encoding"] = fields
					}
					w.Header().Set("Content-Type", "text/event-stream")
					flush(w, first)
					<-r.Context().Done()
				}
			}
			legacy := newBench(t, newOrigin(t, open("event: endpoint\ndata: /messages\n\n")).URL+"/sse")
			legacy.proxy.KeepAlive = 50 * time.Millisecond
			s := legacy.stream(t)
			if !strings.HasPrefix(s.message, "/s1/mcp?"+messageParam+"=") {
				t.Errorf("the endpoint event leads to %q", s.message)
			}
			s.expect(sse.Comment)

			streamable := newBench(t, newOrigin(t, open("data: {}\n\n")).URL+"/mcp")
			streamable.proxy.KeepAlive = 50 * time.Millisecond
			s = streamable.get(t, "Mcp-Session-Id", "1")
			s.expect("data: {}\n\n" + sse.Comment)

			for _, s := range []*legacyStream{s, legacy.get(t)} {
				if got, ok := s.res.Header["Content-Encoding"]; ok {
					t.Errorf("the client gets the field %q", got)
				}
			}
		})
	}
}

// TestLegacyCompressed: the first event of a compressed stream is rewritten too.
func TestLegacyCompressed(t *testing.T) {
	type packer interface {
		io.Writer
		Flush() error
	}
	for coding, pack := range map[string]func(io.Writer) packer{
		"gzip": func(w io.Writer) packer { return gzip.NewWriter(w) },
		"br":   func(w io.Writer) packer { return brotli.NewWriter(w) },
	} {
		o := newOrigin(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Encoding", coding)
			w.Header().Set("Content-Type", "text/event-stream")
			z := pack(w)
			io.WriteString(z, "event: endpoint\ndata: /messages\n\n")
			z.Flush()
			flush(w, "")
			<-r.Context().Done()
		})
		b := newBench(t, o.URL+"/sse")
		b.proxy.KeepAlive = 50 * time.Millisecond
		s := b.stream(t)
		if !strings.HasPrefix(s.message, "/s1/mcp?"+messageParam+"=") {
			t.Errorf("%s: the endpoint event leads to %q", coding, s.message)
		}
		s.expect(sse.Comment)
	}
}

// TestUnknownCoding: what cannot be read cannot be guarded, so it does not pass,
// of any type and status.
func TestUnknownCoding(t *testing.T) {
	words := upstream.Explain(&coding.Error{Coding: "zstd"})
	if words == upstream.Explain(errors.New("anything else")) {
		t.Error("the words do not say what is wrong")
	}
	for _, kind := range []string{"application/json", "text/event-stream"} {
		for _, status := range []int{200, 400, 403, 500} {
			o := newOrigin(t, answerWith(status, kind, "opaque", "Content-Encoding", "zstd"))
			b := newBench(t, o.URL+"/mcp")
			res, body := b.post(t, callBody)
			if res.StatusCode != http.StatusBadGateway || !strings.Contains(body, words) || strings.Contains(body, "opaque") {
				t.Errorf("%s with %d: got %d %q, want 502 and %q", kind, status, res.StatusCode, body, words)
			}
			if out := b.last(t, 1); out.Status != http.StatusBadGateway || out.Method != "tools/call" {
				t.Errorf("%s with %d: got outcome %+v", kind, status, out)
			}
		}
	}
	// The key is judged all the same.
	o := newOrigin(t, answerWith(401, "application/json", "opaque", "Content-Encoding", "zstd"))
	b := newBench(t, o.URL+"/mcp")
	if res, body := b.post(t, callBody); res.StatusCode != 200 || !strings.Contains(body, TextRejected) {
		t.Errorf("a 401: got %d %q", res.StatusCode, body)
	}
}

// TestNoParts: clients cannot ask for a part of an answer, or for another
// coding or character set.
func TestNoParts(t *testing.T) {
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	io.WriteString(z, "hello")
	z.Close()
	o := newOrigin(t, answerWith(200, "application/json", packed.String(), "Content-Encoding", "gzip"))
	b := newBench(t, o.URL+"/mcp")
	for _, spelling := range []func(string) string{strings.ToLower, strings.ToUpper, func(s string) string { return strings.ReplaceAll(s, "-", "_") }} {
		_, body := b.post(t, callBody, spelling("Range"), "bytes=0-1", spelling("If-Range"), "x", spelling("Accept-Charset"), "utf-16",
			spelling("Accept-Encoding"), "zstd, br;q=0.9")
		got, _, _ := o.got()
		for name, values := range got.Header {
			switch strings.ToLower(strings.ReplaceAll(name, "_", "-")) {
			case "range", "if-range", "accept-charset":
				t.Errorf("the upstream got %s: %q", name, values)
			case "accept-encoding":
				if len(values) != 1 || values[0] != "identity" {
					t.Errorf("the upstream got %s: %q", name, values)
				}
			}
		}
		if body != "hello" {
			t.Errorf("got %q", body)
		}
	}
}
