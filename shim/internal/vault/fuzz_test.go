package vault

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"github.com/key2oauth/key2oauth/shim/internal/keychain"
	"github.com/key2oauth/key2oauth/shim/internal/oauth"
)

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
				v, err := Open(Config{Dir: dir, Mode: keychain.ModeFile})
				if err != nil {
					b.Fatal(err)
				}
				v.Close()
			}
		})
	}
}
