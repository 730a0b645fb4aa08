package parcel

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"time"

	"github.com/key2oauth/key2oauth/shim/internal/endpoint"
	"github.com/key2oauth/key2oauth/shim/internal/oauth"
	"github.com/key2oauth/key2oauth/shim/internal/problem"
)

// format is the format and its version.
const format = "key2oauth move 1"

// maxLine bounds a line: an app with all the tokens that it can have is shorter.
const maxLine = 1 << 20

// A line is any line of the file but the first. Exactly one of its members is
// set.
type line struct {
	Server *serverLine `json:"server,omitempty"`
	Key    *keyLine    `json:"key,omitempty"`
	App    *appLine    `json:"app,omitempty"`
	End    *endLine    `json:"end,omitempty"`
}

// The types of the lines are types of their own: a change to a type elsewhere
// must not change the file.

type headLine struct {
	Format      string        `json:"format"`
	Made        time.Time     `json:"made"`
	Version     string        `json:"version"`
	LocalOrigin string        `json:"local_origin"`
	ClientKeys  []string      `json:"client_keys"` // base64
	AccessTTL   int64         `json:"access_token_lifetime,omitempty"`
	Internet    *internetLine `json:"internet,omitempty"`
}

type internetLine struct {
	Provider  string `json:"provider,omitempty"`
	URL       string `json:"url,omitempty"`
	Preset    string `json:"preset,omitempty"`
	Domain    string `json:"domain,omitempty"`
	Seen      string `json:"seen,omitempty"`
	Authtoken string `json:"authtoken,omitempty"`
}

type serverLine struct {
	Slug         string    `json:"slug"`
	Name         string    `json:"display_name"`
	URL          string    `json:"upstream_url"` // with its query
	QueryLeftOut bool      `json:"query_left_out,omitempty"`
	Header       string    `json:"auth_header_name"`
	Prefix       string    `json:"auth_header_prefix"`
	HeaderKnown  bool      `json:"auth_header_known,omitempty"`
	Created      time.Time `json:"created"`
	LastUsed     time.Time `json:"last_used,omitzero"`
}

type keyLine struct {
	ID      string                   `json:"id"`
	Slug    string                   `json:"slug"`
	Label   string                   `json:"label"`
	State   endpoint.CredentialState `json:"state"`
	Grant   string                   `json:"app,omitempty"` // that alone may use it
	Created time.Time                `json:"created"`
	Key     string                   `json:"key,omitempty"`
}

type appLine struct {
	grantLine
	Tokens []tokenLine `json:"tokens"`
}

// A grantLine has the fields of an oauth.Grant, in their order: a field that is
// added there does not compile here until it is decided whether it moves.
type grantLine struct {
	ID           string    `json:"id"`
	Slug         string    `json:"slug"`
	Origin       string    `json:"origin"`
	ClientID     string    `json:"client_id"`
	ClientName   string    `json:"client_name,omitempty"`
	Verified     bool      `json:"verified,omitempty"`
	RedirectURI  string    `json:"redirect_uri"`
	Credential   string    `json:"key,omitempty"`
	Scope        string    `json:"scope,omitempty"`
	Began        string    `json:"began,omitempty"`
	Created      time.Time `json:"created"`
	LastUsed     time.Time `json:"last_used,omitzero"`
	CodeRedeemed bool      `json:"code_redeemed,omitempty"`

	Branches    []oauth.Branch `json:"branches,omitempty"`
	InTwoPlaces time.Time      `json:"in_two_places,omitzero"`
	OwnUsed     []oauth.Digest `json:"own_used,omitempty"`
}

type tokenLine struct {
	Digest []byte `json:"digest"`
	tokenFields
}

// tokenFields are those of an oauth.Token, in their order.
type tokenFields struct {
	Kind          oauth.Kind   `json:"kind"`
	Expires       time.Time    `json:"expires"`
	Scope         string       `json:"scope,omitempty"`
	RedirectURI   string       `json:"redirect_uri,omitempty"`
	Challenge     string       `json:"challenge,omitempty"`
	Used          bool         `json:"used,omitempty"`
	Parent        oauth.Digest `json:"parent,omitzero"`
	SuccessorUsed time.Time    `json:"successor_used,omitzero"`
	Superseded    bool         `json:"superseded,omitempty"`
}

type endLine struct {
	Servers int `json:"servers"`
	Keys    int `json:"keys"`
	Apps    int `json:"apps"`
}

// encode writes c as lines.
func encode(w io.Writer, c Contents) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	head := &headLine{
		Format: format, Made: c.Made, Version: c.Version, LocalOrigin: c.LocalOrigin, ClientKeys: []string{},
		AccessTTL: int64(c.AccessTTL / time.Second),
	}
	for _, k := range c.ClientKeys {
		head.ClientKeys = append(head.ClientKeys, base64.StdEncoding.EncodeToString([]byte(k.Reveal())))
	}
	if n := c.Internet; n != (Internet{}) {
		head.Internet = &internetLine{n.Provider, n.URL, n.Preset, n.Domain, n.Seen, n.Authtoken.Reveal()}
	}
	err := enc.Encode(head)
	for _, s := range c.Servers {
		whole := s.BaseURL
		if q := s.Query.Reveal(); q != "" {
			whole += "?" + q
		}
		err = errors.Join(err, enc.Encode(line{Server: &serverLine{
			Slug: s.Slug, Name: s.Name, URL: whole, QueryLeftOut: s.HasQuery && s.Query.IsZero(),
			Header: s.Header.Name, Prefix: s.Header.Prefix, HeaderKnown: s.HeaderKnown, Created: s.Created, LastUsed: s.LastUsed,
		}}))
	}
	for _, k := range c.Keys {
		err = errors.Join(err, enc.Encode(line{Key: &keyLine{k.ID, k.Slug, k.Label, k.State, k.Grant, k.Created, k.Key.Reveal()}}))
	}
	for _, a := range c.Apps {
		l := &appLine{grantLine: grantLine(a.Grant), Tokens: []tokenLine{}}
		for d, token := range a.Tokens {
			l.Tokens = append(l.Tokens, tokenLine{d[:], tokenFields(token)})
		}
		err = errors.Join(err, enc.Encode(line{App: l}))
	}
	return errors.Join(err, enc.Encode(line{End: &endLine{len(c.Servers), len(c.Keys), len(c.Apps)}}))
}

// decode reads lines. Anything that encode would not have written is an error.
func decode(r io.Reader) (c Contents, err error) {
	d := &decoder{seen: make(map[string]bool), keys: make(map[string]endpoint.Credential)}
	in := bufio.NewScanner(r)
	in.Buffer(make([]byte, 0, 64<<10), maxLine)
	for in.Scan() {
		if err := d.take(in.Bytes()); err != nil {
			return Contents{}, err
		}
	}
	switch err := in.Err(); {
	case errors.Is(err, bufio.ErrTooLong):
		return Contents{}, problem.Sentence(TextNotParcel)
	case err != nil || !d.ended:
		return Contents{}, problem.Sentence(TextTorn)
	}
	return d.Contents, d.checkOwners()
}

// A decoder reads one line after the other.
type decoder struct {
	Contents
	begun, ended bool
	seen         map[string]bool                // "server " and its slug, and so on
	keys         map[string]endpoint.Credential // by id
}

func (d *decoder) take(b []byte) error {
	if !d.begun {
		d.begun = true
		// Before anything else the file says what it is.
		var is struct {
			Format string `json:"format"`
		}
		name, _, _ := strings.Cut(format, " 1")
		switch err := json.Unmarshal(b, &is); {
		case err != nil || !strings.HasPrefix(is.Format, name+" "):
			return problem.Sentence(TextNotParcel)
		case is.Format != format:
			return problem.Sentence(TextNewer)
		}
		var head headLine
		if err := strict(b, &head); err != nil {
			return err
		}
		return d.takeHead(&head)
	}
	var l line
	if err := strict(b, &l); err != nil {
		return err
	}
	if d.ended || members(&l) != 1 {
		return problem.Sentence(TextNotParcel)
	}
	switch {
	case l.Server != nil:
		return d.takeServer(l.Server)
	case l.Key != nil:
		return d.takeKey(l.Key)
	case l.App != nil:
		return d.takeApp(l.App)
	}
	d.ended = true
	if *l.End != (endLine{len(d.Servers), len(d.Keys), len(d.Apps)}) {
		return problem.Sentence(TextTorn)
	}
	return nil
}

// strict decodes one object that has no members that this version does not know.
func strict(b []byte, v any) error {
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	switch err := dec.Decode(v); {
	case err != nil && strings.Contains(err.Error(), "unknown field"):
		return problem.Sentence(TextNewer)
	case err != nil || dec.More():
		return problem.Sentence(TextNotParcel)
	}
	return nil
}

// members counts what a line holds.
func members(l *line) (n int) {
	for _, there := range []bool{l.Server != nil, l.Key != nil, l.App != nil, l.End != nil} {
		if there {
			n++
		}
	}
	return n
}
