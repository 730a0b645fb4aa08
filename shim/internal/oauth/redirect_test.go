package oauth

import (
	"net/url"
	"strings"
	"testing"
)

func TestA02RedirectMatches(t *testing.T) {
	for _, tt := range []struct {
		client     string
		registered []string
		accept     []string
		refuse     []string
	}{
		{"Claude Code", []string{"http://localhost/callback", "http://127.0.0.1/callback"},
			[]string{"http://localhost:3118/callback", "http://127.0.0.1:54321/callback", "http://localhost/callback"},
			[]string{
				"http://localhost:3118/other", "http://localhost:3118/callback/extra", "http://localhost:3118/callback/", "http://localhost:3118",
				"https://localhost:3118/callback", "http://[::1]:3118/callback", "http://localhost.attacker.example:3118/callback",
				"http://localhost:3118/callback?x=1", "http://localhost:3118/Callback", "http://LOCALHOST:3118/callback",
				"http://localhost:/callback", "http://localhost:123456/callback", "http://localhost:3118x/callback", "http://localhost:-1/callback",
				"http://localhost:80@attacker.example/callback", "http://localhost@attacker.example/callback", "http://127.0.0.1.attacker.example/callback",
				"http://127.0.0.2/callback", "http://127.1/callback", "http://0.0.0.0/callback", "http://localhost:3118\\@attacker.example/callback",
				"http://localhost:3118/callback#x", "http://localhost:3118//callback", "HTTP://localhost:3118/callback", "http://localhost./callback",
			}},
		{"VS Code", []string{"http://127.0.0.1:33418/", "https://vscode.dev/redirect"},
			[]string{"http://127.0.0.1:50000/", "http://127.0.0.1:33418/", "http://127.0.0.1/", "https://vscode.dev/redirect"},
			[]string{"http://127.0.0.1:33418/callback", "https://vscode.dev/redirect/", "http://127.0.0.1:50000", "http://localhost:33418/",
				"https://vscode.dev:443/redirect", "https://insiders.vscode.dev/redirect"}},
		{"ChatGPT", []string{"https://chatgpt.com/connector_platform_oauth_redirect"},
			[]string{"https://chatgpt.com/connector_platform_oauth_redirect"},
			[]string{"https://chatgpt.com/connector_platform_oauth_redirect/", "https://chatgpt.com.attacker.example/connector_platform_oauth_redirect",
				"https://chatgpt.co/connector_platform_oauth_redirect", "https://chatgpt.com:8443/connector_platform_oauth_redirect",
				"https://CHATGPT.com/connector_platform_oauth_redirect", "http://chatgpt.com/connector_platform_oauth_redirect",
				"https://chatgpt.com/%63onnector_platform_oauth_redirect", "https://chatgpt.com/connector_platform_oauth_redirect?a"}},
		{"opencode", []string{"http://127.0.0.1/callback"}, nil, []string{"http://127.0.0.1:19876/mcp/oauth/callback"}},
		{"IPv6", []string{"http://[::1]:8080/cb?a=b"}, []string{"http://[::1]:1/cb?a=b"},
			[]string{"http://[::1]:1/cb", "http://[::1]:1/cb?a=c", "http://127.0.0.1:1/cb?a=b", "http://[0:0:0:0:0:0:0:1]:1/cb?a=b"}},
		{"Cursor", []string{"cursor://anysphere.cursor-mcp/oauth/callback"}, []string{"cursor://anysphere.cursor-mcp/oauth/callback"},
			[]string{"cursor://anysphere.cursor-mcp:1/oauth/callback", "cursor://anysphere.cursor-mcp/oauth/callback/", "Cursor://anysphere.cursor-mcp/oauth/callback"}},
	} {
		c := Client{RedirectURIs: tt.registered}
		for _, u := range tt.accept {
			t.Run(tt.client+" accept "+u, func(t *testing.T) {
				if !c.matchesAny(u) {
					t.Errorf("%q is refused for %q", u, tt.registered)
				}
			})
		}
		for _, u := range append(tt.refuse, "") {
			t.Run(tt.client+" refuse "+u, func(t *testing.T) {
				if c.matchesAny(u) {
					t.Errorf("%q is accepted for %q", u, tt.registered)
				}
			})
		}
	}
}

func TestR05RedirectPolicy(t *testing.T) {
	for _, u := range []string{
		callback, "https://a.example", "https://a.example:8443/cb?x=%20y", "http://localhost/cb", "http://localhost:1", "http://127.0.0.1:33418/",
		"http://[::1]:8080/cb", "cursor://anysphere.cursor-mcp/oauth/callback", "com.example.app:/oauth2redirect", "vscode://x.y/z?a=b", "claude://x",
		"vscode-insiders://x/cb", "windsurf://x/cb", "zed://x/cb", "warp://x/cb", "raycast://x/cb", "goose://x/cb", "kiro://x/cb", "de.example.app:/cb", "io.github.user.app:/cb",
		"https://grok.com/connectors-oauth-exchange-code/", "https://a.example/cb?",
	} {
		if err := checkRedirectURI(u); err != nil {
			t.Errorf("%q: got %v, want it accepted", u, err)
		}
	}
	for _, u := range []string{
		"", "/cb", "//a.example/cb", "a.example/cb", "https:", "https:///cb", "https:a.example", "https:/a.example",
		"javascript:alert(1)", "JavaScript:alert(1)", "javascript://x/%0aalert(1)", "data:text/html,x", "vbscript:x", "file:///etc/passwd",
		"mailto:a@b.example", "blob:https://a.example/x", "about:blank", "view-source:https://a.example/", "chrome://settings",
		"ws://a.example/", "wss://a.example/", "ftp://a.example/", "intent://x", "urn:ietf:wg:oauth:2.0:oob", "localhost:8080/cb", "app:cb",
		"http://evil.example/", "http://localhost.evil.example/", "http://127.0.0.1.evil.example/", "http://10.0.0.1/", "http://0.0.0.0/",
		"http://[::ffff:127.0.0.1]/", "http://[::1%25eth0]/", "http://2130706433/", "http://127.1/", "http:///cb",
		"https://user@a.example/", "https://user:pass@a.example/", "https://@a.example/", "cursor://u@x/cb",
		"https://a.example/#", "https://a.example/#x", "https://*.a.example/", "https://a.example/*", "https://a.ex%61mple/",
		"https://a.example/ cb", " https://a.example/", "https://a.example/\n", "https://a.example/\x00", "https://a.example\\@b.example/",
		"https://\u00fc.example/", "https://a.example/\u202e", "https://a.example/?x=%zz", "https://a.example/?a;b", `https://a.example/"`,
		"https://a.example/?code=1", "https://a.example/?a=b&state=", "https://a.example/?iss", "https://a.example/?%65rror=x",
		"https://a.example/" + strings.Repeat("x", 2048),
		// What operating systems, desktops and browsers act on.
		"ms-appinstaller:/x", "ms-appinstaller://?source=https://a.example/x.msix", "microsoft-edge:/x", "ms-word://ofe|u|x", "ms-word:/x", "ms-excel:/x",
		"ms-settings:/x", "ms-windows-store:/x", "ms-search:/x", "ms-msdt:/x", "ms-screenclip:/x", "bingmaps:/x", "microsoft.windows.camera:/x",
		"microsoft.windows.photos.crop:/x", "com.microsoft.3dviewer:/x", "onenote:/x", "skype:/x", "xbox:/x", "zune:/x", "calculator:/x",
		"apt:/x", "apturl:/x", "snap:/x", "appstream:/x", "gnome-software:/x", "man:/x", "info:/x", "help:/x", "ghelp:/x", "yelp:/x", "trash:/x",
		"smb:/x", "afp:/x", "nfs:/x", "dav:/x", "davs:/x", "admin:/x", "recent:/x", "computer:/x", "network:/x", "mtp:/x", "gphoto2:/x",
		"x-man-page:/x", "x-apple.systempreferences:/x", "x-apple-helpbasic:/x", "applescript:/x", "macappstore:/x", "itms:/x", "itms-apps:/x",
		"facetime:/x", "imessage:/x", "shortcuts:/x", "terminal:/x", "ssh:/x", "telnet:/x", "vnc:/x", "rdp:/x", "com.apple.preferences:/x",
		"steam:/x", "zoommtg:/x", "slack:/x", "tg:/x", "magnet:/x", "bitcoin:/x", "ed2k:/x", "web+x:/x", "ext+x:/x", "moz-extension:/x", "resource:/x",
		"org.gnome.settings:/x", "org.kde.x:/x", "com.apple:/x", ".com.example:/x", "com..example:/x", "com.:/x", "example.com.app:/x", "x.y:/x",
	} {
		if checkRedirectURI(u) == nil {
			t.Errorf("%q: accepted", u)
		}
	}
	f := newFixture(t)
	for _, u := range []string{"javascript:alert(1)", "http://evil.example/", "https://a.example/#x", "https://u@a.example/", "https://*.example/"} {
		w := f.do(f.pub, "POST", "/register", `{"redirect_uris":["`+u+`"]}`, "Content-Type", "application/json")
		wantError(t, w, 400, "invalid_redirect_uri")
	}
}

func TestAddQuery(t *testing.T) {
	for _, tt := range []struct{ uri, want string }{
		{"https://a.example/cb", "https://a.example/cb?code=c&state=s"},
		{"https://a.example/cb?x=1&x=2", "https://a.example/cb?x=1&x=2&code=c&state=s"},
		{"https://a.example/cb?", "https://a.example/cb?code=c&state=s"},
		{"https://a.example/cb?x&", "https://a.example/cb?x&code=c&state=s"},
		{"https://a.example/cb?e=%2B+%20", "https://a.example/cb?e=%2B+%20&code=c&state=s"},
		{"http://localhost:1", "http://localhost:1?code=c&state=s"},
		{"cursor://anysphere.cursor-mcp/oauth/callback", "cursor://anysphere.cursor-mcp/oauth/callback?code=c&state=s"},
		{"com.example.app:/cb", "com.example.app:/cb?code=c&state=s"},
	} {
		if got := addQuery(tt.uri, "code", "c", "error", "", "state", "s"); got != tt.want {
			t.Errorf("addQuery(%q): got %q, want %q", tt.uri, got, tt.want)
		}
	}
}

// Only the port of a loopback http URI may differ.
func FuzzRedirectMatches(f *testing.F) {
	for _, s := range [][2]string{
		{"http://localhost/callback", "http://localhost:3118/callback"}, {"http://[::1]:1/", "http://[::1]/"}, {"https://a.example/", "https://a.example:1/"},
		{"http://127.0.0.1", "http://127.0.0.1:80"}, {"http://127.0.0.1?x", "http://127.0.0.1:65535?x"}, {"http://localhost:1/", "http://localhost:1@evil.example/"},
	} {
		f.Add(s[0], s[1])
	}
	f.Fuzz(func(t *testing.T, registered, requested string) {
		c := Client{RedirectURIs: []string{registered}}
		if !c.matchesAny(requested) || registered == requested {
			return
		}
		a, err1 := url.Parse(registered)
		b, err2 := url.Parse(requested)
		if err1 != nil || err2 != nil {
			t.Fatalf("%q matched %q, and one is no URL", registered, requested)
		}
		for _, u := range []*url.URL{a, b} {
			if h := u.Hostname(); u.Scheme != "http" || h != "localhost" && h != "127.0.0.1" && h != "::1" {
				t.Fatalf("%q matched %q", registered, requested)
			}
		}
		a.Host, b.Host = a.Hostname(), b.Hostname()
		if *a != *b {
			t.Errorf("%q matched %q", registered, requested)
		}
	})
}
