package parcel

import (
	"bytes"
	"errors"
	"io"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"filippo.io/age"
	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/key2oauth/key2oauth/shim/internal/endpoint"
	"github.com/key2oauth/key2oauth/shim/internal/oauth"
	"github.com/key2oauth/key2oauth/shim/internal/problem"
)

func init() { WorkFactor = 10 } // a try takes a millisecond

var passphrase = endpoint.NewSecret("correct horse battery")

var then = time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)

// sample has one of everything.
func sample() Contents {
	return Contents{
		Head: Head{
			Made: then, Version: "1.2.3", LocalOrigin: "http://127.0.0.1:7450",
			ClientKeys: []endpoint.Secret{endpoint.NewSecret(strings.Repeat("k", 32))}, AccessTTL: time.Hour,
			Internet: Internet{Provider: "ngrok", Seen: "https://calm-heron-42.ngrok.app", Authtoken: endpoint.NewSecret("2abc")},
		},
		Servers: []Server{
			{Endpoint: endpoint.Endpoint{
				Slug: "k3v9x2m7q4ab", BaseURL: "https://mcp.linear.app/mcp", HasQuery: true, Name: "Linear",
				Header: endpoint.Header{Name: "X-Key"}, HeaderKnown: true, Created: then, LastUsed: then,
			}, Query: endpoint.NewSecret("team=1&key=2")},
			{Endpoint: endpoint.Endpoint{
				Slug: "aaaaaaaaaaaa", BaseURL: "http://100.101.102.103:8123/s/%E2%80%A6/mcp", Name: "Home", Header: endpoint.DefaultHeader, Created: then,
			}},
		},
		Keys: []Key{
			{Credential: endpoint.Credential{ID: "abcdefghijklmnop", Slug: "k3v9x2m7q4ab", Label: "key 1", State: endpoint.Working, Created: then}, Key: endpoint.NewSecret("Bearer sk-1")},
			{Credential: endpoint.Credential{ID: "bbcdefghijklmnop", Slug: "k3v9x2m7q4ab", Label: "key 2", State: endpoint.Rejected, Grant: "gggggggggggggggg", Created: then}},
		},
		Apps: []App{{
			Grant: oauth.Grant{
				ID: "gggggggggggggggg", Slug: "k3v9x2m7q4ab", Origin: "http://127.0.0.1:7450", ClientID: "https://claude.ai/oauth/client.json", ClientName: "Claude \u00fc",
				Verified: true, RedirectURI: "http://127.0.0.1:3118/callback", Credential: "bbcdefghijklmnop", Scope: "mcp offline_access", Began: "local",
				Created: then, LastUsed: then, CodeRedeemed: true, Branches: []oauth.Branch{{Tip: oauth.Digest{1}, Forked: then}, {Tip: oauth.Digest{2}}},
				InTwoPlaces: then, OwnUsed: []oauth.Digest{{3}},
			},
			Tokens: map[oauth.Digest]oauth.Token{
				{4}: {Kind: oauth.RefreshToken, Expires: then, Scope: "mcp", Parent: oauth.Digest{5}, SuccessorUsed: then, Superseded: true},
				{6}: {Kind: oauth.AccessToken, Expires: then},
				{7}: {Kind: oauth.Code, Expires: then, RedirectURI: "http://127.0.0.1:3118/callback", Challenge: "x", Used: true},
			},
		}},
	}
}

// diff compares contents, secrets too.
func diff(want, got Contents) string {
	return gocmp.Diff(want, got, cmpopts.EquateEmpty(), gocmp.Comparer(func(a, b endpoint.Secret) bool { return a.Reveal() == b.Reveal() }))
}

func TestThereAndBack(t *testing.T) {
	for name, c := range map[string]Contents{
		"everything": sample(),
		"nothing":    {Head: Head{Made: then, LocalOrigin: "http://127.0.0.1:7450"}},
	} {
		t.Run(name, func(t *testing.T) {
			file, err := Seal(c, passphrase)
			if err != nil {
				t.Fatal(err)
			}
			got, err := Open(file, passphrase)
			if err != nil {
				t.Fatal(err)
			}
			if d := diff(c, got); d != "" {
				t.Errorf("sealed and opened (-want +got):\n%s", d)
			}
		})
	}
}

// TestEncrypted: nothing of the contents can be read in the file, and age itself
// opens it.
func TestEncrypted(t *testing.T) {
	file, err := Seal(sample(), passphrase)
	if err != nil {
		t.Fatal(err)
	}
	clear := plain(t, file)
	for _, s := range []string{"Linear", "sk-1", "calm-heron", passphrase.Reveal()} {
		if bytes.Contains(file, []byte(s)) {
			t.Errorf("%q is in the file", s)
		}
		if s != passphrase.Reveal() && !bytes.Contains(clear, []byte(s)) {
			t.Errorf("%q is not in what age finds in the file", s)
		}
	}
	if bytes.Contains(clear, []byte(passphrase.Reveal())) {
		t.Error("the passphrase is in the contents")
	}
}

func plain(t testing.TB, file []byte) []byte {
	t.Helper()
	id, err := age.NewScryptIdentity(passphrase.Reveal())
	if err != nil {
		t.Fatal(err)
	}
	r, err := age.Decrypt(bytes.NewReader(file), id)
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// wrap encrypts what may be no contents of ours.
func wrap(t testing.TB, b []byte, factor int) []byte {
	t.Helper()
	r, err := age.NewScryptRecipient(passphrase.Reveal())
	if err != nil {
		t.Fatal(err)
	}
	r.SetWorkFactor(factor)
	var out bytes.Buffer
	w, err := age.Encrypt(&out, r)
	if err == nil {
		_, err = w.Write(b)
	}
	if err = errors.Join(err, w.Close()); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestRefused(t *testing.T) {
	file, err := Seal(sample(), passphrase)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.SplitAfter(string(plain(t, file)), "\n")
	with := func(n int, old, new string) []byte {
		l := slices.Clone(lines)
		if !strings.Contains(l[n], old) {
			t.Fatalf("line %d has no %q: %s", n, old, l[n])
		}
		l[n] = strings.Replace(l[n], old, new, 1)
		return wrap(t, []byte(strings.Join(l, "")), WorkFactor)
	}
	x25519, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	var forKey bytes.Buffer
	w, err := age.Encrypt(&forKey, x25519.Recipient())
	if err := errors.Join(err, w.Close()); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name string
		file []byte
		with string // the passphrase, if it is another
		want string // in the error
	}{
		{"empty", nil, "", TextNotParcel},
		{"an export without keys", []byte(`{"format":"key2oauth endpoints 1","endpoints":[]}`), "", TextNotParcel},
		{"for a key", forKey.Bytes(), "", TextNotParcel},
		{"wrong passphrase", file, "correct horse staple", TextPassphrase},
		{"no passphrase", file, "-", TextPassphrase},
		{"too large", append(bytes.Clone(file), make([]byte, MaxSize)...), "", TextLarge},
		{"more work than ours", wrap(t, nil, WorkFactor+1), "", TextTorn},
		{"head cut", file[:60], "", TextTorn},
		{"cut", file[:len(file)-1], "", TextTorn},
		{"cut in half", file[:len(file)/2], "", TextTorn},
		{"something after it", append(bytes.Clone(file), 0), "", TextTorn},
		{"a flipped bit", flipped(file, len(file)-20), "", TextTorn},
		{"empty contents", wrap(t, nil, WorkFactor), "", TextTorn},
		{"other contents", wrap(t, []byte("hello\n"), WorkFactor), "", TextNotParcel},
		{"an endless line", wrap(t, bytes.Repeat([]byte{'['}, maxLine+2), WorkFactor), "", TextNotParcel},
		{"no last line", wrap(t, []byte(strings.Join(lines[:len(lines)-2], "")), WorkFactor), "", TextTorn},
		{"a line left out", wrap(t, []byte(strings.Join(slices.Delete(slices.Clone(lines), 2, 3), "")), WorkFactor), "", TextTorn},
		{"a line after the last", wrap(t, []byte(strings.Join(lines, "")+lines[1]), WorkFactor), "", TextNotParcel},
		{"two heads", wrap(t, []byte(lines[0]+strings.Join(lines, "")), WorkFactor), "", TextNewer},
		{"later version", with(0, format, "key2oauth move 2"), "", TextNewer},
		{"later member", with(1, `"slug"`, `"limits":[],"slug"`), "", TextNewer},
		{"later line", with(1, `{"server"`, `{"program"`), "", TextNewer},
		{"two in one line", with(1, `{"server"`, `{"end":{"servers":0,"keys":0,"apps":0},"server"`), "", TextNotParcel},
		{"no key of clients", with(0, `"client_keys":["`, `"client_keys":["AAAA","`), "", TextNotParcel},
		{"internet", with(0, "https://calm", "http://calm"), "", "not an https"},
		{"slug", with(1, "k3v9x2m7q4ab", "../../../abc"), "", "Linear"},
		{"twice a slug", with(2, "aaaaaaaaaaaa", "k3v9x2m7q4ab"), "", "Home"},
		{"link-local", with(1, "https://mcp.linear.app", "http://169.254.169.254"), "", "Linear"},
		{"header", with(1, "X-Key", "Host"), "", "Linear"},
		{"key of no server", with(3, "k3v9x2m7q4ab", "zzzzzzzzzzzz"), "", "key 1"},
		{"line break in a key", with(3, "sk-1", `sk\r\nX-Admin: 1`), "", "key 1"},
		{"state of a key", with(3, `"ok"`, `"confirmed"`), "", "key 1"},
		{"key of no app", with(4, "gggggggggggggggg", "hggggggggggggggg"), "", "key"},
		{"app of no server", with(5, "k3v9x2m7q4ab", "zzzzzzzzzzzz"), "", "Claude"},
		{"app with another's key", with(5, `"key":"bbcdefghijklmnop"`, `"key":"zbcdefghijklmnop"`), "", "Claude"},
		{"id of an app", with(5, "gggggggggggggggg", `g\u0000`), "", "Claude"},
		{"origin", with(5, "http://127.0.0.1:7450", "file:///etc"), "", "Claude"},
		{"name of an app", with(5, "Claude", `Claude\u202e`), "", "Claude"},
		{"token", with(5, `"digest":"BA`, `"digest":"AAAABA`), "", "Claude"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := passphrase
			if tt.with != "" {
				p = endpoint.NewSecret(strings.Trim(tt.with, "-"))
			}
			got, err := Open(tt.file, p)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("Open: %v, want %q", err, tt.want)
			}
			if _, ok := errors.AsType[problem.Sentence](err); !ok {
				t.Errorf("%v (%T) is no sentence for people", err, err)
			}
			if d := diff(Contents{}, got); d != "" {
				t.Errorf("something was read:\n%s", d)
			}
			if strings.Contains(err.Error(), "sk-1") || strings.Contains(err.Error(), p.Reveal()) && !p.IsZero() {
				t.Errorf("the error repeats a secret: %v", err)
			}
		})
	}
}

func flipped(b []byte, i int) []byte {
	b = bytes.Clone(b)
	b[i] ^= 1
	return b
}

func TestShortPassphrases(t *testing.T) {
	for _, p := range []string{"", "elevenchars", "    short       ", "\u00fc\u00fc\u00fc\u00fc\u00fc\u00fc\u00fc\u00fc\u00fc\u00fc\u00fc"} {
		if _, err := Seal(sample(), endpoint.NewSecret(p)); err == nil || err.Error() != TextShort {
			t.Errorf("Seal with %d characters: %v, want %q", len([]rune(p)), err, TextShort)
		}
	}
}

// A passphrase of a few different characters is among the first that anyone
// tries, however long it is.
func TestMonotonousPassphrases(t *testing.T) {
	for _, p := range []string{strings.Repeat("a", 24), "abababababababab", "123412341234", "  a b c a b c a b c  ", "\u00fc\u00fc\u00fc\u00fc\u00fc\u00fc\u00fc\u00fc\u00fc\u00fc\u00fc\u00fc"} {
		if _, err := Seal(sample(), endpoint.NewSecret(p)); err == nil || err.Error() != TextMonotonous {
			t.Errorf("Seal with %q: %v, want %q", p, err, TextMonotonous)
		}
	}
	for _, p := range []string{"abcdeabcdeab", "aaaaaaaabcde"} {
		if err := CheckPassphrase(endpoint.NewSecret(p)); err != nil {
			t.Errorf("%q: %v", p, err)
		}
	}
}

// TestFields: a field that is added to what moves must be decided on here. Those
// of grants and tokens do not even compile.
func TestFields(t *testing.T) {
	for _, tt := range []struct {
		what   any
		fields int
	}{{endpoint.Endpoint{}, 8}, {endpoint.Credential{}, 6}} {
		if n := reflect.TypeOf(tt.what).NumField(); n != tt.fields {
			t.Errorf("%T has %d fields, and %d were thought of: let the new ones move, or write here why not", tt.what, n, tt.fields)
		}
	}
}

// FuzzDecode: what is read obeys the rules, and is the same when it is written
// and read again.
func FuzzDecode(f *testing.F) {
	var b bytes.Buffer
	if err := encode(&b, sample()); err != nil {
		f.Fatal(err)
	}
	f.Add(b.Bytes())
	for _, l := range bytes.SplitAfter(b.Bytes(), []byte("\n")) {
		f.Add(l)
	}
	f.Add([]byte(`{"format":"key2oauth move 1","local_origin":"http://a","client_keys":[]}` + "\n" + `{"end":{}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := decode(bytes.NewReader(b))
		if err != nil {
			if _, ok := errors.AsType[problem.Sentence](err); !ok || len(err.Error()) > 4000 {
				t.Errorf("%T: %v", err, err)
			}
			return
		}
		servers, keys := make(map[string]bool), make(map[string]string)
		for _, s := range c.Servers {
			servers[s.Slug] = true
			if _, err := parseUpstream(s.BaseURL); err != nil || !endpoint.IsSlug(s.Slug) || s.Name == "" {
				t.Errorf("accepted %+v (%v)", s, err)
			}
		}
		for _, k := range c.Keys {
			keys[k.ID] = k.Slug
			if !servers[k.Slug] {
				t.Errorf("key %s is of no server", k.ID)
			}
		}
		for _, a := range c.Apps {
			if !servers[a.Slug] || a.Credential != "" && keys[a.Credential] != a.Slug {
				t.Errorf("app %s reaches beyond the file", a.ID)
			}
		}
		var again bytes.Buffer
		if err := encode(&again, c); err != nil {
			return // a time that JSON cannot write
		}
		got, err := decode(&again)
		if err != nil {
			t.Fatalf("%s cannot be read again: %v", again.Bytes(), err)
		}
		if d := diff(c, got); d != "" {
			t.Errorf("written and read again (-want +got):\n%s", d)
		}
	})
}
