package web

import (
	"fmt"
	"html/template"
	"strconv"
)

// Tunnel is the page about the way in from the internet. Its forms post to
// /tunnel/ngrok (authtoken), /tunnel/external (public_url, preset), /tunnel/off,
// /tunnel/on and /tunnel/test, each with form_token.
type Tunnel struct {
	Version string
	// Provider is "off", "ngrok" or "external", and Last what it was before it
	// was turned off.
	Provider, Last    string
	State             string
	Words, Next, Link string
	Origin            string // public address, "" while there is none
	Listener          string // external: where the owner's tunnel must lead
	Since, Plan       string
	HasToken          bool // an authtoken is saved
	Usage             *Usage
	Stranded          []string // clients that know an earlier address
	Presets           []Preset
	Form              TunnelForm
	Notices           []Notice
	Token             func(action string) string
}

// A TunnelForm is what came back from one of the forms.
type TunnelForm struct {
	Which  string // "ngrok" or "external"
	URL    string
	Preset string
	Error  string
	Field  string // name of the field that Error is about
}

// A Usage is what went through the tunnel this month.
type Usage struct {
	Requests, MaxRequests int64 // MaxRequests is 0 if there is no limit
	Bytes, MaxBytes       int64
	Warning               string
}

// A Preset is a program that can be an external tunnel.
type Preset struct {
	ID, Name string
	Steps    []Step
}

// A Step is something to run in a terminal, or to write into a file.
type Step struct {
	Words string // what it does
	File  string // where to write it; "" means to run it
	Text  string
}

func (p Tunnel) view() view {
	return view{template: "tunnel", title: t("tunnel.title"), script: true, owner: true, nav: "tunnel", version: p.Version}
}

// FormToken is the token of the form that posts to action.
func (p Tunnel) FormToken(action string) string { return Home{Token: p.Token}.FormToken(action) }

// On reports whether the owner wants to be reached.
func (p Tunnel) On() bool { return p.Provider == "ngrok" || p.Provider == "external" }

// Badge is what the state looks like.
func (p Tunnel) Badge() string {
	switch p.State {
	case "online":
		return "ok"
	case "failed":
		return "error"
	case "retrying", "locked", "paused":
		return "warn"
	}
	return "plain"
}

// StateWords is the state for the reader.
func (p Tunnel) StateWords() string {
	if s, ok := text["tunnel.state."+p.State]; ok {
		return s
	}
	return name(p.State)
}

// Kind is the notice that the state deserves.
func (p Tunnel) Kind() string {
	switch p.State {
	case "failed":
		return "error"
	case "retrying", "locked", "paused":
		return "warn"
	}
	return "info"
}

// Moving reports whether the state is about to change without the owner.
func (p Tunnel) Moving() bool { return p.State == "connecting" }

// Href is the page on which the reader can do something about it.
func (p Tunnel) Href() template.URL { return safeURL(p.Link) }

// TokenField is the field for the authtoken.
func (p Tunnel) TokenField() KeyField {
	f := KeyField{ID: "authtoken", Label: t("tunnel.token"), Hint: t("tunnel.token.hint"), Required: true}
	if p.Form.Field == f.ID {
		f.Err, f.Focus = p.Form.Error, true
	}
	return f
}

// URLField is the field for the public URL of an external tunnel.
func (p Tunnel) URLField() textField {
	return textField{ID: "public_url", Label: t("tunnel.url"), Hint: t("tunnel.url.hint"), Value: p.Form.URL, Mode: "url", Max: 300, Required: true}.
		withError(p.Form.Error, p.Form.Field)
}

// FieldError reports whether the error stands at a field.
func (p Tunnel) FieldError() bool { return p.Form.Field == "authtoken" || p.Form.Field == "public_url" }

// Problem is what went wrong, if it belongs to no field.
func (p Tunnel) Problem() problem { return problem{t("tunnel.error"), p.Form.Error, true} }

// A bar is a share of a limit, drawn and in words.
type bar struct {
	Words   string
	Percent int // -1 without a limit
	Near    bool
}

// Bars are the limits of the month.
func (u Usage) Bars() []bar {
	return []bar{
		share(u.Requests, u.MaxRequests, thousands, t("usage.requests")),
		share(u.Bytes, u.MaxBytes, megabytes, t("usage.bytes")),
	}
}

func share(used, limit int64, show func(int64) string, what string) bar {
	if limit <= 0 {
		return bar{Words: fmt.Sprintf("%s %s", show(used), what), Percent: -1}
	}
	return bar{
		Words:   t("usage.of", show(used), show(limit), what),
		Percent: int(min(100, 100*max(0, used)/limit)),
		Near:    used >= limit/5*4,
	}
}

// Number writes a number for people.
func Number(n int64) string { return thousands(n) }

// thousands writes a number with a comma between groups of three digits.
func thousands(n int64) string {
	s := strconv.FormatInt(max(0, n), 10)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

func megabytes(n int64) string {
	const mb = 1e6 // as plans are sold
	if n > 0 && n < mb {
		return t("usage.less")
	}
	return thousands(n/mb) + " MB"
}
