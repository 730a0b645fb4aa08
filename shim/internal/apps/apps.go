// Package apps knows how a person connects each app to a server: the steps to
// the last click, and what to run, paste or open on the way. The facts are rows
// of apps.json, each with its source and date, so that a wrong step is a change
// of one line there. This package puts a server's name and address into them,
// each quoted for the place where it goes.
package apps

import (
	"bytes"
	"cmp"
	_ "embed"
	"encoding/json"
	"strings"
)

// A Place is where an app runs, which decides the address that it can reach.
type Place string

// The places.
const (
	Computer Place = "computer" // this one: the local address works
	Internet Place = "internet" // the maker's servers: only the public one does
	Either   Place = "either"   // the owner knows
	Nowhere  Place = "none"     // it is not connected to a server, and its row says what works
)

// Confidence says how sure a row is.
type Confidence string

// The degrees of confidence.
const (
	Read     Confidence = "read"     // in the app's own documentation, help text or code
	Reported Confidence = "reported" // by others
)

// An App is a row: an app, and how to connect it.
type App struct {
	ID         string          `json:"id"`
	Name       string          `json:"name"`
	As         string          `json:"as,omitempty"` // in the middle of a sentence; "" stands for Name
	Mark       string          `json:"mark"`         // of its monogram, a character
	Color      int             `json:"color"`        // of its monogram, 1 to 6
	Where      Place           `json:"where"`
	Calls      []string        `json:"calls"` // what it calls itself when it signs in
	Source     string          `json:"source"`
	Date       string          `json:"date"` // YYYY-MM-DD
	Confidence Confidence      `json:"confidence"`
	Entry      json.RawMessage `json:"entry,omitempty"` // what links have as {entry} and {entry64}
	Steps      []Step          `json:"steps"`
	Last       string          `json:"last"` // the last thing that the owner does
	Notes      []string        `json:"notes,omitempty"`
}

// A Step is one numbered step. It has at most one of Shell, JSON, TOML, YAML,
// Copy and Link.
type Step struct {
	Text   string          `json:"text"`
	Shell  string          `json:"shell,omitempty"`
	JSON   json.RawMessage `json:"json,omitempty"`
	TOML   string          `json:"toml,omitempty"`
	YAML   string          `json:"yaml,omitempty"`
	Copy   string          `json:"copy,omitempty"`
	Link   string          `json:"link,omitempty"`
	Button string          `json:"button,omitempty"` // of the link
	ByHand *Step           `json:"by_hand,omitempty"`
}

//go:embed apps.json
var file []byte

var all = parse(file)

// parse panics on a wrong file, which is part of the program and has a test.
func parse(file []byte) []App {
	var f struct {
		About string `json:"about"`
		Apps  []App  `json:"apps"`
	}
	d := json.NewDecoder(bytes.NewReader(file))
	d.DisallowUnknownFields()
	if err := d.Decode(&f); err != nil {
		panic("apps.json: " + err.Error())
	}
	return f.Apps
}

// All lists the apps, in the order in which they are shown.
func All() []App { return all }

// Find returns the app with an id.
func Find(id string) (App, bool) {
	for _, a := range all {
		if a.ID == id {
			return a, true
		}
	}
	return App{}, false
}

// Called is the app's name inside a sentence, but not at its beginning.
func (a App) Called() string { return cmp.Or(a.As, a.Name) }

// MayBe reports whether an app that calls itself name can be a. It can unless
// the name is another app's in the table.
func (a App) MayBe(name string) bool {
	best := 0
	for _, b := range all {
		best = max(best, b.called(name))
	}
	return best == 0 || a.called(name) == best
}

// called returns the length of the longest of a's names that name begins with.
func (a App) called(name string) (n int) {
	name = strings.ToLower(name)
	for _, c := range a.Calls {
		rest, ok := strings.CutPrefix(name, strings.ToLower(c))
		if ok && (rest == "" || strings.ContainsAny(rest[:1], " (-_/")) {
			n = max(n, len(c))
		}
	}
	return n
}
