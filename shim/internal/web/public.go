package web

import (
	"html/template"
	"strconv"
	"time"

	"github.com/key2oauth/key2oauth/shim/display"
)

// The pages of a public origin. Anyone who knows the address sees them, so
// they name no server of the owner's, and nothing can be typed into them.

// SignIn is where a sign-in from the internet begins: it leads to the page on
// the owner's own computer, or has the owner asked there. Its form posts
// form_token to Ask.
type SignIn struct {
	App       display.App
	Continue  string // the page on this computer
	Ask       string
	FormToken string
	// Auto says that the browser seems to be on the owner's computer, so the
	// page leads there automatically.
	Auto bool
	// Phone says that the browser is none of a computer that could be the
	// owner's, so the other way comes first.
	Phone bool
}

func (p SignIn) view() view {
	return view{template: "sign-in", title: t("signin.title", p.App.String()), public: true}
}

// Href is the address of the page on this computer.
func (p SignIn) Href() template.URL { return safeURL(p.Continue) }

// WaitingPage shows the number that the owner must type, until it was typed.
type WaitingPage struct {
	App    display.App
	Number int           // 0 while it is in line
	Check  string        // address of this page
	Every  time.Duration // how often it checks again; 0 means never
}

func (p WaitingPage) view() view {
	return view{template: "waiting", title: t("waiting.title"), public: true}
}

// Digits is the number as the owner types it.
func (p WaitingPage) Digits() string { return strconv.Itoa(p.Number) }

// Seconds is Every for the template.
func (p WaitingPage) Seconds() int { return int(p.Every / time.Second) }

// Href is the address of the page itself.
func (p WaitingPage) Href() string { return p.Check }

// PublicMessage says how a sign-in stands on a public origin.
type PublicMessage struct {
	Title, Words string
	Next         string // what to do
	Good         bool
	Status       int
}

func (p PublicMessage) view() view {
	return view{template: "public-message", title: p.Title, public: true}
}
