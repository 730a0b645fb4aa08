package proxy

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/key2oauth/key2oauth/shim/internal/endpoint"
	"github.com/key2oauth/key2oauth/shim/internal/upstream"
)

const (
	probeEvery = 30 * time.Second
	// strikes is how many unconfirmed 401 in a row count as confirmed: some
	// upstreams look at the key in tools/call only, so a probe proves nothing.
	strikes = 3
)

// keys judges 401 answers. One alone says little: upstreams send it for one
// tool, for rate limits and for sessions of their own that have ended.
type keys struct {
	probe func(context.Context, upstream.Target) (bool, error)

	mu    sync.Mutex
	known map[string]*keyState // by credential
	// struck counts the credentials with a strike, so that calls that work
	// need no lock while there is none.
	struck atomic.Int64
}

// A keyState is what is known of a credential that met a 401.
type keyState struct {
	key      endpoint.Secret
	probed   time.Time
	rejected bool          // what the last probe said
	probing  chan struct{} // closed when the probe under way ends; nil if none
	strikes  int
	method   string // that the last strike answered
}

// dead reports whether a 401 to method means that the key is dead. It waits
// for a probe, but not longer than ctx.
func (k *keys) dead(ctx context.Context, credential, method string, t *upstream.Target) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	s := k.state(credential, t)
	switch {
	case s.probing != nil:
	case s.probed.IsZero() || time.Since(s.probed) >= probeEvery:
		s.probing = make(chan struct{})
		// It answers everybody who waits for it, so it does not end with the
		// one who began it; Probe bounds its time.
		go k.ask(context.Background(), s, *t)
	}
	if waiting := s.probing; waiting != nil {
		k.mu.Unlock()
		select {
		case <-waiting:
		case <-ctx.Done():
		}
		k.mu.Lock()
		if ctx.Err() != nil {
			return false
		}
	}
	if s.rejected {
		return true
	}
	if s.strikes == 0 {
		k.struck.Add(1)
	}
	s.strikes++
	s.method = method
	return s.strikes >= strikes
}

// state returns the state of a credential, a new one if its key was replaced.
func (k *keys) state(credential string, t *upstream.Target) *keyState {
	s := k.known[credential]
	if s != nil && s.key.Reveal() == t.Key.Reveal() {
		return s
	}
	if s != nil && s.strikes > 0 {
		k.struck.Add(-1)
	}
	if k.known == nil {
		k.known = map[string]*keyState{}
	}
	s = &keyState{key: t.Key}
	k.known[credential] = s
	return s
}

func (k *keys) ask(ctx context.Context, s *keyState, t upstream.Target) {
	rejected, err := k.probe(ctx, t)
	k.mu.Lock()
	defer k.mu.Unlock()
	s.rejected = err == nil && rejected
	s.probed = time.Now()
	close(s.probing)
	s.probing = nil
}

// worked notes that the upstream took a request with the credential. It ends a
// row of strikes if the request was of the kind that was struck: that the key
// is taken with initialize says nothing where it is looked at in tools/call.
func (k *keys) worked(credential, method string) {
	if k.struck.Load() == 0 {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if s := k.known[credential]; s != nil && s.strikes > 0 && s.method == method {
		s.strikes = 0
		k.struck.Add(-1)
		s.rejected = false
	}
}

// confirm reports whether the 401 that came means that the key is dead.
func (e *exchange) confirm() bool {
	method, _ := e.names()
	e.confirmed = e.proxy.keys.dead(e, e.call.CredentialID, method, e.call.Upstream)
	return e.confirmed
}

// deadAnswer puts the answer to a call with a dead key in place of res.
func (e *exchange) deadAnswer(res *http.Response) {
	res.Body.Close()
	status, body := e.repair()
	h := e.w.Header()
	h["Content-Length"] = []string{strconv.Itoa(len(body))}
	res.StatusCode, res.Header, res.Trailer = status, nil, nil
	res.ContentLength = int64(len(body))
	res.Body = io.NopCloser(bytes.NewReader(body))
}

// rejected answers a call whose key is known to be dead.
func (e *exchange) rejected() {
	status, body := e.repair()
	e.writeHeader(status)
	e.write(body)
}

// repair makes the answer to a call with a dead key, and sets its headers. It
// starts no login, which could not help, and says in the client's protocol
// what the owner has to do. Where answers come down a legacy stream, this one
// does too. Where nobody waits for an answer in that protocol, status 503 says
// it.
func (e *exchange) repair() (status int, body []byte) {
	e.dead = true
	e.take()
	words := named(e.call.Name, "the server rejected the API key. Open Key2OAuth on your computer to replace it.")
	h := e.w.Header()
	harden(h)
	h["Cache-Control"] = valueNoStore
	h["Content-Type"] = valueJSON
	if e.in.Method == http.MethodPost {
		e.found.Lock()
		body = e.repairRPC(words)
		e.found.Unlock()
	}
	if body == nil {
		h["Retry-After"] = valueRetry
		return http.StatusServiceUnavailable, rpcError(nil, words)
	}
	event := func() []byte { return append(append([]byte("event: message\ndata: "), body...), "\n\n"...) }
	if e.message != nil && e.message.stream.say(event()) {
		h["Content-Type"] = valuePlain
		return http.StatusAccepted, []byte("Accepted")
	}
	if eventsOnly(e.in.Header["Accept"]) {
		h["Content-Type"] = valueEvents
		h["Cache-Control"] = valueStream
		return http.StatusOK, event()
	}
	return http.StatusOK, body
}

// repairRPC answers every request in the body, or returns nil if there is none
// or its id did not come early enough.
func (e *exchange) repairRPC(words string) []byte {
	s := &e.scan
	header := mirroredVersion(e.in.Header)
	if !s.batched {
		// A message without a method, but with a result, is an answer.
		if s.msg.answer || !validID(s.msg.id) {
			return nil
		}
		method := mirrored(e.in.Header["Mcp-Method"])
		if method == "" {
			method = s.msg.method
		}
		return repairOne(s.msg.id, method == methodCall, modern(s.msg.version) || modern(header), words)
	}
	if s.depth > 0 {
		return nil // the batch goes on; to answer a part would leave the rest waiting
	}
	var out []byte
	for b := s.batch; len(b) >= 3; {
		flags, n := b[0], int(binary.BigEndian.Uint16(b[1:]))
		id := b[3 : 3+n]
		b = b[3+n:]
		if !validID(id) {
			return nil
		}
		out = append(out, ',')
		out = append(out, repairOne(id, flags&entryCall != 0, flags&entryModern != 0 || modern(header), words)...)
	}
	if out == nil {
		return nil
	}
	out[0] = '['
	return append(out, ']')
}

func validID(id []byte) bool { return id != nil && json.Valid(id) }

// repairOne answers one request. The result of a tool reaches the model; a
// JSON-RPC error most clients keep to themselves.
func repairOne(id []byte, call, modern bool, words string) []byte {
	if !call {
		return rpcError(id, words)
	}
	type content struct {
		Type string `json:"type"`
		Text string `json:"text"`
	}
	type result struct {
		ResultType string    `json:"resultType,omitempty"`
		Content    []content `json:"content"`
		IsError    bool      `json:"isError"`
	}
	r := result{Content: []content{{"text", words}}, IsError: true}
	if modern {
		r.ResultType = "complete"
	}
	return mustMarshal(struct {
		JSONRPC string          `json:"jsonrpc"`
		ID      json.RawMessage `json:"id"`
		Result  result          `json:"result"`
	}{"2.0", id, r})
}

// rpcError is a JSON-RPC error; its id is null if id is nil.
func rpcError(id []byte, words string) []byte {
	type body struct {
		Code    int    `json:"code"`
		Message string `json:"message"`
	}
	return mustMarshal(struct {
		JSONRPC string          `json:"jsonrpc"`
		Error   body            `json:"error"`
		ID      json.RawMessage `json:"id"`
	}{"2.0", body{-32000, words}, id})
}

func mustMarshal(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // strings and checked ids only
	}
	return b
}

// refuse answers with an error of ours. It is no error that a client takes for
// one of a modern server, so era detection goes on as with any other failure.
func (e *exchange) refuse(status int, words string) {
	h := e.w.Header()
	harden(h)
	h["Cache-Control"] = valueNoStore
	h["Content-Type"] = valueJSON
	body := rpcError(nil, words)
	h["Content-Length"] = []string{strconv.Itoa(len(body))}
	e.writeHeader(status)
	e.write(body)
}

// refuseLong answers a body that is too long, and does not wait for its end.
func (e *exchange) refuseLong() {
	e.w.Header().Set("Connection", "close")
	e.refuse(http.StatusRequestEntityTooLarge, fmt.Sprintf("the request is longer than %d MB", e.proxy.MaxBody>>20))
}

// refuseFor answers 503: trying again after some seconds may help.
func (e *exchange) refuseFor(seconds int, words string) {
	e.w.Header()["Retry-After"] = []string{strconv.Itoa(seconds)}
	e.refuse(http.StatusServiceUnavailable, named(e.call.Name, words))
}

// named puts the endpoint's name in front of words.
func named(name, words string) string {
	if name == "" {
		return words
	}
	return name + ": " + words
}

// mirrored returns what a header repeats of the body, decoded; "" if it does
// not come exactly once.
func mirrored(values []string) string {
	if len(values) != 1 {
		return ""
	}
	v := values[0]
	if inner, ok := strings.CutPrefix(v, "=?base64?"); ok {
		inner, ok = strings.CutSuffix(inner, "?=")
		if b, err := base64.StdEncoding.DecodeString(inner); ok && err == nil && utf8.Valid(b) {
			return string(b)
		}
	}
	return v
}

func mirroredVersion(h http.Header) string { return mirrored(h["Mcp-Protocol-Version"]) }

// maxWord bounds the names that are reported of a call.
const maxWord = 128

func bounded(s string) string {
	if len(s) > maxWord {
		s = s[:maxWord]
	}
	return strings.ToValidUTF8(s, "")
}
