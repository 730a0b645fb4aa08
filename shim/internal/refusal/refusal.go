// Package refusal reads from an answer whether its server refuses the key. Not
// every server says 401: some say 403, or 400 and "Invalid API key", or send a
// JSON-RPC error. Judge has an answer to a probe, and a Listener hears one to a
// call as it passes, however it is cut.
package refusal

import (
	"bytes"
	"encoding/json"
	"net/http"
	"regexp"
	"strings"

	"github.com/key2oauth/key2oauth/shim/internal/sse"
)

// Most is how much of an answer is read for words about the key. Errors are
// short.
const Most = 16 << 10

var aboutKey = regexp.MustCompile(`(?i)api[ _-]?key|unauthori[sz]ed|authenticat|authori[sz]ation|credential|(access|auth|bearer|missing|invalid|expired|no)[ _-]token|forbidden|permission`)

// MentionsKey reports whether an error message is about the key, or about what
// the key allows.
func MentionsKey(text string) bool { return aboutKey.MatchString(text) }

// An upstream may also refuse where a request comes from or was sent to, as
// servers do that are meant for their own computer, firewalls and vendors that
// serve some countries only.
var (
	aboutPlace = regexp.MustCompile(`(?i)\blocal ?host\b|127\.0\.0\.1|loopback|\bhosts?\b|\borigins?\b|rebinding|\bips?\b|\bip[ _-]address|allow[ _-]?list|white[ _-]?list|\bcountry|\bregion|firewall|captcha|\bbots?\b`)
	keyItself  = regexp.MustCompile(`(?i)\bkeys?\b|[_-]key|token|credential|authenticat|unauthori[sz]ed`)
)

// BarsPlace reports whether an error message is about a place, and not about
// the key.
func BarsPlace(text string) bool { return aboutPlace.MatchString(text) && !keyItself.MatchString(text) }

// A Verdict is what an answer says about the key.
type Verdict uint8

// The verdicts.
const (
	Unclear Verdict = iota // it says nothing
	Accepted
	Refused
)

// Judge judges an answer to a probe as package trial does. body is all of it,
// or the beginning of a long one.
func Judge(status int, contentType string, body []byte) Verdict {
	switch {
	case status == http.StatusUnauthorized:
		return Refused
	case status == http.StatusTooManyRequests, status >= 500, isPage(contentType, body):
		return Unclear
	case status/100 == 2:
		switch text, isError := rpcError(contentType, body); {
		case !isError:
			return Accepted
		case aboutKey.Match(text):
			return Refused
		}
		return Unclear
	case status == http.StatusForbidden && BarsPlace(string(body)):
		return Unclear
	case status == http.StatusForbidden && len(bytes.TrimSpace(body)) == 0, aboutKey.Match(body):
		return Refused
	}
	return Unclear
}

// isPage reports whether an answer is a page for people, such as that of a
// firewall.
func isPage(contentType string, body []byte) bool {
	start := bytes.ToLower(bytes.TrimSpace(body[:min(len(body), 256)]))
	return isType(contentType, "text/html") || bytes.HasPrefix(start, []byte("<!doctype html")) || bytes.HasPrefix(start, []byte("<html"))
}

// IsEvents reports whether a content type is that of event streams.
func IsEvents(contentType string) bool { return isType(contentType, "text/event-stream") }

func isType(contentType, want string) bool {
	return len(contentType) >= len(want) && strings.EqualFold(contentType[:len(want)], want)
}

// rpcError returns the JSON-RPC error of an answer.
func rpcError(contentType string, body []byte) (text []byte, ok bool) {
	if IsEvents(contentType) {
		_, data := sse.ReadFirst(bytes.NewReader(append(body[:len(body):len(body)], "\n\n"...)))
		body = []byte(data)
	}
	var msg struct{ Error json.RawMessage }
	if json.Unmarshal(body, &msg) != nil || len(msg.Error) == 0 || string(msg.Error) == "null" {
		return nil, false
	}
	return msg.Error, true
}
