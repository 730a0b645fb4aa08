package trial

import (
	"context"
	"errors"
	"io"
	"mime"
	"net/http"

	"github.com/key2oauth/key2oauth/shim/internal/sse"
)

// A feed is the stream of revision 2024-11-05, on which all answers come.
type feed struct {
	events *sse.Reader
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
	events := sse.NewReader(resp.Body, maxAnswer)
	name, data, err := events.Next()
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
