package trial

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/key2oauth/key2oauth/shim/internal/coding"
	"github.com/key2oauth/key2oauth/shim/internal/refusal"
	"github.com/key2oauth/key2oauth/shim/internal/sse"
)

const (
	// maxAnswer bounds one answer. Lists of tools are long.
	maxAnswer = 8 << 20
	// maxExcerpt is how much of an answer is kept, to quote it to people.
	maxExcerpt = 4 << 10
)

var (
	errCut     = fmt.Errorf("the upstream broke off in the middle of its answer: %w", io.ErrUnexpectedEOF)
	errTooLong = sse.ErrTooLong // of other answers too
)

// An answer is what an upstream answered to one message.
type answer struct {
	method  string // of JSON-RPC, "" for a stream
	status  int
	media   string
	header  http.Header
	excerpt []byte
	err     error  // instead of an answer
	rpc     bool   // the answer is JSON-RPC, even if it is odd
	odd     string // how it differs from what apps understand: "it …"
	result  json.RawMessage
}

// good reports whether an app would take the answer.
func (x *answer) good() bool {
	return x.err == nil && x.status/100 == 2 && x.result != nil && x.odd == ""
}

// refuses reports whether the answer is about who asks and not about what, so
// that another request would be answered alike.
func (x *answer) refuses() bool {
	return x.status == http.StatusUnauthorized || x.status == http.StatusForbidden || x.status == http.StatusTooManyRequests ||
		(x.status/100 == 4 || x.rpc) && refusal.MentionsKey(parseMessage(x.media, x.excerpt).text)
}

// pause is how long the upstream wants to be left alone, if it says that it is
// asked too often. RFC 9110, Section 10.2.3; RFC 6585, Section 4.
func (x *answer) pause() (time.Duration, bool) {
	if x.err != nil || x.status != http.StatusTooManyRequests && x.status != http.StatusServiceUnavailable {
		return 0, false
	}
	after := x.header.Get("Retry-After")
	if n, err := strconv.Atoi(after); err == nil && n >= 0 {
		return time.Duration(min(n, 3600)) * time.Second, true
	}
	if at, err := http.ParseTime(after); err == nil {
		return max(0, time.Until(at)), true
	}
	return time.Second, x.status == http.StatusTooManyRequests
}

// waitFor waits for d, if that leaves time for something afterwards.
func waitFor(ctx context.Context, d time.Duration) bool {
	if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) <= d {
		return false
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// read takes in the response to the request with the given id; 0 is that of a
// notification, whose answer says nothing.
func (x *answer) read(ctx context.Context, resp *http.Response, id int) {
	x.status, x.header = resp.StatusCode, resp.Header
	x.media, _, _ = mime.ParseMediaType(resp.Header.Get("Content-Type")) // garbage is no known type
	if id == 0 || resp.StatusCode/100 != 2 {
		head, err := io.ReadAll(io.LimitReader(resp.Body, maxExcerpt)) // what came before an error is enough
		x.excerpt = head
		if _, coded := errors.AsType[*coding.Error](err); coded {
			x.err = err
		}
		_, x.rpc = parseRPC(x.text())
		return
	}
	if x.media == "text/event-stream" {
		x.readEvents(ctx, sse.NewReader(resp.Body, maxAnswer), id)
		return
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	x.excerpt = body[:min(len(body), maxExcerpt)]
	switch {
	case err != nil:
		x.err = whyNot(ctx, err)
	case len(body) > maxAnswer:
		x.err = errTooLong
	default:
		if x.take(body, id); x.rpc && x.odd == "" && x.media != "application/json" {
			x.odd = fmt.Sprintf(oddMedia, x.media)
		}
	}
}

// text is the excerpt, or the data of its first event.
func (x *answer) text() []byte {
	if x.media != "text/event-stream" {
		return x.excerpt
	}
	e := sse.NewReader(bytes.NewReader(append(bytes.Clone(x.excerpt), "\n\n"...)), maxAnswer)
	_, data, _ := e.Next()
	return data
}

// readEvents reads events up to the answer to the request with the given id.
func (x *answer) readEvents(ctx context.Context, events *sse.Reader, id int) {
	for {
		_, data, err := events.Next()
		if err == nil {
			x.excerpt = data[:min(len(data), maxExcerpt)]
			x.media = "application/json"
			if x.take(data, id) {
				return
			}
			continue
		}
		if err = whyNot(ctx, err); errors.Is(err, io.EOF) {
			err = errCut
		}
		if x.odd == "" { // else there was an answer, such as it is
			x.err = err
		}
		return
	}
}

// whyNot is err, or why we stopped waiting: when the context ends it closes the
// connection, and that may be the error.
func whyNot(ctx context.Context, err error) error {
	if ctx.Err() == nil {
		return err
	}
	for _, telling := range []error{context.DeadlineExceeded, context.Canceled, net.ErrClosed, io.ErrUnexpectedEOF, io.EOF} {
		if errors.Is(err, telling) {
			return ctx.Err()
		}
	}
	return err
}

// An rpcMessage is a message of JSON-RPC 2.0.
type rpcMessage struct {
	JSONRPC string          `json:"jsonrpc"`
	ID      json.RawMessage `json:"id"`
	Method  string          `json:"method"`
	Result  json.RawMessage `json:"result"`
	Error   json.RawMessage `json:"error"`
}

// parseRPC parses one message, or a batch of them.
func parseRPC(body []byte) ([]rpcMessage, bool) {
	body = bytes.TrimSpace(bytes.TrimPrefix(body, []byte("\uFEFF")))
	var all []rpcMessage
	if bytes.HasPrefix(body, []byte("[")) {
		if json.Unmarshal(body, &all) != nil {
			return nil, false
		}
	} else {
		var one rpcMessage
		if json.Unmarshal(body, &one) != nil {
			return nil, false
		}
		all = []rpcMessage{one}
	}
	for _, m := range all {
		if m.JSONRPC == "" || m.Result == nil && m.Error == nil && m.Method == "" {
			return nil, false
		}
	}
	return all, len(all) > 0
}

// take looks for the answer to the request with the given id. It reports false
// if what it found is none, and the answer may still come.
func (x *answer) take(body []byte, id int) bool {
	all, ok := parseRPC(body)
	if !ok {
		return false
	}
	x.rpc = true
	for _, m := range all {
		switch {
		case m.Method != "": // the upstream's own requests and notifications
		case m.Error != nil && string(m.Error) != "null" && (sameID(m.ID, id) || string(m.ID) == "null" || m.ID == nil):
			x.excerpt = body[:min(len(body), maxExcerpt)]
			x.odd = ""
			return true
		case !sameID(m.ID, id):
			x.odd = oddID
		case m.Result == nil || string(m.Result) == "null":
			x.odd = oddEmpty
			return true
		default:
			x.result, x.odd = m.Result, ""
			return true
		}
	}
	return false
}

// sameID reports whether an answer is to the request with the given id. The
// official client turns an id into a number before it compares.
func sameID(raw json.RawMessage, id int) bool {
	text := string(raw)
	var quoted string
	if json.Unmarshal(raw, &quoted) == nil {
		text = strings.TrimSpace(quoted)
	}
	n, err := strconv.ParseFloat(text, 64)
	return err == nil && n == float64(id)
}
