package oauth

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
)

const documentID = "https://client.example/id"

// documents holds the published documents. Only cached ones are available.
type documents map[string]document

type document struct {
	c       Client
	cached  bool
	stale   bool
	fetched *int
}

func (d documents) Check(id string) error {
	if strings.Contains(id, "..") {
		return errors.New("dot segments")
	}
	return nil
}

func (d documents) Recall(id string) (Client, bool, bool) {
	doc, ok := d[id]
	if !ok || doc.fetched != nil && !doc.cached {
		return Client{}, false, false
	}
	return doc.c, !doc.stale, true
}

func (d documents) Fetch(_ context.Context, id string) (Client, error) {
	doc, ok := d[id]
	if !ok {
		return Client{}, errors.New("no one answers")
	}
	if doc.fetched != nil {
		*doc.fetched++
	}
	return doc.c, nil
}

// published makes a document at documentID that has not been fetched yet.
func published(uris ...string) (documents, *int) {
	n := new(int)
	return documents{documentID: {fetched: n, c: Client{
		ID: documentID, Name: "Client", RedirectURIs: uris, AuthMethod: authNone, Host: "client.example",
	}}}, n
}

func TestUnresolvedClient(t *testing.T) {
	f := newFixture(t)
	docs, fetched := published(callback)
	f.pub.CIMD = docs
	f.known = map[string]bool{callback: true}

	t.Run("C05 C09 what is wrong before the document is known leads nowhere", func(t *testing.T) {
		for _, q := range []string{
			query("https://client.example/../id").Encode(),
			query("http://client.example/id").Encode(),
			query(documentID, "redirect_uri", "javascript:alert(1)").Encode(),
			query(documentID, "redirect_uri", "-").Encode(),
			query(documentID, "response_type", "token").Encode(),
			query(documentID, "code_challenge", "-").Encode(),
			query(documentID, "resource", "https://evil.example/").Encode(),
		} {
			req, e := authorize(f.pub, q)
			if e == nil {
				t.Fatalf("%s: accepted: %+v", q, req)
			}
			if e.Location+e.ShowReturn != "" {
				t.Errorf("%s: got %+v, want a page that leads nowhere", q, e)
			}
		}
		if n := len(f.pub.Requests.pending); n != 0 || *fetched != 0 {
			t.Errorf("%d requests are kept and %d documents fetched, want none", n, *fetched)
		}
	})
	t.Run("C07 one fetch for a sign-in, and none by the request itself", func(t *testing.T) {
		*fetched = 0
		q := query(documentID).Encode()
		req, e := authorize(f.pub, q)
		if e != nil || !req.Unresolved || req.Client.ID != documentID || req.Client.Host != "client.example" || req.Client.Name != "" || !req.Client.Unchecked {
			t.Fatalf("got %+v, %v, want a request of which the client's host is known alone", req, e)
		}
		if *fetched != 0 {
			t.Error("the request itself fetched the document")
		}
		if _, err := f.pub.Approve(req, slugA, "credential", NewGrantID(), ""); err == nil {
			t.Error("a request of an unknown client was approved")
		}
		done, err := f.pub.Resolve(t.Context(), req)
		if err != nil || done.Unresolved || done.ID != req.ID || done.Client.Unchecked || done.Client.Name != "Client" {
			t.Fatalf("Resolve: got %+v, %v", done, err)
		}
		kept, _ := f.pub.Requests.Get(req.ID)
		if kept != done {
			t.Errorf("the request is kept as %+v", kept)
		}
		if again, err := f.pub.Resolve(t.Context(), kept); err != nil || again != kept {
			t.Errorf("Resolve of a complete request: got %+v, %v", again, err)
		}
		if second, e := authorize(f.pub, q); e != nil || second.Unresolved {
			t.Errorf("the request was repeated: got %+v, %v, want one that is complete", second, e)
		}
		if _, e := authorize(f.pub, query(documentID, "redirect_uri", "https://evil.example/").Encode()); e == nil || e.Location+e.ShowReturn != "" {
			t.Errorf("repeated with another redirect URI: got %+v, want a page", e)
		}
		if *fetched != 1 {
			t.Errorf("fetched %d times, want 1", *fetched)
		}
	})
	t.Run("C05 what fails at the document leads nowhere and can be tried again", func(t *testing.T) {
		gone := "https://gone.example/id"
		for id, uri := range map[string]string{gone: callback, documentID: "https://evil.example/"} {
			req, e := authorize(f.pub, query(id, "redirect_uri", uri, "code_challenge", challenge(verifier+"2")).Encode())
			if e != nil || !req.Unresolved {
				t.Fatalf("%s: got %+v, %v", id, req, e)
			}
			_, err := f.pub.Resolve(t.Context(), req)
			ae, ok := errors.AsType[*AuthorizeError](err)
			if !ok || ae.Location+ae.ShowReturn != "" || ae.Words == "" {
				t.Errorf("%s: got %+v, want a page that leads nowhere", id, err)
			}
			if kept, ok := f.pub.Requests.Get(req.ID); !ok || !kept.Unresolved {
				t.Errorf("%s: the request is kept as %+v, want as it was", id, kept)
			}
		}
	})
	t.Run("C06 a stale copy that lacks the redirect URI is fetched again", func(t *testing.T) {
		n := 0
		doc := docs[documentID]
		f.pub.CIMD = documents{documentID: {c: doc.c, cached: true, stale: true, fetched: &n}}
		if req, e := authorize(f.pub, query(documentID).Encode()); e != nil || req.Unresolved {
			t.Errorf("a stale copy with the redirect URI: got %+v, %v", req, e)
		}
		q := query(documentID, "redirect_uri", "https://client.example/new", "code_challenge", challenge(verifier+"3")).Encode()
		if req, e := authorize(f.pub, q); e != nil || !req.Unresolved {
			t.Errorf("a stale copy without the redirect URI: got %+v, %v, want an unresolved request", req, e)
		}
		f.pub.CIMD = documents{documentID: {c: doc.c, cached: true, fetched: &n}}
		if req, e := authorize(f.pub, q); e == nil {
			t.Errorf("a fresh copy without the redirect URI: got %+v, want a page", req)
		}
	})
}

// TestDocumentClientTokens proves that tokens work without the document.
func TestDocumentClientTokens(t *testing.T) {
	f := newFixture(t)
	docs, fetched := published(callback)
	doc := docs[documentID]
	doc.cached = true
	f.pub.CIMD = documents{documentID: doc}
	code := f.approve(f.pub, query(documentID)).Get("code")
	*fetched = 0

	f.pub.CIMD = documents{} // like a restart without a network
	t.Run("C07 no one learns which clients were approved", func(t *testing.T) {
		answers := make(map[string][]string)
		for _, id := range []string{documentID, "https://other.example/id", "https://claude.ai/oauth/claude-code-client-metadata", "https://127.0.0.1/x", "https://x"} {
			for _, cached := range []documents{{}, {documentID: doc}} {
				f.pub.CIMD = cached
				for what, w := range map[string]*httptest.ResponseRecorder{
					"code":          f.form(f.pub, "/token", redeem(id, "k2o_ac_x")...),
					"refresh token": f.form(f.pub, "/token", "grant_type", "refresh_token", "refresh_token", "x", "client_id", id),
					"revoked token": f.form(f.pub, "/revoke", "client_id", id, "token", "x"),
				} {
					answers[what] = append(answers[what], fmt.Sprint(w.Code, w.Header(), w.Body))
				}
			}
		}
		for what, all := range answers {
			if all = slices.Compact(all); len(all) != 1 {
				t.Errorf("a stranger's %s: the answers differ by client: %q", what, all)
			}
		}
		f.pub.CIMD = documents{}
		wantError(t, f.form(f.pub, "/token", redeem("https://other.example/id", code)...), http.StatusBadRequest, "invalid_grant")
		if w := f.form(f.pub, "/revoke", "client_id", "https://other.example/id", "token", code); w.Code != http.StatusOK {
			t.Errorf("another client's code is revoked: %d", w.Code)
		}
	})
	t.Run("C07 a secret is refused", func(t *testing.T) {
		wantError(t, f.form(f.pub, "/token", redeem(documentID, code, "client_secret", "x")...), http.StatusUnauthorized, "invalid_client")
	})
	var c *session
	t.Run("C07 code and refresh", func(t *testing.T) {
		w := f.form(f.pub, "/token", redeem(documentID, code)...)
		if w.Code != http.StatusOK {
			t.Fatalf("got status %d: %s", w.Code, w.Body)
		}
		m := object(t, w)
		c = &session{f, f.pub, documentID, m["access_token"].(string), m["refresh_token"].(string)}
		c.access, c.refresh = c.mustRenew(c.refresh)
		c.wantCall(c.access, http.StatusOK)
	})
	t.Run("C07 T02 another client's token", func(t *testing.T) {
		other := f.connect(f.pub)
		wantError(t, c.renew(other.refresh), http.StatusBadRequest, "invalid_grant")
		wantError(t, other.renew(c.refresh), http.StatusBadRequest, "invalid_grant")
		wantError(t, c.renew("k2o_rt_x"), http.StatusBadRequest, "invalid_grant")
		f.pub.CIMD = documents{documentID: doc}
		wantError(t, c.renew("k2o_rt_x"), http.StatusBadRequest, "invalid_grant")
		f.pub.CIMD = documents{}
	})
	t.Run("C07 revoke", func(t *testing.T) {
		if w := f.form(f.pub, "/revoke", "client_id", documentID, "token", c.refresh); w.Code != http.StatusOK {
			t.Fatalf("got status %d: %s", w.Code, w.Body)
		}
		c.wantCall(c.access, http.StatusUnauthorized)
	})
	if *fetched != 0 {
		t.Errorf("%d documents were fetched for tokens, want none", *fetched)
	}
}
