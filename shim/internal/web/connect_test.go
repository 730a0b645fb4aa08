package web

import (
	"encoding/base64"
	"encoding/json"
	"net/url"
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/key2oauth/key2oauth/e2e/testenv"
)

// TestConnectLinks reads each link as the app that it is made for does.
func TestConnectLinks(t *testing.T) {
	e := EndpointRow{Name: "Finance & Planning \u202e+ (EU)", MCPURL: mcpURL(public, "k3v9x2m7q4ab"), LocalMCPURL: mcpURL(local, "k3v9x2m7q4ab")}
	claude, err := url.Parse(string(e.ClaudeLink()))
	if err != nil {
		t.Fatal(err)
	}
	want := url.Values{"modal": {"add-custom-connector"}, "connectorName": {"Finance & Planning + (EU)"}, "connectorUrl": {e.MCPURL}}
	if diff := cmp.Diff(want, claude.Query()); diff != "" || claude.Host != "claude.ai" || claude.Path != "/customize/connectors" || strings.Contains(claude.RawQuery, "+") {
		t.Errorf("%s (-want +got):\n%s", claude, diff)
	}

	cursor, err := url.Parse(string(e.CursorLink()))
	if err != nil {
		t.Fatal(err)
	}
	config, err := base64.StdEncoding.DecodeString(cursor.Query().Get("config"))
	if got, want := string(config), `{"url":"`+e.LocalMCPURL+`"}`; err != nil || got != want || cursor.Query().Get("name") != "finance-planning-eu" {
		t.Errorf("%s: config %s, %v, want %s", cursor, got, err, want)
	}

	vscode, err := url.PathUnescape(strings.TrimPrefix(string(e.VSCodeLink()), "vscode:mcp/install?"))
	if err != nil {
		t.Fatal(err)
	}
	wantServer(t, vscode, e.LocalMCPURL)

	e.MCPURL = e.LocalMCPURL
	if got := e.ClaudeLink(); got != "" {
		t.Errorf("without a public address the link is %q, want none", got)
	}
}

func wantServer(t *testing.T, text, address string) {
	t.Helper()
	var got map[string]string
	if err := json.Unmarshal([]byte(text), &got); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	if diff := cmp.Diff(map[string]string{"name": "finance-planning-eu", "type": "http", "url": address}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestConnectCommands has a shell read the commands.
func TestConnectCommands(t *testing.T) {
	sh := testenv.Need(t, "sh")
	e := EndpointRow{Name: "Finance & Planning (EU)", LocalMCPURL: mcpURL(local, "k3v9x2m7q4ab")}
	words := func(command string) []string {
		t.Helper()
		out, err := exec.Command(sh, "-c", `for w in `+command+`; do printf '%s\0' "$w"; done`).Output()
		if err != nil {
			t.Fatalf("%s: %v", command, err)
		}
		return strings.Split(strings.TrimSuffix(string(out), "\x00"), "\x00")
	}
	for _, tt := range []struct {
		got  []string
		want []string
	}{
		{words(e.Command()), []string{"claude", "mcp", "add", "--transport", "http", "finance-planning-eu", e.LocalMCPURL}},
		{words(e.Codex()), []string{"codex", "mcp", "add", "finance-planning-eu", "--url", e.LocalMCPURL}},
	} {
		if diff := cmp.Diff(tt.want, tt.got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
	code := words(e.VSCode())
	if len(code) != 3 || code[0] != "code" || code[1] != "--add-mcp" {
		t.Fatalf("a shell reads %q", code)
	}
	wantServer(t, code[2], e.LocalMCPURL)
}

// TestConnectConfigs parses the files that the user is to paste.
func TestConnectConfigs(t *testing.T) {
	e := EndpointRow{Name: "Linear", LocalMCPURL: mcpURL(local, "k3v9x2m7q4ab")}
	server := map[string]any{"url": e.LocalMCPURL}
	for _, tt := range []struct {
		text string
		want map[string]any
	}{
		{e.Config(), map[string]any{"mcpServers": map[string]any{"linear": server}}},
		{e.VSCodeConfig(), map[string]any{"servers": map[string]any{"linear": map[string]any{"type": "http", "url": e.LocalMCPURL}}}},
	} {
		var got map[string]any
		if err := json.Unmarshal([]byte(tt.text), &got); err != nil {
			t.Fatalf("%s: %v", tt.text, err)
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
	if got, want := e.CodexConfig(), "[mcp_servers.linear]\nurl = \""+e.LocalMCPURL+"\""; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
