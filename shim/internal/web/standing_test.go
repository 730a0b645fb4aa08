package web

import (
	"html"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/key2oauth/key2oauth/shim/api"
)

// TestStatesOnPages: every state of a server stands on its row and on its page in
// the words that all surfaces share, and only one that works is green.
func TestStatesOnPages(t *testing.T) {
	drawn := func(p Page) string {
		w := httptest.NewRecorder()
		Bar{}.Render(w, 200, p)
		return html.UnescapeString(w.Body.String())
	}
	for _, state := range []string{
		api.EndpointOK, api.EndpointNotTried, api.EndpointUnreachable, api.EndpointRejected, api.EndpointKeyNeeded, api.EndpointLocked,
		api.EndpointNotConfirmed, api.EndpointCannotStart,
	} {
		for _, paused := range []bool{false, true} {
			words := ServerState(state)
			if paused {
				words = ServerState(StatePaused)
			}
			row := ServerRow{Slug: "aaaaaaaaaaaa", Name: "Notes", State: state, StateWords: words, Paused: paused}
			page := Server{Slug: row.Slug, Name: row.Name, State: state, StateWords: words, Paused: paused}
			green := state == api.EndpointOK && !paused
			if (row.Dot() == "ok") != green || (page.Dot() == "ok") != green {
				t.Errorf("%q, paused %v: the row is %q and the page %q", state, paused, row.Dot(), page.Dot())
			}
			for name, p := range map[string]Page{"list": Home{Rows: []ServerRow{row}, All: 1, Total: 1}, "page": page} {
				if !strings.Contains(drawn(p), words) {
					t.Errorf("%q, paused %v: the %s does not say %q", state, paused, name, words)
				}
			}
		}
	}
}

// TestInternetOnPages: so does every state of the internet, in the header of every
// page and on Internet.
func TestInternetOnPages(t *testing.T) {
	for _, state := range []string{
		api.InternetOff, api.InternetConnecting, api.InternetWaiting, api.InternetOnline, api.InternetUnreachable, api.InternetPaused,
	} {
		words := InternetState(state)
		bar := NetBar(api.Internet{State: state, Words: words}, "")
		if green := state == api.InternetOnline; (bar.Dot == "ok") != green {
			t.Errorf("%q is %q in the header", state, bar.Dot)
		}
		if state != api.InternetOff && bar.Words != words {
			t.Errorf("the header says %q of what is %q", bar.Words, words)
		}
		if got := (Tunnel{State: state}).StateWords(); got != words {
			t.Errorf("Internet says %q of what is %q", got, words)
		}
	}
}
