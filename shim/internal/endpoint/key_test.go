package endpoint

import (
	"net/textproto"
	"strings"
	"testing"
)

func TestP20ParseHeader(t *testing.T) {
	good := []struct {
		name, header, prefix string
		want                 Header
	}{
		{"default", "Authorization", "Bearer ", DefaultHeader},
		{"any case", "authorization", "Bearer ", DefaultHeader},
		{"space forgotten", "Authorization", "Bearer", DefaultHeader},
		{"other scheme", "Authorization", "Basic", Header{"Authorization", "Basic "}},
		{"bare", "Authorization", "", Header{"Authorization", ""}},
		{"X-API-Key", " X-API-Key: ", "", Header{"X-API-Key", ""}},
		{"with underscores", "CONTEXT7_API_KEY", "", Header{"CONTEXT7_API_KEY", ""}},
		{"in small letters", "x-figma-token", "", Header{"x-figma-token", ""}},
		{"prefix elsewhere stays", "X-Auth", "Token", Header{"X-Auth", "Token"}},
		{"prefix with an equals sign", "Authorization", "Token token=", Header{"Authorization", "Token token="}},
		{"spaces in front of the prefix", "Authorization", "  Bearer ", DefaultHeader},
		{"64 characters", strings.Repeat("X", 64), "", Header{strings.Repeat("X", 64), ""}},
		{"looks like a family", "Mcpkey", "", Header{"Mcpkey", ""}},
	}
	for _, tt := range good {
		t.Run(tt.name, func(t *testing.T) {
			if got, err := ParseHeader(tt.header, tt.prefix); got != tt.want || err != nil {
				t.Errorf("ParseHeader(%q, %q) = %+v, %v; want %+v", tt.header, tt.prefix, got, err, tt.want)
			}
		})
	}
	bad := []struct{ header, prefix string }{
		{"", ""}, {"Host", ""}, {"host", ""}, {"Connection", ""}, {"Keep-Alive", ""}, {"TE", ""}, {"Trailer", ""}, {"Transfer-Encoding", ""},
		{"Upgrade", ""}, {"Cookie", ""}, {"Origin", ""}, {"Expect", ""}, {"Forwarded", ""}, {"Content-Length", ""}, {"Content-Type", ""},
		{"Accept", ""}, {"Accept-Encoding", ""}, {"Mcp-Session-Id", ""}, {"mcp-protocol-version", ""}, {"Proxy-Authorization", ""},
		{"Sec-Fetch-Site", ""}, {"X-Forwarded-For", ""}, {"X_Forwarded_For", ""}, {"Transfer_Encoding", ""}, {"User-Agent", ""}, {"Last-Event-ID", ""},
		{"X Key", ""}, {"X-Key\r\nHost", ""}, {"X-K\u00e9y", ""}, {"X:Key", ""}, {strings.Repeat("x", 65), ""},
		{"Authorization", "Bear\u00e9r "}, {"Authorization", "a\nb "}, {"Authorization", strings.Repeat("x", 65)},
	}
	for _, tt := range bad {
		t.Run("refused "+tt.header, func(t *testing.T) {
			if got, err := ParseHeader(tt.header, tt.prefix); err == nil {
				t.Errorf("ParseHeader(%q, %q) = %+v, want an error", tt.header, tt.prefix, got)
			}
		})
	}
}

// FuzzParseHeader: net/http sends an accepted header unchanged.
func FuzzParseHeader(f *testing.F) {
	f.Add("Authorization", "Bearer")
	f.Add("x-api-key:", "")
	f.Add("Mcp_Session", "\t")
	f.Fuzz(func(t *testing.T, name, prefix string) {
		h, err := ParseHeader(name, prefix)
		if err != nil {
			return
		}
		if h.Name == "" || len(h.Name) > maxHeader || !strings.EqualFold(h.Name, strings.TrimSuffix(clean(name), ":")) || !isToken(h.Name) {
			t.Errorf("ParseHeader(%q) = %q", name, h.Name)
		}
		for _, family := range notForKeysPrefix {
			if strings.HasPrefix(textproto.CanonicalMIMEHeaderKey(strings.ReplaceAll(h.Name, "_", "-")), family) {
				t.Errorf("ParseHeader(%q) = %q, of %s", name, h.Name, family)
			}
		}
		for _, c := range []byte(h.Prefix) {
			if c < ' ' || c > '~' {
				t.Errorf("prefix %q became %q", prefix, h.Prefix)
			}
		}
		if again, err := ParseHeader(h.Name, h.Prefix); again != h || err != nil {
			t.Errorf("%+v becomes %+v, %v", h, again, err)
		}
	})
}

func TestP20ParseKey(t *testing.T) {
	custom := Header{Name: "X-Api-Key"}
	token := Header{Name: "Authorization", Prefix: "Token token="}
	basic := Header{Name: "Authorization", Prefix: "Basic "}
	good := []struct {
		name, pasted string
		h            Header
		want         string
	}{
		{"plain", "sk-123", DefaultHeader, "sk-123"},
		{"spaces and line ends", " \r\n\tsk-123\u00a0\n", DefaultHeader, "sk-123"},
		{"zero-width around it", "\ufeff\u200bsk-123\u200b\u2060", DefaultHeader, "sk-123"},
		{"quoted", `"sk-123"`, DefaultHeader, "sk-123"},
		{"single quotes and spaces", " 'sk-123 ' ", DefaultHeader, "sk-123"},
		{"back quotes", "`sk-123`", DefaultHeader, "sk-123"},
		{"Bearer in front", "Bearer sk-123", DefaultHeader, "sk-123"},
		{"bearer in any case", "bEARER   sk-123", DefaultHeader, "sk-123"},
		{"Bearer for another header", "Bearer sk-123", custom, "sk-123"},
		{"the whole header", "Authorization: Bearer sk-123", DefaultHeader, "sk-123"},
		{"the whole header, quoted", `"authorization: bearer sk-123"`, DefaultHeader, "sk-123"},
		{"the whole custom header", "X-API-Key: sk-123", custom, "sk-123"},
		{"own prefix", "Token token=sk-123", token, "sk-123"},
		{"equals signs stay", "c2s9PQ==", DefaultHeader, "c2s9PQ=="},
		{"inner spaces stay", "a b", custom, "a b"},
		{"Bearer inside stays", "xBearer y", custom, "xBearer y"},
		{"one quote stays", `ab"`, custom, `ab"`},
		{"user and password", "user:pass", basic, "dXNlcjpwYXNz"},
		{"encoded already", "Basic dXNlcjpwYXNz", basic, "dXNlcjpwYXNz"},
		{"8192 bytes", strings.Repeat("k", MaxKey), DefaultHeader, strings.Repeat("k", MaxKey)},
	}
	for _, tt := range good {
		t.Run(tt.name, func(t *testing.T) {
			got, err := ParseKey(tt.pasted, tt.h)
			if err != nil || got.Reveal() != tt.want {
				t.Errorf("ParseKey(%q) = %q, %v; want %q", tt.pasted, got.Reveal(), err, tt.want)
			}
		})
	}
	bad := []struct{ name, pasted, want string }{
		{"empty", "", "empty"},
		{"spaces", " \n\u200b ", "empty"},
		{"quotes alone", `""`, "empty"},
		{"Bearer alone", "Bearer ", "empty"},
		{"header alone", "Authorization: Bearer", "empty"},
		{"line break", canary + "\n" + canary, "line break"},
		{"CR", canary + "\rX", "line break"},
		{"CRLF and a header", canary + "\r\nX-Evil: 1", "line break"},
		{"NUL", canary + "\x00" + canary, "control character"},
		{"tab", canary + "\tx", "control character"},
		{"delete", canary + "\x7fx", "control character"},
		{"letter", canary + "\u00e9", "U+00E9"},
		{"zero-width inside", canary + "\u200bx", "invisible"},
		{"long dash", canary + "\u2014x", "dash"},
		{"hidden", "\u2022\u2022\u2022\u2022" + canary, "hidden"},
		{"shortened", canary + "\u2026", "shortened"},
		{"bad UTF-8", canary + "\xff", "U+FFFD"},
		{"10 kB", strings.Repeat(canary, 10240/len(canary)+1), "too long"},
		{"1 MB", strings.Repeat(canary, 1<<16), "too long"},
	}
	for _, tt := range bad {
		t.Run(tt.name, func(t *testing.T) {
			got, err := ParseKey(tt.pasted, DefaultHeader)
			if err == nil {
				t.Fatalf("ParseKey(%q) = %q, want an error", tt.pasted, got.Reveal())
			}
			if !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), canary) {
				t.Errorf("ParseKey: %v; want %q in it, and no key", err, tt.want)
			}
		})
	}
}

// FuzzParseKey: accepted keys are printable ASCII and fit into a header. No
// error contains any part of the key.
func FuzzParseKey(f *testing.F) {
	f.Add("Bearer sk-123", "Authorization", "Bearer ")
	f.Add("\"x-api-key: sk\n-123\"", "X-Api-Key", "")
	f.Add("user:pass\u00e9", "Authorization", "Basic ")
	f.Fuzz(func(t *testing.T, pasted, name, prefix string) {
		h, err := ParseHeader(name, prefix)
		if err != nil {
			h = DefaultHeader
		}
		key, err := ParseKey(pasted, h)
		if err != nil {
			// A marker in the middle of the key must not show up again.
			marked := pasted + "Zq9marker9qZ" + pasted
			if _, err := ParseKey(marked, h); err != nil && strings.Contains(err.Error(), "Zq9marker9qZ") {
				t.Errorf("ParseKey(%q): the error holds the key: %v", marked, err)
			}
			return
		}
		k := key.Reveal()
		if k == "" || k != strings.TrimSpace(k) || len(k) > 2*MaxKey {
			t.Errorf("ParseKey(%q) = %q", pasted, k)
		}
		for _, c := range []byte(k) {
			if c < ' ' || c > '~' {
				t.Errorf("ParseKey(%q) = %q holds %q", pasted, k, c)
			}
		}
		if again, err := ParseKey(k, Header{Name: "X-K"}); err != nil && len(k) <= MaxKey {
			t.Errorf("ParseKey(%q) = %q, which is refused: %v, %q", pasted, k, err, again.Reveal())
		}
	})
}
