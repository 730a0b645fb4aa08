package trial

import (
	"net/url"
	"strings"
	"testing"

	"github.com/key2oauth/key2oauth/shim/display"
	"github.com/key2oauth/key2oauth/shim/internal/endpoint"
	"github.com/key2oauth/key2oauth/shim/internal/guard"
	"github.com/key2oauth/key2oauth/shim/internal/upstream"
	"github.com/key2oauth/key2oauth/shim/shimtest"
)

func messageOf(media, body, key string) message {
	k := &talk{target: &upstream.Target{URL: &url.URL{Scheme: "https", Host: "mcp.example"}, Key: endpoint.NewSecret(key)}}
	return k.message(answer{media: media, excerpt: []byte(body)})
}

func TestWordsInCatalogue(t *testing.T) {
	if n := shimtest.NoWords(t, ".", "text.go"); n < 5 {
		t.Errorf("%d files were looked at", n)
	}
}

func TestMessage(t *testing.T) {
	const key = "sk-proj-Ab3dEf6hIj9k"
	tests := []struct {
		name, media, body, want string
		html                    bool
	}{
		{"text", "text/plain", "  no\n such\tkey ", "no such key", false},
		{"string error", "application/json", `{"error":"bad key"}`, "bad key", false},
		{"object error", "application/json", `{"error":{"type":"x","message":"bad key"}}`, "bad key", false},
		{"OAuth error", "application/json", `{"error":"invalid_token","error_description":"expired"}`, "expired", false},
		{"list of errors", "application/json", `{"errors":[{"message":"first"},{"message":"second"}]}`, "first", false},
		{"JSON labelled as text", "text/plain", `{"message":"bad"}`, "bad", false},
		{"nothing useful", "application/json", `{"ok":false}`, "", false},
		{"broken JSON", "application/json", `{"error":"ba`, `{'error':'ba`, false},
		{"event stream", "text/event-stream", ": hi\nevent: message\ndata: {\"error\":{\"message\":\"bad\"}}\n\n", "bad", false},
		{"page", "text/html", "<!doctype html><title>Hi &amp; bye</title><script>var a='<b>'</script><p>Text", "Hi & bye Text", true},
		{"page without a type", "", "<html><body>x", "x", true},
		{"markup in JSON", "application/json", `{"error":"<b onclick=\"x\">bad</b><script>alert(1)</script>"}`, "bad", false},
		{"bidi and control characters", "text/plain", "a\u202eb\x00c\u200bd\x1b[31m", "abcd[31m", false},
		{"whole key", "text/plain", "bad key " + key + "!", "bad key [hidden]!", false},
		{"key in other case", "text/plain", "bad key " + strings.ToUpper(key), "bad key [hidden]", false},
		{"beginning of the key", "text/plain", "bad key " + key[:12] + "...", "bad key [hidden]...", false},
		{"end of the key", "text/plain", "bad key ***" + key[8:], "bad key ***[hidden]", false},
		{"key split by markup", "text/html", "bad key " + key[:10] + "<b></b>" + key[10:], "bad key [hidden] [hidden]", true},
		{"key in base64", "text/plain", "no dXNlcjpzay1wcm9qLUFiM2RFZjZoSWo5aw== here", "no dXNlcj" + strings.Repeat("*", 30) + " here", false},
		{"long", "text/plain", strings.Repeat("word ", 100), strings.TrimSpace(strings.Repeat("word ", 40))[:199] + "\u2026", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := messageOf(tt.media, tt.body, key); got.text != tt.want || got.html != tt.html {
				t.Errorf("got %q (html %t), want %q (html %t)", got.text, got.html, tt.want, tt.html)
			}
		})
	}
}

// FuzzMessage: the part of an upstream's answer that is shown is short and
// printable. It contains neither unescaped markup nor the key.
func FuzzMessage(f *testing.F) {
	f.Add("text/html", "<b>x</b>", "sk-0123456789")
	f.Add("application/json", `{"error":{"message":"sk-0123456789"}}`, "sk-0123456789")
	f.Add("text/event-stream", "data: {\"error\":\"sk-01\"}\n\n", "sk-0123456789")
	f.Add("text/plain", "sk-0123<b>456789 &lt;b&gt;", "sk-0123456789")
	f.Fuzz(func(t *testing.T, media, body, pasted string) {
		key, err := endpoint.ParseKey(pasted, endpoint.DefaultHeader)
		if err != nil {
			key = endpoint.NewSecret("sk-0123456789")
		}
		got := messageOf(media, body, key.Reveal()).text
		if display.Text(got, maxMessage) != got {
			t.Errorf("%q has more than %d characters", got, maxMessage)
		}
		if clean := display.Text(got, display.NoLimit); clean != got {
			t.Errorf("%q is not clean: %q", got, clean)
		}
		// Shorter keys are parts of ordinary words, and of "[hidden]".
		if k := key.Reveal(); len(k) >= guard.Piece && strings.Contains(got, k) && !strings.Contains("[hidden]", k) {
			t.Errorf("%q holds the key %q", got, k)
		}
	})
}

// TestPathKeyInMessage: of a key in the path of the address no piece is shown
// either.
func TestPathKeyInMessage(t *testing.T) {
	const key = "Ab3dEf6hIj9kLm2nOp5qRs8t"
	u, err := url.Parse("https://h.example/s/" + key + "/mcp")
	if err != nil {
		t.Fatal(err)
	}
	target := &upstream.Target{URL: u, Header: endpoint.DefaultHeader}
	for _, said := range []string{"no route for /s/" + key + "/mcp", "unknown key " + key[:12] + "…", "unknown key …" + key[10:]} {
		if got := printable(said, target, maxMessage); strings.Contains(got, key[:8]) || strings.Contains(got, key[16:]) {
			t.Errorf("%q is shown as %q", said, got)
		}
	}
}
