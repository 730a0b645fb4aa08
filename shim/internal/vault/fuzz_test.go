package vault

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"testing"
	"time"

	"github.com/key2oauth/key2oauth/shim/internal/oauth"
)

// FuzzOpenSealed: what opens was sealed under this key, for this record.
func FuzzOpenSealed(f *testing.F) {
	sum := sha256.Sum256([]byte("fuzz"))
	m, err := parseMasterKey(base64.StdEncoding.EncodeToString(sum[:]))
	if err != nil {
		f.Fatal(err)
	}
	sealed := m.seal(kindKey, "id", testBase, testKey)
	f.Add(kindKey, "id", testBase, sealed)
	f.Add(kindQuery, "id", testBase, sealed)
	f.Add(kindKey, "i", "d"+testBase, sealed)
	f.Add(kindKey, "id", testBase, sealed[:sealedHeader])
	f.Add(kindKey, "id", testBase, []byte{})
	f.Fuzz(func(t *testing.T, kind, id, url string, b []byte) {
		text, err := m.open(kind, id, url, b)
		if err != nil {
			if text != "" {
				t.Errorf("got %q together with %v", text, err)
			}
			return
		}
		// The nonce is another one in each process, so the bytes may differ.
		if kind != kindKey || id != "id" || url != testBase || text != testKey {
			t.Errorf("opened what was never sealed: %q %q %q %x", kind, id, url, b)
		}
	})
}

// FuzzSeal: a record opens as itself, and as nothing else.
func FuzzSeal(f *testing.F) {
	f.Add("key", "id", testBase, testKey, "query", "id", testBase)
	f.Add("key", "ab", "c", "", "key", "a", "bc")
	f.Add("a", "b", "", "x", "", "a", "b")
	m, other := newMasterKey(), newMasterKey()
	f.Fuzz(func(t *testing.T, kind, id, url, text, kind2, id2, url2 string) {
		sealed := m.seal(kind, id, url, text)
		if got, err := m.open(kind, id, url, sealed); err != nil || got != text {
			t.Errorf("got %q, %v, want %q", got, err, text)
		}
		if _, err := other.open(kind, id, url, sealed); err == nil {
			t.Error("opens under another master key")
		}
		if kind == kind2 && id == id2 && url == url2 {
			return
		}
		if _, err := m.open(kind2, id2, url2, sealed); err == nil {
			t.Errorf("sealed as %q %q %q, opens as %q %q %q", kind, id, url, kind2, id2, url2)
		}
	})
}

// FuzzParseToken: what is accepted is exactly what would be written.
func FuzzParseToken(f *testing.F) {
	now := time.Unix(1_800_000_000, 42)
	for _, token := range []oauth.Token{
		{},
		{Kind: oauth.Code, Expires: now, RedirectURI: "http://localhost/cb", Challenge: "x", Used: true},
		{Kind: oauth.RefreshToken, Expires: now, Scope: "mcp", Parent: digestOf("p"), SuccessorUsed: now, Superseded: true},
	} {
		f.Add(appendToken(nil, token))
	}
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		token, err := parseToken(b)
		if err != nil {
			if token != (oauth.Token{}) {
				t.Errorf("got %+v together with %v", token, err)
			}
			return
		}
		if again := appendToken(nil, token); !bytes.Equal(again, b) {
			t.Errorf("%x reads %+v, which is written %x", b, token, again)
		}
		if kind, at, err := tokenExpires(b); err != nil || kind != token.Kind || !at.Equal(token.Expires) {
			t.Errorf("tokenExpires = %v, %v, %v, want %v, %v", kind, at, err, token.Kind, token.Expires)
		}
	})
}

// FuzzHelper: whatever comes in, at most one answer goes out.
func FuzzHelper(f *testing.F) {
	f.Add([]byte(`{"op":"probe"}`))
	f.Add([]byte(`{"op":"nothing","key":"x"}`))
	f.Add([]byte(`{"op":`))
	f.Fuzz(func(t *testing.T, b []byte) {
		t.Setenv("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nonexistent")
		var out bytes.Buffer
		if err := RunHelper(bytes.NewReader(b), &out); err != nil && out.Len() > 0 {
			t.Errorf("RunHelper = %v, and wrote %q", err, out.Bytes())
		}
	})
}

func BenchmarkSeal(b *testing.B) {
	m := newMasterKey()
	b.ReportAllocs()
	for b.Loop() {
		m.seal(kindKey, "id", testBase, testKey)
	}
}

func BenchmarkOpen(b *testing.B) {
	m := newMasterKey()
	sealed := m.seal(kindKey, "id", testBase, testKey)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := m.open(kindKey, "id", testBase, sealed); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkStart is what the program pays for its state before it can serve.
func BenchmarkStart(b *testing.B) {
	for _, n := range []int{10, 100_000} {
		b.Run(fmt.Sprintf("grants=%d", n), func(b *testing.B) {
			dir := b.TempDir()
			v := openFileMode(b, dir)
			addEndpoint(b, v, testSlug, "")
			fillGrants(b, v, n)
			closeVault(b, v)
			for b.Loop() {
				v, err := Open(Config{Dir: dir, Mode: ModeFile})
				if err != nil {
					b.Fatal(err)
				}
				v.Close()
			}
		})
	}
}
