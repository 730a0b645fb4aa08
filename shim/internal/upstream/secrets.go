package upstream

import (
	"net/url"
	"strings"

	"github.com/key2oauth/key2oauth/shim/internal/endpoint"
	"github.com/key2oauth/key2oauth/shim/internal/guard"
)

// Guard returns the guard for answers of this upstream: it knows the key, and
// what in the URL's query and path may be one. Ready makes it once for many calls.
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
	add := func(raw string, unescape func(string) (string, error)) {
		value, err := unescape(raw)
		if err != nil {
			value = raw
		}
		all = append(all, guard.Field{Value: value})
		if value != raw {
			all = append(all, guard.Field{Value: raw})
		}
	}
	for part := range strings.SplitSeq(t.URL.RawQuery, "&") {
		name, raw, ok := strings.Cut(part, "=")
		if !ok {
			name, raw = "", part
		}
		// Values with other names, such as the id of a project, are a part of what
		// tools answer, and the app needs them. Without a key header the key must be
		// in the query, so then all of it counts.
		if t.Key.IsZero() || endpoint.NamesSecret(name) {
			add(raw, url.QueryUnescape)
		}
	}
	// What is pasted for a server that needs no other key is often no key either.
	ids := guard.Watch(t.Key.Reveal()) != guard.Watched
	for _, raw := range endpoint.KeysInPath(t.URL.EscapedPath(), ids) {
		add(raw, url.PathUnescape)
	}
	return all
}
