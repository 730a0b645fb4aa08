// Package conversation records what a client and its user's browser send, without
// anything that is or may be secret, and reads such recordings.
package conversation

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
)

// A Turn is one recorded request of a client or of its user's browser.
// Anything that is or may be secret is replaced by a placeholder in braces,
// the same one for the same value.
type Turn struct {
	Method string            `json:"method"`
	Path   string            `json:"path"`
	Query  map[string]string `json:"query,omitempty"`
	Header map[string]string `json:"header,omitempty"`
	Form   map[string]string `json:"form,omitempty"`
	Body   json.RawMessage   `json:"body,omitempty"`
	Status int               `json:"status"`
}

// RPC returns the method of the JSON-RPC message that t sends, or "".
func (t Turn) RPC() string {
	var msg struct{ Method string }
	json.Unmarshal(t.Body, &msg) // anything else has no method
	return msg.Method
}

// Read reads a file written by Recorder.WriteFile.
func Read(name string) (turns []Turn, err error) {
	b, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	lines := bufio.NewScanner(bytes.NewReader(b))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var t Turn
		if err := json.Unmarshal(lines.Bytes(), &t); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		turns = append(turns, t)
	}
	return turns, lines.Err()
}

// Placeholders stand for values that differ between runs. The zero value is
// empty.
type Placeholders struct {
	names, values map[string]string
	count         map[string]int
}

// Name returns the placeholder of a value, and makes one of its kind if there
// is none.
func (p *Placeholders) Name(kind, value string) string {
	if name, ok := p.names[value]; ok {
		return name
	}
	if p.count == nil {
		p.count = make(map[string]int)
	}
	p.count[kind]++
	name := "{" + kind + "}"
	if n := p.count[kind]; n > 1 {
		name = fmt.Sprintf("{%s.%d}", kind, n)
	}
	p.Bind(name, value)
	return name
}

// Bind makes name the placeholder of a value.
func (p *Placeholders) Bind(name, value string) {
	if p.names == nil {
		p.names, p.values = make(map[string]string), make(map[string]string)
	}
	p.names[value], p.values[name] = name, value
}

// Known returns the placeholder of a value, or one for unknown values.
func (p *Placeholders) Known(value string) string {
	if name, ok := p.names[value]; ok {
		return name
	}
	return "{unknown}"
}

var placeholder = regexp.MustCompile(`\{[a-z_]+(\.\d+)?\}`)

// Fill replaces placeholders with their values. Unknown placeholders stay.
func (p *Placeholders) Fill(s string) string {
	return placeholder.ReplaceAllStringFunc(s, func(name string) string {
		if value, ok := p.values[name]; ok {
			return value
		}
		return name
	})
}

// Answered binds the values in an answer that later requests will contain.
func (p *Placeholders) Answered(path string, session string, body []byte) {
	if session != "" {
		p.Name("session", session)
	}
	if path != "/register" && path != "/token" {
		return
	}
	var answer map[string]any
	json.Unmarshal(body, &answer) // an error page has none
	for _, kind := range []string{"client_id", "client_secret", "registration_access_token", "access_token", "refresh_token"} {
		if v, ok := answer[kind].(string); ok {
			p.Name(kind, v)
		}
	}
}

// S256 returns the challenge of a verifier.
func S256(verifier string) string {
	sum := sha256.Sum256([]byte(verifier))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

var (
	slugSegment  = regexp.MustCompile(`/[a-z0-9]{12}(/|$)`)
	loopbackPort = regexp.MustCompile(`^(http://(?:127\.0\.0\.1|localhost|\[::1\])):\d+`)
)

// address replaces the secrets in a URL or path.
func (p *Placeholders) address(s string) string {
	s = loopbackPort.ReplaceAllString(s, "$1:3118")
	if u, err := url.Parse(s); err == nil && u.Scheme == "https" {
		s = "{origin}" + strings.TrimPrefix(s, "https://"+u.Host)
	}
	return slugSegment.ReplaceAllString(s, "/{slug}$1")
}

// Parameters that are the same for every client.
var plainParameters = []string{"grant_type", "response_type", "code_challenge_method", "scope", "prompt"}

// parameters replaces the secrets in a query or a form.
func (p *Placeholders) parameters(all url.Values) map[string]string {
	if len(all) == 0 {
		return nil
	}
	out := make(map[string]string)
	// The challenge comes first: the verifier's placeholder derives from it.
	for _, name := range slices.Sorted(maps.Keys(all)) {
		switch v := all.Get(name); {
		case slices.Contains(plainParameters, name):
			out[name] = v
		case name == "redirect_uri", name == "resource":
			out[name] = p.address(v)
		case name == "code_verifier":
			out[name] = "{unknown}"
			if challenge, ok := p.names[S256(v)]; ok {
				out[name] = strings.Replace(challenge, "challenge", "verifier", 1)
			}
		case name == "token":
			out[name] = p.Known(v)
		default:
			out[name] = p.Name(name, v)
		}
	}
	return out
}

// plainHeaders are the headers that characterize a client.
var plainHeaders = []string{"User-Agent", "Accept", "Content-Type", "Mcp-Protocol-Version", "Mcp-Method", "Mcp-Name"}

// headers replaces the secrets in a request's headers.
func (p *Placeholders) headers(get func(string) string) map[string]string {
	out := make(map[string]string)
	for _, name := range plainHeaders {
		if v := get(name); v != "" {
			out[name] = v
		}
	}
	if scheme, credentials, ok := strings.Cut(get("Authorization"), " "); ok {
		out["Authorization"] = scheme + " " + p.Known(credentials)
	}
	if v := get("Mcp-Session-Id"); v != "" {
		out["Mcp-Session-Id"] = p.Known(v)
	}
	return out
}

// The recorded members of a JSON body: of a registration, and of a message
// with its parameters.
var (
	plainMetadata = []string{"client_name", "redirect_uris", "grant_types", "response_types", "token_endpoint_auth_method", "scope", "application_type"}
	plainMessage  = []string{"jsonrpc", "id", "method", "params", "name", "protocolVersion", "clientInfo", "capabilities", "notifications", "_meta"}
)

// body replaces the secrets in a JSON body.
func (p *Placeholders) body(path string, b []byte) json.RawMessage {
	var msg map[string]any
	if json.Unmarshal(b, &msg) != nil {
		return nil
	}
	if path == "/register" {
		maps.DeleteFunc(msg, func(name string, _ any) bool { return !slices.Contains(plainMetadata, name) })
		uris, _ := msg["redirect_uris"].([]any)
		for i, u := range uris {
			uris[i] = p.address(fmt.Sprint(u))
		}
	} else {
		strike := func(name string, _ any) bool { return !slices.Contains(plainMessage, name) }
		maps.DeleteFunc(msg, strike)
		if params, ok := msg["params"].(map[string]any); ok {
			maps.DeleteFunc(params, strike)
		}
		if _, ok := msg["id"].(string); ok {
			msg["id"] = 1
		}
	}
	out, err := json.Marshal(msg)
	if err != nil {
		return nil
	}
	return out
}
