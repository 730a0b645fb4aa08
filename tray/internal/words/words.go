// Package words has every word of the tray and of the notifications.
package words

import (
	"fmt"
	"strings"
	"time"
)

// text is the catalogue. "%s" stands for a name or a host, "%d" for a number. As
// on the pages, people read server for what the code calls endpoint, app for
// client, and connected app for grant.
var text = map[string]string{
	"product": "Key2OAuth",
	"unnamed": "Unnamed",
	"app":     "An app",

	"confirm.move": "Confirm: move to another computer",
	"review":       "Review request...",
	"review.many":  "Review %d requests...",

	"status.locked":       "Locked - unlock your keychain",
	"status.unusable":     "Keychain unavailable. Click to fix",
	"status.paused":       "Paused - apps get no answer",
	"status.unset":        "Off - only apps on this computer can connect",
	"status.offline":      "Off - only apps on this computer can connect",
	"status.connecting":   "Connecting...",
	"status.waiting":      "Waiting for your tunnel - click to see how",
	"status.connected":    "Online",
	"status.connected.at": "Online - %s",
	"status.needs-you":    "%s - click to fix",
	"status.needs-words":  "Can't be reached",
	"status.memory":       "Nothing is saved: no keychain was found",
	"status.damaged":      "Saved data is damaged - click to see what",
	"status.disk":         "Nothing can be saved - click to see why",

	"key.rejected": "%s - key rejected, click to fix",
	"key.needed":   "%s - key needed, click to paste it",
	"key.damaged":  "%s - saved key damaged, click to paste it again",
	"key.more":     "%d more servers need attention",

	"server.unreachable": "%s - not reachable, click to see why",
	"server.unstarted":   "%s - can't start, click to see why",
	"server.unconfirmed": "%s - not confirmed, click to review it",

	"stopped":        "%s couldn't connect - click to see why",
	"stopped.yours":  "%s couldn't connect - click to fix",
	"stopped.client": "%s couldn't connect",
	"stopped.server": "%s couldn't connect - a problem at the server",
	"stopped.tunnel": "%s couldn't connect - a problem at the tunnel",

	"copy":           "Copy URL",
	"open":           "Open",
	"replace":        "Replace the key...",
	"paste":          "Paste the key...",
	"used.never":     "Not used yet",
	"used":           "Last used %s",
	"endpoint.add":   "Add server...",
	"endpoints.more": "%d more servers...",

	"clients":        "Recent apps",
	"clients.more":   "%d more apps...",
	"client.uses":    "Uses %s",
	"client.of":      "%s - %s",
	"client.since":   "%s, connected %s",
	"client.number":  "%s (%d)",
	"revoke":         "Disconnect",
	"revoke.warning": "%s will have to connect again",
	"revoke.now":     "Disconnect now",

	"pause":     "Pause",
	"resume":    "Resume",
	"offline":   "Go offline",
	"online":    "Go online",
	"tunnel":    "Connect apps on the internet...",
	"dashboard": "Open Key2OAuth",
	"settings":  "Settings...",
	"about":     "About Key2OAuth",
	"login":     "Start at login",
	"quit":      "Quit Key2OAuth",

	"notice.request":             "Another device asks for access",
	"notice.request.body":        "Whoever holds it will be able to use your server. If you did not press Connect there, deny it.",
	"notice.requests.body":       "%d requests are waiting. Deny what you did not start yourself.",
	"notice.request.button":      "Review",
	"notice.approve":             "Approve %s?",
	"notice.approve.new":         "Approve a new app?",
	"notice.approve.many":        "%d apps want to connect",
	"notice.approve.body":        "If you did not press Connect in an app just now, deny it.",
	"notice.approve.body.server": "It wants to use %s. If you did not press Connect just now, deny it.",
	"notice.rejected":            "API key rejected",
	"notice.rejected.body":       "%s does not accept its API key. Calls fail until you paste a new one.",
	"notice.needed":              "API key needed",
	"notice.needed.body":         "Calls to %s fail until you paste its API key.",
	"notice.damaged":             "Saved API key damaged",
	"notice.damaged.body":        "Calls to %s fail until you paste its API key again. That repairs it.",
	"notice.key.button":          "Paste a key",
	"notice.keys":                "API keys needed",
	"notice.keys.body":           "Calls to %d servers fail until you paste their API keys.",
	"notice.keys.button":         "View",
	"notice.tunnel":              "Apps on the internet can't connect",
	"notice.tunnel.button":       "Fix it",
	"notice.confirm":             "Move keys to another computer?",
	"notice.confirm.body":        "A page of Key2OAuth asks for this. If it was not you, do nothing.",
	"notice.confirm.button":      "Confirm",
	"notice.client":              "New app connected",
	"notice.client.body":         "%s can now use %s.",
	"notice.client.button":       "View",

	"said.nohost":  "this desktop shows no tray icons now; open the Key2OAuth window with: key2oauth open",
	"said.session": "the desktop session has ended, so Key2OAuth quits",

	"notice.start": "Key2OAuth could not start",
	"notice.login": "Start at login was not changed",

	"ago.now":     "just now",
	"ago.minute":  "a minute ago",
	"ago.minutes": "%d minutes ago",
	"ago.hour":    "an hour ago",
	"ago.hours":   "%d hours ago",
	"ago.day":     "yesterday",
	"ago.days":    "%d days ago",
	"ago.date":    "on %s",
	"ago.layout":  "2 Jan 2006",

	"tooltip":           "Key2OAuth - %s",
	"tooltip.request":   "a request is waiting for you",
	"tooltip.key":       "a key needs attention",
	"tooltip.keys":      "%d keys need attention",
	"tooltip.locked":    "unlock your keychain",
	"tooltip.unusable":  "keychain unavailable",
	"tooltip.damaged":   "saved data is damaged",
	"tooltip.disk":      "nothing can be saved",
	"tooltip.paused":    "paused",
	"tooltip.unset":     "only on this computer",
	"tooltip.offline":   "off",
	"tooltip.connect":   "connecting",
	"tooltip.waiting":   "waiting for your tunnel",
	"tooltip.connected": "online",
	"tooltip.needs-you": "can't be reached",
}

// Has reports whether key is one of the catalogue.
func Has(key string) bool { _, ok := text[key]; return ok }

// Text looks up a text and fills in args. The texts are written in ASCII.
// Typographic characters are put in here, before the names.
func Text(key string, args ...any) string {
	s, ok := text[key]
	if !ok {
		return key
	}
	s = typography.Replace(s)
	if len(args) > 0 {
		s = fmt.Sprintf(s, args...)
	}
	return s
}

var typography = strings.NewReplacer("...", "\u2026", " - ", " \u2013 ", "'", "\u2019")

// Ago returns how long before now then was, as people say it.
func Ago(now, then time.Time) string {
	switch d := now.Sub(then); {
	case d < time.Minute: // or the clock was set back
		return Text("ago.now")
	case d < 2*time.Minute:
		return Text("ago.minute")
	case d < time.Hour:
		return Text("ago.minutes", int(d/time.Minute))
	case d < 2*time.Hour:
		return Text("ago.hour")
	case d < 24*time.Hour:
		return Text("ago.hours", int(d/time.Hour))
	case d < 48*time.Hour:
		return Text("ago.day")
	case d < 30*24*time.Hour:
		return Text("ago.days", int(d/(24*time.Hour)))
	}
	return Text("ago.date", then.Format(Text("ago.layout")))
}
