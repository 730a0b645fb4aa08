package web

import (
	"net/http"

	"github.com/key2oauth/key2oauth/shim/internal/httpx"
)

// A Side says where a page of an error stands, and who is looking.
type Side struct {
	Public bool // a public origin
	Owner  bool // the browser is the owner's: it gets the navigation
}

// on draws v on this side.
func (s Side) on(v view) view {
	v.public, v.owner = s.Public, s.Owner && !s.Public
	if v.owner {
		v.nav = "none" // of the tabs
	}
	return v
}

// ShowError shows an error of a page, whose message is for people.
func ShowError(w http.ResponseWriter, side Side, e *httpx.Error) {
	switch e.Msg {
	case TextNoPage:
		ShowNowhere(w, side, e.Status)
		return
	case TextTicketUsed, TextTicketOld:
		if side.Owner { // and needs no other link
			Render(w, e.Status, ErrorPage{Side: side, Title: t("error.link"), Words: e.Msg, Home: true})
		} else {
			Render(w, e.Status, OwnerNeededPage{Words: e.Msg})
		}
		return
	}
	Render(w, e.Status, ErrorPage{Side: side, Title: TitleFor(e.Status), Words: e.Msg})
}

// ShowNowhere answers a person at a path that has no page, or none for them.
func ShowNowhere(w http.ResponseWriter, side Side, status int) {
	switch {
	case status == http.StatusUnauthorized:
		Render(w, status, OwnerNeededPage{})
	case status == http.StatusMisdirectedRequest:
		Render(w, status, ErrorPage{Side: side, Title: TitleFor(status), Words: TextWrongName})
	case status == http.StatusTooManyRequests, status >= 500:
		Render(w, status, ErrorPage{Side: side, Title: TitleFor(status), Words: TextLater})
	default:
		Render(w, status, NotFound{side})
	}
}
