package upstream

import (
	"bytes"
	"encoding/json"
	"net/http"
	"regexp"
	"strings"

	"github.com/key2oauth/key2oauth/shim/internal/sse"
)

// Not every upstream says 401 to a key that is no good. This file reads the
// other ways to say it.

// maxRefusal is how much of an answer is read for words about the key. Errors
// are short.
const maxRefusal = 16 << 10

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

// A verdict is what an answer says about the key.
type verdict uint8

const (
	unclear verdict = iota // it says nothing
	accepted
	refused
)

// judge judges an answer to a probe as package trial does. body is all of it,
// or the beginning of a long one.
func judge(status int, contentType string, body []byte) verdict {
	switch {
	case status == http.StatusUnauthorized:
		return refused
	case status == http.StatusTooManyRequests, status >= 500, isPage(contentType, body):
		return unclear
	case status/100 == 2:
		switch text, isError := rpcError(contentType, body); {
		case !isError:
			return accepted
		case aboutKey.Match(text):
			return refused
		}
		return unclear
	case status == http.StatusForbidden && BarsPlace(string(body)):
		return unclear
	case status == http.StatusForbidden && len(bytes.TrimSpace(body)) == 0, aboutKey.Match(body):
		return refused
	}
	return unclear
}

// isPage reports whether an answer is a page for people, such as a firewall's.
func isPage(contentType string, body []byte) bool {
	start := bytes.ToLower(bytes.TrimSpace(body[:min(len(body), 256)]))
	return isType(contentType, "text/html") || bytes.HasPrefix(start, []byte("<!doctype html")) || bytes.HasPrefix(start, []byte("<html"))
}

func isType(contentType, want string) bool {
	return len(contentType) >= len(want) && strings.EqualFold(contentType[:len(want)], want)
}

// rpcError returns the JSON-RPC error of an answer.
func rpcError(contentType string, body []byte) (text []byte, ok bool) {
	if isType(contentType, "text/event-stream") {
		_, data := sse.ReadFirst(bytes.NewReader(append(body[:len(body):len(body)], "\n\n"...)))
		body = []byte(data)
	}
	var msg struct{ Error json.RawMessage }
	if json.Unmarshal(body, &msg) != nil || len(msg.Error) == 0 || string(msg.Error) == "null" {
		return nil, false
	}
	return msg.Error, true
}

// Doubts reports whether a part of an answer to a call may say that the key is
// no good. A probe has to confirm it, because the same words may be about one
// tool. It sees what passes by, so it looks for a JSON-RPC error without
// reading the JSON around it, and in short parts only.
func Doubts(status int, contentType string, part []byte) bool {
	if status/100 == 4 && status != http.StatusUnauthorized {
		return judge(status, contentType, part[:min(len(part), maxRefusal)]) == refused
	}
	if status/100 != 2 || len(part) > maxRefusal {
		return false
	}
	for {
		i := bytes.Index(part, errorMember)
		if i < 0 {
			return false
		}
		part = part[i+len(errorMember):]
		value := bytes.TrimLeft(part, " \t\r\n")
		if len(value) == 0 || value[0] != ':' {
			continue
		}
		value = bytes.TrimLeft(value[1:], " \t\r\n")
		if len(value) > 0 && value[0] == '{' && aboutKey.Match(value[:min(len(value), 2<<10)]) {
			return true
		}
	}
}

var errorMember = []byte(`"error"`)
