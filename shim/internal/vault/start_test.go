package vault

import (
	"fmt"
	"testing"

	"github.com/key2oauth/key2oauth/shim/internal/keychain"
)

// BenchmarkStart measures how long the program loads its state before it can
// serve.
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
