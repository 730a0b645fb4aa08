package proxy

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/key2oauth/key2oauth/shim/internal/endpoint"
	"github.com/key2oauth/key2oauth/shim/internal/upstream"
)

// deadAnswer replaces res by the answer to a call with a dead key.
func (a *activeCall) deadAnswer(res *http.Response) {
	status, body := a.repair()
	a.replace(res, status, body)
}

// goneAnswer replaces res by the answer to a call in a session that is over.
// The upstream's own words are about the key, and some clients prefer them to
// the status.
func (a *activeCall) goneAnswer(res *http.Response) {
	h := a.w.Header()
	harden(h)
	h["Cache-Control"] = valueNoStore
	h["Content-Type"] = valueJSON
	a.replace(res, http.StatusNotFound, rpcError(nil, "session not found"))
}

// replace makes res an answer of ours. Its headers are in a.w already.
func (a *activeCall) replace(res *http.Response, status int, body []byte) {
	res.Body.Close()
	h := a.w.Header()
	h["Content-Length"] = []string{strconv.Itoa(len(body))}
	res.StatusCode, res.Header, res.Trailer = status, nil, nil
	res.ContentLength = int64(len(body))
	res.Body = io.NopCloser(bytes.NewReader(body))
}

// refusedKey reports whether the call must be answered without asking the
// upstream.
func (a *activeCall) refusedKey() (refuse bool) {
	if a.call.Rejected != nil {
		refuse, a.retry = a.call.Rejected()
	}
	return refuse
}

// rejected answers a call whose key is known to be dead.
func (a *activeCall) rejected() {
	status, body := a.repair()
	a.writeHeader(status)
	a.write(body)
}

// TextRejected is what apps are told after a server's name. Tests compare with
// it.
const TextRejected = "the server rejected the API key. Open Key2OAuth on your computer to replace it."

// repair makes the answer to a call with a dead key, and sets its headers. It
// starts no login, which could not help, and says in the client's protocol what
// the owner has to do. If answers come down a legacy stream, so does this one.
// A request that expects no JSON-RPC answer gets status 503.
func (a *activeCall) repair() (status int, body []byte) {
	a.dead = true
	a.take()
	words := TextRejected
	if a.call.Trouble != endpoint.NoTrouble {
		words = a.call.Trouble.ToApp()
	}
	words = a.words(words)
	h := a.w.Header()
	harden(h)
	h["Cache-Control"] = valueNoStore
	h["Content-Type"] = valueJSON
	if a.in.Method == http.MethodPost {
		a.scanMu.Lock()
		body = a.repairRPC(words)
		a.scanMu.Unlock()
	}
	if body == nil {
		h["Retry-After"] = valueRetry
		return http.StatusServiceUnavailable, rpcError(nil, words)
	}
	event := func() []byte { return append(append([]byte("event: message\ndata: "), body...), "\n\n"...) }
	if a.message != nil && a.message.stream.say(event()) {
		h["Content-Type"] = valuePlain
		return http.StatusAccepted, []byte("Accepted")
	}
	if eventsOnly(a.in.Header["Accept"]) {
		h["Content-Type"] = valueEvents
		h["Cache-Control"] = valueStream
		return http.StatusOK, event()
	}
	return http.StatusOK, body
}

// repairRPC answers every request in the body. It returns nil if there is none,
// or if an id lies beyond the scanned part.
func (a *activeCall) repairRPC(words string) []byte {
	s := &a.scan
	header := mirroredVersion(a.in.Header)
	if !s.batched {
		// A message without a method, but with a result, is an answer. Of several
		// messages that are no batch it is not known which one counts.
		if s.msg.answer || !validID(s.msg.id) || s.ended > 1 {
			return nil
		}
		method := s.msg.method
		if method == "" {
			method = mirrored(a.in.Header["Mcp-Method"])
		}
		return repairOne(s.msg.id, method == methodCall, modern(s.msg.version) || modern(header), words)
	}
	if s.depth > 0 || s.late {
		return nil // the batch is longer; its other requests would get no answer
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

// repairOne answers one request. A tool's result reaches the model; most clients
// do not pass on a JSON-RPC error.
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
		panic(err) // only strings and checked ids come here
	}
	return b
}

// refuse answers with an error of ours. Clients do not take it for an error of a
// modern server, so era detection continues as after any other failure.
func (a *activeCall) refuse(status int, words string) { a.refuseID(status, nil, words) }

// id is the id of the only request in the body, if the upstream got it: it began
// to answer, or err shows it; else nil.
func (a *activeCall) id(err error) []byte {
	if a.answered == 0 && !errors.Is(err, errUpgrade) && !upstream.Reached(err) {
		return nil
	}
	a.scanMu.Lock()
	defer a.scanMu.Unlock()
	s := &a.scan
	if s.batched || s.ended != 1 || s.msg.answer || !validID(s.msg.id) {
		return nil
	}
	return bytes.Clone(s.msg.id)
}

// refuseID is refuse for an answer to the request with an id; nil means none.
func (a *activeCall) refuseID(status int, id []byte, words string) {
	h := a.w.Header()
	harden(h)
	h["Cache-Control"] = valueNoStore
	h["Content-Type"] = valueJSON
	body := rpcError(id, words)
	h["Content-Length"] = []string{strconv.Itoa(len(body))}
	a.writeHeader(status)
	a.write(body)
}

// refuseLong answers a request that is too long without reading it.
func (a *activeCall) refuseLong() {
	a.w.Header().Set("Connection", "close")
	a.refuse(http.StatusRequestEntityTooLarge, fmt.Sprintf("the request is longer than %d MB", a.proxy.MaxBody>>20))
}

// refuseFor answers 503 with Retry-After.
func (a *activeCall) refuseFor(seconds int, words string) {
	a.w.Header()["Retry-After"] = []string{strconv.Itoa(seconds)}
	a.refuse(http.StatusServiceUnavailable, a.words(words))
}

// words prefixes words for the client with the endpoint's name, and strikes the
// key out of both: the name may be the upstream's own, and words may quote it.
func (a *activeCall) words(words string) string {
	if name := a.call.Name; name != "" {
		words = name + ": " + words
	}
	words, n := a.guard.Guard.Text(words)
	a.struck += n
	return words
}

// mirrored returns the decoded value of a header that repeats a part of the
// body; "" unless the header comes exactly once.
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
