package oauth

import (
	"errors"
	"fmt"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestA01NothingIsRedirectedBeforeTheClientIsProven(t *testing.T) {
	f := newFixture(t)
	client := f.client()
	f.known = map[string]bool{callback: true, "https://evil.example/": true, "": true}
	for _, tt := range []struct{ name, query string }{
		{"no client", query(client, "client_id", "-").Encode()},
		{"unknown client", query("nobody").Encode()},
		{"client id of a kind that is not built", query("https://client.example/id").Encode()},
		{"two clients", query(client).Encode() + "&client_id=" + client},
		{"no redirect URI", query(client, "redirect_uri", "-").Encode()},
		{"another redirect URI", query(client, "redirect_uri", "https://evil.example/").Encode()},
		{"longer redirect URI", query(client, "redirect_uri", callback+"/x").Encode()},
		{"redirect URI with a fragment", query(client, "redirect_uri", callback+"#x").Encode()},
		{"two redirect URIs", query(client).Encode() + "&redirect_uri=" + url.QueryEscape(callback)},
		{"bad encoding", query(client).Encode() + "&x=%zz"},
		{"semicolon", query(client).Encode() + ";x=1"},
		{"too long", query(client, "state", strings.Repeat("x", 20<<10)).Encode()},
		{"nothing", ""},
		{"nothing right", "client_id=x&redirect_uri=javascript:alert(1)&response_type=token"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			req, e := authorize(f.pub, tt.query)
			if e == nil {
				t.Fatalf("accepted: %+v", req)
			}
			if e.Location != "" || e.ShowReturn != "" || e.Words == "" {
				t.Errorf("got %+v, want words and nowhere to go", e)
			}
		})
	}
	if n := len(f.pub.Requests.pending); n != 0 {
		t.Errorf("%d requests are kept, want 0", n)
	}
}

// Once the redirect URI is proven, errors may be sent to it: at once if it was
// ever approved, otherwise only by a link on a page.
func TestA03A21ErrorsAfterTheClientIsProven(t *testing.T) {
	f := newFixture(t)
	const loopback = "http://127.0.0.1:9/cb"
	client := f.client(callback, loopback)
	for _, tt := range []struct{ name, query, code string }{
		{"A03 no challenge", query(client, "code_challenge", "-").Encode(), "invalid_request"},
		{"A03 no method", query(client, "code_challenge_method", "-").Encode(), "invalid_request"},
		{"A03 plain", query(client, "code_challenge_method", "plain").Encode(), "invalid_request"},
		{"A03 lower case method", query(client, "code_challenge_method", "s256").Encode(), "invalid_request"},
		{"A03 short challenge", query(client, "code_challenge", "abc").Encode(), "invalid_request"},
		{"A03 padded challenge", query(client, "code_challenge", strings.Repeat("a", 42)+"=").Encode(), "invalid_request"},
		{"A08 two challenges", query(client).Encode() + "&code_challenge=x", "invalid_request"},
		{"A08 two scopes", query(client).Encode() + "&scope=mcp", "invalid_request"},
		{"A08 two response types", query(client).Encode() + "&response_type=code", "invalid_request"},
		{"no response type", query(client, "response_type", "-").Encode(), "invalid_request"},
		{"token", query(client, "response_type", "token").Encode(), "unsupported_response_type"},
		{"code and token", query(client, "response_type", "code token").Encode(), "unsupported_response_type"},
		{"A06 foreign resource", query(client, "resource", "https://evil.example/"+slugA+"/mcp").Encode(), "invalid_target"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, known := range []bool{false, true} {
				f.known = map[string]bool{callback: known}
				_, e := authorize(f.pub, tt.query)
				if e == nil {
					t.Fatal("accepted")
				}
				to, other := e.ShowReturn, e.Location
				if known {
					to, other = e.Location, e.ShowReturn
				}
				if other != "" || e.Code != tt.code {
					t.Errorf("known %v: got %+v, want code %s", known, e, tt.code)
				}
				u, err := url.Parse(to)
				if err != nil || !strings.HasPrefix(to, callback+"?") {
					t.Fatalf("known %v: goes to %q, want %q", known, to, callback)
				}
				q := u.Query()
				if q.Get("error") != tt.code || q.Get("state") != "xyz" || q.Get("iss") != pub || q.Has("code") {
					t.Errorf("known %v: got %q, want error, state and iss", known, u.RawQuery)
				}
			}
		})
	}
	t.Run("A21 loopback is shown too", func(t *testing.T) {
		f.known = nil
		_, e := authorize(f.pub, query(client, "redirect_uri", loopback, "response_type", "token").Encode())
		if e == nil || e.Location != "" || !strings.HasPrefix(e.ShowReturn, loopback+"?") {
			t.Errorf("got %+v, want a link to %s", e, loopback)
		}
	})
	t.Run("A21 a client that came with the program is redirected", func(t *testing.T) {
		f.known = nil
		c := Client{ID: documentID, RedirectURIs: []string{callback}, AuthMethod: "none", Host: "client.example"}
		f.pub.CIMD = documents{documentID: {c: c}}
		defer func() { f.pub.CIMD = nil }()
		bad := query(documentID, "response_type", "token").Encode()
		if _, e := authorize(f.pub, bad); e == nil || e.Location != "" || e.ShowReturn == "" {
			t.Errorf("document of a stranger: got %+v, want a link on a page", e)
		}
		c.BuiltIn = true
		f.pub.CIMD = documents{documentID: {c: c}}
		if _, e := authorize(f.pub, bad); e == nil || e.Location == "" || e.ShowReturn != "" {
			t.Errorf("got %+v, want a redirect", e)
		}
	})
	t.Run("A03 a state that is too long to be kept is sent back", func(t *testing.T) {
		for _, n := range []int{maxState, maxState + 1, 2 * maxState} {
			for _, known := range []bool{false, true} {
				f.pub.Known = func(string) bool { return known }
				state := strings.Repeat("abcdefg+", n)[:n]
				_, e := authorize(f.pub, query(client, "state", state, "response_type", "token").Encode())
				if e == nil {
					t.Fatalf("%d bytes: got no error", n)
				}
				u, err := url.Parse(e.Location + e.ShowReturn)
				if err != nil || u.Query().Get("state") != state || u.Query().Get("error") == "" {
					t.Errorf("%d bytes, known %t: got state of %d bytes and error %q, %v", n, known, len(u.Query().Get("state")), u.Query().Get("error"), err)
				}
			}
		}
		f.pub.Known = nil
	})
}

func TestA06Resource(t *testing.T) {
	f := newFixture(t)
	client := f.client()
	for _, tt := range []struct {
		name      string
		s         *Server
		resources []string
		slug      string // "-" for invalid_target
	}{
		{"exact", f.pub, []string{pub + "/" + slugA + "/mcp"}, slugA},
		{"trailing slash", f.pub, []string{pub + "/" + slugA + "/mcp/"}, slugA},
		{"alias", f.pub, []string{pub + "/" + slugA}, slugA},
		{"upper case", f.pub, []string{"HTTPS://K2O.EXAMPLE/" + slugA + "/mcp"}, slugA},
		{"default port", f.pub, []string{pub + ":443/" + slugA + "/mcp"}, slugA},
		{"query", f.pub, []string{pub + "/" + slugA + "/mcp?key=1"}, slugA},
		{"below", f.pub, []string{pub + "/" + slugA + "/mcp/v2"}, slugA},
		{"absent", f.pub, nil, ""},
		{"empty", f.pub, []string{""}, ""},
		{"origin", f.pub, []string{pub}, ""},
		{"origin with slash", f.pub, []string{pub + "/"}, ""},
		{"twice", f.pub, []string{pub + "/" + slugA + "/mcp", pub + "/" + slugA}, slugA},
		{"origin and endpoint", f.pub, []string{pub, pub + "/" + slugA}, slugA},
		{"two endpoints", f.pub, []string{pub + "/" + slugA + "/mcp", pub + "/" + slugB + "/mcp"}, "-"},
		{"one foreign of two", f.pub, []string{pub + "/" + slugA + "/mcp", "https://evil.example/"}, "-"},
		{"foreign", f.pub, []string{"https://evil.example/" + slugA + "/mcp"}, "-"},
		{"look-alike", f.pub, []string{pub + ".evil.example/" + slugA + "/mcp"}, "-"},
		{"user information", f.pub, []string{"https://k2o.example@evil.example/" + slugA}, "-"},
		{"own user information", f.pub, []string{"https://x@k2o.example/" + slugA}, "-"},
		{"other scheme", f.pub, []string{"http://k2o.example/" + slugA + "/mcp"}, "-"},
		{"other port", f.pub, []string{pub + ":8443/" + slugA + "/mcp"}, "-"},
		{"fragment", f.pub, []string{pub + "/" + slugA + "/mcp#x"}, "-"},
		{"empty fragment", f.pub, []string{pub + "/" + slugA + "/mcp#"}, "-"},
		{"relative", f.pub, []string{"/" + slugA + "/mcp"}, "-"},
		{"not a URL", f.pub, []string{"%zz"}, "-"},
		{"unknown endpoint", f.pub, []string{pub + "/zzzzzzzzzzzz/mcp"}, "-"},
		{"upper case path", f.pub, []string{pub + "/" + strings.ToUpper(slugA) + "/mcp"}, "-"},
		{"other path", f.pub, []string{pub + "/" + slugA + "/other"}, "-"},
		{"dot segments", f.pub, []string{pub + "/" + slugB + "/mcp/../../" + slugA + "/mcp"}, "-"},
		{"local name on the public origin", f.pub, []string{"http://localhost:7450/" + slugA + "/mcp"}, "-"},
		{"local", f.loc, []string{loc + "/" + slugA + "/mcp"}, slugA},
		{"localhost", f.loc, []string{"http://localhost:7450/" + slugA + "/mcp"}, slugA},
		{"IPv6 loopback", f.loc, []string{"http://[::1]:7450/" + slugA + "/mcp"}, slugA},
		{"localhost, other port", f.loc, []string{"http://localhost:7451/" + slugA + "/mcp"}, "-"},
		{"public on local", f.loc, []string{pub + "/" + slugA + "/mcp"}, "-"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			q := query(client, "resource", "-")
			q["resource"] = tt.resources
			req, e := authorize(tt.s, q.Encode())
			if tt.slug == "-" {
				if e == nil || e.Code != "invalid_target" {
					t.Errorf("got %+v, %v, want invalid_target", req, e)
				}
				return
			}
			if e != nil {
				t.Fatal(e)
			}
			want := ""
			if tt.slug != "" {
				want = tt.s.Issuer + "/" + tt.slug + "/mcp"
			}
			if req.Slug != tt.slug || req.Resource != want || req.Issuer != tt.s.Issuer {
				t.Errorf("got slug %q, resource %q, want %q, %q", req.Slug, req.Resource, tt.slug, want)
			}
		})
	}
}

func TestA07Scope(t *testing.T) {
	f := newFixture(t)
	client := f.client()
	for scope, want := range map[string]string{
		"-": "mcp", "": "mcp", "mcp": "mcp", " mcp": "mcp", " offline_access": "mcp offline_access", "openid email profile": "mcp",
		"mcp  offline_access": "mcp offline_access", "offline_access mcp admin": "mcp offline_access", "OFFLINE_ACCESS": "mcp",
	} {
		req, e := authorize(f.pub, query(client, "scope", scope).Encode())
		if e != nil || req.Scope != want {
			t.Errorf("scope %q: got %+v, %v, want %q", scope, req, e, want)
		}
		q := query(client, "scope", scope)
		w := f.form(f.pub, "/token", redeem(client, f.approve(f.pub, q).Get("code"))...)
		if got := object(t, w)["scope"]; got != want {
			t.Errorf("scope %q: token has %q, want %q", scope, got, want)
		}
	}
}

func TestA08UnknownParameters(t *testing.T) {
	f := newFixture(t)
	client := f.client()
	for _, more := range []string{"&prompt=consent", "&nonce=1&nonce=2", "&audience=x&x", "&response_mode=query"} {
		if _, e := authorize(f.pub, query(client).Encode()+more); e != nil {
			t.Errorf("%s: %v", more, e)
		}
	}
}

func TestA09Repeated(t *testing.T) {
	f := newFixture(t)
	q := query(f.client()).Encode()
	ids := map[string]bool{}
	for range 3 {
		req, e := authorize(f.pub, q)
		if e != nil {
			t.Fatal(e)
		}
		ids[req.ID] = true
	}
	if len(ids) != 3 {
		t.Errorf("got %d different ids, want 3", len(ids))
	}
	for id := range ids {
		if _, ok := f.pub.Requests.Get(id); !ok {
			t.Error("a request is gone")
		}
	}
	r := httptest.NewRequest("POST", "/authorize?client_id=ignored", strings.NewReader(q))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if _, err := f.pub.Authorize(r); err != nil {
		t.Errorf("POST: %v", err)
	}
	r = httptest.NewRequest("POST", "/authorize?"+q, strings.NewReader("{}"))
	if _, err := f.pub.Authorize(r); err == nil {
		t.Error("POST without a form: accepted")
	}
}

func TestA04Answer(t *testing.T) {
	const cursorURI, native, https = "cursor://anysphere.cursor-mcp/oauth/callback", "com.example.app:/cb", "https://client.example/cb?tenant=1&x=%2B+%20"
	f := newFixture(t)
	client := f.client(callback, https, cursorURI, native, "http://localhost/cb")
	for _, uri := range []string{callback, https, cursorURI, native, "http://localhost:4711/cb"} {
		for _, state := range []string{"xyz", "a+b/c=%20 %&=#?", "\u00fc\u2713\n", "-"} {
			req, e := authorize(f.pub, query(client, "redirect_uri", uri, "state", state).Encode())
			if e != nil {
				t.Fatal(e)
			}
			approved, err := f.pub.Approve(req, slugA, "credential", NewGrantID(), "")
			if err != nil {
				t.Fatal(err)
			}
			for name, to := range map[string]string{"approve": approved, "A14 deny": f.pub.Deny(req)} {
				rest, ok := strings.CutPrefix(to, uri)
				if !ok || rest[0] != '?' && rest[0] != '&' {
					t.Fatalf("%s: got %s, want %s and more", name, to, uri)
				}
				got, err := url.ParseQuery(rest[1:])
				if err != nil {
					t.Fatal(err)
				}
				want := url.Values{"iss": {pub}}
				if state != "-" {
					want.Set("state", state)
				}
				if name == "approve" {
					want["code"] = got["code"]
				} else {
					want.Set("error", "access_denied")
					want["error_description"] = got["error_description"]
				}
				if got.Encode() != want.Encode() || name == "approve" && len(got["code"]) != 1 {
					t.Errorf("%s, state %q: got %v, want %v", name, state, got, want)
				}
			}
		}
	}
}

func TestApproveChecks(t *testing.T) {
	f := newFixture(t)
	req, e := authorize(f.pub, query(f.client()).Encode())
	if e != nil {
		t.Fatal(e)
	}
	if _, err := f.pub.Approve(req, slugB, "c", NewGrantID(), ""); err == nil {
		t.Error("approved for an endpoint that was not requested")
	}
	if _, err := f.loc.Approve(req, slugA, "c", NewGrantID(), ""); err == nil {
		t.Error("approved on an origin that did not get the request")
	}
	f.store.fail = ErrUnavailable
	if _, err := f.pub.Approve(req, slugA, "c", NewGrantID(), ""); !errors.Is(err, ErrUnavailable) {
		t.Errorf("store fails: got %v", err)
	}
	f.store.fail = nil
	id := NewGrantID()
	if _, err := f.pub.Approve(req, slugA, "c", id, ""); err != nil {
		t.Fatal(err)
	}
	g, err := f.store.Grant(id)
	if err != nil || g.Slug != slugA || g.Origin != pub || g.Credential != "c" || g.RedirectURI != callback || g.ClientName != "Test" || g.CodeRedeemed {
		t.Errorf("got %+v, %v", g, err)
	}
	delete(f.names, slugA)
	if _, err := f.pub.Approve(req, slugA, "c", NewGrantID(), ""); err == nil {
		t.Error("approved for an endpoint that is gone")
	}
}

func TestA10Requests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := NewRequests(nil)
		req := &Request{}
		q.Add(req)
		if len(req.ID) < 26 {
			t.Errorf("id %q is shorter than 128 bits", req.ID)
		}
		time.Sleep(15*time.Minute - time.Second)
		if got, ok := q.Get(req.ID); !ok || got != req {
			t.Fatal("gone after less than 15 minutes")
		}
		if got, ok := q.Take(req.ID); !ok || got != req {
			t.Fatal("cannot be taken")
		}
		if _, ok := q.Take(req.ID); ok {
			t.Error("taken twice")
		}
		id := req.ID
		q.Add(req)
		q.Add(req)
		if got, ok := q.Get(id); !ok || got != req || len(q.pending) != 1 {
			t.Error("not put back, or put back twice")
		}
		time.Sleep(time.Second)
		if _, ok := q.Get(id); ok {
			t.Error("putting it back gave it more time")
		}
		q.Add(req)
		if _, ok := q.Take(id); ok {
			t.Error("put back after it expired, and still there")
		}
		if _, ok := q.Get(""); ok {
			t.Error("found by an empty id")
		}
	})
}

func TestRequestsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := NewRequests(nil)
		owner, old := &Request{}, &Request{}
		q.Add(owner)
		q.MarkViewed(owner.ID, true)
		time.Sleep(time.Second)
		q.Add(old)
		for range 10 * maxRequests {
			q.Add(&Request{})
		}
		if n := len(q.pending); n != maxLocal {
			t.Errorf("%d of this computer are kept, want %d", n, maxLocal)
		}
		if _, ok := q.Get(owner.ID); !ok {
			t.Error("a flood pushed out the request that the owner is viewing")
		}
		if _, ok := q.Get(old.ID); ok {
			t.Error("the oldest request that was never viewed is kept")
		}
		for range 10 * maxRequests {
			q.Add(&Request{From: FromUnknown})
		}
		if n := len(q.pending); n != maxRequests {
			t.Errorf("%d are kept, want %d", n, maxRequests)
		}
		for _, p := range q.pending {
			p.open = time.Now()
		}
		last := &Request{}
		q.Add(last)
		if _, ok := q.Get(last.ID); !ok || len(q.pending) != maxRequests {
			t.Errorf("all open: new one kept: %v, %d in all", ok, len(q.pending))
		}
	})
}

// TestRequestsOfAScript: a page that has a window load one consent page after
// the other pushes out no request whose page is open, and none that another
// device waits for.
func TestRequestsOfAScript(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := NewRequests(nil)
		open, waits := &Request{}, &Request{From: "203.0.113.9"}
		q.Add(open)
		q.MarkViewed(open.ID, true)
		q.Add(waits)
		q.Hold(waits.ID)
		time.Sleep(3 * time.Second)
		q.MarkOpen(open.ID)
		listed := func(id string) bool {
			return slices.ContainsFunc(q.Viewed(), func(r View) bool { return r.ID == id })
		}
		for range 1005 {
			r := &Request{}
			q.Add(r)
			q.MarkViewed(r.ID, true)
			time.Sleep(10 * time.Millisecond)
		}
		if n := len(q.Viewed()); n > maxLocal+1 {
			t.Errorf("%d are listed, want at most %d", n, maxLocal+1)
		}
		if !listed(open.ID) || !listed(waits.ID) {
			t.Errorf("the request whose page is open is listed: %t, the one that waits: %t", listed(open.ID), listed(waits.ID))
		}
		for range 5 { // it stays open, and the others were closed long ago
			time.Sleep(30 * time.Second)
			q.MarkOpen(open.ID)
		}
		if n := len(q.Viewed()); n != 2 || !listed(open.ID) || !listed(waits.ID) {
			t.Errorf("%d are listed, want the open one and the one that waits", n)
		}
		time.Sleep(seenFor)
		if listed(open.ID) || !listed(waits.ID) {
			t.Error("the page was closed and is listed, or the request that waits is not")
		}
		if _, ok := q.Get(open.ID); !ok {
			t.Error("a request whose page was closed is gone")
		}
	})
}

// When a flood comes from the internet, its own requests are dropped first.
func TestRequestsOfStrangers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := NewRequests(nil)
		add := func(from string) *Request {
			t.Helper()
			r := &Request{From: from}
			q.Add(r)
			time.Sleep(time.Millisecond)
			return r
		}
		local, other, viewed := add(""), add("198.51.100.7"), add("203.0.113.9")
		q.MarkViewed(viewed.ID, true)
		for range 2 * maxRequests {
			add("203.0.113.9")
		}
		if n := len(q.pending); n != 2+maxFromOne {
			t.Errorf("one sender of many: %d requests are kept, want %d", n, 2+maxFromOne)
		}
		for i := range 2 * maxRequests {
			add(fmt.Sprintf("sender %d", i))
		}
		if n := len(q.pending); n != maxRequests {
			t.Errorf("many senders: %d requests are kept, want %d", n, maxRequests)
		}
		if _, ok := q.Get(local.ID); !ok {
			t.Error("the request of this machine was pushed out")
		}
		if _, ok := q.Get(viewed.ID); !ok {
			t.Error("the request that the owner is viewing was pushed out")
		}
		if _, ok := q.Get(other.ID); ok {
			t.Error("the oldest request from the internet is kept")
		}
	})
}

// For any query: no panic, and the only target is a redirect URI that the
// client registered. Only the port of a loopback URI may differ.
func FuzzAuthorize(f *testing.F) {
	fix := newFixture(f)
	client := fix.client(callback, "http://localhost/cb", "cursor://x/cb?a=b")
	for _, s := range []string{
		query(client).Encode(), query(client, "redirect_uri", "http://localhost:1/cb", "code_challenge", "-").Encode(),
		query(client, "redirect_uri", "cursor://x/cb?a=b", "response_type", "token").Encode(), "", "client_id=%zz",
		query(client, "redirect_uri", "https://evil.example/").Encode(), query(client).Encode() + "&redirect_uri=https://evil.example/",
		query(client, "resource", "https://evil.example/", "state", "\r\nLocation: x").Encode(),
	} {
		f.Add(strings.ReplaceAll(s, client, "CLIENT"))
	}
	f.Fuzz(func(t *testing.T, raw string) {
		for _, known := range []bool{false, true} {
			fix.pub.Known = func(string) bool { return known }
			req, e := authorize(fix.pub, strings.ReplaceAll(raw, "CLIENT", client))
			var to string
			switch {
			case e == nil:
				if !isBase64URL(req.Challenge) || len(req.Challenge) != 43 || req.Slug != "" && req.Slug != slugA && req.Slug != slugB {
					t.Errorf("%q: accepted %+v", raw, req)
				}
				to = fix.pub.Deny(req)
			case e.Location != "" && (e.ShowReturn != "" || !known):
				t.Errorf("%q: %+v", raw, e)
			default:
				to = e.Location + e.ShowReturn
			}
			if to == "" {
				continue
			}
			u, err := url.Parse(to)
			if err != nil || strings.ContainsAny(to, "\r\n #") {
				t.Fatalf("%q: %q is no URL", raw, to)
			}
			if u.Scheme == "http" {
				u.Host = u.Hostname()
			}
			if got := u.Scheme + "://" + u.Host + u.Path; got != callback && got != "http://localhost/cb" && got != "cursor://x/cb" {
				t.Errorf("%q: goes to %q", raw, to)
			}
			if q := u.Query(); len(q["error"]) != 1 || len(q["iss"]) != 1 || len(q["state"]) > 1 {
				t.Errorf("%q: goes to %q", raw, to)
			}
		}
	})
}
