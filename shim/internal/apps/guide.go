package apps

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"net/url"
	"strconv"
	"strings"

	"github.com/key2oauth/key2oauth/shim/display"
)

// A Target is the server that an app is to be connected to.
type Target struct {
	Name   string // a safe word, see SafeName
	Title  string // as its owner wrote it
	Local  string // address for apps on this computer
	Public string // address for apps on the internet; "" while there is none
}

// A Guide is the steps of one app for one server.
type Guide struct {
	Address string // the one that the app is given
	Steps   []Instruction
	Last    Line
	Notes   []Line
}

// An Instruction is a step with everything filled in.
type Instruction struct {
	Text   Line
	Copy   string // to run or to paste
	Block  bool   // Copy has several lines
	Link   string // to open
	Button string // of the link
	ByHand *Instruction
}

// A Line is a sentence in pieces.
type Line []Piece

// A Piece is a part of a Line.
type Piece struct {
	Text string
	Kind Kind
}

// A Kind says how a piece looks.
type Kind int

// The kinds.
const (
	Plain Kind = iota
	Shown      // what the app shows, such as a button
	Typed      // what a person types or opens
)

// Guide returns the steps for an app that runs at a place. ok is false if the
// server cannot be reached from there; an address of the wrong side is never
// given.
func (a App) Guide(t Target, at Place) (g Guide, ok bool) {
	switch {
	case a.Where == Nowhere:
		ok = at == Nowhere
	case at == Internet && a.Where != Computer:
		g.Address = t.Public
		ok = t.Public != ""
	case at == Computer && a.Where != Internet:
		g.Address = t.Local
		ok = t.Local != ""
	}
	if !ok {
		return Guide{}, false
	}
	f := filler{name: t.Name, title: display.Text(t.Title, display.NoLimit), address: g.Address}
	f.entry = f.json(a.Entry, compact)
	for _, s := range a.Steps {
		g.Steps = append(g.Steps, f.step(s))
	}
	g.Last = f.line(a.Last)
	for _, n := range a.Notes {
		g.Notes = append(g.Notes, f.line(n))
	}
	return g, true
}

// A filler fills in placeholders. Each of its methods quotes for one place.
type filler struct{ name, title, address, entry string }

func (f filler) step(s Step) Instruction {
	out := Instruction{Text: f.line(s.Text), Button: s.Button}
	switch {
	case s.Shell != "":
		out.Copy = f.shell(s.Shell)
	case s.JSON != nil:
		out.Copy = f.json(s.JSON, indented)
	case s.TOML != "":
		out.Copy = f.quoted(s.TOML)
	case s.YAML != "":
		out.Copy = f.quoted(s.YAML)
	case s.Copy != "":
		out.Copy = f.plain(s.Copy)
	case s.Link != "":
		out.Link = f.link(s.Link)
	}
	out.Block = strings.Contains(out.Copy, "\n")
	if s.ByHand != nil {
		hand := f.step(*s.ByHand)
		out.ByHand = &hand
	}
	return out
}

// line splits a sentence at its marks, then fills in, so that no mark in a
// name counts.
func (f filler) line(s string) (l Line) {
	for i, part := range strings.Split(s, "**") {
		for j, piece := range strings.Split(part, "`") {
			p := Piece{Text: f.plain(piece)}
			switch {
			case j%2 == 1:
				p.Kind = Typed
			case i%2 == 1:
				p.Kind = Shown
			}
			if p.Text != "" {
				l = append(l, p)
			}
		}
	}
	return l
}

func (f filler) plain(s string) string {
	return strings.NewReplacer("{name}", f.name, "{title}", f.title, "{address}", f.address).Replace(s)
}

func (f filler) shell(s string) string {
	return strings.NewReplacer("{name}", shellQuote(f.name), "{address}", shellQuote(f.address), "{entry}", shellJSON(f.entry)).Replace(s)
}

// quoted is for TOML and YAML, whose strings in quotation marks take the
// escapes of JSON; names are words that need none.
func (f filler) quoted(s string) string {
	return strings.NewReplacer("{name}", f.name, "{title}", inside(f.title), "{address}", inside(f.address)).Replace(s)
}

const (
	compact  = ""
	indented = "  "
)

func (f filler) json(raw json.RawMessage, indent string) string {
	if raw == nil {
		return ""
	}
	var b bytes.Buffer
	write := func() error { return json.Compact(&b, raw) }
	if indent != compact {
		write = func() error { return json.Indent(&b, raw, "", indent) }
	}
	if err := write(); err != nil {
		return ""
	}
	return f.quoted(b.String())
}

// link percent-encodes spaces as %20: not every router of a web app, and no
// app's own link, reads "+" as one.
func (f filler) link(s string) string {
	escape := func(s string) string { return strings.ReplaceAll(url.QueryEscape(s), "+", "%20") }
	return strings.NewReplacer(
		"{name}", escape(f.name), "{title}", escape(f.title), "{address}", escape(f.address),
		"{entry}", escape(f.entry), "{entry64}", escape(base64.StdEncoding.EncodeToString([]byte(f.entry))),
	).Replace(s)
}

// inside writes s as the inside of a JSON string.
func inside(s string) string {
	b, err := json.Marshal(s)
	if err != nil {
		return ""
	}
	return string(b[1 : len(b)-1])
}

// SafeName makes the name of a server into a word that needs no quoting in any
// shell or file, that apps accept as the name of a server, and that is not
// taken.
func SafeName(title string, taken map[string]bool) string {
	const longest = 40
	var b strings.Builder
	for _, r := range strings.ToLower(title) {
		switch {
		case r >= 'a' && r <= 'z' || r >= '0' && r <= '9':
			b.WriteRune(r)
		case b.Len() > 0 && !strings.HasSuffix(b.String(), "-"):
			b.WriteByte('-')
		}
		if b.Len() == longest {
			break
		}
	}
	word := strings.Trim(b.String(), "-")
	if word == "" {
		word = "my-server"
	}
	base := word
	for n := 2; taken[word]; n++ {
		word = base + "-" + strconv.Itoa(n)
	}
	return word
}

// shellQuote quotes s if a shell would read any of it as its own.
func shellQuote(s string) string {
	special := func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_./:@", r))
	}
	if s != "" && strings.IndexFunc(s, special) < 0 {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// shellJSON quotes JSON in the way that shells on all systems take, unless one
// of them would expand a part of it inside those quotes. Our addresses have
// nothing of that kind.
func shellJSON(s string) string {
	if strings.ContainsAny(s, "$`\\!%") {
		return shellQuote(s)
	}
	return `"` + strings.ReplaceAll(s, `"`, `\"`) + `"`
}
