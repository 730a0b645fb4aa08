package trial

import (
	"bytes"
	"context"
	"errors"
	"io"
	"mime"
	"net/http"

	"github.com/key2oauth/key2oauth/shim/internal/sse"
)

// events reads an event stream, event by event.
type events struct {
	src    io.Reader
	parser sse.Parser
	buf    []byte // read and not yet parsed
	event  []byte // the present event so far
	first  bool   // nothing has been parsed yet
	err    error
}

func newEvents(r io.Reader) *events { return &events{src: r, first: true} }

// next returns the next event that has data.
func (e *events) next() (name string, data []byte, err error) {
	for {
		for len(e.buf) > 0 {
			n, token := e.parser.Next(e.buf)
			e.event = append(e.event, e.buf[:n]...)
			e.buf = e.buf[n:]
			if len(e.event) > maxAnswer {
				return "", nil, errTooLong
			}
			if token != sse.Blank {
				continue
			}
			whole := e.event
			e.event = nil
			if e.first {
				whole, e.first = bytes.TrimPrefix(whole, []byte("\uFEFF")), false
			}
			if name, data := fields(whole); len(data) > 0 {
				return name, data, nil
			}
		}
		if e.err != nil {
			return "", nil, e.err
		}
		chunk := make([]byte, 16<<10)
		var n int
		n, e.err = e.src.Read(chunk)
		e.buf = chunk[:n]
	}
}

// fields returns name and data of an event.
func fields(event []byte) (name string, data []byte) {
	event = bytes.ReplaceAll(event, []byte("\r\n"), []byte("\n"))
	event = bytes.ReplaceAll(event, []byte("\r"), []byte("\n"))
	for line := range bytes.SplitSeq(event, []byte("\n")) {
		field, value, _ := bytes.Cut(line, []byte(":"))
		value = bytes.TrimPrefix(value, []byte(" "))
		switch string(field) {
		case "event":
			name = string(value)
		case "data":
			if data != nil {
				data = append(data, '\n')
			}
			data = append(data, value...)
		}
	}
	return name, data
}

// A feed is the stream of revision 2024-11-05, on which all answers come.
type feed struct {
	events *events
	to     string // where messages go
	close  context.CancelFunc
}

// beginLegacy asks for a stream and looks for the endpoint event that begins
// it. is is false if the upstream does not speak revision 2024-11-05, and
// answered nothing that says more than its answer to a POST.
func (k *talk) beginLegacy(ctx context.Context) (x answer, is bool) {
	stream, cancel := context.WithCancel(ctx)
	resp, err := k.send(stream, http.MethodGet, k.endpoint(), nil, "", func(h http.Header) {
		h.Set("Accept", "text/event-stream")
	})
	if err != nil {
		cancel()
		x.err = whyNot(ctx, err)
		return x, ctx.Err() != nil
	}
	end := func() { cancel(); resp.Body.Close() }
	x.status, x.header = resp.StatusCode, resp.Header
	x.media, _, _ = mime.ParseMediaType(resp.Header.Get("Content-Type")) // garbage is no event stream
	if resp.StatusCode != http.StatusOK || x.media != "text/event-stream" {
		defer end()
		x.excerpt, _ = io.ReadAll(io.LimitReader(resp.Body, maxExcerpt)) // what came before an error is enough
		return x, x.status == http.StatusUnauthorized || x.status == http.StatusForbidden
	}
	events := newEvents(resp.Body)
	name, data, err := events.next()
	if err != nil || name != "endpoint" {
		end()
		x.err = ctx.Err()
		return x, x.err != nil
	}
	to, err := k.target.MessageURL(resp.Request.URL, string(data))
	if err != nil {
		end()
		x.err = err
		return x, true
	}
	k.events = &feed{events: events, to: to.String(), close: end}
	if x = k.request(ctx, "initialize", initializeParams); x.good() {
		x = k.initialized(ctx, x)
	}
	return x, true
}

// exchangeLegacy sends a message and waits for the answer on the stream. The
// POST is read meanwhile: a refusal comes there, and some upstreams answer it
// only after the event was taken.
func (k *talk) exchangeLegacy(ctx context.Context, method string, id int, body []byte) answer {
	posted := make(chan answer, 1)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		x := answer{method: method}
		resp, err := k.send(ctx, http.MethodPost, k.events.to, body, method, nil)
		if err != nil {
			x.err = whyNot(ctx, err)
		} else {
			defer resp.Body.Close()
			x.read(ctx, resp, 0)
		}
		posted <- x
	}()
	if id == 0 {
		return <-posted
	}
	came := make(chan answer, 1)
	go func() {
		x := answer{method: method, status: http.StatusOK, media: "application/json"}
		x.readEvents(ctx, k.events.events, id)
		came <- x
	}()
	select {
	case x := <-came:
		cancel()
		<-posted
		return x
	case x := <-posted:
		if x.err == nil && x.status/100 == 2 {
			return <-came
		}
		k.events.close() // ends the reading
		if c := <-came; c.good() {
			return c
		}
		if errors.Is(x.err, context.Canceled) && ctx.Err() != nil {
			x.err = ctx.Err()
		}
		return x
	}
}
