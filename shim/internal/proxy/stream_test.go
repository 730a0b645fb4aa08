package proxy

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/key2oauth/key2oauth/e2e/testenv"
	"github.com/key2oauth/key2oauth/shim/internal/endpoint"
	"github.com/key2oauth/key2oauth/shim/internal/sse"
	"github.com/key2oauth/key2oauth/shim/internal/upstream"
)

func TestP13SilentCall(t *testing.T) {
	answer := func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		time.Sleep(310 * time.Second)
		answerWith(200, "application/json", `{"jsonrpc":"2.0","id":7,"result":{}}`)(w, r)
	}
	pipeBench(t, answer, nil, func(t *testing.T, client *http.Client, outcome func() Outcome) {
		start := time.Now()
		res := post(t, client, callBody)
		body, err := io.ReadAll(res.Body)
		res.Body.Close()
		if err != nil || res.StatusCode != 200 || string(body) != `{"jsonrpc":"2.0","id":7,"result":{}}` || time.Since(start) < 310*time.Second {
			t.Errorf("got %d %q, %v after %v", res.StatusCode, body, err, time.Since(start))
		}
		if o := outcome(); o.Duration != 310*time.Second || !o.Success {
			t.Errorf("got outcome %+v", o)
		}
	})
}

func TestP11Idle(t *testing.T) {
	tests := []struct {
		name   string
		answer func(w http.ResponseWriter)
		want   string
	}{
		{"P11 from the start", func(w http.ResponseWriter) {
			flush(w, "")
			time.Sleep(330 * time.Second)
			flush(w, "data: x\n\n")
		}, strings.Repeat(sse.Comment, 16) + "data: x\n\n"},
		{"P11 between events", func(w http.ResponseWriter) {
			flush(w, "data: x\r\n\r\n")
			time.Sleep(50 * time.Second)
			flush(w, "data: y\r\r")
			time.Sleep(25 * time.Second)
		}, "data: x\r\n\r\n" + strings.Repeat(sse.Comment, 2) + "data: y\r\r" + sse.Comment},
		{"P11 never inside an event", func(w http.ResponseWriter) {
			flush(w, "data: x\n")
			time.Sleep(330 * time.Second)
			flush(w, "data: y")
			time.Sleep(330 * time.Second)
			flush(w, "\n\n")
			time.Sleep(21 * time.Second)
		}, "data: x\ndata: y\n\n" + sse.Comment},
		{"P11 not in a busy stream", func(w http.ResponseWriter) {
			for range 30 {
				flush(w, "data: x\n\n")
				time.Sleep(19 * time.Second)
			}
		}, strings.Repeat("data: x\n\n", 30)},
		{"P11 before a byte order mark", func(w http.ResponseWriter) {
			flush(w, "")
			time.Sleep(21 * time.Second)
			flush(w, "\xEF")
			time.Sleep(21 * time.Second)
			flush(w, "\xBB\xBFdata: x\n\n")
		}, sse.Comment + "data: x\n\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			answer := func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
				tt.answer(w)
			}
			pipeBench(t, answer, nil, func(t *testing.T, client *http.Client, _ func() Outcome) {
				start := time.Now()
				res := post(t, client, callBody)
				if d := time.Since(start); d > 0 {
					t.Errorf("the headers took %v", d)
				}
				body, err := io.ReadAll(res.Body)
				res.Body.Close()
				if err != nil || string(body) != tt.want {
					t.Errorf("got %q, %v; want %q", body, err, tt.want)
				}
			})
		})
	}
}

// listen answers with a stream that is silent until the client disconnects, and
// reports when it noticed that.
func listen(left *atomic.Int64) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		flush(w, "data: acknowledged\n\n")
		<-r.Context().Done()
		left.Store(time.Now().UnixNano())
	}
}

func TestM07Listen(t *testing.T) {
	var left atomic.Int64
	done := make(chan struct{})
	call := func(c *Call) { c.Done = done }
	synctestDone := func(c *Call) {
		done = make(chan struct{}) // clock of the bubble
		call(c)
	}
	pipeBench(t, listen(&left), synctestDone, func(t *testing.T, client *http.Client, outcome func() Outcome) {
		res := post(t, client, `{"jsonrpc":"2.0","id":1,"method":"subscriptions/listen"}`)
		defer res.Body.Close()
		var cut time.Time
		go func() {
			time.Sleep(30*time.Minute + 7*time.Second)
			cut = time.Now()
			close(done)
		}()
		body, err := io.ReadAll(res.Body)
		if want := "data: acknowledged\n\n" + strings.Repeat(sse.Comment, 90); string(body) != want || !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("got %d bytes, %v; want %d and an abort", len(body), err, len(want))
		}
		if d := time.Since(cut); d > time.Second {
			t.Errorf("the client's side was cut after %v", d)
		}
		if o := outcome(); o.Duration < 30*time.Minute {
			t.Errorf("got outcome %+v", o)
		}
		if d := time.Unix(0, left.Load()).Sub(cut); left.Load() == 0 || d > time.Second {
			t.Errorf("the upstream's side was cut after %v", d)
		}
	})
}

func TestExpires(t *testing.T) {
	var left atomic.Int64
	var expires time.Time
	call := func(c *Call) {
		expires = time.Now().Add(45 * time.Minute)
		c.Expires = expires
	}
	for _, open := range []func(*testing.T, *http.Client) *http.Response{
		func(t *testing.T, client *http.Client) *http.Response {
			return post(t, client, `{"jsonrpc":"2.0","id":1,"method":"subscriptions/listen"}`)
		},
		func(t *testing.T, client *http.Client) *http.Response {
			res, err := client.Get("http://down.example/s1/mcp")
			if err != nil {
				t.Fatal(err)
			}
			return res
		},
	} {
		pipeBench(t, listen(&left), call, func(t *testing.T, client *http.Client, _ func() Outcome) {
			res := open(t, client)
			_, err := io.ReadAll(res.Body)
			res.Body.Close()
			if d := time.Since(expires); d < 0 || d > time.Second || err == nil {
				t.Errorf("cut %v after the token expired, %v", d, err)
			}
		})
	}
	// A call that waits for its answer may finish: it was authorized.
	events := func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		flush(w, "data: progress\n\n")
		time.Sleep(2 * time.Hour)
		flush(w, "data: answer\n\n")
	}
	pipeBench(t, events, call, func(t *testing.T, client *http.Client, _ func() Outcome) {
		res := post(t, client, callBody)
		body, err := io.ReadAll(res.Body)
		res.Body.Close()
		if err != nil || !strings.HasSuffix(string(body), "data: answer\n\n") {
			t.Errorf("a call that was answered by events got %q, %v", body, err)
		}
	})
	slow := func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		time.Sleep(2 * time.Minute)
		answerWith(200, "application/json", "{}")(w, r)
	}
	short := func(c *Call) { c.Expires = time.Now().Add(time.Minute) }
	pipeBench(t, slow, short, func(t *testing.T, client *http.Client, _ func() Outcome) {
		res := post(t, client, callBody)
		res.Body.Close()
		if res.StatusCode != 200 {
			t.Errorf("got %d for a call that began before the token expired", res.StatusCode)
		}
	})
}

func TestDoneCutsWaitingCalls(t *testing.T) {
	for _, after := range []time.Duration{0, 100 * time.Millisecond, time.Minute} {
		var done chan struct{}
		var left atomic.Int64
		hang := func(_ http.ResponseWriter, r *http.Request) {
			io.Copy(io.Discard, r.Body)
			<-r.Context().Done()
			left.Store(time.Now().UnixNano())
		}
		call := func(c *Call) {
			done = make(chan struct{})
			c.Done = done
			time.AfterFunc(after, func() { close(done) })
		}
		pipeBench(t, hang, call, func(t *testing.T, client *http.Client, outcome func() Outcome) {
			start := time.Now()
			res := post(t, client, callBody)
			body, _ := io.ReadAll(res.Body)
			res.Body.Close()
			if res.StatusCode != 503 || res.Header.Get("Retry-After") == "" || !strings.Contains(string(body), endpoint.TroubleCut.ToApp()) {
				t.Errorf("got %d %s", res.StatusCode, body)
			}
			if d := time.Since(start) - after; d > time.Second {
				t.Errorf("cut after %v", d)
			}
			if o := outcome(); o.Status != 503 || o.Success {
				t.Errorf("got outcome %+v", o)
			}
		})
	}
}

// The call's context can cut the call too, as a pause does.
func TestContextCutsWaitingCalls(t *testing.T) {
	o := newOrigin(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	b := newBench(t, o.URL+"/mcp")
	paused := errors.New("paused")
	for _, tt := range []struct {
		cause  error
		status int
	}{{nil, statusLeft}, {paused, 503}} {
		var out Outcome
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			ctx, cancel := context.WithCancelCause(r.Context())
			time.AfterFunc(50*time.Millisecond, func() { cancel(tt.cause) })
			c := b.call
			c.Report = func(o Outcome) { out = o }
			b.proxy.ServeHTTP(w, r.WithContext(ctx), &c)
		}))
		res, err := http.Post(srv.URL, "application/json", strings.NewReader(callBody))
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		srv.Close()
		if res.StatusCode != 503 || out.Status != tt.status {
			t.Errorf("cause %v: got %d, outcome %+v; want 503, outcome %d", tt.cause, res.StatusCode, out, tt.status)
		}
	}
}

func TestP11Unbuffered(t *testing.T) {
	next := make(chan string)
	o := newOrigin(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		flush(w, "")
		for {
			select {
			case s := <-next:
				flush(w, s)
			case <-r.Context().Done():
				return
			}
		}
	})
	b := newBench(t, o.URL+"/mcp")
	res, err := http.DefaultClient.Do(b.request(t, "POST", "", callBody)) // the headers come before any event
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	lines := bufio.NewReader(res.Body)
	for range 20 {
		start := time.Now()
		next <- "data: x\n\n"
		for range 2 {
			if _, err := lines.ReadString('\n'); err != nil {
				t.Fatal(err)
			}
		}
		if d := time.Since(start); d > time.Second { // 100 ms, times ten
			t.Errorf("an event took %v", d)
		}
	}
}

// An upstream may begin to answer while the request is still on its way.
func TestAnswerBeforeRequestEnds(t *testing.T) {
	var arrived atomic.Int64
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.NewResponseController(w).EnableFullDuplex()
		w.Header().Set("Content-Type", "text/event-stream")
		flush(w, ": early\n\n")
		var err error
		for p := make([]byte, 4<<10); err == nil; {
			var n int
			n, err = r.Body.Read(p)
			arrived.Add(int64(n))
		}
		fmt.Fprintf(w, "data: %d %v\n\n", arrived.Load(), err == io.EOF)
	}))
	defer srv.Close()
	b := newBench(t, srv.URL+"/mcp")
	pr, pw := io.Pipe()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	context.AfterFunc(ctx, func() { pr.CloseWithError(context.Cause(ctx)) })
	r, err := http.NewRequestWithContext(ctx, "POST", b.URL+"/s1/mcp", pr)
	if err != nil {
		t.Fatal(err)
	}
	go io.WriteString(pw, "{")
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	for i := range int64(10) {
		io.WriteString(pw, strings.Repeat(" ", 1<<10))
		waitFor(t, "this much of the request at the upstream", func() bool { return arrived.Load() == 1+(i+1)<<10 })
	}
	pw.Close()
	body, err := io.ReadAll(res.Body)
	if want := ": early\n\ndata: 10241 true\n\n"; string(body) != want || err != nil {
		t.Errorf("got %q, %v; want %q", body, err, want)
	}
}

// stuck answers with a stream that never pauses, and counts its bytes.
func stuck(w http.ResponseWriter, r *http.Request, written *atomic.Int64) {
	w.Header().Set("Content-Type", "text/event-stream")
	for r.Context().Err() == nil {
		n, err := io.WriteString(w, strings.Repeat("x", 1<<16))
		if err != nil {
			break
		}
		written.Add(int64(n))
	}
}

func TestP12ClientLeaves(t *testing.T) {
	var left, written atomic.Int64
	tests := []struct {
		name   string
		answer http.HandlerFunc
		status int
	}{
		{"P12 before the headers", func(_ http.ResponseWriter, r *http.Request) {
			<-r.Context().Done()
			left.Add(1)
		}, 499},
		{"P12 silent stream", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/event-stream")
			flush(w, "data: x\n\n")
			<-r.Context().Done()
			left.Add(1)
		}, 200},
		{"P12 stuck stream", func(w http.ResponseWriter, r *http.Request) {
			stuck(w, r, &written)
			left.Add(1)
		}, 200},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			left.Store(0)
			o := newOrigin(t, tt.answer)
			b := newBench(t, o.URL+"/mcp")
			defer o.CloseClientConnections() // otherwise a proxy that fails here never ends
			conn, err := net.Dial("tcp", b.Listener.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			io.WriteString(conn, "POST /s1/mcp HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}")
			waitFor(t, "the upstream's request", func() bool { _, _, n := o.got(); return n == 1 })
			switch tt.name {
			case "P12 silent stream":
				if err := readTo(conn, "data: x"); err != nil {
					t.Fatal(err)
				}
			case "P12 stuck stream":
				testenv.Still(t, "the stream", written.Load)
			}
			start := time.Now()
			conn.Close()
			waitFor(t, "the end of the upstream's request", func() bool { return left.Load() == 1 })
			if d := time.Since(start); d > 5*time.Second {
				t.Errorf("the upstream's request ended %v after the client had left", d)
			}
			if out := b.last(t, 1); out.Status != tt.status {
				t.Errorf("got outcome %+v, want status %d", out, tt.status)
			}
		})
	}
}

// readTo reads until the text has arrived.
func readTo(r io.Reader, text string) error {
	var got strings.Builder
	for b := make([]byte, 1); !strings.HasSuffix(got.String(), text); {
		if _, err := r.Read(b); err != nil {
			return fmt.Errorf("%q instead of %q: %w", got.String(), text, err)
		}
		got.Write(b)
	}
	return nil
}

// A client that does not read blocks a write, and no context ends that.
func TestDoneCutsStuckStream(t *testing.T) {
	var left, written atomic.Int64
	o := newOrigin(t, func(w http.ResponseWriter, r *http.Request) {
		stuck(w, r, &written)
		left.Add(1)
	})
	b := newBench(t, o.URL+"/mcp")
	done := make(chan struct{})
	b.set(func(c *Call) { c.Done = done })
	conn, err := net.Dial("tcp", b.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	io.WriteString(conn, "POST /s1/mcp HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}")
	waitFor(t, "the upstream's request", func() bool { _, _, n := o.got(); return n == 1 })
	testenv.Still(t, "the stream", written.Load)
	start := time.Now()
	close(done)
	b.last(t, 1)
	waitFor(t, "the end of the upstream's request", func() bool { return left.Load() == 1 })
	if d := time.Since(start); d > 5*time.Second {
		t.Errorf("cut after %v", d)
	}
}

// A client that sends its request slowly is cut off as well.
func TestDoneCutsSlowRequest(t *testing.T) {
	for _, known := range []bool{false, true} {
		o := newOrigin(t, nil)
		b := newBench(t, o.URL+"/mcp")
		done, asked := make(chan struct{}), make(chan struct{})
		b.set(func(c *Call) {
			c.Done = done
			c.Rejected = func() (bool, bool) { close(asked); return known, false } // the last check before the body is read
		})
		conn, err := net.Dial("tcp", b.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		io.WriteString(conn, "POST /s1/mcp HTTP/1.1\r\nHost: x\r\nContent-Length: 200\r\n\r\n{")
		<-asked
		close(done)
		b.last(t, 1)
	}
}

func TestM06Resume(t *testing.T) {
	const two = "id: 1\nretry: 10\ndata:\n\nid: 2\ndata: two\n\n"
	arrived := make(chan struct{})
	o := newOrigin(t, nil)
	o.set(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		switch r.Header.Get("Last-Event-Id") {
		case "":
			flush(w, two)
			<-arrived
			panic(http.ErrAbortHandler)
		case "2":
			flush(w, "id: 3\ndata: three\n\n")
		}
	})
	b := newBench(t, o.URL+"/mcp")
	res, err := http.DefaultClient.Do(b.request(t, "GET", "", ""))
	if err != nil {
		t.Fatal(err)
	}
	if err := readTo(res.Body, two); err != nil {
		t.Fatal(err)
	}
	close(arrived)
	body, err := io.ReadAll(res.Body)
	res.Body.Close()
	if len(body) > 0 || err == nil {
		t.Errorf("after two events: got %q, %v; want an abort", body, err)
	}
	if _, rest := b.do(t, b.request(t, "GET", "", "", "Last-Event-ID", "2")); rest != "id: 3\ndata: three\n\n" {
		t.Errorf("after the cut: got %q", rest)
	}
}

func TestP23ManyStreams(t *testing.T) {
	const streams = 100
	event := make(chan struct{})
	var open atomic.Int64
	o := newOrigin(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			answerWith(200, "application/json", "{}")(w, r)
			return
		}
		w.Header().Set("Content-Type", "text/event-stream")
		flush(w, "")
		open.Add(1)
		defer open.Add(-1)
		<-event
		flush(w, "data: x\n\n")
		<-r.Context().Done()
	})
	b := newBench(t, o.URL+"/mcp")
	b.post(t, callBody) // anything that leaks is there now
	before := runtime.NumGoroutine()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	client := &http.Client{Transport: &http.Transport{}}
	var ends sync.WaitGroup
	arrived := make(chan struct{}, streams)
	for range streams {
		ends.Go(func() {
			res, err := client.Do(b.request(t, "GET", "", "").WithContext(ctx))
			if err != nil {
				t.Error(err)
				return
			}
			defer res.Body.Close()
			if _, err := bufio.NewReader(res.Body).ReadString('\n'); err != nil {
				t.Error(err)
			}
			arrived <- struct{}{}
			io.Copy(io.Discard, res.Body)
		})
	}
	waitFor(t, "the streams", func() bool { return open.Load() == streams })
	start := time.Now()
	b.post(t, callBody)
	if d := time.Since(start); d > 2*time.Second {
		t.Errorf("a call next to %d streams took %v", streams, d)
	}
	close(event)
	waitFor(t, "an event on every stream", func() bool { return len(arrived) == streams })
	cancel()
	ends.Wait()
	client.CloseIdleConnections()
	waitFor(t, "the end of the streams", func() bool { return open.Load() == 0 })
	b.proxy.Client.(*upstream.Client).CloseIdleConnections()
	waitFor(t, "the end of all goroutines", func() bool { return runtime.NumGoroutine() <= before+2 })
}

// An upstream may finish before the client has sent all of a long request. The
// answer must arrive complete, and no request may reuse a connection that still
// carries the rest of the previous one.
func TestConnectionAfterEarlyAnswer(t *testing.T) {
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.NewResponseController(w).EnableFullDuplex()
		w.Header().Set("Content-Type", "application/json")
		io.WriteString(w, `{"early":true}`)
	}))
	// net/http has a bug that our side avoids; it panics in this server.
	srv.Config.ErrorLog = log.New(io.Discard, "", 0)
	srv.Start()
	defer srv.Close()
	b := newBench(t, srv.URL+"/mcp")
	for _, size := range []int{gatherLimit + 2, 1 << 20} {
		t.Run(strconv.Itoa(size), func(t *testing.T) {
			body := strings.Repeat("x", size)
			for i := range 10 {
				c, err := net.Dial("tcp", strings.TrimPrefix(b.URL, "http://"))
				if err != nil {
					t.Fatal(err)
				}
				c.SetDeadline(time.Now().Add(20 * time.Second))
				fmt.Fprintf(c, "POST /s1/mcp HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n%s", size, body[:size/2])
				resp, err := http.ReadResponse(bufio.NewReader(c), nil)
				if err != nil {
					t.Fatalf("request %d: %v", i, err)
				}
				if b, err := io.ReadAll(resp.Body); err != nil || !strings.Contains(string(b), "early") || !resp.Close {
					t.Fatalf("request %d: got %d %q, close %v, %v, want the answer and close", i, resp.StatusCode, b, resp.Close, err)
				}
				c.Close()
			}
		})
	}
}
