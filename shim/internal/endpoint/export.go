package endpoint

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"

	"github.com/key2oauth/key2oauth/shim/display"
)

// An Export is endpoints as a file: without keys, and without the queries of
// upstream URLs, which may be keys. Slugs are in it, so that clients find the
// endpoints at the addresses that they know.
type Export struct {
	Format    string     `json:"format"` // exportFormat
	Endpoints []Exported `json:"endpoints"`
}

// An Exported is one endpoint of a file.
type Exported struct {
	Slug        string `json:"slug"`
	DisplayName string `json:"display_name"`
	UpstreamURL string `json:"upstream_url"`
	// QueryLeftOut says that the upstream URL had a query.
	QueryLeftOut     bool   `json:"query_left_out,omitempty"`
	AuthHeaderName   string `json:"auth_header_name"`
	AuthHeaderPrefix string `json:"auth_header_prefix"`
}

// exportFormat names the format and its version. A file of a newer version may
// mean something that we do not know, so it is refused.
const exportFormat = "key2oauth endpoints 1"

// MaxExport bounds a file, and MaxEndpoints what is in it.
const (
	MaxExport    = 1 << 20
	MaxEndpoints = 1000
)

// NewExport makes what ParseExport reads.
func NewExport(all []Endpoint) Export {
	x := Export{Format: exportFormat, Endpoints: []Exported{}}
	for _, e := range all {
		x.Endpoints = append(x.Endpoints, Exported{
			Slug: e.Slug, DisplayName: e.Name, UpstreamURL: e.BaseURL, QueryLeftOut: e.HasQuery,
			AuthHeaderName: e.Header.Name, AuthHeaderPrefix: e.Header.Prefix,
		})
	}
	return x
}

// ParseExport reads a file. HasQuery of what it returns says that the query is
// missing. One endpoint that cannot be is enough to refuse it as a whole: who
// reads that some of it was taken does not know which. Errors are sentences for
// people and repeat nothing of the file but names.
func ParseExport(b []byte) ([]Endpoint, error) {
	if len(b) > MaxExport {
		return nil, errors.New("This file is larger than any that Key2OAuth makes.")
	}
	b = bytes.TrimPrefix(b, []byte("\ufeff")) // of an editor on Windows
	var x Export
	d := json.NewDecoder(bytes.NewReader(b))
	if err := d.Decode(&x); err != nil {
		return nil, errors.New("This is not a file that Key2OAuth has exported.")
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("There is something after the end of what Key2OAuth has exported.")
	}
	switch name, _, _ := strings.Cut(exportFormat, " 1"); {
	case !strings.HasPrefix(x.Format, name+" "):
		return nil, errors.New("This is not a file that Key2OAuth has exported.")
	case x.Format != exportFormat:
		return nil, errors.New("This file comes from a newer version of Key2OAuth. Install that version first.")
	case len(x.Endpoints) > MaxEndpoints:
		return nil, fmt.Errorf("There are more than %d servers in this file.", MaxEndpoints)
	}
	seen := make(map[string]bool)
	all := make([]Endpoint, 0, len(x.Endpoints))
	for i, in := range x.Endpoints {
		e, err := in.parse()
		if err == nil && seen[e.Slug] {
			err = errors.New("Its address is that of another server in the file.")
		}
		if err != nil {
			return nil, fmt.Errorf("Server %d in the file, %q, cannot be taken: %w", i+1, display.Text(in.DisplayName, MaxName), err)
		}
		seen[e.Slug] = true
		all = append(all, e)
	}
	return all, nil
}

// parse checks one endpoint by the rules for what is typed. The query is
// dropped: in a file that somebody wrote himself it is as little a secret as
// the file.
func (in Exported) parse() (e Endpoint, err error) {
	if !IsSlug(in.Slug) {
		return e, errors.New("Its \"slug\" is not 12 characters of a to z and 0 to 9.")
	}
	u, _, err := ParseUpstream(in.UpstreamURL)
	if err != nil {
		return e, err
	}
	e = Endpoint{Slug: in.Slug, BaseURL: withoutQuery(u), HasQuery: in.QueryLeftOut || u.RawQuery != ""}
	if e.Name, err = ParseName(in.DisplayName, u.Host); err != nil {
		return e, err
	}
	name := in.AuthHeaderName
	if name == "" {
		name = DefaultHeader.Name
	}
	e.Header, err = ParseHeader(name, in.AuthHeaderPrefix)
	return e, err
}

func withoutQuery(u *url.URL) string {
	base := *u
	base.RawQuery, base.ForceQuery = "", false
	return base.String()
}

// IsSlug reports whether s could have come from NewSlug.
func IsSlug(s string) bool {
	return len(s) == slugLen && strings.Trim(s, slugAlphabet) == ""
}
