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

// In protocol revision 2024-11-05 a client opens a stream with GET; the
// stream's first event, named endpoint, says where to post messages, and the
// answers come down the stream. The upstream's URL would lead the client past
// us or to nothing, so the event gets one of ours, which holds while the stream
// is open. Everything else passes as in any other stream.

// messageParam is the query parameter that makes an endpoint's URL a message
// URL. The path stays the endpoint's own: clients compare it with that of the
// resource when they have to log in again.
const messageParam = "k2o_msg"

// maxMessages bounds the message URLs. There is one for each open stream.
const maxMessages = 10_000

var errMessages = errors.New("too many streams are open")

// messages are the message URLs that are open.
type messages struct {
	mu   sync.Mutex
	open map[string]*messageURL
}

// A messageURL is where one legacy stream's messages go. It is never written
// after it has been opened.
type messageURL struct {
	slug, grant string
	endpoint    url.URL  // the upstream's, when the stream was opened
	url         *url.URL // the upstream's, for messages; may hold a session's secret
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

// find returns the message URL that is open under id for c, or nil. Whoever
// learns another grant's id can do nothing with it, and a stream opened before
// the endpoint's upstream was changed is over.
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

// opening returns what looks for an endpoint event in the answer res, or nil:
// a session or a place to go on from belongs to Streamable HTTP, whose streams
// are never touched.
func (e *exchange) opening(res *http.Response) *opening {
	if e.in.Method != http.MethodGet || e.in.Header[sessionHeader] != nil || e.in.Header["Last-Event-Id"] != nil {
		return nil
	}
	from := res.Request.URL // after redirects
	return &opening{rename: func(data string) (string, error) {
		path, err := e.openMessages(from, data)
		if err == nil {
			return path, nil
		}
		words := "too many streams are open"
		if !errors.Is(err, errMessages) {
			words = upstream.Explain(err)
		}
		e.proxy.Log.Warn("a stream was ended", "slug", e.call.Slug, "words", words)
		e.success, e.status = false, http.StatusBadGateway
		return "", err
	}}
}

// openMessages opens a message URL for what an endpoint event in a stream from
// a URL of the upstream's says, and returns its path and query.
func (e *exchange) openMessages(from *url.URL, data string) (string, error) {
	to, err := e.call.Upstream.MessageURL(from, data)
	if err != nil {
		return "", err
	}
	id, err := e.proxy.messages.add(&messageURL{
		slug: e.call.Slug, grant: e.call.Grant, endpoint: *e.call.Upstream.URL, url: to, stream: e.stream})
	if err != nil {
		return "", err
	}
	e.stream.messages = id
	return e.in.URL.EscapedPath() + "?" + messageParam + "=" + id, nil
}
