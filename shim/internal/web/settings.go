package web

import (
	"slices"
	"strconv"

	"github.com/key2oauth/key2oauth/shim/api"
)

// Settings is the page of the program's settings. Its forms post, each with
// form_token, to /settings/login (login), /settings/proxy (proxy),
// /settings/lifetime (lifetime, in seconds), /settings/log-level (log_level),
// /settings/import (file) and /settings/quit.
type Settings struct {
	Version  string
	HasLogin bool // the desktop can start the program at login
	Login    bool
	HasProxy bool   // the environment names one
	Proxy    bool   // and it is used
	Lifetime int64  // of access tokens, in seconds
	LogLevel string // "" where it cannot be changed
	LogFile  string // "" where there is none
	DataDir  string
	Keychain Keychain
	Notices  []Notice
	// HasLicenses says that there is a page of licenses.
	HasLicenses bool
	Token       func(action string) string
}

func (p Settings) view() view {
	return view{template: "settings", title: t("settings.title"), script: true, owner: true, nav: "settings"} // which says the version itself
}

// FormToken is the token of the form that posts to action.
func (p Settings) FormToken(action string) string { return Home{Token: p.Token}.FormToken(action) }

// KeptWhere says where the master key is.
func (p Settings) KeptWhere() string { return Home{Keychain: p.Keychain}.KeptWhere() }

// KeepInFile is the button that keeps the encryption key in a file.
func (p Settings) KeepInFile() string { return UrgentButton(UrgentKeepInFile) }

// LogWhere says where the log is.
func (p Settings) LogWhere() string {
	if p.LogFile == "" {
		return t("settings.level.stderr")
	}
	return t("settings.level.file", long(p.LogFile))
}

// A notification is something that the owner hears of, and how.
type notification struct{ What, How string }

// Tells lists what the owner hears of without looking.
func (p Settings) Tells() []notification {
	return []notification{
		{t("tells.1"), t("tells.both")},
		{t("tells.2"), t("tells.both")},
		{t("tells.3"), t("tells.both")},
		{t("tells.4"), t("tells.notice")},
		{t("tells.5"), t("tells.notice")},
		{t("tells.6"), t("tells.menu")},
		{t("tells.7"), t("tells.menu")},
	}
}

// Licenses is the page of the licenses of what the program contains.
type Licenses struct{ Version, Text string }

func (p Licenses) view() view {
	return view{template: "licenses", title: t("licenses.title"), owner: true, nav: "settings", version: p.Version}
}

// An Import shows what a file would bring. Its form posts to Action:
// form_token, file and confirm=1.
type Import struct {
	Added, Skipped    []ImportRow
	File              string // as it was sent
	Action, FormToken string
}

// An ImportRow is one endpoint of a file.
type ImportRow struct {
	Name, UpstreamHost string
	QueryLeftOut       bool
}

func (p Import) view() view {
	return view{template: "import", title: t("import.title"), script: true, owner: true, nav: "settings"}
}

// DeleteEverythingPage asks whether all may be deleted. Its form posts to Action:
// form_token and word.
type DeleteEverythingPage struct {
	Servers, Keys, Apps int
	Authtoken           bool
	Items               []string // of the keychain, that hold the encryption key
	KeyFile             bool     // a file in the data folder holds it
	DataDir             string
	Error               string
	Action, FormToken   string
}

func (p DeleteEverythingPage) view() view {
	return view{template: "delete-everything", title: t("wipe.title"), script: true, owner: true, nav: "settings"}
}

// DeleteWord is what the owner must type to have everything deleted.
func DeleteWord() string { return t("wipe.word") }

// Goes lists what is deleted.
func (p DeleteEverythingPage) Goes() []string {
	var all []string
	count := func(n int, one, many string) {
		if n == 1 {
			all = append(all, t(one))
		} else if n > 1 {
			all = append(all, t(many, thousands(int64(n))))
		}
	}
	if p.Servers == 0 {
		all = append(all, t("wipe.servers.0"))
	}
	count(p.Servers, "wipe.servers.1", "wipe.servers")
	count(p.Keys, "wipe.keys.1", "wipe.keys")
	count(p.Apps, "wipe.apps.1", "wipe.apps")
	if p.Authtoken {
		all = append(all, t("wipe.token"))
	}
	all = append(all, t("wipe.activity"))
	for _, item := range p.Items {
		all = append(all, t("wipe.item", item))
	}
	if p.KeyFile {
		all = append(all, t("wipe.file"))
	}
	return all
}

// WordField is the field for the word.
func (p DeleteEverythingPage) WordField() textField {
	return textField{ID: "word", Label: t("wipe.label", t("wipe.word")), Err: p.Error, Max: 40, Required: true}
}

// An option is one choice of a list.
type option struct {
	Value, Words string
	Chosen       bool
}

// Lifetimes are those to choose from, and the present one.
func (p Settings) Lifetimes() []option {
	const hour, day = 3600, 24 * 3600
	all := []int64{hour, 8 * hour, day, 7 * day, 30 * day}
	if !slices.Contains(all, p.Lifetime) && p.Lifetime > 0 {
		all = append(all, p.Lifetime)
		slices.Sort(all)
	}
	var options []option
	for _, s := range all {
		options = append(options, option{strconv.FormatInt(s, 10), lasting(s), s == p.Lifetime})
	}
	return options
}

// lasting writes a number of seconds for people.
func lasting(s int64) string {
	const hour, day = 3600, 24 * 3600
	switch {
	case s == hour:
		return t("lasting.hour")
	case s%day == 0 && s > day:
		return t("lasting.days", strconv.FormatInt(s/day, 10))
	case s%hour == 0:
		return t("lasting.hours", strconv.FormatInt(s/hour, 10))
	}
	return t("lasting.minutes", strconv.FormatInt(s/60, 10))
}

// LogLevels are those to choose from.
func (p Settings) LogLevels() []option {
	var options []option
	for _, l := range []string{api.LogError, api.LogWarn, api.LogInfo, api.LogDebug} {
		options = append(options, option{l, t("level." + l), l == p.LogLevel})
	}
	return options
}
