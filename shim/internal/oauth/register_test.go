package oauth

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"testing"
)

const cursor = `{"client_name":"Cursor","application_type":"web","token_endpoint_auth_method":"none",
	"redirect_uris":["cursor://anysphere.cursor-mcp/oauth/callback","https://www.cursor.com/agents/mcp/oauth/callback","http://localhost:8787/callback"]}`

func TestR01Register(t *testing.T) {
	f := newFixture(t)
	m := f.register(`{"redirect_uris":["https://client.example/callback"],"client_name":"Claude","application_type":"native",
		"token_endpoint_auth_method":"none","grant_types":["authorization_code","refresh_token"],"response_types":["code"],
		"client_uri":"https://client.example","logo_uri":null,"tos_uri":"","contacts":["a@client.example"],
		"software_id":"x","scope":"mcp offline_access email"}`)
	id, _ := m["client_id"].(string)
	if c, ok := f.pub.Clients.Lookup(id); !ok || c.Name != "Claude" || c.AuthMethod != "none" || c.App().String() != "\u201cClaude\u201d" {
		t.Errorf("Lookup: got %+v, %v", c, ok)
	}
	delete(m, "client_id")
	want := map[string]any{
		"redirect_uris": []any{callback}, "client_name": "Claude", "application_type": "native", "token_endpoint_auth_method": "none",
		"grant_types": []any{"authorization_code", "refresh_token"}, "response_types": []any{"code"},
		"client_uri": "https://client.example", "contacts": []any{"a@client.example"}, "software_id": "x", "scope": "mcp offline_access",
	}
	if !reflect.DeepEqual(m, want) {
		t.Errorf("got  %v\nwant %v", m, want)
	}
}

func TestR01Defaults(t *testing.T) {
	f := newFixture(t)
	m := f.register(`{"redirect_uris":["https://client.example/callback"]}`)
	if got := m["token_endpoint_auth_method"]; got != "client_secret_basic" {
		t.Errorf("token_endpoint_auth_method: got %v, want client_secret_basic", got)
	}
	wantList(t, m, "grant_types", "authorization_code")
	wantList(t, m, "response_types", "code")
	for _, k := range []string{"client_name", "application_type", "client_uri", "registration_client_uri"} {
		if v, ok := m[k]; ok {
			t.Errorf("%s: got %v, want it left out", k, v)
		}
	}
}

// with returns a registration with one more member.
func with(member string) string {
	return `{"redirect_uris":["https://client.example/cb"],` + member + `}`
}

func TestRegisterAccepts(t *testing.T) {
	f := newFixture(t)
	for _, tt := range []struct{ name, body string }{
		{"R02 Cursor", cursor},
		{"R03 native with https", with(`"application_type":"native"`)},
		{"R03 anything", with(`"application_type":"toaster"`)},
		{"R03 web with a custom scheme", `{"application_type":"web","redirect_uris":["cursor://x/cb","http://127.0.0.1/cb"]}`},
		{"R10 unknown metadata", with(`"x":{"y":[1]},"client_name#de":"K","jwks":{"keys":[]},"software_statement":"a.b.c"`)},
		{"a script as a link", with(`"client_uri":"javascript:alert(1)","tos_uri":"x"`)},
		{"a picture instead of its address", with(`"logo_uri":"data:image/png;base64,AAAA"`)},
		{"a host instead of an address", with(`"client_uri":"example.com","policy_uri":"//example.com"`)},
		{"one contact", with(`"contacts":"a@b.example"`)},
		{"contacts of all kinds", with(`"contacts":[1,{}]`)},
		{"a name that is none", with(`"client_name":{"en":"x"}`)},
		{"wrong types", with(`"grant_types":"authorization_code","response_types":"code","scope":["mcp"],"software_version":2,"application_type":[],"token_endpoint_auth_method":{}`)},
		{"a byte order mark", "\ufeff" + cursor},
		{"nulls and empty values", with(`"client_name":null,"grant_types":null,"response_types":[],"scope":"","contacts":null,"application_type":null`)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := f.do(f.pub, "POST", "/register", tt.body, "Content-Type", "application/json; charset=utf-8")
			if w.Code != http.StatusCreated || bytes.Contains(w.Body.Bytes(), []byte("null")) {
				t.Errorf("%s: got %d %s, want 201 without null", tt.body, w.Code, w.Body)
			}
			for _, useless := range []string{"javascript:", "data:", `"client_uri":"example.com"`, "a@b", "//example.com", `"tos_uri"`} {
				if bytes.Contains(w.Body.Bytes(), []byte(useless)) {
					t.Errorf("%s: the answer %s repeats %s", tt.body, w.Body, useless)
				}
			}
			if w := f.do(f.pub, "POST", "/register", tt.body); w.Code != http.StatusCreated {
				t.Errorf("%s without a Content-Type: got %d %s, want 201", tt.body, w.Code, w.Body)
			}
		})
	}
}

func TestRegisterRefuses(t *testing.T) {
	f := newFixture(t)
	const badURI, badMetadata = "invalid_redirect_uri", "invalid_client_metadata"
	for _, tt := range []struct{ name, code, body string }{
		{"not JSON", badMetadata, "{"},
		{"null", badMetadata, "null"},
		{"list", badMetadata, "[]"},
		{"two values", badMetadata, "{}{}"},
		{"no redirect URI", badURI, "{}"},
		{"empty list", badURI, `{"redirect_uris":[]}`},
		{"one string", badURI, `{"redirect_uris":"https://client.example/cb"}`},
		{"numbers", badURI, `{"redirect_uris":[1]}`},
		{"R05 one bad of three", badURI, `{"redirect_uris":["https://a.example/","http://evil.example/","https://b.example/"]}`},
		{"unknown method", badMetadata, with(`"token_endpoint_auth_method":"private_key_jwt"`)},
		{"no usable grant", badMetadata, with(`"grant_types":["client_credentials"]`)},
		{"no usable response", badMetadata, with(`"response_types":["token"]`)},
		{"R09 body over 64 kB", badMetadata, with(`"client_name":"` + strings.Repeat("x", 64<<10) + `"`)},
		{"R09 eleven URIs", badURI, `{"redirect_uris":["https://a.example/"` + strings.Repeat(`,"https://a.example/"`, 10) + `]}`},
		{"R09 URI over 2 kB", badURI, `{"redirect_uris":["https://a.example/` + strings.Repeat("x", 2048) + `"]}`},
		{"R09 id over 2,000 bytes", badMetadata,
			fmt.Sprintf(`{"redirect_uris":["https://a.example/%s","https://b.example/%[1]s"]}`, strings.Repeat("x", 800))},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := f.do(f.pub, "POST", "/register", tt.body, "Content-Type", "application/json")
			wantError(t, w, http.StatusBadRequest, tt.code)
		})
	}
	t.Run("R10 other content types", func(t *testing.T) {
		for _, ct := range []string{"application/x-www-form-urlencoded", "text/json", ";"} {
			wantError(t, f.do(f.pub, "POST", "/register", cursor, "Content-Type", ct), http.StatusBadRequest, badMetadata)
		}
	})
	t.Run("GET", func(t *testing.T) {
		wantError(t, f.do(f.pub, "GET", "/register", ""), http.StatusMethodNotAllowed, "invalid_request")
	})
	t.Run("R12 preflight", func(t *testing.T) {
		if w := f.do(f.pub, "OPTIONS", "/register", ""); w.Code != http.StatusNoContent || w.Header().Get("Access-Control-Allow-Origin") != "*" {
			t.Errorf("got %d %v, want 204 with CORS headers", w.Code, w.Header())
		}
	})
}

func TestR02CursorTriple(t *testing.T) {
	f := newFixture(t)
	m := f.register(cursor)
	wantList(t, m, "redirect_uris", "cursor://anysphere.cursor-mcp/oauth/callback", "https://www.cursor.com/agents/mcp/oauth/callback", "http://localhost:8787/callback")
	id := m["client_id"].(string)
	if len(id) > 400 {
		t.Errorf("the id is %d bytes long", len(id))
	}
	for _, uri := range []string{"cursor://anysphere.cursor-mcp/oauth/callback", "https://www.cursor.com/agents/mcp/oauth/callback", "http://localhost:9999/callback"} {
		if _, e := authorize(f.pub, query(id, "redirect_uri", uri).Encode()); e != nil {
			t.Errorf("Authorize with %s: %v", uri, e)
		}
	}
}

func TestR04UnknownGrantsAreDropped(t *testing.T) {
	f := newFixture(t)
	m := f.register(`{"redirect_uris":["https://client.example/cb"],"response_types":["code","id_token"],"grant_types":
		["refresh_token","urn:ietf:params:oauth:grant-type:jwt-bearer","urn:ietf:params:oauth:grant-type:device_code","authorization_code"]}`)
	wantList(t, m, "grant_types", "authorization_code", "refresh_token")
	wantList(t, m, "response_types", "code")
}

func TestR06Secrets(t *testing.T) {
	f := newFixture(t)
	for _, method := range []string{"none", "client_secret_post", "client_secret_basic", ""} {
		body := `{"redirect_uris":["https://client.example/cb"],"token_endpoint_auth_method":"` + method + `"}`
		w := f.do(f.pub, "POST", "/register", body, "Content-Type", "application/json")
		m := object(t, w)
		_, has := m["client_secret"]
		if want := method != "none"; has != want {
			t.Errorf("%q: secret issued: got %v, want %v", method, has, want)
		}
		if got := strings.Contains(w.Body.String(), `"client_secret_expires_at":0,`); got != has {
			t.Errorf("%q: integer expiry: got %v, want %v: %s", method, got, has, w.Body)
		}
		if !has {
			continue
		}
		again := f.register(body)
		if again["client_id"] == m["client_id"] || again["client_secret"] == m["client_secret"] {
			t.Errorf("%q: two clients have one id or one secret", method)
		}
	}
}

func TestR07R08Repeated(t *testing.T) {
	f := newFixture(t)
	first := f.register(cursor)["client_id"].(string)
	for i := range 1000 {
		if id := f.register(cursor)["client_id"]; id == "" {
			t.Fatalf("registration %d has no id", i)
		}
	}
	if g, tok := f.store.dump(); len(g)+len(tok) != 0 || f.store.reads != 0 {
		t.Error("registrations reached the store")
	}
	restarted := &Clients{Key: f.pub.Clients.Key}
	if c, ok := restarted.Lookup(first); !ok || c.Name != "Cursor" || len(c.RedirectURIs) != 3 {
		t.Errorf("after a restart: got %+v, %v", c, ok)
	}
}

func TestR11TamperedIDs(t *testing.T) {
	f := newFixture(t)
	id := f.client()
	for i := range len(id) {
		b := []byte(id)
		b[i] ^= 1
		if _, ok := f.pub.Clients.Lookup(string(b)); ok {
			t.Errorf("byte %d changed: still a client", i)
		}
	}
	other := &Clients{Key: sha256.Sum256([]byte("other"))}
	for name, id := range map[string]string{
		"another key": mustEncode(t, other, registration{RedirectURIs: []string{"https://evil.example/"}}),
		"empty":       "", "prefix": clientPrefix, "no tag": clientPrefix + "e30", "empty tag": clientPrefix + "e30.",
		"newline": id + "\n", "inner newline": strings.Replace(id, ".", "\n.", 1), "padding": id + "=", "cut": id[:len(id)-1],
		"too long": clientPrefix + strings.Repeat("a", 3000) + ".x", "URL": "https://client.example/id",
	} {
		if _, ok := f.pub.Clients.Lookup(id); ok {
			t.Errorf("%s: still a client", name)
		}
	}
	if _, e := authorize(f.pub, query(id[:len(id)-1]+"A").Encode()); e == nil || e.Location != "" || e.ShowReturn != "" {
		t.Errorf("Authorize: got %+v, want an error that goes nowhere", e)
	}
}

func mustEncode(t testing.TB, c *Clients, r registration) string {
	t.Helper()
	id, err := c.encode(r)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func TestCleanName(t *testing.T) {
	for in, want := range map[string]string{
		"Claude":                              "Claude",
		"  MCP \t CLI\nClient ":               "MCP CLI Client",
		"evil\u202egnp.exe":                   "evilgnp.exe",
		"a\u200bb\ufeffc\u2066d\x00e\u0007f":  "abcdef",
		"<b>Claude</b>":                       "<b>Claude</b>",
		"\xff\xfeName":                        "Name",
		"\u202e\u200b ":                       "",
		strings.Repeat("\u00fc", 150):         strings.Repeat("\u00fc", 99) + "\u2026",
		strings.Repeat("x", 99) + " trailing": strings.Repeat("x", 99) + "\u2026",
	} {
		if got := CleanName(in); got != want {
			t.Errorf("CleanName(%q): got %q, want %q", in, got, want)
		}
	}
}

// For any registration: no panic. An accepted one can be looked up, and used
// with exactly the redirect URIs in the answer.
func FuzzRegister(f *testing.F) {
	for _, s := range []string{cursor, "{}", "null", `{"redirect_uris":["https://a.example/?a=b&c"],"client_name":"\u202e<>&"}`,
		`{"redirect_uris":["http://[::1]/"],"token_endpoint_auth_method":"client_secret_post","grant_types":["authorization_code"]}`,
		`{"redirect_uris":["com.example.app:/cb"],"client_uri":"http://x","contacts":["a"],"redirect_uris":null}`} {
		f.Add([]byte(s))
	}
	c := &Clients{Key: sha256.Sum256([]byte("fuzz"))}
	f.Fuzz(func(t *testing.T, body []byte) {
		m, e := c.Register(body)
		if e != nil {
			if m != nil || e.Status != http.StatusBadRequest || e.Code == "" {
				t.Errorf("got %v and error %d %q", m, e.Status, e.Code)
			}
			return
		}
		b, err := json.Marshal(m)
		if err != nil || bytes.Contains(b, []byte(":null")) && !bytes.Contains(body, []byte(":null")) {
			t.Errorf("answer %s, err %v", b, err)
		}
		id := m["client_id"].(string)
		cl, ok := c.Lookup(id)
		if !ok || len(id) > maxClientID {
			t.Fatalf("the id cannot be used: %s", id)
		}
		if !reflect.DeepEqual(cl.RedirectURIs, m["redirect_uris"]) {
			t.Errorf("got %q, told %q", cl.RedirectURIs, m["redirect_uris"])
		}
		for _, u := range cl.RedirectURIs {
			if !cl.matchesAny(u) {
				t.Errorf("registered, but refused in use: %q", u)
			}
		}
	})
}

// Only the ID that was issued names the client.
func FuzzClientID(f *testing.F) {
	c := &Clients{Key: sha256.Sum256([]byte("fuzz"))}
	id, err := c.encode(registration{RedirectURIs: []string{callback}, Name: "x"})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(id)
	f.Add(clientPrefix + "e30.AAAAAAAAAAAAAAAAAAAAAA")
	f.Add("")
	f.Fuzz(func(t *testing.T, s string) {
		if _, ok := c.Lookup(s); ok && s != id {
			t.Errorf("%q is a client", s)
		}
	})
}

// TestMovedClients: a client that was registered on another computer is known
// here with its secret, once the key came along, and only by the rules of
// registration: anyone who has the key may have made ids too.
func TestMovedClients(t *testing.T) {
	f := newFixture(t)
	other := &Clients{Key: sha256.Sum256([]byte("another computer"))}
	id := mustEncode(t, other, registration{RedirectURIs: []string{callback}, Name: "Cursor", Method: codePost, Nonce: "n"})
	if _, ok := f.pub.Clients.Lookup(id); ok {
		t.Fatal("a client of another computer is known without its key")
	}
	f.pub.Clients.SetMoved([][32]byte{{1}, other.Key})
	c, ok := f.pub.Clients.Lookup(id)
	if !ok || c.Name != "Cursor" {
		t.Errorf("Lookup = %+v, %v, want Cursor", c, ok)
	}
	if got, want := f.pub.Clients.secret(id), other.secret(id); got != want {
		t.Error("the client's secret is not the one that it was given")
	}
	own := mustEncode(t, f.pub.Clients, registration{RedirectURIs: []string{callback}})
	if _, ok := other.Lookup(own); ok {
		t.Error("a new client got an id of a key that came along")
	}
	for name, r := range map[string]registration{
		"redirect": {RedirectURIs: []string{"http://evil.example/"}},
		"none":     {},
		"name":     {RedirectURIs: []string{callback}, Name: "a\u202eb"},
	} {
		if _, ok := f.pub.Clients.Lookup(mustEncode(t, other, r)); ok {
			t.Errorf("%s: known, though registration refuses it", name)
		}
	}
}
