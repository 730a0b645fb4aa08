package web

import (
	"net/http"
	"strings"
	"unicode"

	"github.com/key2oauth/key2oauth/shim/api"
	"github.com/key2oauth/key2oauth/shim/display"
)

// A Bar is the header of the owner's pages: the tabs, the state of the internet,
// Pause, and the banner of what is most urgent. Its form posts to /pause or /resume: form_token. The script
// replaces it when State is not what it was.
type Bar struct {
	Words  string // the state of the internet, or the public host while it is reachable
	Dot    string // "ok", "warn", "err" or "" for off
	Addr   bool   // Words is a host
	Paused bool
	Banner *Banner // what is most urgent; nil if nothing is
	Token  func(action string) string
}

// State changes with what the header shows.
func (b Bar) State() string {
	s := b.Dot + " " + b.Words
	if b.Paused {
		s += " paused"
	}
	if b.Banner != nil {
		s += " " + b.Banner.Kind + " " + b.Banner.Words + " " + b.Banner.ID
	}
	return display.Text(s, maxWords)
}

// FormToken is the token of the form that posts to action.
func (b Bar) FormToken(action string) string { return Home{Token: b.Token}.FormToken(action) }

// Render answers with page p below the header.
func (b Bar) Render(w http.ResponseWriter, status int, p Page) { draw(w, status, p, b) }

// NetBar is the header that tells the state of the internet; origin is the
// public address.
func NetBar(net api.Internet, origin string) Bar {
	switch net.State {
	case api.InternetOnline:
		if origin != "" {
			return Bar{Words: strings.TrimPrefix(origin, "https://"), Dot: "ok", Addr: true}
		}
		return Bar{Words: net.Words, Dot: "ok"}
	case api.InternetUnreachable:
		return Bar{Words: net.Words, Dot: "err"}
	case api.InternetConnecting, api.InternetWaiting:
		return Bar{Words: net.Words, Dot: "warn"}
	case api.InternetPaused:
		return Bar{Words: net.Words}
	}
	return Bar{Words: t("bar.off")}
}

// A BarPage is nothing but its header.
type BarPage struct{}

func (p BarPage) view() view {
	return view{template: "bar-page", title: t("product"), owner: true, nav: "home"}
}

// A Crumb leads from a page to the one that it belongs to.
type Crumb struct{ Href, To, Here string }

// A Monogram stands for a server or an app: the first letter of its name, on a
// color that stays with the name.
type Monogram struct {
	Letter string
	Color  int    // 1 to 6
	Size   string // "", "sm" or "lg"
}

// monogram makes the sign of a name.
func monogram(of, size string) Monogram {
	m := Monogram{Letter: "?", Color: 4, Size: size}
	for _, r := range name(of) {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			m.Letter = string(unicode.ToUpper(r))
			break
		}
	}
	sum := 0
	for _, b := range []byte(strings.ToLower(of)) {
		sum = sum*31 + int(b)
		sum %= 6_007
	}
	if of != "" {
		m.Color = sum%6 + 1
	}
	return m
}
