package ledger

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/key2oauth/key2oauth/shim/internal/oauth"
)

// FuzzMark: a mark says what parsing the whole record says, for any name of
// a client, and any order in which a later version writes the fields.
func FuzzMark(f *testing.F) {
	f.Add("0123456789ab", "Claude", "cred", "full", int64(1), int64(0), true)
	f.Add("0123456789ab", `","slug":"evil","created":"2000-01-01T00:00:00Z`, "", `{"slug":"x"}`, int64(1700000000), int64(1700000001), false)
	f.Add(`a"b\`, `{"slug":"`, "\u2028", "", int64(1<<40), int64(5), true)
	f.Fuzz(func(t *testing.T, slug, name, credential, more string, created, used int64, sorted bool) {
		r := grantRecord{ID: "g", Branches: []oauth.Branch{{}}, InTwoPlaces: time.Unix(used%1e9, 0), Slug: slug, ClientName: name, ClientID: more, Credential: credential, Created: time.Unix(created%1e11, used%1e9), RedirectURI: name}
		if used != 0 {
			r.LastUsed = time.Unix(used%1e11, created%1e9)
		}
		b, err := json.Marshal(r)
		if err != nil {
			return // a year that JSON cannot say
		}
		if sorted { // as a record with fields that this version does not know
			fields := map[string]any{"access": map[string]any{"tools": map[string]string{"slug": more, "created": name, "credential": "x", "last_used": slug}}}
			if err := json.Unmarshal(b, &fields); err != nil {
				t.Fatal(err)
			}
			if b, err = json.Marshal(fields); err != nil {
				t.Fatal(err)
			}
		}
		got, ok := readMark(b)
		want, wantOK := parseMark(b)
		if ok != wantOK || string(got.Slug) != string(want.Slug) ||
			!got.Created.Equal(want.Created) || !got.LastUsed.Equal(want.LastUsed) {
			t.Errorf("%s: got %s, %v, want %s, %v", b, show(got), ok, show(want), wantOK)
		}
	})
}

func show(m Mark) string {
	return fmt.Sprintf("%s %v %v", m.Slug, m.Created, m.LastUsed)
}

// TestMarkOfLater: a record that only a later version can read has no mark.
func TestMarkOfLater(t *testing.T) {
	for _, s := range []string{
		`{"id":"g","slug":"s","created":"2026-01-01T00:00:00Z","v":1}`, `{"v":1,"id":"g","slug":"s","created":"2026-01-01T00:00:00Z"}`, `{`, ``, `[]`,
		`{"slug":"s","created":"yesterday"}`,
	} {
		if m, ok := readMark([]byte(s)); ok {
			t.Errorf("%s has the mark %s", s, show(m))
		}
	}
}

func BenchmarkMark(b *testing.B) {
	record, _ := json.Marshal(grantRecord{
		ID: "ABCDEFGHIJKLMNOPQRSTUVWXYZ", Slug: "0123456789ab", Origin: "https://calm-heron-42.ngrok-free.dev", ClientID: "https://claude.ai/oauth/claude-code-client-metadata",
		ClientName: "Claude", RedirectURI: "http://localhost:3118/callback", Credential: "ABCDEFGHIJKLMNOPQRSTUVWXYZ", Created: time.Now(), LastUsed: time.Now(),
	})
	for b.Loop() {
		if _, ok := readMark(record); !ok {
			b.Fatal("no mark")
		}
	}
}
