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
	"github.com/key2oauth/key2oauth/shim/internal/problem"
)

// An Export is a file of endpoints, without keys, and without what may be a key
// in upstream URLs: their queries, and parts of their paths. It has the slugs, so clients find the
// endpoints at the same addresses.
type Export struct {
	Format    string             `json:"format"` // exportFormat
	Endpoints []ExportedEndpoint `json:"endpoints"`
}

// An ExportedEndpoint is one endpoint of a file.
type ExportedEndpoint struct {
	Slug        string `json:"slug"`
	DisplayName string `json:"display_name"`
	UpstreamURL string `json:"upstream_url"`
	// QueryLeftOut says that the upstream URL had a query, or a key in its path,
	// where the file has a hidden part.
	QueryLeftOut     bool   `json:"query_left_out,omitempty"`
	AuthHeaderName   string `json:"auth_header_name"`
	AuthHeaderPrefix string `json:"auth_header_prefix"`
}

// exportFormat is the format and its version. A file of a newer version is
// rejected, because it may mean something that this version does not know.
const exportFormat = "key2oauth endpoints 1"

// What is wrong with other files. Tests compare with it.
const (
	TextNotExported = "This file was not exported by Key2OAuth."
	TextExportLarge = "This file is too large to be an export of Key2OAuth."
	TextExportLong  = "There is extra text after the end of the export."
	TextExportNewer = "This file comes from a newer version of Key2OAuth. Install that version first."
	TextExportMany  = "There are more than %d servers in this file."
	TextExportTwice = "Another server in the file has the same address."
	TextExportEntry = "Server %d in the file, %q, can't be imported: %s" // its number and name, and what is wrong
)

// MaxExport bounds a file's size, and MaxEndpoints its number of endpoints.
const (
	MaxExport    = 1 << 20
	MaxEndpoints = 1000
)

// NewExport returns the Export of all, for ParseExport.
func NewExport(all []Endpoint) Export {
	x := Export{Format: exportFormat, Endpoints: []ExportedEndpoint{}}
	for _, e := range all {
		x.Endpoints = append(x.Endpoints, ExportedEndpoint{
			Slug: e.Slug, DisplayName: e.Name, UpstreamURL: e.ShownBase(), QueryLeftOut: e.HasQuery || e.HidesPath(),
			AuthHeaderName: e.Header.Name, AuthHeaderPrefix: e.Header.Prefix,
		})
	}
	return x
}

// ParseExport parses a file. HasQuery in its result says that the query, or a
// hidden part of the path, is missing. One invalid endpoint rejects the whole file: people would not know
// which part was imported. Errors are sentences for people and repeat nothing
// of the file but names.
func ParseExport(b []byte) ([]Endpoint, error) {
	if len(b) > MaxExport {
		return nil, problem.Sentence(TextExportLarge)
	}
	b = bytes.TrimPrefix(b, []byte("\ufeff")) // from an editor on Windows
	var x Export
	d := json.NewDecoder(bytes.NewReader(b))
	if err := d.Decode(&x); err != nil {
		return nil, problem.Sentence(TextNotExported)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, problem.Sentence(TextExportLong)
	}
	switch name, _, _ := strings.Cut(exportFormat, " 1"); {
	case !strings.HasPrefix(x.Format, name+" "):
		return nil, problem.Sentence(TextNotExported)
	case x.Format != exportFormat:
		return nil, problem.Sentence(TextExportNewer)
	case len(x.Endpoints) > MaxEndpoints:
		return nil, problem.Sentence(fmt.Sprintf(TextExportMany, MaxEndpoints))
	}
	seen := make(map[string]bool)
	all := make([]Endpoint, 0, len(x.Endpoints))
	for i, in := range x.Endpoints {
		e, err := in.parse()
		if err == nil && seen[e.Slug] {
			err = problem.Sentence(TextExportTwice)
		}
		if err != nil {
			return nil, problem.Sentence(fmt.Sprintf(TextExportEntry, i+1, display.Text(in.DisplayName, MaxName), err))
		}
		seen[e.Slug] = true
		all = append(all, e)
	}
	return all, nil
}

// parse checks one endpoint by the rules for typed input. It drops the query:
// someone may have written the file by hand, and a query in it is as little a
// secret as the file.
func (in ExportedEndpoint) parse() (e Endpoint, err error) {
	if !IsSlug(in.Slug) {
		return e, problem.Sentence("Its \"slug\" is not 12 characters of a to z and 0 to 9.")
	}
	u, _, err := ParseStored(in.UpstreamURL)
	if err != nil {
		return e, err
	}
	in.QueryLeftOut = in.QueryLeftOut || hides(u.EscapedPath())
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

// IsSlug reports whether s has the form of a slug.
func IsSlug(s string) bool {
	return len(s) == slugLen && strings.Trim(s, slugAlphabet) == ""
}
