package proxy

import (
	"bytes"
	"encoding/json"
	"unicode/utf8"
)

// What keys and strings of a message mean to the servers that read it.

// lower reports whether key has neither capitals nor anything that may stand
// for other letters, as nearly every key.
func lower(key []byte) bool {
	for _, c := range key {
		if 'A' <= c && c <= 'Z' || c >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// foldedField returns the field of a key for servers that ignore case, as
// encoding/json does.
func foldedField(p place, key []byte) field {
	switch {
	case p == inMessage && bytes.EqualFold(key, keyMethod):
		return methodField
	case p == inMessage && bytes.EqualFold(key, keyParams):
		return paramsField
	case p == inParams && bytes.EqualFold(key, keyName):
		return toolField
	}
	return noField
}

var keyMethod, keyParams, keyName = []byte("method"), []byte("params"), []byte("name")

// fieldOf returns the field of a key.
func fieldOf(p place, key []byte) field {
	switch p {
	case inMessage:
		switch string(key) {
		case "id":
			return idField
		case "method":
			return methodField
		case "params":
			return paramsField
		case "result", "error":
			return answerField
		}
	case inParams:
		switch string(key) {
		case "name":
			return toolField
		case "_meta":
			return metaField
		}
	case inMeta:
		if string(key) == "io.modelcontextprotocol/protocolVersion" {
			return versionField
		}
	}
	return noField
}

// plain is unescape for a value that may be cut off or no valid string: what is
// strange must not be invisible.
func plain(raw []byte) []byte {
	if out := unescape(raw); out != nil {
		return out
	}
	for cut := 1; cut <= min(len(raw), len(`\uD83D\uDE0`)); cut++ {
		if out := unescape(raw[:len(raw)-cut]); out != nil {
			return out
		}
	}
	return raw
}

// unescape resolves the escapes of the inside of a JSON string.
func unescape(raw []byte) []byte {
	plain := true
	for _, c := range raw {
		if c == '\\' || c >= utf8.RuneSelf {
			plain = false
			break
		}
	}
	if plain {
		return raw
	}
	quoted := make([]byte, 0, len(raw)+2)
	quoted = append(quoted, '"')
	quoted = append(quoted, raw...)
	quoted = append(quoted, '"')
	var out string
	if json.Unmarshal(quoted, &out) != nil {
		return nil
	}
	return []byte(out)
}

const (
	methodCall   = "tools/call"
	methodListen = "subscriptions/listen" // of MCP 2026-07-28, in place of GET
)

// methodString is string(b) without an allocation for the usual methods.
func methodString(b []byte) string {
	switch string(b) {
	case methodCall:
		return methodCall
	case "tools/list":
		return "tools/list"
	case "initialize":
		return "initialize"
	case "server/discover":
		return "server/discover"
	case "notifications/initialized":
		return "notifications/initialized"
	case "ping":
		return "ping"
	case "resources/list":
		return "resources/list"
	case "resources/read":
		return "resources/read"
	case "prompts/list":
		return "prompts/list"
	case "prompts/get":
		return "prompts/get"
	}
	return string(b)
}

// modernVersion is the first revision whose results carry a resultType.
const modernVersion = "2026-07-28"

func versionString(b []byte) string {
	if string(b) == modernVersion {
		return modernVersion
	}
	return string(b)
}

// modern reports whether v is 2026-07-28 or later. Versions are dates.
func modern(v string) bool { return len(v) == len(modernVersion) && v >= modernVersion }
