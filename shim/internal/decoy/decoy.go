// Package decoy makes keys that are wrong. An upstream is shown one to see
// whether it looks at keys at all, so it has to look real and must not be a key
// of anyone's.
package decoy

import (
	"crypto/rand"
	"encoding/base64"
	"math/big"
	"strings"

	"github.com/key2oauth/key2oauth/shim/internal/endpoint"
)

// Separators stand between the parts of a key.
const Separators = "-_.:/+ "

// Key returns a key of the same form that is wrong: the beginning stays, which
// names the vendor and the kind of key (ghp_, sk-ant-api03-, the claims of a
// JWT), and of the rest each character becomes another one of its class.
func Key(key endpoint.Secret, h endpoint.Header) endpoint.Secret {
	k := key.Reveal()
	if strings.EqualFold(h.Prefix, "Basic ") {
		if pair, err := base64.StdEncoding.DecodeString(k); err == nil {
			user, password, _ := strings.Cut(string(pair), ":")
			return endpoint.NewSecret(base64.StdEncoding.EncodeToString([]byte(user + ":" + scramble(password))))
		}
	}
	return endpoint.NewSecret(scramble(k))
}

func scramble(k string) string {
	const enough = 12 // characters: too many to guess
	keep := 0
	if i := len(k) - enough; i > 0 {
		if keep = strings.LastIndexAny(k[:i], Separators) + 1; keep == 0 {
			keep = min(4, i)
		}
	}
	tail := []byte(k[keep:])
	letters := 26
	if strings.Trim(string(tail), "0123456789abcdefABCDEF"+Separators) == "" {
		letters = 6
	}
	for i, c := range tail {
		switch {
		case '0' <= c && c <= '9':
			tail[i] = '0' + byte(another(int(c-'0'), 10))
		case 'a' <= c && c <= 'z':
			tail[i] = 'a' + byte(another(int(c-'a'), letters))
		case 'A' <= c && c <= 'Z':
			tail[i] = 'A' + byte(another(int(c-'A'), letters))
		}
	}
	if wrong := k[:keep] + string(tail); wrong != k {
		return wrong
	}
	return k + "0" // nothing but punctuation
}

// another returns a random number below n that is not i.
func another(i, n int) int {
	r, err := rand.Int(rand.Reader, big.NewInt(int64(n-1)))
	if err != nil {
		return (i + 1) % n
	}
	return (i + 1 + int(r.Int64())) % n
}
