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
		"http://[::1]:8080/cb", "cursor://anysphere.cursor-mcp/oauth/callback", "com.example.app:/oauth2redirect", "vscode://x.y/did-authenticate?a=b", "claude://claude.ai/mcp-auth-callback", "raycast://oauth?package_name=Extension", "warp://mcp/oauth2callback",
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
		"http://127.0.0.2/cb", "http://127.255.255.254:8080/cb", "http://LOCALHOST/cb", "http://Localhost:1/cb", "http://localhost./cb", "http://[0:0:0:0:0:0:0:1]/cb", "http://[::ffff:127.0.0.1]/", "http://[::1%25eth0]/", "http://2130706433/", "http://127.1/", "http:///cb",
		"http://127.0.0.1:07450/cb", "http://[::1]:0001/cb", "http://localhost:00/cb", "https://a.example:0443/", "https://a.example:65536/", "http://127.0.0.1:99999999999999999999/cb",
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
		"ms.settings:/x", "ms.windows.store:/x", "xx.example:/x", "qq.y.z:/x", "de.-x:/x", "de.x+y:/x", "org.gnome.settings:/x", "org.kde.x:/x", "com.apple:/x", ".com.example:/x", "com..example:/x", "com.:/x", "example.com.app:/x", "x.y:/x",
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

// Links with which well-known apps do something are no redirect URIs, however they
// are spelled: only callbacks are.
func TestAppLinks(t *testing.T) {
	for _, u := range []string{
		"cursor://anysphere.cursor-deeplink/mcp/install?name=x&config=eA", "cursor://anysphere.cursor-deeplink/prompt?text=x", "cursor:/mcp/install?name=x",
		"cursor://anysphere.cursor-deeplink/mcp/install/oauth/callback", "cursor://anysphere.cursor-deeplink/oauth/callback", "cursor://ANYSPHERE.Cursor-DeepLink/callback",
		"cursor://anysphere.cursor-mcp/oauth/callback/../../../anysphere.cursor-deeplink/mcp/install", "cursor://anysphere.cursor-mcp/oauth/callback/%2e%2e/x",
		"cursor://anysphere.cursor-mcp/oauth/callback/%252e%252e/x", "cursor://anysphere.cursor-mcp//oauth/callback", "cursor://anysphere.cursor-mcp/callback/%69nstall",
		"cursor://anysphere.cursor-mcp:80/oauth/callback", "cursor://file/callback", "cursor://settings/auth", "cursor://vscode.git/clone?url=https://a.example/login",
		"vscode://file/home/x", "vscode://vscode.git/clone?url=x", "vscode://vscode-remote/ssh-remote+a.example/auth", "vscode://mcp/install?x", "vscode-insiders://x.y/z",
		"warp://action/new_tab?path=/tmp", "warp://action/callback", "warp://launch/auth", "warp://settings/mcp", "raycast://extensions/a/b/auth", "raycast://script-commands/login",
		"raycast://mcp/install?x", "zed://file/x", "zed://ssh/a.example/callback", "zed://extension/auth", "goose://extension?cmd=auth", "goose://recipe?config=callback",
		"lmstudio://add_mcp?name=oauth&config=eA", "kiro://kiro.mcp/add?name=auth", "windsurf://windsurf-mcp-registry?serverName=callback", "cherrystudio://providers/auth",
		"jetbrains://idea/checkout/auth", "claude://x", "claude://claude.ai/new?q=callback", "claude://claude.ai/new/callback", "cursor:///", "cursor://",
	} {
		if checkRedirectURI(u) == nil {
			t.Errorf("%q: accepted", u)
		}
	}
	f := newFixture(t)
	w := f.do(f.pub, "POST", "/register", `{"redirect_uris":["warp://action/new_tab"]}`, "Content-Type", "application/json")
	wantError(t, w, 400, "invalid_redirect_uri")
	// An earlier version let it be registered.
	id, err := f.pub.Clients.encode(registration{RedirectURIs: []string{"warp://action/new_tab"}})
	if err != nil {
		t.Fatal(err)
	}
	if _, e := authorize(f.pub, query(id, "redirect_uri", "warp://action/new_tab").Encode()); e == nil || e.Location != "" || e.ShowReturn != "" || e.Words != TextScheme {
		t.Errorf("a request with it: %+v", e)
	}
}

// What is registered as loopback is told as loopback, and nothing else is.
func TestOneNotionOfLoopback(t *testing.T) {
	for _, host := range []string{"127.0.0.1", "[::1]", "localhost", "LOCALHOST", "127.0.0.2", "127.1", "[::ffff:127.0.0.1]", "[0:0:0:0:0:0:0:1]", "localhost.", "0.0.0.0", "[::]", "a.example"} {
		for _, port := range []string{"", ":8080"} {
			uri := "http://" + host + port + "/cb"
			accepted, kind := checkRedirectURI(uri) == nil, RedirectKind(uri)
			if accepted != (kind == RedirectLoopback) {
				t.Errorf("%s: accepted %v, told as %q", uri, accepted, kind)
			}
			_, _, free := splitLoopback(uri)
			if free != accepted {
				t.Errorf("%s: accepted %v, its port may differ: %v", uri, accepted, free)
			}
		}
	}
}

// Our own addresses are no redirect URIs, at no origin: a browser that is sent
// there would open our pages with what a stranger chose.
func TestOwnAddressesAreNoRedirects(t *testing.T) {
	f := newFixture(t)
	f.pub.Own = func(host, port string) bool { return host == "public.example" || host == "127.0.0.1" && port == "7450" }
	for uri, own := range map[string]bool{
		"http://127.0.0.1:7450/open?ticket=x": true, "https://public.example/cb": true, "https://public.example./cb": true, "https://public.example:8443/cb": true,
		"http://127.0.0.1:07450/open?ticket=x": true, "http://127.0.0.1:0007450/cb": true,
		"http://127.0.0.1:7451/cb": false, "http://127.0.0.1/open": false, "https://other.example/cb": false, "com.example.app:/cb": false,
	} {
		w := f.do(f.pub, "POST", "/register", `{"token_endpoint_auth_method":"none","redirect_uris":["`+callback+`","`+uri+`"]}`, "Content-Type", "application/json")
		if own {
			wantError(t, w, 400, "invalid_redirect_uri")
		} else if w.Code != 201 {
			t.Errorf("registering %s = %d", uri, w.Code)
		}
		id, err := f.pub.Clients.encode(registration{RedirectURIs: []string{uri}})
		if err != nil {
			t.Fatal(err)
		}
		_, e := authorize(f.pub, query(id, "redirect_uri", uri).Encode())
		if own && (e == nil || e.Location != "" || e.ShowReturn != "") || !own && e != nil {
			t.Errorf("a request with %s: %+v", uri, e)
		}
		if got := f.pub.Deny(&Request{RedirectURI: uri}); (got == "") != own {
			t.Errorf("a denial for %s goes to %q", uri, got)
		}
	}
	// The port of a loopback address is free, but for ours.
	id, err := f.pub.Clients.encode(registration{RedirectURIs: []string{"http://127.0.0.1/open"}})
	if err != nil {
		t.Fatal(err)
	}
	for _, port := range []string{"7450", "07450"} {
		if _, e := authorize(f.pub, query(id, "redirect_uri", "http://127.0.0.1:"+port+"/open").Encode()); e == nil || e.ShowReturn != "" {
			t.Errorf("a request with our port as %s: %+v", port, e)
		}
	}
	if _, e := authorize(f.pub, query(id, "redirect_uri", "http://127.0.0.1:7450/open", "response_type", "x").Encode()); e == nil || e.ShowReturn != "" || e.Location != "" {
		t.Errorf("a wrong request with our port: %+v", e)
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
