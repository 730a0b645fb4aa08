package endpoint

import (
	"strings"
	"testing"
)

func TestHostName(t *testing.T) {
	for host, want := range map[string]string{
		"mcp.linear.app":              "linear.app",
		"MCP.Example.com:8443":        "example.com",
		"example.com":                 "example.com",
		"api.eu.example.co.uk":        "example.co.uk",
		"co.uk":                       "co.uk",
		"mcp.notes.workers.dev":       "notes.workers.dev",
		"a-b-uc.a.run.app":            "a-b-uc.a.run.app",
		"127.0.0.1:21310":             "127.0.0.1:21310",
		"[::1]:8080":                  "[::1]:8080",
		"192.168.1.20":                "192.168.1.20",
		"localhost:3000":              "localhost:3000",
		"nas.local:8080":              "nas.local:8080",
		"homeassistant:8123":          "homeassistant:8123",
		"..":                          "..",
		"":                            "",
		"mcp.example.com.":            "example.com",
		"b\u00fccher.shop.example.de": "example.de",
	} {
		if got := HostName(host); got != want {
			t.Errorf("HostName(%q) = %q, want %q", host, got, want)
		}
	}
}

func TestFreeName(t *testing.T) {
	long := strings.Repeat("x", MaxName)
	all := []Endpoint{{Name: "Notes"}, {Name: "Notes 2"}, {Name: long}}
	for name, want := range map[string]string{"Mail": "Mail", "Notes": "Notes 3", long: long[:MaxName-2] + " 2"} {
		if got := FreeName(name, all); got != want {
			t.Errorf("FreeName(%q) = %q, want %q", name, got, want)
		}
	}
}
