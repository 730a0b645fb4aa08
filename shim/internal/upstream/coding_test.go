package upstream

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"runtime"
	"strings"
	"testing"

	"github.com/andybalholm/brotli"
	"github.com/key2oauth/key2oauth/shim/internal/coding"
)

// A packer is a writer that compresses.
type packer interface {
	io.WriteCloser
	Flush() error
}

var packers = map[string]func(io.Writer) packer{
	"gzip": func(w io.Writer) packer { return gzip.NewWriter(w) },
	"zlib": func(w io.Writer) packer { return zlib.NewWriter(w) },
	"br":   func(w io.Writer) packer { return brotli.NewWriter(w) },
	"flate": func(w io.Writer) packer {
		z, _ := flate.NewWriter(w, flate.DefaultCompression) // the level is a right one
		return z
	},
}

func pack(kinds, text string) string {
	for kind := range strings.FieldsSeq(kinds) {
		var b bytes.Buffer
		z := packers[kind](&b)
		io.WriteString(z, text)
		z.Close()
		text = b.String()
	}
	return text
}

// ask sends a request over plain http or https to a server with this answer.
func ask(t *testing.T, method string, secure bool, answer http.HandlerFunc) *http.Response {
	t.Helper()
	srv := httptest.NewUnstartedServer(answer)
	c := newClient(t)
	if secure {
		srv.EnableHTTP2 = true
		srv.StartTLS()
		c.TrustRoots(srv.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs)
	} else {
		srv.Start()
	}
	t.Cleanup(srv.Close)
	u, err := url.Parse(srv.URL)
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(WithTarget(t.Context(), &Target{URL: u}), method, srv.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := c.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { resp.Body.Close() })
	return resp
}

const packedText = `{"jsonrpc":"2.0","id":1,"result":{"text":"hello, hello, hello"}}`

func TestCodings(t *testing.T) {
	tests := []struct {
		name   string
		fields []string
		packed string // how the body is compressed
		bad    string // the coding that cannot be undone
	}{
		{"none", nil, "", ""},
		{"empty", []string{""}, "", ""},
		{"identity", []string{"identity"}, "", ""},
		{"identity in another case", []string{"Identity"}, "", ""},
		{"the word none", []string{"none"}, "", ""},
		{"identity twice", []string{"identity, identity"}, "", ""},
		{"identity in two fields", []string{"identity", "none"}, "", ""},
		{"gzip", []string{"gzip"}, "gzip", ""},
		{"gzip in another case", []string{" GZip "}, "gzip", ""},
		{"its old name", []string{"x-gzip"}, "gzip", ""},
		{"deflate", []string{"deflate"}, "zlib", ""},
		{"deflate without its head", []string{"deflate"}, "flate", ""},
		{"br", []string{"br"}, "br", ""},
		{"gzip and identity", []string{"gzip, identity"}, "gzip", ""},
		{"two codings", []string{"gzip, br"}, "gzip br", ""},
		{"two codings in two fields", []string{"br", "deflate"}, "br zlib", ""},
		{"gzip twice", []string{"gzip, gzip"}, "gzip gzip", ""},
		{"zstd", []string{"zstd"}, "", "zstd"},
		{"compress", []string{"compress"}, "", "compress"},
		{"zstd and gzip", []string{"zstd, gzip"}, "gzip", "zstd"},
		{"gzip and zstd", []string{"gzip", "zstd"}, "gzip", "zstd"},
		{"four times", []string{"gzip, gzip, gzip, gzip"}, "gzip gzip gzip gzip", "gzip"},
	}
	for _, tt := range tests {
		for _, secure := range []bool{false, true} {
			t.Run(tt.name, func(t *testing.T) {
				resp := ask(t, "GET", secure, func(w http.ResponseWriter, r *http.Request) {
					if got := r.Header["Accept-Encoding"]; len(got) != 1 || got[0] != "identity" {
						t.Errorf("asked for the coding %q, want identity", got)
					}
					if tt.fields != nil {
						w.Header()["Content-Encoding"] = tt.fields
					}
					io.WriteString(w, pack(tt.packed, packedText))
				})
				if got, ok := resp.Header["Content-Encoding"]; ok {
					t.Errorf("the field %q is left", got)
				}
				b, err := io.ReadAll(resp.Body)
				if tt.bad != "" {
					e, ok := errors.AsType[*coding.Error](err)
					if !ok || e.Coding != tt.bad || coding.Undecoded(resp) == nil || len(b) != 0 {
						t.Errorf("got %q, %v, want no byte and an error about %s", b, err, tt.bad)
					}
					return
				}
				if string(b) != packedText || err != nil || coding.Undecoded(resp) != nil {
					t.Errorf("got %q, %v", b, err)
				}
				if length := resp.Header.Get("Content-Length"); tt.packed != "" && (length != "" || resp.ContentLength != -1) {
					t.Errorf("the length %q is left", length)
				}
			})
		}
	}
}

// TestCodingsWithoutBody: there is nothing to undo, and nothing to refuse.
func TestCodingsWithoutBody(t *testing.T) {
	for _, name := range []string{"gzip", "br", "zstd"} {
		for method, status := range map[string]int{"HEAD": 200, "GET": 204, "DELETE": 304} {
			resp := ask(t, method, false, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Encoding", name)
				w.WriteHeader(status)
			})
			b, err := io.ReadAll(resp.Body)
			if len(b) > 0 || err != nil || coding.Undecoded(resp) != nil || resp.Header.Get("Content-Encoding") != "" {
				t.Errorf("%s with %s and %d: got %q, %v, header %v", method, name, status, b, err, resp.Header)
			}
		}
	}
}

// TestCodingsStream: an event arrives while the stream goes on.
func TestCodingsStream(t *testing.T) {
	for name, kind := range map[string]string{"gzip": "gzip", "deflate": "zlib", "Deflate": "flate", "br": "br"} {
		t.Run(kind, func(t *testing.T) {
			release := make(chan struct{})
			resp := ask(t, "GET", false, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Encoding", name)
				http.NewResponseController(w).Flush() // the header alone comes first
				z := packers[kind](w)
				for range 2 {
					io.WriteString(z, "data: 1\n\n")
					z.Flush()
					http.NewResponseController(w).Flush()
					<-release
				}
			})
			b := make([]byte, 100)
			for range 2 {
				if n, err := io.ReadAtLeast(resp.Body, b, 9); string(b[:n]) != "data: 1\n\n" || err != nil {
					t.Errorf("got %q, %v before the stream ended, want the event", b[:n], err)
				}
				release <- struct{}{}
			}
		})
	}
}

// TestCodingsBroken: a body that is not what its field says, or ends early, is
// an error and not an answer.
func TestCodingsBroken(t *testing.T) {
	for applied, kind := range map[string]string{"gzip": "gzip", "deflate": "zlib", "Deflate": "flate", "br": "br"} {
		whole := pack(kind, packedText)
		for name, body := range map[string]string{"plain": packedText, "first byte": whole[:1], "first half": whole[:len(whole)/2]} {
			resp := ask(t, "GET", false, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Encoding", applied)
				io.WriteString(w, body)
			})
			if b, err := io.ReadAll(resp.Body); err == nil {
				t.Errorf("%s, %s: got %q, want an error", kind, name, b)
			}
		}
	}
}

// TestCodingsBomb: some kB become 32 MB, of which little is ever in memory.
func TestCodingsBomb(t *testing.T) {
	const size = 32 << 20
	for name, kind := range map[string]string{"gzip": "gzip", "br": "br", "gzip, gzip": "gzip gzip"} {
		t.Run(kind, func(t *testing.T) {
			var packed bytes.Buffer
			z := packers[strings.Fields(kind)[0]](&packed)
			io.CopyN(z, zeros{}, size)
			z.Close()
			body := packed.String()
			for more := range strings.FieldsSeq(strings.TrimPrefix(kind, strings.Fields(kind)[0])) {
				body = pack(more, body)
			}
			resp := ask(t, "GET", false, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Encoding", name)
				io.WriteString(w, body)
			})
			runtime.GC()
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			n, err := io.Copy(io.Discard, resp.Body)
			runtime.ReadMemStats(&after)
			if n != size || err != nil {
				t.Errorf("read %d bytes, %v, want %d", n, err, size)
			}
			if got := after.TotalAlloc - before.TotalAlloc; got > size/2 {
				t.Errorf("%d kB of %d MB took %d MB of memory", len(body)>>10, size>>20, got>>20)
			}
		})
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// FuzzCodings: any bytes in any codings are an answer or an error, within
// bounded memory, and what was compressed comes back as it was.
func FuzzCodings(f *testing.F) {
	for _, kind := range []string{"gzip", "zlib", "flate", "br"} {
		f.Add([]byte(pack(kind, packedText)), uint8(len(kind)), false)
		f.Add([]byte(packedText), uint8(len(kind)), true)
	}
	kinds, names := []string{"gzip", "zlib", "flate", "br"}, []string{"gzip", "deflate", "deflate", "br"}
	f.Fuzz(func(t *testing.T, body []byte, order uint8, packed bool) {
		var applied, said []string
		for n := order; n > 0 && len(said) < coding.Limit; n /= 4 {
			applied, said = append(applied, kinds[n%4]), append(said, names[n%4])
		}
		text := string(body)
		if packed {
			text = pack(strings.Join(applied, " "), text)
		}
		resp := &http.Response{Header: http.Header{"Content-Encoding": said}, Body: io.NopCloser(strings.NewReader(text)), ContentLength: -1}
		coding.Undo(resp)
		got, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
		if packed && (err != nil || string(got) != string(body)) {
			t.Errorf("%q in %q came back as %q, %v", body, applied, got, err)
		}
	})
}
