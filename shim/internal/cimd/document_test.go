package cimd

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/key2oauth/key2oauth/shim/internal/oauth"
	"github.com/key2oauth/key2oauth/shim/shimtest"
)

const id = "https://client.example/oauth/client.json"

// document is a valid document with the members of more; nil removes a member.
func document(more map[string]any) map[string]any {
	d := map[string]any{
		"client_id": id, "client_name": "Client", "redirect_uris": []string{"https://client.example/cb"},
		"token_endpoint_auth_method": "none", "grant_types": []string{"authorization_code"}, "response_types": []string{"code"},
	}
	maps.Copy(d, more)
	maps.DeleteFunc(d, func(_ string, v any) bool { return v == nil })
	return d
}

func parseDocument(t *testing.T, id string, doc any) (oauth.Client, error) {
	t.Helper()
	b, err := json.Marshal(doc)
	if err != nil {
		t.Fatal(err)
	}
	return parse(id, b)
}

func TestC01VendorDocuments(t *testing.T) {
	for _, d := range shimtest.VendorDocuments(t) {
		t.Run("C01 "+d.ID(), func(t *testing.T) {
			c, err := parseDocument(t, d.ID(), d.Document)
			if err != nil {
				t.Fatal(err)
			}
			var uris []string
			for _, u := range d.Document["redirect_uris"].([]any) {
				uris = append(uris, u.(string))
			}
			host, _, _ := strings.Cut(strings.TrimPrefix(d.ID(), "https://"), "/")
			want := oauth.Client{ID: d.ID(), Name: d.Document["client_name"].(string), RedirectURIs: uris, AuthMethod: "none", Host: host}
			if diff := cmp.Diff(want, c, cmp.AllowUnexported(oauth.Client{})); diff != "" {
				t.Errorf("client differs (-want +got):\n%s", diff)
			}
		})
	}
}

// TestPins: the program includes every document that was recorded whole, as it
// was served, and no others.
func TestPins(t *testing.T) {
	var got []shimtest.VendorDocument
	if err := json.Unmarshal(pinsFile, &got); err != nil {
		t.Fatal(err)
	}
	want := slices.DeleteFunc(shimtest.VendorDocuments(t), func(d shimtest.VendorDocument) bool { return d.Partial })
	for i := range want {
		want[i].Note = ""
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("pins differ (-recorded +pins):\n%s", diff)
	}
	for _, d := range got {
		if cl, fresh, ok := new(Clients).Recall(d.ID()); !ok || fresh || !cl.BuiltIn || cl.ID != d.ID() {
			t.Errorf("Recall(%s): got %+v, %t, %t", d.ID(), cl, fresh, ok)
		}
	}
}

func TestDocumentRules(t *testing.T) {
	for _, tt := range []struct {
		name string
		more map[string]any
		ok   bool
	}{
		{"plain", nil, true},
		{"no grant types", map[string]any{"grant_types": nil, "response_types": nil}, true},
		{"unknown grants", map[string]any{"grant_types": []string{"authorization_code", "urn:ietf:params:oauth:grant-type:jwt-bearer"}, "response_types": []string{"code", "id_token"}}, true},
		{"unknown members of any type", map[string]any{"x": 1, "logo_uri": 7, "application_type": []int{1}}, true},
		{"none is listed", map[string]any{"token_endpoint_auth_method": "private_key_jwt", "token_endpoint_auth_methods_supported": []string{"none", "private_key_jwt"}}, true},
		{"public keys", map[string]any{"jwks": map[string]any{"keys": []any{map[string]any{"kty": "RSA", "n": "x", "e": "AQAB"}}}}, true},
		{"custom scheme", map[string]any{"redirect_uris": []string{"cursor://anysphere.cursor-mcp/oauth/callback"}}, true},

		{"C02 another client_id", map[string]any{"client_id": id + "/"}, false},
		{"C02 client_id in capitals", map[string]any{"client_id": "https://CLIENT.example/oauth/client.json"}, false},
		{"C02 no client_id", map[string]any{"client_id": nil}, false},
		{"C02 client_id by another name", map[string]any{"client_id": nil, "Client_ID": id}, false},
		{"C02 client_id that is a list", map[string]any{"client_id": []string{id}}, false},
		{"no name", map[string]any{"client_name": nil}, false},
		{"name that shows nothing", map[string]any{"client_name": "\u200b \u202e"}, false},
		{"name that is no string", map[string]any{"client_name": 7}, false},
		{"no redirect URIs", map[string]any{"redirect_uris": nil}, false},
		{"empty redirect URIs", map[string]any{"redirect_uris": []string{}}, false},
		{"redirect URI that is no list", map[string]any{"redirect_uris": "https://client.example/cb"}, false},
		{"one bad redirect URI", map[string]any{"redirect_uris": []string{"https://client.example/cb", "javascript:alert(1)"}}, false},
		{"plain redirect URI", map[string]any{"redirect_uris": []string{"http://client.example/cb"}}, false},
		{"too many redirect URIs", map[string]any{"redirect_uris": slices.Repeat([]string{"https://client.example/cb"}, 11)}, false},
		{"secret", map[string]any{"client_secret": "x"}, false},
		{"expiry of a secret", map[string]any{"client_secret_expires_at": 0}, false},
		{"symmetric key", map[string]any{"jwks": map[string]any{"keys": []any{map[string]any{"kty": "oct"}}}}, false},
		{"private key", map[string]any{"jwks": map[string]any{"keys": []any{map[string]any{"kty": "RSA", "n": "x", "d": "y"}}}}, false},
		{"jwks that is none", map[string]any{"jwks": "x"}, false},
		{"no auth method", map[string]any{"token_endpoint_auth_method": nil}, false},
		{"secret as auth method", map[string]any{"token_endpoint_auth_method": "client_secret_post"}, false},
		{"private_key_jwt alone", map[string]any{"token_endpoint_auth_method": "private_key_jwt", "token_endpoint_auth_methods_supported": []string{"private_key_jwt"}}, false},
		{"no code grant", map[string]any{"grant_types": []string{"client_credentials"}}, false},
		{"no code response", map[string]any{"response_types": []string{"token"}}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, err := parseDocument(t, id, document(tt.more))
			if (err == nil) != tt.ok {
				t.Fatalf("got %v, want ok %t", err, tt.ok)
			}
			if err == nil && (c.ID != id || c.Host != "client.example" || c.Unchecked || c.BuiltIn || c.AuthMethod != "none") {
				t.Errorf("got %+v", c)
			}
		})
	}
	for _, body := range []string{"", "null", "[]", `"x"`, "<html>", `{"client_id":"` + id + `"} x`, strings.Repeat("[", 20000)} {
		if _, err := parse(id, []byte(body)); err == nil {
			t.Errorf("parse(%.20q): got none, want an error", body)
		}
	}
}

// FuzzDocument: every client made from a document is public, has the ID it was
// fetched from, and has only redirect URIs and a name that a registration could
// have.
func FuzzDocument(f *testing.F) {
	for _, d := range shimtest.VendorDocuments(f) {
		b, err := json.Marshal(d.Document)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(d.ID(), b)
	}
	f.Add(id, []byte(`{"client_id":"`+id+`","client_name":"a\u202eb","redirect_uris":["http://localhost/"],"token_endpoint_auth_method":"none","client_secret":null}`))
	f.Add(id, []byte(`{"client_id":"`+id+`","client_id":"x","jwks":{"keys":[{"kty":"oct"}]}}`))
	f.Fuzz(func(t *testing.T, id string, body []byte) {
		if checkURL(id) != nil {
			return
		}
		c, err := parse(id, body)
		if err != nil {
			return
		}
		var doc map[string]any
		if err := json.Unmarshal(body, &doc); err != nil || doc["client_id"] != id {
			t.Errorf("%q was taken for the document of %q", body, id)
		}
		for name := range doc {
			if strings.HasPrefix(name, "client_secret") {
				t.Errorf("a document with %s passed", name)
			}
		}
		if c.ID != id || c.AuthMethod != "none" || c.Unchecked || c.BuiltIn || c.Host == "" || !strings.HasPrefix(strings.ToLower(id), "https://"+c.Host) {
			t.Errorf("got %+v of %q", c, id)
		}
		if err := oauth.CheckRedirectURIs(c.RedirectURIs); err != nil {
			t.Errorf("redirect URIs %q: %v", c.RedirectURIs, err)
		}
		if c.Name == "" || c.Name != oauth.CleanName(c.Name) {
			t.Errorf("name %q", c.Name)
		}
	})
}
