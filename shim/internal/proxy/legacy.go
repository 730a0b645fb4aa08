package proxy

import (
	"crypto/rand"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"sync"

	"github.com/key2oauth/key2oauth/shim/internal/upstream"
)

// In protocol revision 2024-11-05 a client opens a stream with GET. The stream's
// first event, named endpoint, says where to post messages, and the answers come
// down the stream. The upstream's URL would lead the client past us or nowhere,
// so the event gets a URL of ours, valid while the stream is open.

// messageParam is the query parameter that makes an endpoint's URL a message
// URL. The path stays the endpoint's, because clients compare it with the
// resource's when they have to log in again.
const messageParam = "k2o_msg"

// maxMessages bounds the message URLs, one for each open legacy stream.
const maxMessages = 10_000

var errMessages = errors.New("too many streams are open")

// messages holds the open message URLs.
type messages struct {
	mu   sync.Mutex
	open map[string]*messageURL
}

// A messageURL is where the messages of one legacy stream go. It does not change
// after add.
type messageURL struct {
	slug, grant string
	endpoint    url.URL  // the upstream's URL when the stream was opened
	url         *url.URL // the upstream's URL for messages; may hold a session's secret
	stream      *stream
}

// add opens m and returns its id.
func (s *messages) add(m *messageURL) (id string, err error) {
	id = rand.Text()
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.open) >= maxMessages {
		return "", errMessages
	}
	if s.open == nil {
		s.open = map[string]*messageURL{}
	}
	s.open[id] = m
	return id, nil
}

func (s *messages) remove(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.open, id)
}

// find returns the open message URL with this id if it belongs to c, or nil. An
// id is useless to another grant, and no longer valid when the endpoint's
// upstream was changed.
func (s *messages) find(id string, c *Call) *messageURL {
	s.mu.Lock()
	m := s.open[id]
	s.mu.Unlock()
	if m == nil || m.slug != c.Slug || m.grant != c.Grant || m.endpoint != *c.Upstream.URL {
		return nil
	}
	return m
}

// messageID returns the id in the query of a message URL.
func messageID(query string) (id string, ok bool) {
	for part := range strings.SplitSeq(query, "&") {
		if id, ok = strings.CutPrefix(part, messageParam+"="); ok {
			return id, true
		}
	}
	return "", false
}

// rewriter returns the endpointRewriter for the answer res. It is nil for a
// request with a session or an event to resume after: those belong to
// Streamable HTTP, whose streams never change.
func (a *activeCall) rewriter(res *http.Response) *endpointRewriter {
	if a.in.Method != http.MethodGet || a.in.Header[sessionHeader] != nil || a.in.Header["Last-Event-Id"] != nil {
		return nil
	}
	from := res.Request.URL // after redirects
	return &endpointRewriter{rename: func(data string) (string, error) {
		path, err := a.openMessages(from, data)
		if err == nil {
			return path, nil
		}
		words := "too many streams are open"
		if !errors.Is(err, errMessages) {
			words = a.guard.Guard.Words(upstream.Explain(err))
		}
		a.proxy.Log.Warn("a stream was ended", "slug", a.call.Slug, "words", words)
		a.success, a.status = false, http.StatusBadGateway
		return "", err
	}}
}

// openMessages opens a message URL for data, which an endpoint event in a stream
// from this URL of the upstream's named. It returns its path and query.
func (a *activeCall) openMessages(from *url.URL, data string) (string, error) {
	to, err := a.call.Upstream.MessageURL(from, data)
	if err != nil {
		return "", err
	}
	id, err := a.proxy.messages.add(&messageURL{
		slug: a.call.Slug, grant: a.call.Grant, endpoint: *a.call.Upstream.URL, url: to, stream: a.stream})
	if err != nil {
		return "", err
	}
	a.stream.messages = id
	return a.in.URL.EscapedPath() + "?" + messageParam + "=" + id, nil
}
