package web

import (
	"html/template"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/key2oauth/key2oauth/shim/api"
	"github.com/key2oauth/key2oauth/shim/internal/apps"
)

// ConnectPath is the page on which an app is connected to a server; for the app
// "", the page with all of them.
func ConnectPath(slug, app string) string {
	p := "/servers/" + url.PathEscape(slug) + "/connect"
	if app != "" {
		p += "/" + url.PathEscape(app)
	}
	return p
}

// ConnectApps has a tile for each app that can be connected to a server.
type ConnectApps struct {
	Slug, Server string
	Online       bool // the internet is turned on
}

func (p ConnectApps) view() view {
	return view{template: "connect", title: t("connect.title", name(p.Server)), script: true, owner: true, nav: "home"}
}

// Groups are the tiles of the page.
func (p ConnectApps) Groups() []TileGroup { return Tiles(p.Slug) }

// A TileGroup is the tiles of the apps that run at one place.
type TileGroup struct {
	Where string // an apps.Place
	Tiles []AppTile
}

// An AppTile leads to the steps of one app.
type AppTile struct {
	Name, Mark string
	Color      int
	Path       string
}

// Tiles are the apps that can be connected to a server.
func Tiles(slug string) []TileGroup {
	groups := []TileGroup{{Where: string(apps.Computer)}, {Where: string(apps.Internet)}, {Where: string(apps.Either)}}
	for _, a := range apps.All() {
		g := &groups[2]
		switch a.Where {
		case apps.Computer:
			g = &groups[0]
		case apps.Internet:
			g = &groups[1]
		}
		g.Tiles = append(g.Tiles, AppTile{a.Name, a.Mark, a.Color, ConnectPath(slug, a.ID)})
	}
	return groups
}

// usualApps are shown where there is room for one row.
var usualApps = []string{"claude-code", "cursor", "vscode", "codex", "claude", "chatgpt"}

// UsualApps are the apps that most people have, and the way to all of them.
func (p Server) UsualApps() (tiles []AppTile) {
	for _, id := range usualApps {
		a, _ := apps.Find(id)
		tiles = append(tiles, AppTile{a.Name, a.Mark, a.Color, ConnectPath(p.Slug, a.ID)})
	}
	return append(tiles, AppTile{t("connect.all"), "\u2026", 4, ConnectPath(p.Slug, "")})
}

// Title names the group.
func (g TileGroup) Title() string { return t("connect.where." + g.Where) }

// Hint says what the group needs.
func (g TileGroup) Hint() string { return t("connect.hint." + g.Where) }

// ConnectApp is the steps by which one app is connected to a server, and how far
// it has come. The script exchanges its parts for those of the same page below
// /live.
type ConnectApp struct {
	Slug, Server string
	App          apps.App
	At           apps.Place
	Query        string // of the page's address
	Ready        bool   // the server can be reached from there
	Guide        apps.Guide
	Trouble      string   // why apps on the internet cannot connect right now
	Waiting      *Waiting // nil if there is nothing to wait for
}

func (p ConnectApp) view() view {
	title := t("connect.app.title", p.App.Called(), name(p.Server))
	if p.At == apps.Nowhere {
		title = p.Heading()
	}
	return view{template: "connect-app", title: title, script: true, owner: true, nav: "home"}
}

// Heading names the app. One that is not connected to a server is of use in
// another way.
func (p ConnectApp) Heading() string {
	if p.At == apps.Nowhere {
		return t("connect.app.none", p.App.Called())
	}
	return t("connect.app.h1", p.App.Called())
}

// Tiles is the page with all apps.
func (p ConnectApp) Tiles() string { return ConnectPath(p.Slug, "") }

// Self is the address of the page.
func (p ConnectApp) Self() string { return ConnectPath(p.Slug, p.App.ID) + "?" + p.Query }

// Where says where the app runs.
func (p ConnectApp) Where() string {
	if p.At == apps.Nowhere {
		return ""
	}
	return t("connect.at." + string(p.At))
}

// A Choice is one of several pages, of which one is open.
type Choice struct {
	Words, Path string
	Here        bool
}

// Places are the places between which the owner has to choose.
func (p ConnectApp) Places() (all []Choice) {
	if p.App.Where != apps.Either {
		return nil
	}
	for _, at := range []apps.Place{apps.Computer, apps.Internet} {
		all = append(all, Choice{t("connect.choose." + string(at)), ConnectPath(p.Slug, p.App.ID) + "?at=" + string(at), at == p.At})
	}
	return all
}

// A GuideStep is a step; Main says that its link is the main button of the page.
type GuideStep struct {
	apps.Instruction
	Main bool
}

// Steps are the steps of the guide. Once there is something to press in what the
// app has come to, that is the main button.
func (p ConnectApp) Steps() (all []GuideStep) {
	main := p.Waiting == nil || p.Waiting.Review == "" && !p.Waiting.Connected()
	for _, s := range p.Guide.Steps {
		all = append(all, GuideStep{s, main})
		main = main && s.Link == ""
	}
	return all
}

// Source says where the steps were read, and when.
func (p ConnectApp) Source() string {
	day, err := time.Parse(time.DateOnly, p.App.Date)
	if err != nil {
		return ""
	}
	return t("connect.source."+string(p.App.Confidence), p.App.Source, Day(day))
}

// ConnectNext leads back to an app that waits for the internet.
type ConnectNext struct{ Path, App, Server string }

// A Progress is how far an app has come.
type Progress int

// The stages of an app.
const (
	ProgressNothing  Progress = iota
	ProgressAddress           // it found the server's address
	ProgressSignIn            // a browser came to sign in
	ProgressApproval          // the owner approved
	ProgressAccess            // it has its first token
	ProgressCall              // its first call was answered
)

// The states of a Waiting.
const (
	WaitingStill     = "still"     // nothing has come yet
	WaitingNothing   = "nothing"   // and that for a while
	WaitingGoing     = "going"     // the app is on its way
	WaitingStopped   = "stopped"   // it stopped on its way
	WaitingTrouble   = "trouble"   // it is connected, and something is wrong
	WaitingConnected = "connected" // it has access
	WaitingWorks     = "works"     // and the server answered its first call
)

// A Waiting says how far an app has come.
type Waiting struct {
	App      string // that is waited for
	At       apps.Place
	State    string
	Who      string // what came, as people know it; "" if nothing did
	Progress Progress
	Review   string // the request that waits for the owner, or ""

	Whose, Words, Next string // of the attempt's diagnosis
	Steps              []StepRow
}

// who names what came, or what is waited for.
func (w Waiting) who() string {
	if w.Who != "" {
		return name(w.Who)
	}
	return w.App
}

// Heading says how far the app is.
func (w Waiting) Heading() string {
	if w.State == WaitingNothing {
		return t("connect.wait.nothing")
	}
	if w.Review != "" {
		return t("connect.wait.review", w.who())
	}
	return t("connect.wait."+w.State, w.who())
}

// Dot is what the state looks like.
func (w Waiting) Dot() string {
	switch w.State {
	case WaitingConnected, WaitingWorks:
		return "ok"
	case WaitingNothing, WaitingStopped, WaitingTrouble:
		return "warn"
	}
	return ""
}

// Says explains the state.
func (w Waiting) Says() string {
	switch w.State {
	case WaitingStill:
		return t("connect.wait.still.2", w.App)
	case WaitingNothing:
		return t("connect.wait.nothing.2", w.App)
	case WaitingConnected:
		return t("connect.wait.connected.2")
	case WaitingWorks:
		return t("connect.wait.works.2")
	}
	if w.State == WaitingGoing && w.Review != "" {
		return t("connect.wait.review.2") // the heading says that it waits
	}
	return words(w.Words)
}

// Connected reports whether there is nothing left to wait for.
func (w Waiting) Connected() bool { return w.State == WaitingConnected || w.State == WaitingWorks }

// WhoseWords say who can fix it, or nothing.
func (w Waiting) WhoseWords() string {
	if w.State != WaitingStopped && w.State != WaitingTrouble {
		return ""
	}
	return whoseWords(w.Whose)
}

// WhatNext is what to do, if something is wrong.
func (w Waiting) WhatNext() string {
	if w.WhoseWords() == "" {
		return ""
	}
	return words(w.Next)
}

// Href is the request that waits for the owner.
func (w Waiting) Href() template.URL { return safeURL(w.Review) }

// A WaitingCause is one of the usual reasons why nothing comes.
type WaitingCause struct{ Whose, Words string }

// usualCauses are the usual reasons, by where an app runs.
var usualCauses = map[apps.Place][]WaitingCause{
	apps.Computer: {{api.WhoseYours, "connect.cause.computer-1"}, {api.WhoseYours, "connect.cause.computer-2"}, {api.WhoseClient, "connect.cause.computer-3"}},
	apps.Internet: {{api.WhoseYours, "connect.cause.internet-1"}, {api.WhoseNgrok, "connect.cause.internet-2"}, {api.WhoseClient, "connect.cause.internet-3"}},
}

// Causes are the usual reasons why nothing comes, and who has to fix each.
func (w Waiting) Causes() (all []WaitingCause) {
	if w.State != WaitingNothing {
		return nil
	}
	for _, c := range usualCauses[w.At] {
		all = append(all, WaitingCause{whoseWords(c.Whose), strings.ReplaceAll(t(c.Words), "%s", w.App)})
	}
	return all
}

// A Stage is a part of the way.
type Stage struct {
	Words     string
	Done, Now bool // Now is the first that is not done
}

// Stages are the way, once the app has begun it.
func (w Waiting) Stages() (all []Stage) {
	if w.Progress == ProgressNothing {
		return nil
	}
	for r := ProgressAddress; r <= ProgressCall; r++ {
		all = append(all, Stage{t("connect.stage." + strconv.Itoa(int(r))), r <= w.Progress, r == w.Progress+1})
	}
	return all
}

// StepRows are the events of an attempt as pages show them.
func StepRows(events []api.Event) (rows []StepRow) {
	for _, e := range events {
		rows = append(rows, StepRow{Step: e.Step, Why: e.Why, Status: e.Status, Time: e.Time.Local().Format("15:04:05"), Count: e.Count})
	}
	return rows
}

// linkTarget is where a link opens: another site in a tab of its own, an app's
// own link here, since it leaves the page where it is.
func linkTarget(link string) string {
	if strings.HasPrefix(link, "https:") {
		return "_blank"
	}
	return "_self"
}
