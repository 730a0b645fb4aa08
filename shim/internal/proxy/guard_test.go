package proxy

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/key2oauth/key2oauth/shim/internal/endpoint"
	"github.com/key2oauth/key2oauth/shim/internal/safedial"
	"github.com/key2oauth/key2oauth/shim/internal/upstream"
)

// leakyKey is one that encoders change.
const leakyKey = `sk-"live"/4f9a+1c77&e0b2=d8?~`

// leaks are the forms in which an upstream repeats the key.
func leaks() map[string]string {
	b64 := base64.StdEncoding.EncodeToString
	quoted := func(s string) string {
		b, _ := json.Marshal(s) // a string is always JSON
		return strings.Trim(string(b), `"`)
	}
	escaped := func(format string, every int) string {
		var b strings.Builder
		for i := range len(leakyKey) {
			if i%every == 0 {
				fmt.Fprintf(&b, format, leakyKey[i])
			} else {
				b.WriteString(strings.ReplaceAll(leakyKey[i:i+1], `"`, `\"`))
			}
		}
		return b.String()
	}
	return map[string]string{
		"as it is":         leakyKey,
		"all escaped":      escaped(`\u%04x`, 1),
		"some escaped":     escaped(`\u%04X`, 3),
		"all percent":      escaped("%%%02x", 1),
		"with its prefix":  "Bearer " + leakyKey,
		"JSON":             quoted(leakyKey),
		"JSON twice":       quoted(quoted(leakyKey)),
		"percent":          url.QueryEscape(leakyKey),
		"lower-case":       strings.NewReplacer("%2F", "%2f", "%2B", "%2b", "%3D", "%3d", "%3F", "%3f").Replace(url.QueryEscape(leakyKey)),
		"base64":           b64([]byte(leakyKey)),
		"base64 for URLs":  base64.RawURLEncoding.EncodeToString([]byte(leakyKey)),
		"user:password":    b64([]byte("me:" + leakyKey)),
		"another user":     b64([]byte("you:" + leakyKey)),
		"password of none": b64([]byte(":" + leakyKey)),
		"user alone":       b64([]byte(leakyKey + ":")),
	}
}

// shows returns what of the key a text still shows.
func shows(text string) string {
	for name, leak := range leaks() {
		// Of base64 the ends may stay that also hold bits of the neighbors.
		if strings.Contains(text, leak[2:len(leak)-4]) {
			return name
		}
	}
	return ""
}

// A leaky upstream repeats a text in one place of its answer.
var leaky = map[string]func(w http.ResponseWriter, r *http.Request, leak string){
	"JSON": func(w http.ResponseWriter, _ *http.Request, leak string) {
		w.Header().Set("Content-Type", "application/json")
		io.WriteString(w, `{"jsonrpc":"2.0","id":7,"result":"`+leak+`"}`)
	},
	"JSON in parts": func(w http.ResponseWriter, _ *http.Request, leak string) {
		w.Header().Set("Content-Type", "application/json")
		for _, c := range `{"a":"` + leak + `"}` {
			flush(w, string(c))
		}
	},
	"long JSON": func(w http.ResponseWriter, _ *http.Request, leak string) {
		w.Header().Set("Content-Type", "application/json")
		io.WriteString(w, strings.Repeat(strings.Repeat("x", 1000)+leak, 100))
	},
	"gzip": func(w http.ResponseWriter, _ *http.Request, leak string) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Encoding", "gzip")
		z := gzip.NewWriter(w)
		io.WriteString(z, `{"a":"`+leak+`"}`)
		z.Close()
	},
	"no type": func(w http.ResponseWriter, _ *http.Request, leak string) {
		w.Header()["Content-Type"] = nil
		io.WriteString(w, leak)
	},
	"event": func(w http.ResponseWriter, _ *http.Request, leak string) {
		w.Header().Set("Content-Type", "text/event-stream")
		flush(w, "data: "+leak+"\n\nid: "+leak+"\n\n: "+leak+"\n\nevent: "+leak+"\ndata: x\n\n")
	},
	"event in parts": func(w http.ResponseWriter, _ *http.Request, leak string) {
		w.Header().Set("Content-Type", "text/event-stream")
		for _, c := range "data: x" + leak + "\r\n\r\ndata: " + leak + "\r\r" {
			flush(w, string(c))
		}
	},
	"unfinished event": func(w http.ResponseWriter, _ *http.Request, leak string) {
		w.Header().Set("Content-Type", "text/event-stream")
		flush(w, "data: {}\n\ndata: "+leak)
	},
	"event stream of another status": func(w http.ResponseWriter, _ *http.Request, leak string) {
		w.Header().Set("Content-Type", "text/event-stream")
		w.WriteHeader(202)
		flush(w, "data: "+leak+"\n\n")
	},
	"header": func(w http.ResponseWriter, _ *http.Request, leak string) {
		w.Header().Set("X-Request-Id", leak)
		w.Header().Set("Mcp-Session-Id", leak)
		w.Header().Add("Content-Type", "application/json; charset="+leak)
		w.Header()["X-Ratelimit-Key-"+base64.RawURLEncoding.EncodeToString([]byte("x"))] = []string{leak, "1", leak}
		io.WriteString(w, "{}")
	},
	"trailer": func(w http.ResponseWriter, _ *http.Request, leak string) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Trailer", "X-Request-Id")
		flush(w, "{}")
		w.Header().Set("X-Request-Id", leak)
		w.Header().Set(http.TrailerPrefix+"Mcp-Late", leak)
	},
	"early hints": func(w http.ResponseWriter, _ *http.Request, leak string) {
		w.Header().Set("Link", "</"+leak+">")
		w.WriteHeader(http.StatusEarlyHints)
		w.Header().Set("Content-Type", "application/json")
		io.WriteString(w, "{}")
	},
	"part": func(w http.ResponseWriter, _ *http.Request, leak string) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Range", "bytes 10-100/1000")
		w.WriteHeader(http.StatusPartialContent)
		io.WriteString(w, "x"+leak)
	},
	"no content": func(w http.ResponseWriter, _ *http.Request, leak string) {
		w.Header().Set("X-Request-Id", leak)
		w.WriteHeader(http.StatusNoContent)
	},
	"not modified": func(w http.ResponseWriter, _ *http.Request, leak string) {
		w.Header().Set("X-Request-Id", leak)
		w.WriteHeader(http.StatusNotModified)
	},
	"redirect": func(w http.ResponseWriter, _ *http.Request, leak string) {
		w.Header().Set("Location", "https://elsewhere.example/"+url.PathEscape(leak))
		w.WriteHeader(http.StatusPermanentRedirect)
	},
}

// TestGuard has an upstream that repeats the key, in each place and form, over
// each way to it. What the client's connection carries holds it nowhere.
func TestGuard(t *testing.T) {
	for way, secure := range map[string]bool{"http": false, "https": true} {
		for place, answer := range leaky {
			t.Run(way+"/"+place, func(t *testing.T) {
				var leak string
				o := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					io.Copy(io.Discard, r.Body)
					answer(w, r, leak)
				}))
				b := startLeaky(t, o, secure)
				n := 0
				for name, text := range leaks() {
					leak = text
					for _, request := range []string{
						"POST %s HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}",
						"POST %s HTTP/1.1\r\nContent-Length: 60000\r\n\r\n" + strings.Repeat("{", 60000),
						"GET %s HTTP/1.1\r\n\r\n",
						"GET %s HTTP/1.1\r\nMcp-Session-Id: s\r\n\r\n",
						"HEAD %s HTTP/1.1\r\n\r\n",
					} {
						raw, body := b.exchange(t, request)
						if got := shows(raw + "\n" + body); got != "" {
							t.Errorf("%s, %.9s: the client gets the key %s: %.300q", name, request, got, raw)
						}
						n++
						out := b.last(t, n)
						repeated := strings.Contains(raw+body, "****")
						if strings.HasPrefix(request, "HEAD") {
							continue // the body of an error counts, and is not sent
						}
						if repeated != (out.Struck > 0) || out.Struck > 400 {
							t.Errorf("%s, %.9s: struck %d, and the client gets %.300q", name, request, out.Struck, raw)
						}
						if place == "JSON" && !repeated {
							t.Errorf("%s, %.9s: nothing was struck: %.300q", name, request, raw)
						}
					}
				}
			})
		}
	}
}

// TestGuardErrors: errors repeat keys more than anything else does.
func TestGuardErrors(t *testing.T) {
	for _, status := range []int{400, 401, 403, 404, 406, 418, 429, 500, 502, 503, 504} {
		for _, kind := range []string{"application/json", "text/html", "text/event-stream", ""} {
			o := httptest.NewUnstartedServer(answerWith(status, kind, `{"error":"invalid key `+leakyKey+`"}`, "X-Request-Id", leakyKey))
			b := startLeaky(t, o, false)
			raw, body := b.exchange(t, "POST %s HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}")
			if got := shows(raw + "\n" + body); got != "" || status != 401 && !strings.Contains(body, "invalid key *****") {
				t.Errorf("%d, %q: the client gets the key %s: %q", status, kind, got, raw)
			}
		}
	}
}

// TestGuardReason: the words in a status line are the upstream's own, and do not
// pass.
func TestGuardReason(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			http.ReadRequest(bufio.NewReader(c))
			fmt.Fprintf(c, "HTTP/1.1 400 no %s\r\nContent-Length: 0\r\nX-%[1]s: 1\r\nConnection: close\r\n\r\n", testKey)
			c.Close()
		}
	}()
	b := newBench(t, "http://"+l.Addr().String()+"/mcp")
	if raw, _ := b.exchange(t, "GET %s HTTP/1.1\r\n\r\n"); strings.Contains(strings.ToLower(raw), testKey) {
		t.Errorf("the client gets %q", raw)
	}
}

// TestGuardLegacy: the address in an endpoint event is rewritten first and
// guarded then, and its upstream's stream is guarded like others.
func TestGuardLegacy(t *testing.T) {
	o, more := legacyOrigin(t, "/messages?api_key="+testKey)
	b := newBench(t, o.URL+"/sse?region=here&session_token="+url.QueryEscape("t/oken-in-the-query"))
	s := b.stream(t)
	if !strings.HasPrefix(s.message, "/s1/mcp?"+messageParam+"=") {
		t.Errorf("the client is sent to %q", s.message)
	}
	more <- "data: " + testKey[:9]
	more <- testKey[9:] + " t/oken-in-the-query t%2Foken-in-the-query\n\n"
	s.expect("data: " + strings.Repeat("*", len(testKey)) + " " + strings.Repeat("*", 19) + " " + strings.Repeat("*", 21) + "\n\n")
	if res, _ := b.send(t, "POST", s.message, callBody); res.StatusCode != 202 {
		t.Errorf("a message is answered with %d", res.StatusCode)
	}
	if got, _, _ := o.got(); got.URL.Query().Get("api_key") != testKey {
		t.Errorf("it went to %q", got.URL)
	}
	// A second event of this kind is not rewritten.
	more <- "event: endpoint\ndata: /messages?api_key=" + testKey + "\n\n"
	s.expect("event: endpoint\ndata: /messages?api_key=" + strings.Repeat("*", len(testKey)) + "\n\n")
	close(more)

	// An event that is no endpoint event passes as it is, and so does a stream
	// that ends within its first one.
	for _, text := range []string{"data: " + testKey + "\n\n", "data: " + testKey, "event: endpoint\ndata: " + testKey} {
		o := newOrigin(t, answerWith(200, "text/event-stream", text))
		b := newBench(t, o.URL+"/sse")
		got, err := b.get(t).rest()
		if want := strings.ReplaceAll(text, testKey, strings.Repeat("*", len(testKey))); got != want || err != nil {
			t.Errorf("%q became %q, %v", text, got, err)
		}
	}
}

// TestGuardOwnWords: what we say may quote an upstream too, and its name may be
// what it called itself.
func TestGuardOwnWords(t *testing.T) {
	for name, answer := range map[string]http.HandlerFunc{
		"redirect": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", "https://"+testKey+".example/"+testKey+"/%"+fmt.Sprintf("%02x", testKey[0])+testKey[1:])
			w.WriteHeader(307)
		},
		"rejected": answerWith(401, "application/json", "{}"),
		"broken":   func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		"coding":   answerWith(200, "application/json", "x", "Content-Encoding", testKey),
	} {
		o := newOrigin(t, answer)
		b := newBench(t, o.URL+"/mcp")
		b.set(func(c *Call) { c.Name = "Server of " + testKey })
		raw, body := b.exchange(t, "POST %s HTTP/1.1\r\nContent-Length: "+fmt.Sprint(len(callBody))+"\r\n\r\n"+callBody)
		if strings.Contains(raw+b.log.String(), testKey) || !strings.Contains(body, "Server of "+strings.Repeat("*", len(testKey))) {
			t.Errorf("%s: got %q, and in the log %q", name, body, b.log)
		}
		if out := b.last(t, 1); out.Struck < 1 {
			t.Errorf("%s: struck %d", name, out.Struck)
		}
	}
}

// TestGuardUnwatched: nothing is struck or held for a key that is too short.
func TestGuardUnwatched(t *testing.T) {
	o := newOrigin(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		flush(w, "data: secret123456789")
		<-r.Context().Done()
	})
	b := newBench(t, o.URL+"/mcp")
	b.setKey("secret123456789")
	b.get(t, "Mcp-Session-Id", "s").expect("data: secret123456789")
}

// TestGuardLongKey has the longest key that there may be, so that more is held
// than fits into the buffer of a short answer.
func TestGuardLongKey(t *testing.T) {
	key := strings.Repeat("0123456789abcdef", endpoint.MaxKey/16)
	batch := "[" + strings.Repeat(`{"jsonrpc":"2.0","id":1,"method":"ping"},`, 100) + `{"jsonrpc":"2.0","id":2,"method":"ping"}]`
	for name, answer := range map[string]http.HandlerFunc{
		"rejected": answerWith(401, "application/json", "{}"),
		"short":    answerWith(200, "application/json", `{"a":"`+key[:3000]+`"}`, "Content-Length", "3008"),
		"key":      answerWith(200, "application/json", strings.Repeat("x", 50_000)+key+strings.Repeat("x", 50_000)+key),
		"event":    answerWith(200, "text/event-stream", "data: "+key[:5000]+"\n\ndata: "+key+"\n\n"),
	} {
		o := newOrigin(t, answer)
		b := newBench(t, o.URL+"/mcp")
		b.setKey(key)
		raw, body := b.exchange(t, fmt.Sprintf("POST %%s HTTP/1.1\r\nContent-Length: %d\r\n\r\n%s", len(batch), batch))
		if strings.Contains(body, key) {
			t.Errorf("%s: the client gets the key", name)
		}
		if want := map[string]int{"rejected": 101 * len(`{"jsonrpc":"2.0"`), "short": 3008, "key": 100_000 + 2*len(key), "event": 5000 + len(key) + 16}[name]; len(body) < want {
			t.Errorf("%s: the client gets %d bytes, want %d: %.200q", name, len(body), want, raw)
		}
	}
}

// startLeaky puts a proxy in front of an upstream that has leakyKey.
func startLeaky(t *testing.T, o *httptest.Server, secure bool) *bench {
	o.EnableHTTP2 = true
	client := upstream.New(&safedial.Guard{})
	if secure {
		o.StartTLS()
		client.TrustRoots(o.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs)
	} else {
		o.Start()
	}
	t.Cleanup(o.Close)
	b := newBench(t, o.URL+"/mcp")
	b.proxy.Client = client
	b.set(func(c *Call) {
		c.Upstream = (&upstream.Target{URL: c.Upstream.URL, Header: endpoint.DefaultHeader, Key: endpoint.NewSecret(leakyKey)}).Ready()
	})
	t.Cleanup(client.CloseIdleConnections)
	return b
}

// exchange sends a request on a connection of its own. It returns all bytes that
// come back, and the body in one piece.
func (b *bench) exchange(t *testing.T, request string) (raw, body string) {
	t.Helper()
	conn, err := net.Dial("tcp", b.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(time.Minute))
	request = strings.Replace(request, "%s", "/s1/mcp", 1)
	request = strings.Replace(request, "HTTP/1.1\r\n", "HTTP/1.1\r\nHost: h\r\nConnection: close\r\n", 1)
	go io.WriteString(conn, request)
	all, err := io.ReadAll(conn)
	if err != nil {
		t.Fatalf("after %q: %v", all, err)
	}
	method, _, _ := strings.Cut(request, " ")
	res, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(all)), &http.Request{Method: method})
	if err != nil {
		t.Fatalf("%v in %q", err, all)
	}
	whole, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatalf("%v in %q", err, all)
	}
	return string(all), string(whole)
}

// TestGuessesLookAlike: an app that has an honest server echo guesses learns
// nothing from the sizes of what arrives and when, whether a guess begins like
// the key or not.
func TestGuessesLookAlike(t *testing.T) {
	for _, tt := range []struct {
		kind string
		long bool // longer than the proxy's buffer, and of known length
	}{{"application/json", false}, {"text/event-stream", false}, {"application/json", true}} {
		kind := tt.kind
		for _, length := range []int{1, 8, len(testKey) - 1} {
			right := arrivals(t, kind, testKey[:length], tt.long)
			wrong := arrivals(t, kind, strings.Repeat("Z", length), tt.long)
			if !slices.Equal(right, wrong) {
				t.Errorf("%s: a right guess of %d bytes arrives in %v, a wrong one in %v", kind, length, right, wrong)
			}
			if len(right) < 3 {
				t.Errorf("%s: all arrives at once, in %v", kind, right)
			}
		}
	}
}

// An arrival is a piece of an answer.
type arrival struct {
	size int
	at   time.Duration
}

// arrivals has an upstream echo a guess, cut in every place, and returns what a
// client sees of that.
func arrivals(t *testing.T, kind, guess string, long bool) (all []arrival) {
	texts := []string{"unknown key " + guess, guess + "\n\n", "data: " + guess + "\n\ndata: again " + guess + "\n", "\n", `{"error":"` + guess + `"}` + strings.Repeat("x", 200)}
	var over func() // the upstream's handler
	answer := func(w http.ResponseWriter, r *http.Request) {
		defer over()
		w.Header().Set("Content-Type", kind)
		if long {
			size := 2 * largeBuffer
			for _, text := range texts {
				size += len(text) * len(text)
			}
			w.Header().Set("Content-Length", strconv.Itoa(size))
			flush(w, strings.Repeat("x", 2*largeBuffer))
		}
		for _, text := range texts {
			for cut := range len(text) {
				for _, part := range []string{text[:cut], text[cut:]} {
					flush(w, part)
					time.Sleep(10 * time.Millisecond)
				}
			}
		}
	}
	call := func(c *Call) { c.Upstream.Key = endpoint.NewSecret(testKey) }
	pipeBench(t, answer, call, func(t *testing.T, client *http.Client, _ func() Outcome) {
		conn, err := client.Transport.(*http.Transport).DialContext(context.Background(), "", "")
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		answered := make(chan struct{})
		over = sync.OnceFunc(func() { close(answered) })
		begin := time.Now()
		go io.WriteString(conn, "GET /s1/mcp HTTP/1.1\r\nHost: h\r\nMcp-Session-Id: s\r\nConnection: close\r\n\r\n")
		buf := make([]byte, 64<<10)
		for {
			n, err := conn.Read(buf)
			all = append(all, arrival{n, time.Since(begin)})
			if err != nil {
				<-answered
				return
			}
		}
	})
	return all
}
