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
		name, raw, _ := strings.Cut(part, "=")
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

// namesSecret reports whether a query parameter seems to hold a secret. Others,
// such as the id of a project, are a part of what tools answer, and the app
// needs them. Without a key header the key must be in the query, so then all of
// it counts.
func namesSecret(name string) bool {
	name = strings.ToLower(name)
	for _, word := range []string{"key", "token", "secret", "pass", "pwd", "auth", "cred", "sig", "pat"} {
		if strings.Contains(name, word) {
			return true
		}
	}
	return false
}
