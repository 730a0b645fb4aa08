package ledger

import (
	"bytes"
	"testing"
	"time"

	"github.com/key2oauth/key2oauth/shim/internal/oauth"
)

// FuzzParseToken: only text that we would write ourselves is accepted.
func FuzzParseToken(f *testing.F) {
	now := time.Unix(1_800_000_000, 42)
	for _, token := range []oauth.Token{
		{},
		{Kind: oauth.Code, Expires: now, RedirectURI: "http://localhost/cb", Challenge: "x", Used: true},
		{Kind: oauth.RefreshToken, Expires: now, Scope: "mcp", Parent: oauth.Digest{1}, SuccessorUsed: now, Superseded: true},
	} {
		f.Add(appendToken(nil, token))
	}
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		token, err := ParseToken(b)
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
