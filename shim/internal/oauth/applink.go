package oauth

import (
	"errors"
	"net/url"
	"slices"
	"strings"
)

// Links of well-known apps do two things: some bring an answer, and many act, as
// cursor://anysphere.cursor-deeplink/mcp/install, which installs a server, or
// warp://action/new_tab, which opens a shell. Only the first kind is a redirect
// URI. Other apps have schemes of their own, and what a link with one does is for
// its maker to say.

// appSchemes are private-use schemes without a dot that well-known apps have
// registered with the operating system. RFC 8252, Section 7.1 wants the reverse
// of a domain name, which is what any other app has to use. There is no list of
// schemes to refuse: operating systems and browsers act on many hundred, which
// install packages, open settings or start programs that never asked for it.
var appSchemes = []string{
	"antigravity", "boltai", "cherrystudio", "claude", "cursor", "cursor-nightly", "goose", "jetbrains", "kiro", "lmstudio", "opencode",
	"raycast", "trae", "vscode", "vscode-insiders", "vscodium", "warp", "windsurf", "windsurf-next", "zed",
}

// appCallbacks are redirect URIs that well-known apps are known to use.
var appCallbacks = []string{"cursor://anysphere.cursor-mcp/oauth/callback"}

// IsAppCallback reports whether a redirect URI is exactly one of a well-known app.
func IsAppCallback(uri string) bool { return slices.Contains(appCallbacks, uri) }

// answerWords are what hosts and paths of links that bring an answer contain, and
// actionNames are hosts, and parts of paths, of links that do something.
var (
	answerWords = []string{"callback", "auth", "redirect", "signin", "sign-in", "login"}
	actionNames = []string{
		"action", "actions", "add", "add-mcp", "add_mcp", "agent", "ai-commands", "bot", "chat", "checkout", "clone", "cmd", "command", "commands",
		"config", "create", "delete", "eval", "exec", "execute", "extension", "extensions", "file", "import", "install", "launch", "windsurf-mcp-registry", "navigate", "new",
		"new_tab", "new_window", "open", "open_from_hf", "prompt", "providers", "quicklinks", "recipe", "remote", "remove", "run", "script", "script-commands",
		"scripts", "settings", "shared_session", "shell", "snippets", "ssh", "ssh-remote", "task", "tasks", "terminal", "uninstall", "vscode-remote", "workspace",
	}
)

var errAppLink = errors.New("links with this scheme are taken only for the callback of a sign-in, such as cursor://anysphere.cursor-mcp/oauth/callback, and not where they make the app do something")

// checkAppLink returns what is wrong with a redirect URI that has the scheme of a
// well-known app.
func checkAppLink(u *url.URL) error {
	if IsAppCallback(u.String()) {
		return nil
	}
	host, path := strings.ToLower(u.Host), strings.ToLower(u.Path)
	parts := strings.Split(strings.TrimSuffix(strings.TrimPrefix(path, "/"), "/"), "/")
	brings := slices.Contains(parts, "cb")
	for _, b := range answerWords {
		brings = brings || strings.Contains(host, b) || strings.Contains(path, b)
	}
	if u.Port() != "" || !brings || path != "" && path != "/" && (slices.Contains(parts, "") || slices.Contains(parts, ".") || slices.Contains(parts, "..")) {
		return errAppLink
	}
	for _, p := range append(parts, host) {
		if slices.Contains(actionNames, p) || strings.Contains(p, "deeplink") || strings.ContainsAny(p, "%\\;+ ") {
			return errAppLink
		}
	}
	return nil
}

// topLabels are the top-level domains, besides those of countries, with which a
// reversed domain name may begin. It is no complete list. Without one, names of
// the operating system such as "microsoft.windows.camera" and
// "x-apple.systempreferences" would pass for domain names.
var topLabels = strings.Fields("ai app cloud codes com dev edu info io me net org sh software systems tech tools xyz")

// countryLabels are the top-level domains of countries, and of the European Union.
var countryLabels = strings.Fields(`
	ac ad ae af ag ai al am ao aq ar as at au aw ax az ba bb bd be bf bg bh bi bj bm bn bo br bs bt bw by bz ca cc cd cf cg ch ci ck cl cm cn co cr cu cv
	cw cx cy cz de dj dk dm do dz ec ee eg er es et eu fi fj fk fm fo fr ga gd ge gf gg gh gi gl gm gn gp gq gr gs gt gu gw gy hk hm hn hr ht hu id ie il
	im in io iq ir is it je jm jo jp ke kg kh ki km kn kp kr kw ky kz la lb lc li lk lr ls lt lu lv ly ma mc md me mg mh mk ml mm mn mo mp mq mr ms mt mu
	mv mw mx my mz na nc ne nf ng ni nl no np nr nu nz om pa pe pf pg ph pk pl pm pn pr ps pt pw py qa re ro rs ru rw sa sb sc sd se sg sh si sk sl sm sn
	so sr ss st su sv sx sy sz tc td tf tg th tj tk tl tm tn to tr tt tv tw tz ua ug uk us uy uz va vc ve vg vi vn vu wf ws ye yt za zm zw`)

// systemNames begin the reversed names under which operating systems have
// schemes of their own, or that look like those: Windows' begin with "ms-".
var systemNames = []string{"ms.", "com.apple.", "com.microsoft.", "com.android.", "com.google.android.", "org.freedesktop.", "org.gnome.", "org.kde."}

var errScheme = errors.New("links with this scheme are not opened; use https, http to 127.0.0.1, or the reverse of a domain name of yours, such as com.example.app:/callback")

// isAppScheme reports whether a scheme is one that an app may have registered.
func isAppScheme(scheme string) bool {
	if slices.Contains(appSchemes, scheme) {
		return true
	}
	labels := strings.Split(scheme, ".")
	if len(labels) < 2 || slices.ContainsFunc(systemNames, func(n string) bool { return strings.HasPrefix(scheme+".", n) }) {
		return false
	}
	for _, l := range labels { // RFC 1123, Section 2.1
		if l == "" || l[0] == '-' || l[len(l)-1] == '-' || strings.ContainsAny(l, "+") {
			return false
		}
	}
	return slices.Contains(countryLabels, labels[0]) || slices.Contains(topLabels, labels[0])
}
