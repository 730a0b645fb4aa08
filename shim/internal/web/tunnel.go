package web

import (
	"fmt"
	"html/template"
	"net/url"
	"strconv"
	"strings"

	"github.com/key2oauth/key2oauth/shim/api"
)

// Tunnel is the page about the way in from the internet. Its forms post to
// /tunnel/ngrok (authtoken), /tunnel/external (public_url, preset), /tunnel/off,
// /tunnel/on and /tunnel/test, each with form_token. Its links ask for the same
// page with the tunnel whose steps are shown (with), and with the ways while
// one is turned on (change).
type Tunnel struct {
	Version string
	// Provider is as api.TunnelStatus has it, and Last what it was before it
	// was turned off.
	Provider, Last  string
	State           string // of the internet; see api.Internet
	Why, Then, Link string // why it is not online, and what to do about that
	Origin          string // public address, "" while there is none
	Listener        string // external: where the owner's tunnel must lead
	Point           string // the same, also while it is off
	Since, Plan     string
	HasToken        bool // an authtoken is saved
	Usage           *Usage
	Stranded        []string // clients that know an earlier address
	Presets         []Preset
	With            string // the ID of the preset whose steps are shown; "" is any other tunnel
	Change          bool   // the ways are shown although one is turned on
	Next            *ConnectNext
	Form            TunnelForm
	Notices         []Notice
	Token           func(action string) string
}

// A TunnelForm is what came back from one of the forms.
type TunnelForm struct {
	Which  string // api.TunnelNgrok or api.TunnelExternal
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
func (p Tunnel) On() bool { return p.Provider == api.TunnelNgrok || p.Provider == api.TunnelExternal }

// Dot is what the state looks like.
func (p Tunnel) Dot() string {
	switch p.State {
	case api.InternetOnline:
		return "ok"
	case api.InternetConnecting, api.InternetWaiting:
		return "warn"
	case api.InternetUnreachable:
		return "err"
	}
	return ""
}

// StateWords is the state for the reader.
func (p Tunnel) StateWords() string {
	if _, ok := text["internet."+p.State]; ok {
		return InternetState(p.State)
	}
	return name(p.State)
}

// Detail is what the state means.
func (p Tunnel) Detail() string {
	switch {
	case p.State == api.InternetOff:
		return t("tunnel.off.detail")
	case p.State == api.InternetOnline && p.Since != "":
		return t("tunnel.online.detail", name(p.Since))
	}
	return ""
}

// Troubled reports whether the owner is told why it is not online.
func (p Tunnel) Troubled() bool {
	return p.On() && p.State != api.InternetOnline && p.State != api.InternetPaused && p.Why != ""
}

// Online reports whether apps on the internet can connect.
func (p Tunnel) Online() bool { return p.State == api.InternetOnline }

// Testable reports whether there is something to test.
func (p Tunnel) Testable() bool {
	return p.On() && p.Origin != "" && p.State != api.InternetPaused && p.State != api.InternetConnecting
}

// Connecting reports whether the page should look again soon.
func (p Tunnel) Connecting() bool { return p.State == api.InternetConnecting }

// MainNgrok and MainExternal report which way is the main one.
func (p Tunnel) MainNgrok() bool { return p.Main() == api.TunnelNgrok }

// MainExternal is documented with MainNgrok.
func (p Tunnel) MainExternal() bool { return p.Main() == api.TunnelExternal }

// Ngrok reports whether it is the form of ngrok that came back.
func (f TunnelForm) Ngrok() bool { return f.Which == api.TunnelNgrok }

// External reports whether it is the form of the owner's own tunnel.
func (f TunnelForm) External() bool { return f.Which == api.TunnelExternal }

// Ways reports whether the ways to go online are shown.
func (p Tunnel) Ways() bool {
	return !p.On() || p.Change || p.Form.Error != "" || p.State == api.InternetUnreachable && p.Origin == ""
}

// Main is the way whose button is the one main action of the page: api.TunnelNgrok,
// api.TunnelExternal, or "" where it is another button.
func (p Tunnel) Main() string {
	switch {
	case !p.On() && p.Last != "" || !p.Ways() || p.Online() && p.Next != nil:
		return ""
	case p.Form.Which != "":
		return p.Form.Which
	case p.On():
		return p.Provider
	}
	return api.TunnelNgrok
}

// Chosen is the preset whose steps are shown.
func (p Tunnel) Chosen() *Preset {
	for i := range p.Presets {
		if p.Presets[i].ID == p.With {
			return &p.Presets[i]
		}
	}
	return nil
}

// Kinds are the tunnels of the owner's own to choose from.
func (p Tunnel) Kinds() []chip {
	change := ""
	if p.On() {
		change = "&change=1"
	}
	var all []chip
	for _, preset := range p.Presets {
		all = append(all, chip{"/tunnel?with=" + url.QueryEscape(preset.ID) + change + "#external-title", name(preset.Name), preset.ID == p.With})
	}
	return append(all, chip{"/tunnel?with=other" + change + "#external-title", t("external.other"), p.Chosen() == nil})
}

// Seen says who can read what passes through the chosen tunnel.
func (p Tunnel) Seen() string {
	id := ""
	if c := p.Chosen(); c != nil {
		id = c.ID
	}
	if _, ok := text["external.seen."+id]; !ok {
		id = ""
	}
	return t("external.seen." + id)
}

// Recommended says for whom the chosen tunnel is, or nothing.
func (p Tunnel) Recommended() string {
	if c := p.Chosen(); c == nil || c.ID != "tailscale" {
		return ""
	}
	return t("external.seen.tailscale.b")
}

// Way says what requests go through.
func (p Tunnel) Way() string { return t("tunnel.way." + p.Provider) }

// WayDetail says what that means.
func (p Tunnel) WayDetail() string {
	if p.Provider == api.TunnelExternal {
		for _, preset := range p.Presets {
			if preset.ID == p.Form.Preset && preset.ID != "" {
				return name(preset.Name)
			}
		}
		return t("external.other")
	}
	words := ""
	if p.Plan != "" {
		words = t("tunnel.way.plan", name(p.Plan)) + " \u00b7 "
	}
	if words == "" {
		return t("tunnel.way.home.only")
	}
	return words + t("tunnel.way.home")
}

// NextTitle says what comes after going online.
func (p Tunnel) NextTitle() string {
	if p.Next.App == "" {
		return t("tunnel.next.any", name(p.Next.Server))
	}
	return t("tunnel.next", name(p.Next.App), name(p.Next.Server))
}

// NextButton leads there.
func (p Tunnel) NextButton() string {
	if p.Next.App == "" {
		return t("tunnel.next.go.any")
	}
	return t("tunnel.next.go", name(p.Next.App))
}

// Href is the page on which the reader can do something about it.
func (p Tunnel) Href() template.URL { return safeURL(p.Link) }

// TokenField is the field for the authtoken.
func (p Tunnel) TokenField() KeyField {
	f := KeyField{ID: "authtoken", Label: t("ngrok.3"), Hint: t("ngrok.3.hint"), Required: true}
	if p.HasToken {
		f.Hint = t("ngrok.3.has")
	}
	if p.Form.Field == f.ID {
		f.Err, f.Focus = p.Form.Error, true
	}
	return f
}

// URLField is the field for the public URL of an external tunnel.
func (p Tunnel) URLField() textField {
	label, example := "external.url.own", "https://key2oauth.example.com"
	if p.With == "tailscale" {
		label, example = "external.url", "https://laptop.example.ts.net"
	}
	return textField{ID: "public_url", Label: t(label), Hint: t("external.url.hint", example), Value: p.Form.URL, Mode: "url", Max: 300, Required: true}.
		withError(p.Form.Error, p.Form.Field)
}

// FieldError reports whether the error stands at a field.
func (p Tunnel) FieldError() bool { return p.Form.Field == "authtoken" || p.Form.Field == "public_url" }

// Problem is what went wrong, if it belongs to no field.
func (p Tunnel) Problem() problem { return problem{t("tunnel.error"), p.Form.Error, true} }

// A bar is a share of a limit.
type bar struct {
	Words string
	Near  bool
}

// Bars are the limits of the month.
func (u Usage) Bars() []bar {
	return []bar{
		share(u.Requests, u.MaxRequests, thousands, t("usage.requests")),
		share(u.Bytes, u.MaxBytes, megabytes, t("usage.bytes")),
	}
}

// Words are the limits in one line.
func (u Usage) Words() string {
	var all []string
	for _, b := range u.Bars() {
		all = append(all, b.Words)
	}
	return strings.Join(all, " \u00b7 ")
}

// Near reports whether a limit is near.
func (u Usage) Near() bool {
	for _, b := range u.Bars() {
		if b.Near {
			return true
		}
	}
	return false
}

// Limited reports whether there is a limit.
func (u Usage) Limited() bool { return u.MaxRequests > 0 || u.MaxBytes > 0 }

func share(used, limit int64, show func(int64) string, what string) bar {
	if limit <= 0 {
		return bar{Words: fmt.Sprintf("%s %s", show(used), what)}
	}
	return bar{
		Words: t("usage.of", show(used), show(limit), what),
		Near:  used >= limit/5*4,
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
