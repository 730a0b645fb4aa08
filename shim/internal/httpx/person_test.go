package httpx

import (
	"net/http/httptest"
	"testing"
)

func TestForPerson(t *testing.T) {
	const chrome = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"
	for _, tt := range []struct {
		name, method, mode, accept string
		want                       bool
	}{
		{"a browser's navigation", "GET", "navigate", chrome, true},
		{"a navigation without Accept", "GET", "navigate", "", true},
		{"an older browser", "GET", "", chrome, true},
		{"HTML alone", "GET", "", "text/html", true},
		{"in capitals", "HEAD", "", "Text/HTML ; q=0.5", true},
		{"a script of a page", "GET", "cors", chrome, false},
		{"a form", "POST", "navigate", chrome, false},
		{"a program", "GET", "", "*/*", false},
		{"nothing said", "GET", "", "", false},
		{"MCP's GET", "GET", "", "text/event-stream", false},
		{"a program that lists all", "GET", "", "application/json, text/html, */*", false},
		{"a stream that mentions HTML", "GET", "", "text/html, text/event-stream", false},
		{"HTML refused", "GET", "", "text/html;q=0, */*", false},
		{"HTML refused at length", "GET", "", "text/html;level=1;q=0.000", false},
		{"like HTML", "GET", "", "text/html5, application/xhtml+xml", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := httptest.NewRequest(tt.method, "/nowhere", nil)
			if tt.mode != "" {
				r.Header.Set("Sec-Fetch-Mode", tt.mode)
			}
			if tt.accept != "" {
				r.Header.Set("Accept", tt.accept)
			}
			if got := ForPerson(r); got != tt.want {
				t.Errorf("got %t, want %t", got, tt.want)
			}
		})
	}
}
