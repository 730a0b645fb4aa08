package web

import (
	"fmt"
	"html/template"
	"strings"
)

// funcs is what templates may call.
var funcs = template.FuncMap{
	"t":        t,
	"name":     name,
	"words":    words,
	"long":     long,
	"short":    short,
	"host":     host,
	"hostHTML": hostHTML,
	"ids":      describedBy,
}

// t looks up a text of the catalogue and fills in args. The texts are written
// in ASCII; what typography wants instead is put in here.
func t(key string, args ...any) string {
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

var typography = strings.NewReplacer("'", "\u2019", "...", "\u2026", " - ", " \u2013 ")

// text is every sentence of every page. "%s" stands for a name or a host.
// Words for the reader: server (what the code calls endpoint), app (client),
// connection (grant), key (credential).
var text = map[string]string{
	"product":        "Key2OAuth",
	"title":          "%s - Key2OAuth",
	"skip":           "Skip to content",
	"footer":         "Runs on this computer",
	"footer.version": "version %s",
	"back":           "Back to all servers",
	"copy":           "Copy",
	"copied":         "Copied",
	"copy.failed":    "Press Ctrl+C to copy",
	"show":           "Show",
	"hide":           "Hide",
	"show.label":     "Show the API key",
	"cancel":         "Cancel",
	"window.close":   "You can close this window.",

	"notice.info":  "Note",
	"notice.warn":  "Please note",
	"notice.error": "Problem",
	"notice.ok":    "Done",

	"state.ok":         "Key works",
	"state.unverified": "Key not checked yet",
	"state.rejected":   "Key rejected",
	"state.key-needed": "Key needed",
	"state.no-key":     "No key saved",
	"state.locked":     "Locked",
	"state.paused":     "Paused",

	"key.label":     "API key",
	"key.label.for": "API key for %s",
	"key.label.new": "New API key",
	"key.held":      "The key you pasted is kept for this form. Leave the field empty to use it.",

	"error.title":  "Something went wrong",
	"error.next":   "What to do",
	"error.status": "Code %s",
	"error.return": "Return to %s",
	"error.home":   "Open the home page",

	"consent.title":        "Connect %s?",
	"consent.noname":       "An app",
	"consent.h1":           "%s asks to use one of your servers",
	"consent.h1.one":       "%s asks to use %s",
	"consent.who":          "Who asks",
	"consent.unverified":   "unverified name",
	"consent.unverified.2": "The app chose this name itself. Go by the address below.",
	"consent.verified":     "verified",
	"consent.verified.2":   "The name comes from %s.",
	"consent.where":        "Where the connection goes",
	"consent.loopback":     "No website gets access.",
	"consent.custom":       "An app on this computer that opens such links.",
	"consent.known":        "You have approved this address before.",
	"consent.https.new":    "New address",
	"consent.https.warn":   "You have never approved this website. Whoever runs it will be able to use your server. If you do not know it, press Deny.",
	"consent.what":         "What it may use",
	"consent.what.pick":    "A server that you choose below",
	"consent.moment":       "Only continue if you pressed Connect yourself a moment ago.",
	"consent.moment.2":     "If this page opened by itself, or from a link that somebody sent you, press Deny.",
	"consent.plain":        "This server is reached without encryption (http). Others on the same network could read your key on its way.",
	"consent.pick":         "Which server?",
	"consent.keys":         "Which key?",
	"consent.keys.pick":    "Key for %s",
	"consent.key.other":    "Use another key",
	"consent.key.saved":    "Kept encrypted on this computer. The app never sees it.",
	"consent.key.memory":   "Kept until Key2OAuth stops. The app never sees it.",
	"consent.key.once":     "Kept for this connection only. The app never sees it.",
	"consent.header":       "Sent to %s alone, as",
	"consent.header.pick":  "Sent to the server you chose, and to nobody else.",
	"consent.error":        "The key was not accepted",
	"consent.skip":         "The key could not be checked",
	"consent.skip.button":  "Connect without checking",
	"consent.approve":      "Approve",
	"consent.approve.busy": "Checking the key...",
	"consent.deny":         "Deny",
	"consent.unlock":       "Your saved keys are locked",

	"owner.title":   "This page is for the owner",
	"owner.words":   "Key2OAuth shows this page only in a browser that was opened from the program itself. That way no other person and no other program on this computer can change your servers.",
	"owner.how":     "Open it from the program",
	"owner.tray":    "Type this into a terminal:",
	"owner.command": "key2oauth open",

	"return.title":  "Return to %s",
	"return.words":  "You are connected. If %s does not open by itself, use this button.",
	"return.denied": "You denied the request. %s is told so, and gets no access. If it does not open by itself, use this button.",
	"return.manual": "Use this button to go on in %s.",
	"return.button": "Return to %s",
	"return.none":   "Go back to %s to continue.",
	"return.app":    "the app",

	"open.title":  "Open Key2OAuth",
	"open.words":  "This link works once, for a short time, and only on this computer.",
	"open.button": "Open Key2OAuth",

	"out.title": "You are signed out",
	"out.words": "This browser can no longer change your servers. Apps that you connected go on working.",
	"out.again": "To come back, type this into a terminal:",

	"home.title":        "Your servers",
	"home.running":      "Running",
	"home.paused":       "Paused",
	"home.pause":        "Pause",
	"home.resume":       "Resume",
	"home.signout":      "Sign out",
	"home.paused.words": "Everything is paused. Apps get no answer until you resume.",
	"home.add":          "Add a server",
	"home.keep":         "Keep everything",
	"home.unlock":       "Unlock",

	"home.pending":    "Waiting for you",
	"home.pending.1":  "%s asks to use %s",
	"home.pending.0":  "%s asks to use one of your servers",
	"home.pending.to": "Goes to %s",
	"home.review":     "Review",

	"empty.h1":       "Add your first server",
	"empty.words":    "Some apps can only sign in, and some servers only know API keys. Key2OAuth stands between them. The key stays on this computer.",
	"empty.1":        "Add a server",
	"empty.1.words":  "Paste its address below, and its API key if you have it at hand.",
	"empty.2":        "Copy its new address",
	"empty.2.words":  "Paste that into Claude Code, Cursor or another app.",
	"empty.3":        "Press Connect there",
	"empty.3.words":  "A page opens here. Check what it says and approve.",
	"empty.demo":     "Nothing at hand? Try it with a sample server. Type this into a terminal:",
	"empty.demo.cmd": "key2oauth demo",

	"card.ready":             "Ready",
	"card.url":               "Address for your apps",
	"card.url.public":        "Address for any app",
	"card.url.local":         "Address for apps on this computer",
	"card.upstream":          "Server",
	"card.header":            "Key is sent as",
	"card.keys":              "Keys",
	"card.keys.none":         "No key saved yet. You can add one now, or paste it when an app connects.",
	"card.key.grant":         "for one connection only",
	"card.key.replace":       "Replace",
	"card.key.add":           "Add a key",
	"card.key.replace.label": "Replace %s of %s",
	"card.grants":            "Connected apps",
	"card.grants.none":       "No app is connected yet.",
	"card.grant.since":       "connected %s",
	"card.used":              "last used %s",
	"card.unused":            "not used yet",
	"card.revoke":            "Revoke",
	"card.revoke.label":      "Revoke %s",
	"card.created":           "Added %s",
	"card.edit":              "Edit",
	"card.edit.label":        "Edit %s",
	"card.delete":            "Delete",
	"card.delete.label":      "Delete %s",
	"card.connect":           "How to connect an app",
	"connect.code":           "Claude Code: type this into a terminal",
	"connect.json":           "Cursor and others: add this to mcp.json",
	"connect.web":            "claude.ai",
	"connect.web.1":          "Open Settings, then Connectors, then Add custom connector.",
	"connect.web.2":          "Paste the address above and press Add.",
	"connect.web.3":          "Press Connect, and approve on the page that opens on this computer.",

	"side.title":       "On this computer",
	"side.local":       "Local address",
	"side.public":      "Public address",
	"side.public.none": "None. Only apps on this computer can connect.",
	"side.keys":        "Keys are kept",
	"side.keys.os":     "In the keychain of this computer",
	"side.keys.file":   "In a file that only your account can read",
	"side.keys.memory": "Only until Key2OAuth stops",

	"create.h2":          "Add a server",
	"create.url.label":   "Address of the server (URL)",
	"create.url.hint":    "From the server's documentation, for example https://mcp.example.com/mcp",
	"create.key.label":   "API key, if you have it at hand",
	"create.key.hint":    "It is tried at once and kept encrypted on this computer. You can also paste it later, when an app connects.",
	"create.advanced":    "Advanced",
	"create.name.label":  "Name",
	"create.name.hint":   "What you want to call it. Left empty, it is named after the server.",
	"create.head.label":  "Header that carries the key",
	"create.head.hint":   "Most servers use Authorization. Left like that, the other usual ones are tried as well.",
	"create.pre.label":   "Text in front of the key",
	"create.pre.hint":    "Mostly \u201cBearer\u201d and a space. Empty sends the bare key.",
	"create.snip":        "Or fill in the form from a configuration",
	"create.snip.label":  "mcp.json, or a claude mcp add command",
	"create.snip.hint":   "Paste what the server's documentation gives you. Address, header and key are taken from it.",
	"create.snip.button": "Fill in the form",
	"create.button":      "Add server",
	"create.busy":        "Checking the server...",
	"create.force":       "Add it anyway",
	"form.error":         "Nothing was saved yet",
	"form.warning":       "Please check",

	"edit.title":     "Edit %s",
	"edit.url.label": "Address of the server (URL)",
	"edit.url.hint":  "If you change the address, the saved keys of this server are dropped, so that no key is ever sent to a place it was not meant for.",
	"edit.url.query": "The part after the question mark is kept secret and not shown. It stays as it is while you leave the address alone.",
	"edit.head.hint": "Most servers use Authorization.",
	"edit.button":    "Save changes",
	"edit.busy":      "Saving...",
	"edit.force":     "Save it anyway",

	"replace.title":  "New key for %s",
	"replace.words":  "Connected apps go on with the new key. Nothing has to be added again.",
	"replace.which":  "Which key do you replace?",
	"replace.hint":   "It is tried at %s first.",
	"replace.error":  "The new key was not saved",
	"replace.button": "Save key",
	"replace.busy":   "Checking the key...",
	"replace.force":  "Save it anyway",
}
