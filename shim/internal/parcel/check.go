package parcel

import (
	"encoding/base64"
	"fmt"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/key2oauth/key2oauth/shim/display"
	"github.com/key2oauth/key2oauth/shim/internal/endpoint"
	"github.com/key2oauth/key2oauth/shim/internal/oauth"
	"github.com/key2oauth/key2oauth/shim/internal/problem"
	"github.com/key2oauth/key2oauth/shim/internal/safedial"
)

// Bounds of what one file holds.
const (
	maxServers    = 10_000
	maxClientKeys = 8
	maxTokens     = 2_000 // of one app
	maxText       = 2048  // of an address or a client's id
	maxToken      = 300   // of an authtoken
)

// bad is an error about what a file holds.
func bad(what, format string, args ...any) error {
	return problem.Sentence(what + " in this file can't be moved: " + fmt.Sprintf(format, args...))
}

func (d *decoder) takeHead(l *headLine) error {
	if len(l.ClientKeys) > maxClientKeys || !isOrigin(l.LocalOrigin, "http") || len(l.Version) > 100 {
		return problem.Sentence(TextNotParcel)
	}
	d.Made, d.Version, d.LocalOrigin = l.Made, display.Text(l.Version, 40), l.LocalOrigin
	for _, text := range l.ClientKeys {
		b, err := base64.StdEncoding.Strict().DecodeString(text)
		if err != nil || len(b) != 32 || [32]byte(b) == ([32]byte{}) {
			return problem.Sentence(TextNotParcel)
		}
		d.ClientKeys = append(d.ClientKeys, endpoint.NewSecret(string(b)))
	}
	const longest = 366 * 24 * time.Hour
	if l.AccessTTL < 0 || l.AccessTTL > int64(longest/time.Second) {
		return problem.Sentence(TextNotParcel)
	}
	d.AccessTTL = time.Duration(l.AccessTTL) * time.Second
	if n := l.Internet; n != nil {
		for _, u := range []string{n.URL, n.Domain, n.Seen} {
			if u != "" && !isOrigin(u, "https") {
				return bad("The internet address", "It is not an https address.")
			}
		}
		if len(n.Provider) > 20 || len(n.Preset) > 20 || len(n.Authtoken) > maxToken {
			return problem.Sentence(TextNotParcel)
		}
		d.Internet = Internet{n.Provider, n.URL, n.Preset, n.Domain, n.Seen, endpoint.NewSecret(n.Authtoken)}
		if n.Authtoken == "" {
			d.Internet.Authtoken = endpoint.Secret{}
		}
	}
	return nil
}

// isOrigin reports whether s is an origin of a scheme, and nothing more.
func isOrigin(s, scheme string) bool {
	u, err := url.Parse(s)
	return err == nil && len(s) <= maxText && u.Scheme == scheme && u.Host != "" && s == scheme+"://"+u.Host
}

// unique reports whether there was nothing of this kind and id before.
func (d *decoder) unique(kind, id string) bool {
	k := kind + " " + id
	if d.seen[k] {
		return false
	}
	d.seen[k] = true
	return true
}

func (d *decoder) takeServer(l *serverLine) error {
	what := fmt.Sprintf("The server \u201c%s\u201d", display.Text(l.Name, endpoint.MaxName))
	if !endpoint.IsSlug(l.Slug) || !d.unique("server", l.Slug) || len(d.Servers) >= maxServers || len(d.Keys)+len(d.Apps) > 0 {
		return bad(what, "Its address is not one of Key2OAuth.")
	}
	u, err := parseUpstream(l.URL)
	if err != nil {
		return bad(what, "%s", problem.Text(err))
	}
	s := Server{Endpoint: endpoint.Endpoint{Slug: l.Slug, HeaderKnown: l.HeaderKnown, Created: l.Created, LastUsed: l.LastUsed}}
	if u.RawQuery != "" {
		s.Query = endpoint.NewSecret(u.RawQuery)
	}
	base := *u
	base.RawQuery, base.ForceQuery = "", false
	s.BaseURL, s.HasQuery = base.String(), u.RawQuery != "" || l.QueryLeftOut
	if s.Name, err = endpoint.ParseName(l.Name, u.Host); err != nil {
		return bad(what, "%s", problem.Text(err))
	}
	if s.Header, err = endpoint.ParseHeader(l.Header, l.Prefix); err != nil {
		return bad(what, "%s", problem.Text(err))
	}
	d.Servers = append(d.Servers, s)
	return nil
}

// parseUpstream checks an upstream URL as if it had been typed. An address that
// is shared, as those of Tailscale are, is fine where this computer has no such
// address yet: that is checked when connecting.
func parseUpstream(s string) (*url.URL, error) {
	u, _, err := endpoint.ParseStored(s)
	if err == nil {
		return u, nil
	}
	raw, parseErr := url.Parse(s)
	if parseErr != nil {
		return nil, err
	}
	host := raw.Host
	addr, parseErr := netip.ParseAddr(raw.Hostname())
	if parseErr != nil || !safedial.IsShared(addr) {
		return nil, err
	}
	raw.Host = strings.Replace(host, raw.Hostname(), "10.0.0.1", 1)
	if u, _, err = endpoint.ParseStored(raw.String()); err != nil {
		return nil, err
	}
	u.Host = host
	return u, nil
}

func (d *decoder) takeKey(l *keyLine) error {
	what := fmt.Sprintf("The key \u201c%s\u201d", display.Text(l.Label, endpoint.MaxName))
	if !d.seen["server "+l.Slug] || !isID(l.ID) || !d.unique("key", l.ID) || l.Grant != "" && !isID(l.Grant) || len(d.Apps) > 0 {
		return bad(what, "It belongs to no server of the file.")
	}
	k := Key{Credential: endpoint.Credential{ID: l.ID, Slug: l.Slug, State: l.State, Grant: l.Grant, Created: l.Created}}
	switch l.State {
	case endpoint.Working, endpoint.Unverified, endpoint.Rejected:
	default:
		return bad(what, "Its state is unknown.")
	}
	var err error
	if k.Label, err = endpoint.ParseLabel(l.Label); err != nil {
		return bad(what, "%s", problem.Text(err))
	}
	if len(l.Key) > endpoint.MaxKey || !isText(l.Key) {
		return bad(what, "It is too long, or has characters that keys never have.")
	}
	if l.Key != "" {
		k.Key = endpoint.NewSecret(l.Key)
	}
	d.keys[k.ID] = k.Credential
	d.Keys = append(d.Keys, k)
	return nil
}

func (d *decoder) takeApp(l *appLine) error {
	what := fmt.Sprintf("The app \u201c%s\u201d", display.Text(l.ClientName, 40))
	key, hasKey := d.keys[l.Credential]
	switch {
	case !d.seen["server "+l.Slug] || !isID(l.ID) || !d.unique("app", l.ID):
		return bad(what, "It belongs to no server of the file.")
	case l.Credential != "" && (!hasKey || key.Slug != l.Slug || key.Grant != "" && key.Grant != l.ID):
		return bad(what, "Its key is not in the file.")
	case !isOrigin(l.Origin, "http") && !isOrigin(l.Origin, "https"):
		return bad(what, "The address that it uses can't be read.")
	case l.ClientID == "" || len(l.ClientID) > maxText || !isText(l.ClientID) || oauth.CleanName(l.ClientName) != l.ClientName ||
		len(l.Scope) > maxText || !isText(l.Scope) || len(l.RedirectURI) > maxText || !isText(l.RedirectURI) || len(l.Began) > 20 || !isText(l.Began) || len(l.Tokens) > maxTokens:
		return bad(what, "What it says about itself can't be read.")
	}
	a := App{Grant: oauth.Grant(l.grantLine), Tokens: make(map[oauth.Digest]oauth.Token, len(l.Tokens))}
	for _, t := range l.Tokens {
		if len(t.Digest) != len(oauth.Digest{}) || t.Kind < oauth.Code || t.Kind > oauth.RefreshToken || len(t.Scope)+len(t.RedirectURI)+len(t.Challenge) > 3*maxText {
			return bad(what, "One of its tokens can't be read.")
		}
		a.Tokens[oauth.Digest(t.Digest)] = oauth.Token(t.tokenFields)
	}
	d.Apps = append(d.Apps, a)
	return nil
}

// checkOwners refuses a key that only one app may use if that app is not in the
// file.
func (d *decoder) checkOwners() error {
	for _, k := range d.Keys {
		if k.Grant != "" && !d.seen["app "+k.Grant] {
			return bad(fmt.Sprintf("The key \u201c%s\u201d", k.Label), "Its app is not in the file.")
		}
	}
	return nil
}

// isID reports whether s is an id of a key or an app.
func isID(s string) bool {
	return s != "" && len(s) <= 64 && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789") == ""
}

// isText reports whether s is printable ASCII.
func isText(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return r < ' ' || r > '~' }) < 0
}
