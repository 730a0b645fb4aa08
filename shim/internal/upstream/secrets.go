package upstream

import (
	"net/url"
	"strings"

	"github.com/key2oauth/key2oauth/shim/internal/guard"
)

// Guard returns the guard for answers of this upstream: it knows the key, and
// what in the URL's query may be one. Ready makes it once for many calls.
func (t *Target) Guard() *guard.Guard {
	if t.ready {
		return t.guard
	}
	return guard.New(t.secrets()...)
}

func (t *Target) secrets() []guard.Field {
	all := []guard.Field{{Value: t.Key.Reveal(), Prefix: t.Header.Prefix}}
	if t.URL == nil {
		return all
	}
	for part := range strings.SplitSeq(t.URL.RawQuery, "&") {
		name, raw, ok := strings.Cut(part, "=")
		if !ok {
			name, raw = "", part
		}
		if !t.Key.IsZero() && !namesSecret(name) {
			continue
		}
		value, err := url.QueryUnescape(raw)
		if err != nil {
			value = raw
		}
		all = append(all, guard.Field{Value: value})
		if value != raw {
			all = append(all, guard.Field{Value: raw})
		}
	}
	return all
}

// namesSecret reports whether a query parameter seems to hold a secret, such as
// api_key, accessToken or the code of Azure's functions. Others, such as the id
// of a project, are a part of what tools answer, and the app needs them. Without
// a key header the key must be in the query, so then all of it counts.
func namesSecret(name string) bool {
	name = strings.NewReplacer("-", "", "_", "", ".", "", "[", "", "]", "").Replace(strings.ToLower(name))
	for _, end := range []string{"key", "token", "secret", "pass", "password", "passwd", "pwd", "auth", "authorization", "credential", "credentials", "signature", "sig", "pat", "jwt", "code"} {
		if strings.HasSuffix(name, end) {
			return true
		}
	}
	return false
}
