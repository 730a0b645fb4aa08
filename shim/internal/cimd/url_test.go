package cimd

import (
	"net/url"
	"path"
	"strings"
	"testing"
)

func TestC09URLRules(t *testing.T) {
	for _, id := range []string{
		"https://claude.ai/oauth/mcp-oauth-client-metadata", "https://chatgpt.com/oauth/IbUR3zxyNQ16/client.json",
		"https://client.example/c", "https://client.example:443/c", "https://a-b.client.example/a/b.json", "https://CLIENT.example/c",
		"https://client.example/.well-known/client", "https://client.example/a..b", "https://client.example/...", "https://client.example/c?v=1",
		"https://client.example/c?a=/../b", "https://client.example/%7Euser", "https://client.example/c/", "https://xn--bcher-kva.example/c",
		"https://client.example/%252e%252e/c", "https://client.example//c", "https://1.2.example/c",
	} {
		if err := new(Clients).Check(id); err != nil {
			t.Errorf("Check(%q): got %v, want none", id, err)
		}
	}
	for name, ids := range map[string][]string{
		"scheme":     {"http://client.example/c", "HTTPS://client.example/c", "ftp://client.example/c", "//client.example/c", "client.example/c", "https:/client.example/c", "https:client.example/c", "", "https://", " https://client.example/c"},
		"no path":    {"https://client.example", "https://client.example/", "https://client.example?x", "https://client.example/?x", "https://client.example:443"},
		"fragment":   {"https://client.example/c#", "https://client.example/c#x", "https://client.example#/c"},
		"user":       {"https://user@client.example/c", "https://user:pass@client.example/c", "https://@client.example/c", "https://client.example:443@evil.example/c"},
		"dots":       {"https://client.example/../c", "https://client.example/a/./c", "https://client.example/a/..", "https://client.example/.", "https://client.example/%2e%2e/c", "https://client.example/%2E./c", "https://client.example/.%2e", "https://client.example/%2e/c", "https://client.example/..?x"},
		"escapes":    {"https://client.example/%", "https://client.example/%2", "https://client.example/%zz", "https://client.example/a%2f..%2fc", "https://client.example/a%5Cc", "https://client.example/%00", "https://client.example/%0d%0aHost:x", "https://client.example/c?%0a", "https://client.example/%7f"},
		"characters": {"https://client.example/a b", "https://client.example/c\n", "https://client.example/\tc", "https://client.example/c\x00", "https://client.example\\@evil.example/c", "https://client.example/\\c", "https://client.example/\u00e9", "https://cl\u0131ent.example/c", "https://client.example/<c>", "https://client.example/\x7f", "https://client.example/{c}", "https://client.example/`c"},
		"port":       {"https://client.example:8443/c", "https://client.example:80/c", "https://client.example:/c", "https://client.example:0443/c", "https://client.example:443:443/c"},
		"host": {
			"https:///c", "https://localhost/c", "https://client/c", "https://client.example./c", "https://.client.example/c", "https://client..example/c",
			"https://127.0.0.1/c", "https://2130706433/c", "https://0x7f.1/c", "https://0x7f.0x0.0x0.0x1/c", "https://[::1]/c", "https://[::ffff:127.0.0.1]/c", "https://10.1/c",
			"https://client.ex%61mple/c", "https://-client.example/c", "https://client-.example/c", "https://client.example%00/c", "https://client.example;x/c", "https://client.example,evil.example/c",
			"https://" + strings.Repeat("a", 64) + ".example/c", "https://" + strings.Repeat("a.", 127) + "example/c", "https://*.example/c",
		},
		"length": {"https://client.example/" + strings.Repeat("c", 2000)},
	} {
		t.Run("C09 "+name, func(t *testing.T) {
			for _, id := range ids {
				if err := new(Clients).Check(id); err == nil {
					t.Errorf("Check(%q): got none, want an error", id)
				}
			}
		})
	}
	t.Run("C03 our own host", func(t *testing.T) {
		c := &Clients{OwnHost: func(host string) bool { return host == "me.example" }}
		for _, id := range []string{"https://me.example/c", "https://ME.example:443/c"} {
			if err := c.Check(id); err != errOwn {
				t.Errorf("Check(%q): got %v, want %v", id, err, errOwn)
			}
		}
		if err := c.Check("https://me.example.com/c"); err != nil {
			t.Errorf("another host: got %v, want none", err)
		}
	})
}

// FuzzURL: net/url, which sends the request, reads an accepted URL as it was
// read here, byte for byte.
func FuzzURL(f *testing.F) {
	for _, s := range []string{
		"https://client.example/c", "https://client.example:443/a/b?x=%20", "https://client.example/%2e%2E/c", "https://u@h.example/c",
		"https://client.example\\@evil.example/c", "https://[::1]/c", "https://0x7f.1/c", "https://client.example/a//b/", "https://client.example/c?",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, id string) {
		if checkURL(id) != nil {
			return
		}
		u, err := url.Parse(id)
		if err != nil {
			t.Fatalf("%q passes and is no URL: %v", id, err)
		}
		if got := "https://" + u.Host + u.RequestURI(); u.Scheme != "https" || u.User != nil || u.Opaque != "" || u.Fragment != "" || got != id {
			t.Errorf("%q passes and is fetched as %q", id, got)
		}
		if p := u.Port(); p != "" && p != "443" {
			t.Errorf("%q passes with port %s", id, p)
		}
		if got := hostOf(id); got != strings.ToLower(u.Hostname()) {
			t.Errorf("hostOf(%q): got %q, want %q", id, got, u.Hostname())
		}
		slashes := strings.NewReplacer("//", "/")
		clean := u.Path
		for strings.Contains(clean, "//") {
			clean = slashes.Replace(clean)
		}
		if path.Clean(clean) != strings.TrimSuffix(clean, "/") && clean != "/" {
			t.Errorf("%q passes with dot segments", id)
		}
		if u.Path == "" || u.Path == "/" || strings.ContainsAny(u.Path, "\\\x00\r\n") {
			t.Errorf("%q passes with path %q", id, u.Path)
		}
	})
}
