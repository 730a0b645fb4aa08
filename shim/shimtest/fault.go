package shimtest

import (
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// A Fault answers a request instead of the upstream. It returns false if it
// did not answer and the upstream should.
type Fault func(w http.ResponseWriter, r *http.Request) bool

// Status answers with a status and a body; a body that begins like JSON is
// labelled as JSON.
func Status(code int, body string) Fault {
	return func(w http.ResponseWriter, _ *http.Request) bool {
		contentType := "text/plain; charset=utf-8"
		if strings.HasPrefix(body, "{") || strings.HasPrefix(body, "[") {
			contentType = "application/json"
		}
		w.Header().Set("Content-Type", contentType)
		w.WriteHeader(code)
		io.WriteString(w, body)
		return true
	}
}

// HTML answers with a web page, as a URL that lacks /mcp usually does.
func HTML() Fault {
	return func(w http.ResponseWriter, _ *http.Request) bool {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		io.WriteString(w, "<!doctype html><title>Welcome</title><script>alert(1)</script><h1>Welcome to our API</h1>")
		return true
	}
}

// NotJSONRPC answers with JSON that is not JSON-RPC.
func NotJSONRPC() Fault { return Status(http.StatusOK, `{"status":"ok","version":"2.1"}`) }

// Redirect answers with a redirect to a URL or path.
func Redirect(code int, to string) Fault {
	return func(w http.ResponseWriter, _ *http.Request) bool {
		w.Header().Set("Location", to)
		w.WriteHeader(code)
		return true
	}
}

// SlashRedirect redirects every path without a trailing slash to the one with
// it, with 307, like Starlette. It does not read the body first.
func SlashRedirect() Fault {
	return func(w http.ResponseWriter, r *http.Request) bool {
		if strings.HasSuffix(r.URL.Path, "/") {
			return false
		}
		return Redirect(http.StatusTemporaryRedirect, r.URL.Path+"/")(w, r)
	}
}

// Hang reads the request and never answers.
func Hang() Fault {
	return func(_ http.ResponseWriter, r *http.Request) bool {
		io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
		return true
	}
}

// CutMidStream begins an event stream, sends half an event and breaks the
// connection.
func CutMidStream() Fault {
	return func(w http.ResponseWriter, _ *http.Request) bool {
		w.Header().Set("Content-Type", "text/event-stream")
		io.WriteString(w, "event: message\ndata: {\"jsonrpc\":\"2.0\",")
		http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}
}

// CutMidBody promises a long JSON answer and breaks the connection early.
func CutMidBody() Fault {
	return func(w http.ResponseWriter, _ *http.Request) bool {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Length", "1000")
		io.WriteString(w, `{"jsonrpc":"2.0",`)
		http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}
}

// LegacyEndpoint answers a GET with an event stream of revision 2024-11-05
// whose endpoint event names to, and everything else with 405.
func LegacyEndpoint(to string) Fault {
	return func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodGet {
			return Status(http.StatusMethodNotAllowed, "Method Not Allowed")(w, r)
		}
		w.Header().Set("Content-Type", "text/event-stream")
		io.WriteString(w, "event: endpoint\ndata: "+to+"\n\n")
		http.NewResponseController(w).Flush()
		<-r.Context().Done()
		return true
	}
}

// Times lets f answer the first n requests.
func Times(n int64, f Fault) Fault {
	var seen atomic.Int64
	return func(w http.ResponseWriter, r *http.Request) bool {
		return seen.Add(1) <= n && f(w, r)
	}
}

// Hold makes the first request wait until release is called or t ends: a
// server that waits forever would keep a failing test from reporting why. held
// is closed once the request has come.
func Hold(t testing.TB) (f Fault, held <-chan struct{}, release func()) {
	came, free := make(chan struct{}), make(chan struct{})
	release = sync.OnceFunc(func() { close(free) })
	t.Cleanup(release)
	return Times(1, func(http.ResponseWriter, *http.Request) bool {
		close(came)
		<-free
		return false
	}), came, release
}

// Only lets f answer requests of one HTTP method.
func Only(method string, f Fault) Fault {
	return func(w http.ResponseWriter, r *http.Request) bool {
		return r.Method == method && f(w, r)
	}
}
