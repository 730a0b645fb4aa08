package web

import (
	"encoding/base64"
	"html/template"
	"net/url"
	"strings"
)

// How each client is told of an endpoint. Clients on this machine get the
// local address, which works without a tunnel; those in the cloud get the
// public one.

// Command adds the endpoint to Claude Code.
func (e EndpointRow) Command() string {
	return "claude mcp add --transport http " + commandName(e.Name) + " " + shellQuote(e.LocalURL())
}

// Codex adds the endpoint to Codex, which then signs in automatically.
func (e EndpointRow) Codex() string {
	return "codex mcp add " + commandName(e.Name) + " --url " + shellQuote(e.LocalURL())
}

// CodexConfig is the same as a part of Codex's config.toml. Strings of TOML
// that have no control characters are written as those of JSON.
func (e EndpointRow) CodexConfig() string {
	return "[mcp_servers." + commandName(e.Name) + "]\nurl = " + jsonQuote(e.LocalURL())
}

// Config is what apps with an mcp.json want.
func (e EndpointRow) Config() string {
	return "{\n  \"mcpServers\": {\n    \"" + commandName(e.Name) + "\": {\n      \"url\": " + jsonQuote(e.LocalURL()) + "\n    }\n  }\n}"
}

// VSCode adds the endpoint to VS Code. The quotes are those that shells on all
// systems take, which is how VS Code documents it: an address of ours has
// nothing in it that a shell would look at inside of them.
func (e EndpointRow) VSCode() string {
	return `code --add-mcp "` + strings.ReplaceAll(e.vscode(), `"`, `\"`) + `"`
}

func (e EndpointRow) vscode() string {
	return `{"name":"` + commandName(e.Name) + `","type":"http","url":` + jsonQuote(e.LocalURL()) + `}`
}

// VSCodeConfig is the mcp.json of VS Code, which has words of its own.
func (e EndpointRow) VSCodeConfig() string {
	return "{\n  \"servers\": {\n    \"" + commandName(e.Name) + "\": {\n      \"type\": \"http\",\n      \"url\": " + jsonQuote(e.LocalURL()) + "\n    }\n  }\n}"
}

// VSCodeLink opens VS Code, which asks whether to add the endpoint.
func (e EndpointRow) VSCodeLink() template.URL {
	return safeURL("vscode:mcp/install?" + url.PathEscape(e.vscode()))
}

// CursorLink opens Cursor, which asks whether to add the endpoint.
func (e EndpointRow) CursorLink() template.URL {
	config := base64.StdEncoding.EncodeToString([]byte(`{"url":` + jsonQuote(e.LocalURL()) + `}`))
	q := url.Values{"name": {commandName(e.Name)}, "config": {config}}
	return safeURL("cursor://anysphere.cursor-deeplink/mcp/install?" + q.Encode())
}

// ClaudeLink opens claude.ai's own form for a connector with everything filled
// in. It is empty if claude.ai cannot reach the endpoint.
func (e EndpointRow) ClaudeLink() template.URL {
	if !e.Public() {
		return ""
	}
	q := url.Values{"modal": {"add-custom-connector"}, "connectorName": {name(e.Name)}, "connectorUrl": {e.MCPURL}}
	// Spaces as %20: not every router of a web app reads "+" as one.
	return safeURL("https://claude.ai/customize/connectors?" + strings.ReplaceAll(q.Encode(), "+", "%20"))
}
