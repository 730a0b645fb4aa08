package trial

import (
	"encoding/json"
	"fmt"
	"html"
	"net/url"
	"regexp"
	"strings"

	"github.com/key2oauth/key2oauth/shim/display"
	"github.com/key2oauth/key2oauth/shim/internal/endpoint"
	"github.com/key2oauth/key2oauth/shim/internal/guard"
	"github.com/key2oauth/key2oauth/shim/internal/sse"
	"github.com/key2oauth/key2oauth/shim/internal/upstream"
)

// A message is what an upstream wrote in an error answer.
type message struct {
	text string // for people: short, without markup and secrets
	html bool
	rpc  bool // a JSON-RPC error
	code int  // its code
}

func (s message) quote() string {
	if s.text == "" {
		return ""
	}
	return fmt.Sprintf(TextSaid, strings.TrimRight(s.text, "."))
}

// How many characters of an upstream's own words, and of its name, are shown.
const (
	maxMessage = 200
	maxServer  = 60
)

func (k *talk) message(x answer) message {
	s := parseMessage(x.media, x.excerpt)
	s.text = printable(s.text, k.target, maxMessage)
	return s
}

var (
	hidden = regexp.MustCompile(`(?is)<!--.*?(-->|$)|<(script|style|template|noscript|svg)\b.*?(</(script|style|template|noscript|svg)\s*>|$)`)
	tags   = regexp.MustCompile(`(?s)<[^<>]*(>|$)`)
)

// parseMessage finds the message in an answer.
func parseMessage(media string, body []byte) message {
	text := strings.TrimSpace(strings.TrimPrefix(string(body), "\uFEFF"))
	if media == "text/event-stream" {
		_, text = sse.ReadFirst(strings.NewReader(text + "\n\n"))
	}
	if strings.HasPrefix(text, "{") || strings.HasPrefix(text, "[") {
		var v any
		if json.Unmarshal([]byte(text), &v) == nil {
			s := message{text: jsonMessage(v, 0)}
			if obj, ok := v.(map[string]any); ok && obj["jsonrpc"] != nil {
				if e, ok := obj["error"].(map[string]any); ok {
					code, _ := e["code"].(float64)
					s.rpc, s.code = true, int(code)
				}
			}
			s.text = strip(s.text)
			return s
		}
	}
	low := strings.ToLower(text)
	page := media == "text/html" || media == "application/xhtml+xml" || strings.HasPrefix(low, "<!doctype html") || strings.HasPrefix(low, "<html")
	return message{text: strip(text), html: page}
}

// strip removes markup.
func strip(s string) string {
	return html.UnescapeString(tags.ReplaceAllString(hidden.ReplaceAllString(s, " "), " "))
}

// jsonMessage finds the message in JSON, in the fields where APIs put it.
func jsonMessage(v any, depth int) string {
	if depth > 3 {
		return ""
	}
	switch v := v.(type) {
	case string:
		return v
	case []any:
		if len(v) > 0 {
			return jsonMessage(v[0], depth+1)
		}
	case map[string]any:
		for _, k := range []string{"message", "error_description", "detail", "details", "error", "errors", "title", "reason", "msg"} {
			if s := jsonMessage(v[k], depth+1); s != "" {
				return s
			}
		}
	}
	return ""
}

// printable makes one line of at most limit characters out of s, without the
// target's secrets, that can stand in quotation marks. Secrets are looked for
// in what is left, since invisible characters could split them. Upstreams repeat
// keys in their errors whole or shortened, in any encoding.
func printable(s string, t *upstream.Target, limit int) string {
	s = t.Guard().Words(guard.Scrub(display.Text(s, display.NoLimit), secrets(t)...))
	return strings.ReplaceAll(display.Text(s, limit), `"`, "'")
}

// secrets are the key, the values of the target's query, and what in its path
// looks like a key.
func secrets(t *upstream.Target) []string {
	var all []string
	add := func(v string) {
		if v != "" {
			all = append(all, v)
			if e := url.QueryEscape(v); e != v {
				all = append(all, e)
			}
		}
	}
	add(t.Key.Reveal())
	if t.URL != nil {
		for _, values := range t.URL.Query() {
			for _, v := range values {
				add(v)
			}
		}
		for _, v := range endpoint.KeysInPath(t.URL.EscapedPath(), true) {
			add(v)
		}
	}
	return all
}
