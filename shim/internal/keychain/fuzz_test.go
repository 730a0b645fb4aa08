package keychain

import (
	"crypto/sha256"
	"encoding/base64"
	"testing"
)

// The plaintext that most tests seal.
const (
	kindKey   = "key"
	kindQuery = "query"
	testBase  = "https://mcp.example.com/mcp"
	testKey   = "canary-key-5f2c"
)

// FuzzOpenSealed: what opens was sealed with this key and for this record.
func FuzzOpenSealed(f *testing.F) {
	sum := sha256.Sum256([]byte("fuzz"))
	m, err := parseMasterKey(base64.StdEncoding.EncodeToString(sum[:]))
	if err != nil {
		f.Fatal(err)
	}
	sealed := m.Seal(kindKey, "id", testBase, testKey)
	f.Add(kindKey, "id", testBase, sealed)
	f.Add(kindQuery, "id", testBase, sealed)
	f.Add(kindKey, "i", "d"+testBase, sealed)
	f.Add(kindKey, "id", testBase, sealed[:sealedHeader])
	f.Add(kindKey, "id", testBase, []byte{})
	f.Fuzz(func(t *testing.T, kind, id, url string, b []byte) {
		text, err := m.Open(kind, id, url, b)
		if err != nil {
			if text != "" {
				t.Errorf("got %q together with %v", text, err)
			}
			return
		}
		// The nonce differs between processes, so the bytes may too.
		if kind != kindKey || id != "id" || url != testBase || text != testKey {
			t.Errorf("opened what was never sealed: %q %q %q %x", kind, id, url, b)
		}
	})
}

// FuzzSeal: a record opens only as itself.
func FuzzSeal(f *testing.F) {
	f.Add("key", "id", testBase, testKey, "query", "id", testBase)
	f.Add("key", "ab", "c", "", "key", "a", "bc")
	f.Add("a", "b", "", "x", "", "a", "b")
	m, other := newMasterKey(), newMasterKey()
	f.Fuzz(func(t *testing.T, kind, id, url, text, kind2, id2, url2 string) {
		sealed := m.Seal(kind, id, url, text)
		if got, err := m.Open(kind, id, url, sealed); err != nil || got != text {
			t.Errorf("got %q, %v, want %q", got, err, text)
		}
		if _, err := other.Open(kind, id, url, sealed); err == nil {
			t.Error("opens under another master key")
		}
		if kind == kind2 && id == id2 && url == url2 {
			return
		}
		if _, err := m.Open(kind2, id2, url2, sealed); err == nil {
			t.Errorf("sealed as %q %q %q, opens as %q %q %q", kind, id, url, kind2, id2, url2)
		}
	})
}

func BenchmarkSeal(b *testing.B) {
	m := newMasterKey()
	b.ReportAllocs()
	for b.Loop() {
		m.Seal(kindKey, "id", testBase, testKey)
	}
}

func BenchmarkOpen(b *testing.B) {
	m := newMasterKey()
	sealed := m.Seal(kindKey, "id", testBase, testKey)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := m.Open(kindKey, "id", testBase, sealed); err != nil {
			b.Fatal(err)
		}
	}
}
