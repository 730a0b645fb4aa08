package web

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// answers are all that can be known of an answer.
func answers() (all []Answer) {
	hosts := map[string]string{"loopback": "localhost:3118", "custom": "claude.ai:", "https": "claude.ai"}
	for _, kind := range []string{"loopback", "custom", "https"} {
		for _, flow := range []Flow{FlowLocal, FlowPublic, FlowDevice} {
			for _, approved := range []bool{false, true} {
				for _, builtIn := range []bool{false, true} {
					all = append(all, Answer{Kind: kind, Host: hosts[kind], Flow: flow, Approved: approved, BuiltIn: builtIn})
				}
			}
		}
	}
	return all
}

// TestSay holds each sentence about an answer to the ways of signing in for
// which it is true.
func TestSay(t *testing.T) {
	const server = "Linear"
	for _, a := range answers() {
		t.Run(fmt.Sprintf("%s/%s/approved=%t/builtin=%t", a.Flow, a.Kind, a.Approved, a.BuiltIn), func(t *testing.T) {
			device, website := a.Flow == FlowDevice, a.Kind == "https"
			unknown := website && !device && !a.Approved && !a.BuiltIn
			var want Statement
			switch {
			case device:
				want = Statement{Device: true, BoxMissing: TextSayYouPressed, Box: t2("consent.device.box")}
				want.To, want.Hints = "An app on the other device", []string{t2("consent.device", server)}
				switch a.Kind {
				case "custom":
					want.Hints = append(want.Hints, t2("consent.custom", "claude.ai:"))
				case "https":
					want.To, want.Host, want.Aside = "claude.ai", true, t2("returns.device.aside")
					want.Hints, want.Box = []string{t2("consent.device.site", "claude.ai", server)}, t2("consent.device.box.site", "claude.ai")
				}
			case a.Kind == "loopback":
				want = Statement{To: "An app on this computer", Aside: "(localhost:3118)", Hints: []string{t2("consent.loopback")}}
			case a.Kind == "custom":
				want = Statement{To: "An app on this computer", Hints: []string{t2("consent.custom", "claude.ai:")}}
			default:
				want = Statement{To: "claude.ai", Host: true}
				switch {
				case a.Approved:
					want.Hints = []string{t2("consent.known")}
				case unknown && a.Flow == FlowLocal:
					want.Warning = t2("consent.https.local")
				case unknown:
					want.Warning, want.Box, want.BoxMissing = t2("consent.https.warn", server), t2("consent.sure", "claude.ai"), TextSayYouKnow
				}
			}
			got := Say(a, server)
			if fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("got  %+v\nwant %+v", got, want)
			}
			checkStatement(t, a, got, server)
		})
	}
}

// t2 is t where the test hides it.
func t2(key string, args ...any) string { return Text(key, args...) }

// checkStatement checks what no sentence may say in any words.
func checkStatement(t *testing.T, a Answer, s Statement, server string) {
	t.Helper()
	device := a.Flow == FlowDevice
	page := render(consent(func(c *Consent) { c.Answer, c.Endpoint = a, server })).Body.String()
	main, _, _ := strings.Cut(page, "</main>")
	_, main, _ = strings.Cut(main, "<main")
	says := func(words string) bool { return strings.Contains(main, words) }
	for _, words := range []string{"this computer", Text("consent.loopback"), Text("consent.known"), Text("consent.stays", "mcp.linear.app")} {
		if device && says(words) {
			t.Errorf("the page of an answer to another device says %q", words)
		}
	}
	if moment := Text("consent.moment", "\u201cCursor\u201d"); says(moment) == device {
		t.Errorf("the page says %q: %t, want %t", moment, device, !device)
	}
	if says("the other device") != device {
		t.Errorf("the page speaks of another device: %t, want %t", !device, device)
	}
	if got := says(`name="confirmed" value="1" required`); got != (s.Box != "") || device && !got {
		t.Errorf("the page has a box to confirm: %t, want %t", got, s.Box != "" || device)
	}
	if a.MustConfirm() != (s.Box != "") || (s.Box == "") != (s.BoxMissing == "") {
		t.Errorf("box %q, missing %q, must confirm: %t", s.Box, s.BoxMissing, a.MustConfirm())
	}
	if a.Kind != "https" && (s.Host || strings.Contains(s.To+s.Aside, "claude.ai")) {
		t.Errorf("a link's scheme is set like a host: %q %q", s.To, s.Aside)
	}
	if a.Kind == "https" && (!s.Host || s.To != "claude.ai") {
		t.Errorf("the website is not named in large type: %q", s.To)
	}
	if known := slices.Contains(s.Hints, Text("consent.known")); known && (device || !a.Approved || a.Kind != "https") {
		t.Error("says that it was approved before")
	}
}

func TestReturnsTo(t *testing.T) {
	for _, tt := range []struct {
		kind, host string
		flow       Flow
		want       string
	}{
		{"loopback", "localhost:3118", FlowLocal, "an app on this computer"},
		{"loopback", "localhost:3118", FlowPublic, "an app on this computer"},
		{"loopback", "localhost:3118", FlowDevice, "an app on the other device"},
		{"loopback", "localhost:3118", "", "an app"},
		{"custom", "claude.ai:", FlowLocal, "an app on this computer (a link that starts with claude.ai:)"},
		{"custom", "claude.ai:", FlowPublic, "an app on this computer (a link that starts with claude.ai:)"},
		{"custom", "claude.ai:", FlowDevice, "an app on the other device (a link that starts with claude.ai:)"},
		{"custom", "claude.ai:", "", "an app (a link that starts with claude.ai:)"},
		{"https", "claude.ai", FlowLocal, "claude.ai"},
		{"https", "claude.ai", FlowPublic, "claude.ai"},
		{"https", "claude.ai", FlowDevice, "claude.ai on the other device"},
		{"https", "claude.ai", "", "claude.ai"},
		{"", "", FlowLocal, ""},
	} {
		if got := ReturnsTo(tt.kind, tt.host, tt.flow); got != tt.want {
			t.Errorf("ReturnsTo(%q, %q, %q) = %q, want %q", tt.kind, tt.host, tt.flow, got, tt.want)
		}
	}
}
