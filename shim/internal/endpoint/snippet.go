package endpoint

import (
	"encoding/json"
	"net/url"
	"slices"
	"strings"

	"github.com/key2oauth/key2oauth/shim/internal/problem"
)

// A Snippet is the content of a pasted mcp.json or command line. Fields that
// it did not contain are zero.
type Snippet struct {
	Name   string
	URL    string // as ParseUpstream returns it, query included
	Header Header
	Key    Secret
	Left   []LeftOut
}

// A LeftOut is something in a Snippet's text that was not taken. Values are not
// kept, since any of them may be a key.
type LeftOut struct{ Kind, Name string }

// The kinds of a LeftOut.
const (
	LeftHeader      = "header"      // besides the one with the key
	LeftPlaceholder = "placeholder" // stands where the key belongs
	LeftVariable    = "variable"    // of a program's environment
)

// IsURL reports whether a text is nothing but an address, and so needs no
// parsing.
func IsURL(text string) bool {
	text = clean(text)
	return !strings.ContainsAny(text, " \t\r\n{\"") && !strings.HasPrefix(text, "//")
}

// maxSnippet bounds the text that is parsed.
const maxSnippet = 64 << 10

var errNoServer = problem.Sentence("No MCP server URL was found in this text. Paste the server's entry from mcp.json, or its URL.")

// ParseSnippet parses what vendors tell people to paste into a client: an
// mcp.json in its common forms, with comments and trailing commas, a "claude
// mcp add" or mcp-remote command line, or a bare URL. Errors are sentences for
// people and contain nothing of the text.
func ParseSnippet(text string) (Snippet, error) {
	text = clean(text)
	switch {
	case text == "":
		return Snippet{}, problem.Sentence("Paste the server's entry from mcp.json, or its URL.")
	case len(text) > maxSnippet:
		return Snippet{}, problem.Sentence("The text is too long. Paste only the entry of one server.")
	}
	raw, err := readSnippet(text)
	if err != nil {
		return Snippet{}, err
	}
	return raw.check()
}

// A rawSnippet is the content of a text before it is checked.
type rawSnippet struct {
	name, url string
	headers   []rawHeader
	others    int // number of other servers with a URL in the text
	left      []LeftOut
}

type rawHeader struct{ name, value string }

func readSnippet(text string) (rawSnippet, error) {
	if at := strings.IndexByte(text, '{'); at >= 0 && (at == 0 || strings.HasPrefix(text, `"`) || strings.HasPrefix(text, "/")) {
		return readJSON(text)
	}
	if words := splitCommand(text); len(words) > 1 {
		return readCommand(words), nil
	}
	return rawSnippet{url: text}, nil
}

// check turns raw into a Snippet. A placeholder such as YOUR_API_KEY or
// ${input:key} is not a key.
func (raw rawSnippet) check() (Snippet, error) {
	if raw.url == "" {
		return Snippet{}, errNoServer
	}
	if raw.others > 0 {
		return Snippet{}, problem.Sentence("The text contains more than one server. Paste only one entry.")
	}
	u, _, err := ParseUpstream(raw.url)
	if err != nil {
		return Snippet{}, err
	}
	s := Snippet{URL: u.String(), Left: raw.left}
	if s.Name, err = ParseName(raw.name, u.Hostname()); err != nil {
		s.Name = ""
	}
	h, ok := raw.keyHeader()
	if !ok {
		return s, nil
	}
	s.Header, s.Key, err = splitHeader(h)
	for _, other := range raw.headers {
		switch {
		case other == h && s.Key.IsZero():
			s.Left = append(s.Left, LeftOut{LeftPlaceholder, clean(other.name)})
		case other != h && !ofTransport(other.name):
			s.Left = append(s.Left, LeftOut{LeftHeader, clean(other.name)})
		}
	}
	return s, err
}

// ofTransport reports whether a header belongs to every request to an MCP server,
// so that leaving it out is not worth a word.
func ofTransport(header string) bool {
	switch strings.ToLower(clean(header)) {
	case "accept", "content-type", "user-agent", "mcp-protocol-version", "host", "connection":
		return true
	}
	return false
}

// keyHeader returns the header with the key: a usual one if there is one, else
// the first that can carry a key.
func (raw rawSnippet) keyHeader() (rawHeader, bool) {
	for _, usual := range UsualHeaders {
		for _, h := range raw.headers {
			if strings.EqualFold(clean(h.name), usual.Name) {
				return h, true
			}
		}
	}
	for _, h := range raw.headers {
		if _, err := ParseHeader(h.name, ""); err == nil && h.value != "" {
			return h, true
		}
	}
	return rawHeader{}, false
}

// splitHeader separates a header's prefix from its key: "Bearer abc" is a
// scheme and a key, and so is any other pair of words in Authorization.
func splitHeader(raw rawHeader) (Header, Secret, error) {
	prefix, key := "", clean(raw.value)
	scheme, rest, two := strings.Cut(key, " ")
	if two && isToken(scheme) && (strings.EqualFold(clean(raw.name), "Authorization") || strings.EqualFold(scheme, "Bearer")) {
		prefix, key = scheme+" ", rest
		if strings.EqualFold(scheme, "Bearer") {
			prefix = "Bearer "
		}
	}
	h, err := ParseHeader(raw.name, prefix)
	if err != nil || key == "" || placeholder(key) {
		return h, Secret{}, err
	}
	secret, err := ParseKey(key, h)
	return h, secret, err
}

// placeholder reports whether s stands in for a key.
func placeholder(s string) bool {
	if strings.Contains(s, "${") || strings.HasPrefix(s, "$") || strings.HasPrefix(s, "<") && strings.HasSuffix(s, ">") ||
		strings.HasPrefix(s, "{{") || strings.HasPrefix(s, "%") && strings.HasSuffix(s, "%") {
		return true
	}
	up := strings.ToUpper(strings.NewReplacer("-", "_", " ", "_").Replace(s))
	return strings.HasPrefix(up, "YOUR_") || strings.HasPrefix(up, "MY_API_KEY") || strings.HasPrefix(up, "API_KEY_HERE") ||
		strings.HasSuffix(up, "_HERE") || strings.Trim(up, "X") == "" || strings.Trim(up, "*.") == ""
}

// readJSON finds the only server in an mcp.json.
func readJSON(text string) (rawSnippet, error) {
	if strings.HasPrefix(text, `"`) {
		text = "{" + strings.TrimRight(text, ", \t\r\n") + "}" // an entry without its object
	}
	var root map[string]json.RawMessage
	dec := json.NewDecoder(strings.NewReader(plainJSON(text)))
	if err := dec.Decode(&root); err != nil {
		return rawSnippet{}, problem.Sentence("This looks like JSON but cannot be read. Copy the whole entry, from the first { to the last }.")
	}
	return findServer("", root, 0), nil
}

// serverMaps are the names under which clients keep their servers.
var serverMaps = []string{"mcpServers", "servers", "mcp", "context_servers", "mcp_servers"}

// maxDepth bounds how deep a server may be nested: {"mcp":{"servers":{"x":…}}}.
const maxDepth = 4

func findServer(name string, obj map[string]json.RawMessage, depth int) rawSnippet {
	if raw := readServer(name, obj); raw.url != "" || depth == maxDepth {
		return raw
	}
	var found rawSnippet
	visit := func(name string, v json.RawMessage) {
		var inner map[string]json.RawMessage
		if json.Unmarshal(v, &inner) != nil {
			return
		}
		raw := findServer(name, inner, depth+1)
		switch {
		case raw.url == "":
		case found.url == "":
			found = raw
		default:
			found.others++
		}
	}
	for _, m := range serverMaps {
		if v, ok := obj[m]; ok {
			visit("", v)
		}
	}
	if found.url != "" {
		return found
	}
	names := make([]string, 0, len(obj))
	for k := range obj {
		names = append(names, k)
	}
	slices.Sort(names) // makes the answer depend only on the text
	for _, k := range names {
		visit(k, obj[k])
	}
	return found
}

// readServer reads the object of one server, if it is one.
func readServer(name string, obj map[string]json.RawMessage) rawSnippet {
	raw := rawSnippet{name: name}
	for _, k := range []string{"url", "serverUrl", "server_url", "httpUrl", "endpoint"} {
		if raw.url == "" {
			raw.url = jsonString(obj[k])
		}
	}
	if raw.url == "" {
		var args []string
		if json.Unmarshal(obj["args"], &args) == nil && len(args) > 0 {
			cmd := readCommand(append([]string{jsonString(obj["command"])}, args...))
			cmd.name = name
			expandEnv(&cmd, obj["env"])
			return cmd
		}
		return raw
	}
	if raw.name == "" {
		raw.name = jsonString(obj["name"])
	}
	for _, k := range []string{"headers", "http_headers", "requestInit"} {
		var headers map[string]json.RawMessage
		if json.Unmarshal(obj[k], &headers) != nil {
			continue
		}
		if inner, ok := headers["headers"]; ok && k == "requestInit" {
			clear(headers)
			_ = json.Unmarshal(inner, &headers) // not an object: no headers
		}
		for h, v := range headers {
			raw.headers = append(raw.headers, rawHeader{h, jsonString(v)})
		}
	}
	slices.SortFunc(raw.headers, func(a, b rawHeader) int { return strings.Compare(a.name, b.name) })
	return raw
}

func jsonString(v json.RawMessage) (s string) {
	_ = json.Unmarshal(v, &s) // not a string: ""
	return s
}

// expandEnv inserts the values of "env" where an mcp-remote command line names
// them, as its documentation advises.
func expandEnv(raw *rawSnippet, env json.RawMessage) {
	var vars map[string]string
	if json.Unmarshal(env, &vars) != nil {
		return
	}
	for i := range raw.headers {
		raw.headers[i].value = expand(raw.headers[i].value, vars)
	}
}

// expand replaces ${NAME} once and does not expand what it inserted. An
// unknown name stays, which makes the whole a placeholder.
func expand(s string, vars map[string]string) string {
	var b strings.Builder
	rest := s
	for b.Len() <= maxSnippet {
		before, after, ok := strings.Cut(rest, "${")
		name, behind, closed := strings.Cut(after, "}")
		v, known := vars[name]
		if !ok || !closed || !known {
			return b.String() + rest
		}
		b.WriteString(before + v)
		rest = behind
	}
	return s
}

// readCommand reads "claude mcp add …", "codex mcp add …", "npx mcp-remote …"
// and "curl …": the first URL, the word before it if that is a name, and every
// header.
func readCommand(words []string) rawSnippet {
	var raw rawSnippet
	last := ""
	for i := 0; i < len(words); i++ {
		w := words[i]
		flag, value, joined := strings.Cut(w, "=")
		switch {
		case flag == "--header" || flag == "-H" || flag == "--headers":
			if !joined && i+1 < len(words) {
				i++
				value = words[i]
			}
			if name, v, ok := strings.Cut(value, ":"); ok {
				raw.headers = append(raw.headers, rawHeader{clean(name), clean(v)})
			}
			last = ""
		case raw.url == "" && isURL(w):
			raw.url = w
			if last != "" && !strings.HasPrefix(last, "mcp-remote") && slices.Contains(words, "add") && last != "add" {
				raw.name = last
			}
		case raw.url == "" && flag == "--url" && joined:
			raw.url = value
		case strings.HasPrefix(w, "-"):
			last = ""
			// A flag's value is not a name.
			if !joined && i+1 < len(words) && takesValue(flag) {
				i++
				value = words[i]
			}
			if flag == "-e" || flag == "--env" {
				name, _, _ := strings.Cut(value, "=")
				raw.left = append(raw.left, LeftOut{LeftVariable, clean(name)})
			}
		default:
			last = w
		}
	}
	return raw
}

func takesValue(flag string) bool {
	switch flag {
	case "--transport", "-t", "--scope", "-s", "-e", "--env", "-X", "--request", "-d", "--data":
		return true
	}
	return false
}

func isURL(s string) bool {
	u, err := url.Parse(s)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != ""
}

// splitCommand splits a command line as a shell would, with quotes,
// backslashes and continued lines only.
func splitCommand(s string) []string {
	var words []string
	var word strings.Builder
	var quote rune
	in, escaped := false, false
	for _, c := range s {
		switch {
		case escaped:
			if c != '\n' && c != '\r' {
				word.WriteRune(c)
				in = true
			}
			escaped = false
		case c == '\\' && quote != '\'':
			escaped = true
		case quote != 0 && c == quote:
			quote = 0
		case quote != 0:
			word.WriteRune(c)
		case c == '\'' || c == '"':
			quote, in = c, true
		case c == ' ' || c == '\t' || c == '\n' || c == '\r':
			if in {
				words = append(words, word.String())
				word.Reset()
				in = false
			}
		default:
			word.WriteRune(c)
			in = true
		}
	}
	if in || quote != 0 {
		words = append(words, word.String())
	}
	return words
}

// plainJSON removes comments and trailing commas outside of strings, which
// editors' settings allow.
func plainJSON(s string) string {
	var b strings.Builder
	b.Grow(len(s))
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"':
			end := stringEnd(s, i)
			b.WriteString(s[i:end])
			i = end - 1
		case c == '/' && strings.HasPrefix(s[i:], "//"):
			n := strings.IndexByte(s[i:], '\n')
			if n < 0 {
				return b.String()
			}
			i += n - 1
		case c == '/' && strings.HasPrefix(s[i:], "/*"):
			n := strings.Index(s[i+2:], "*/")
			if n < 0 {
				return b.String()
			}
			i += 2 + n + 1
		case c == ',' && closes(s[i+1:]):
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}

// stringEnd returns the index after the JSON string that begins at i.
func stringEnd(s string, i int) int {
	for j := i + 1; j < len(s); j++ {
		switch s[j] {
		case '\\':
			j++
		case '"':
			return j + 1
		}
	}
	return len(s)
}

// closes reports whether a closing bracket or the end comes next in s, after
// comments.
func closes(s string) bool {
	for {
		s = strings.TrimLeft(s, " \t\r\n")
		switch {
		case s == "":
			return true
		case strings.HasPrefix(s, "//"):
			_, s, _ = strings.Cut(s, "\n")
		case strings.HasPrefix(s, "/*"):
			_, s, _ = strings.Cut(s, "*/")
		default:
			return s[0] == '}' || s[0] == ']'
		}
	}
}
