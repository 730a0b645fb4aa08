// Package web draws the pages of the loopback side, which are consent, the home
// page and what surrounds them, and those few that a public origin has. It holds
// no state and decides nothing. Handlers fill in a page's struct and call Render;
// forms post the field names that the structs document. Every page works without
// JavaScript, fetches nothing from elsewhere, and takes its words from the
// catalogue in text.go.
package web

import (
	"bytes"
	"crypto/rand"
	"embed"
	"html/template"
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/key2oauth/key2oauth/shim/display"
)

// A Page is one of the page structs of this package.
type Page interface {
	view() view
}

// A view says how a page is drawn.
type view struct {
	template string
	title    string // of the browser's tab, without the product's name
	script   bool   // the page has something that JavaScript improves
	connect  bool   // it calls this origin
	owner    bool   // a page of the owner's dashboard: its forms stay on this origin
	device   bool   // its answer goes to another device: the band above says so
	bare     bool   // nothing stands below what it says
	public   bool   // a page that anyone may see, mostly on another computer
	nav      string // the tab that it belongs to: "home", "activity", "tunnel", "check" or "settings"; "" draws no tabs
	version  string
}

// A frame is what the templates see: the page, and what surrounds it.
type frame struct {
	P       Page
	Nonce   string
	Title   string
	Script  template.JS
	Style   template.CSS
	Icon    template.URL
	Owner   bool
	Public  bool
	Device  bool
	Bare    bool
	Nav     string
	Bar     Bar
	Version string
}

var (
	//go:embed templates/*.html
	templateFiles embed.FS
	//go:embed page.css
	components string
	//go:embed parts.css
	parts string
	//go:embed ask.css
	asking string
	//go:embed page.js
	script string
)

// styleSheet is the look of all pages.
var styleSheet = components + parts + asking

// publicStyle is the look of those on public origins, which load again and again
// while they wait, at the expense of the tunnel.
var publicStyle = components + asking

var templates = template.Must(template.New("").Funcs(funcs).ParseFS(templateFiles, "templates/*.html"))

// favicon is the wordmark's key. It is part of the page, so that a browser has
// no reason to ask for /favicon.ico.
const favicon = "data:image/svg+xml," +
	"%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 32 32'%3E" +
	"%3Crect width='32' height='32' rx='8' fill='%230b6a5f'/%3E" +
	"%3Cg fill='none' stroke='%23fff' stroke-width='2.6' stroke-linecap='round' stroke-linejoin='round'%3E" +
	"%3Ccircle cx='12' cy='20' r='4.6'/%3E%3Cpath d='M15.4 16.6 24 8m-3.6 3.6 3.4 3.4'/%3E%3C/g%3E%3C/svg%3E"

// Render answers with page p, without a header. It does not fail: a page that
// cannot be drawn becomes a short one that says so.
func Render(w http.ResponseWriter, status int, p Page) { draw(w, status, p, Bar{}) }

func draw(w http.ResponseWriter, status int, p Page, bar Bar) {
	v := p.view()
	nonce := rand.Text()
	f := frame{
		P: p, Nonce: nonce, Title: display.Text(v.title, maxTitle), Owner: v.owner, Public: v.public, Device: v.device, Bare: v.bare, Nav: v.nav, Bar: bar, Version: v.version,
		Style: template.CSS(styleSheet), Icon: favicon,
	}
	if v.public {
		f.Style = template.CSS(publicStyle)
	}
	if v.script {
		f.Script = template.JS(script)
	}
	var b bytes.Buffer
	body := ""
	if err := templates.ExecuteTemplate(&b, v.template, f); err == nil {
		// One place for what no stranger's text may bring into a page. It comes
		// last, so that no template can forget it; entities cannot pass it, since
		// html/template has escaped every ampersand that is not ours.
		body = strip(b.String())
	} else {
		status, body = http.StatusInternalServerError, lastResort
	}
	h := w.Header()
	setHeaders(h, v, nonce)
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	io.WriteString(w, body)
}

const lastResort = `<!doctype html><html lang="en"><meta charset="utf-8"><title>Key2OAuth</title>` +
	`<p>This page could not be drawn. Nothing was changed.`

// setHeaders sets what every page sends.
//
// Only the dashboard restricts form-action: Chromium applies it to every
// redirect that follows a form's POST, the client's own later hops included,
// so on the consent page it would make Approve do nothing at all.
// Cross-Origin-Opener-Policy is never sent, since some clients sign in from a
// popup and need their opener. Referrer-Policy is not "no-referrer", because a
// form's own POST would then say "Origin: null".
func setHeaders(h http.Header, v view, nonce string) {
	csp := []string{
		"default-src 'none'",
		"style-src 'nonce-" + nonce + "'",
		"img-src 'self' data:",
		"base-uri 'none'",
		"frame-ancestors 'none'",
	}
	if v.script {
		csp = append(csp, "script-src 'nonce-"+nonce+"'")
	}
	if v.owner || v.connect {
		csp = append(csp, "connect-src 'self'")
	}
	if v.owner {
		csp = append(csp, "form-action 'self'")
	}
	h.Set("Content-Security-Policy", strings.Join(csp, "; "))
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("X-Frame-Options", "DENY")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "same-origin")
	h.Set("Cache-Control", "no-store")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
}
