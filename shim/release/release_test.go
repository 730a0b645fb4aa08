package release

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

var (
	seed   = bytes.Repeat([]byte{7}, ed25519.SeedSize)
	secret = ed25519.NewKeyFromSeed(seed)
	public = secret.Public().(ed25519.PublicKey)
	today  = time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)
)

func sign(t testing.TB, text string) []byte {
	t.Helper()
	return []byte(text + "signature " + base64.StdEncoding.EncodeToString(ed25519.Sign(secret, []byte(text))) + "\n")
}

func TestRead(t *testing.T) {
	good, err := Sign(Document{"1.2.3", today}, secret)
	if err != nil {
		t.Fatal(err)
	}
	if d, err := Read(good, public, today); err != nil || d.Version != "1.2.3" || d.Date.Format(time.DateOnly) != "2026-11-29" {
		t.Errorf("Read = %+v, %v", d, err)
	}
	flipped := bytes.Clone(good)
	flipped[len(firstLine)+10] ^= 1
	other := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{8}, ed25519.SeedSize))
	foreign, err := Sign(Document{"9.9.9", today}, other)
	if err != nil {
		t.Fatal(err)
	}
	old, err := Sign(Document{"1.2.3", today.AddDate(0, 0, -61)}, secret)
	if err != nil {
		t.Fatal(err)
	}
	ahead, err := Sign(Document{"1.2.3", today.AddDate(0, 0, 3)}, secret)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name string
		b    []byte
		want error
	}{
		{"empty", nil, errForm},
		{"one bit flipped", flipped, errSignature},
		{"another key's", foreign, errSignature},
		{"61 days old", old, errOld},
		{"of a day to come", ahead, errFuture},
		{"cut", good[:len(good)-1], errForm},
		{"something behind", append(bytes.Clone(good), "link https://example.com\n"...), errForm},
		{"something before", append([]byte("x"), good...), errSignature},
		{"a line too many, signed", sign(t, firstLine+"\nversion 1.2.3\ndate 2026-11-29\ntext hello\n"), errForm},
		{"a text in the version, signed", sign(t, firstLine+"\nversion 1.2.3 - visit example.com\ndate 2026-11-29\n"), errForm},
		{"no date, signed", sign(t, firstLine+"\nversion 1.2.3\n"), errForm},
		{"another form, signed", sign(t, "key2oauth-release 2\nversion 1.2.3\ndate 2026-11-29\n"), errForm},
		{"carriage returns, signed", sign(t, firstLine+"\r\nversion 1.2.3\r\ndate 2026-11-29\r\n"), errForm},
		{"long", bytes.Repeat([]byte("a"), maxDocument+1), errForm},
	} {
		if d, err := Read(tt.b, public, today); !errors.Is(err, tt.want) || d != (Document{}) {
			t.Errorf("%s: %+v, %v, want %v", tt.name, d, err, tt.want)
		}
	}
	for _, v := range []string{"", "1.2", "v1.2.3", "1.2.3-rc.1", "01.2.3", "1.2.3\ntext x"} {
		if b, err := Sign(Document{v, today}, secret); err == nil {
			t.Errorf("version %q was signed: %q", v, b)
		}
	}
}

// FuzzRead: no bytes without the signature are taken, and those with it are what
// was signed.
func FuzzRead(f *testing.F) {
	good, err := Sign(Document{"1.2.3", today}, secret)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add(sign(f, firstLine+"\nversion 1.2.3\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		d, err := Read(b, public, today)
		if err != nil {
			if d != (Document{}) {
				t.Errorf("an error, and a document: %+v", d)
			}
			return
		}
		again, err := Sign(d, secret)
		if err != nil || !bytes.Equal(again, b) {
			t.Errorf("%q was read as %+v, which is signed as %q", b, d, again)
		}
	})
}

func TestNewer(t *testing.T) {
	for _, tt := range []struct {
		version, current string
		want             bool
	}{
		{"1.2.4", "1.2.3", true}, {"1.10.0", "1.9.9", true}, {"2.0.0", "1.99.99", true},
		{"1.2.3", "1.2.3", false}, {"1.2.2", "1.2.3", false}, {"0.9.0", "1.0.0", false},
		{"1.2.3", "1.2.3-rc.1", true}, {"1.2.3", "v1.2.2", true}, {"1.2.2", "1.2.3-rc.1", false},
		{"1.2.3", "devel-0123456789ab", false}, {"1.2.3", "", false}, {"", "1.2.3", false}, {"9.9", "1.2.3", false},
	} {
		if got := Newer(tt.version, tt.current); got != tt.want {
			t.Errorf("Newer(%q, %q) = %v, want %v", tt.version, tt.current, got, tt.want)
		}
	}
}

// TestFetch: one GET, which says nothing about who asks.
func TestFetch(t *testing.T) {
	good, err := Sign(Document{"1.2.3", today}, secret)
	if err != nil {
		t.Fatal(err)
	}
	var asked []*http.Request
	answer := func(w http.ResponseWriter) { w.Write(good) }
	srv := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r)
		answer(w)
	}))
	defer srv.Close()
	src, err := NewSource(srv.URL+"/release", base64.StdEncoding.EncodeToString(public))
	if err != nil {
		t.Fatal(err)
	}
	if d, err := src.Fetch(t.Context(), srv.Client(), today); err != nil || d.Version != "1.2.3" {
		t.Errorf("Fetch = %+v, %v", d, err)
	}
	if len(asked) != 1 || asked[0].Method != http.MethodGet || asked[0].URL.RawQuery != "" || asked[0].ContentLength != 0 {
		t.Fatalf("asked %d times: %+v", len(asked), asked)
	}
	for name, v := range asked[0].Header {
		if name != "Accept-Encoding" {
			t.Errorf("the request says %s: %q", name, v)
		}
	}
	for name, f := range map[string]func(http.ResponseWriter){
		"not found":      func(w http.ResponseWriter) { w.WriteHeader(http.StatusNotFound); w.Write(good) },
		"a redirect":     func(w http.ResponseWriter) { w.Header().Set("Location", "/other"); w.WriteHeader(http.StatusFound) },
		"endless":        func(w http.ResponseWriter) { w.Write(bytes.Repeat(good, 10_000)) },
		"a web page":     func(w http.ResponseWriter) { w.Write([]byte("<!doctype html>")) },
		"nothing at all": func(http.ResponseWriter) {},
	} {
		answer = f
		before := len(asked)
		if d, err := src.Fetch(t.Context(), srv.Client(), today); err == nil {
			t.Errorf("%s: %+v, want an error", name, d)
		}
		if len(asked) != before+1 {
			t.Errorf("%s: %d requests, want one", name, len(asked)-before)
		}
	}
	if _, err := (Source{}).Fetch(t.Context(), srv.Client(), today); err == nil {
		t.Error("a build without an address fetched something")
	}
}

func TestNewSource(t *testing.T) {
	key := base64.StdEncoding.EncodeToString(public)
	if s, err := NewSource("", ""); err != nil || !s.IsZero() {
		t.Errorf("a build without both: %+v, %v", s, err)
	}
	if s, err := NewSource("https://example.com/release", key); err != nil || s.IsZero() {
		t.Errorf("a whole one: %+v, %v", s, err)
	}
	for _, tt := range [][2]string{{"https://example.com", ""}, {"", key}, {"http://example.com", key}, {"https://example.com", key[:10]}, {"https://example.com", strings.Repeat("!", 44)}} {
		if s, err := NewSource(tt[0], tt[1]); err == nil {
			t.Errorf("NewSource(%q) = %+v, want an error", tt, s)
		}
	}
}
