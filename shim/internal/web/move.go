package web

import "time"

// Move is the page of moving to another computer. Its forms post, each with
// form_token, to /settings/move/ask, /settings/move/out (passphrase, again) and
// /settings/move/in (file, file_passphrase).
type Move struct {
	Version string
	// Confirmed says that the owner came by a link to this page a moment ago.
	// Without that, the page only says how to.
	Confirmed  bool
	Asked      bool   // the desktop was asked for such a link
	Out        string // what is wrong with the first form, and the name of its field
	OutField   string
	In         string // the same of the second
	InField    string
	NoKeychain string // why nothing can be sealed or opened now
	Token      func(action string) string
}

func (p Move) view() view {
	return view{template: "move", title: t("move.title"), script: true, owner: true, nav: "settings", version: p.Version}
}

// FormToken is the token of the form that posts to action.
func (p Move) FormToken(action string) string { return Home{Token: p.Token}.FormToken(action) }

func passField(id, label, hint, err, field string) KeyField {
	k := KeyField{ID: id, Label: t(label), Required: true}
	if hint != "" {
		k.Hint = t(hint)
	}
	if field == id {
		k.Err, k.Focus = err, true
	}
	return k
}

// PassField is the field for the passphrase of a new file.
func (p Move) PassField() KeyField {
	return passField("passphrase", "move.pass", "move.pass.hint", p.Out, p.OutField)
}

// AgainField is the field for it a second time.
func (p Move) AgainField() KeyField {
	return passField("again", "move.again", "", p.Out, p.OutField)
}

// OpenField is the field for the passphrase of a file that is there.
func (p Move) OpenField() KeyField {
	f := passField("file_passphrase", "move.pass", "", p.In, p.InField)
	return f
}

// MovePreview shows what a file of another computer would bring. Its form posts to
// /settings/move/take: form_token and id.
type MovePreview struct {
	Version        string
	ID             string
	Made           time.Time
	Added, Skipped []MoveRow
	Keys, Missing  int // Missing of the keys have to be pasted again
	Apps           int
	Elsewhere      string // where apps on the other computer knew Key2OAuth
	Internet       string // the public address that is taken along
	Token          func(action string) string
}

// A MoveRow is a server of such a file.
type MoveRow struct{ Name, UpstreamHost string }

func (p MovePreview) view() view {
	return view{template: "move-in", title: t("movein.title"), script: true, owner: true, nav: "settings", version: p.Version}
}

// FormToken is the token of the form that posts to action.
func (p MovePreview) FormToken(action string) string { return Home{Token: p.Token}.FormToken(action) }

// Day is when the file was made.
func (p MovePreview) Day() string {
	if p.Made.IsZero() {
		return ""
	}
	return Day(p.Made)
}

// Counts says what comes along with the servers.
func (p MovePreview) Counts() string {
	return counted(p.Keys, "movein.key", "movein.keys") + " \u00b7 " + counted(p.Apps, "movein.app", "movein.apps")
}

// MissingWords say how many keys have to be pasted again.
func (p MovePreview) MissingWords() string {
	if p.Missing <= 0 {
		return ""
	}
	return counted(p.Missing, "movein.missing.1", "movein.missing")
}

// counted says how many there are of something.
func counted(n int, one, many string) string {
	if n == 1 {
		return t(one)
	}
	return t(many, thousands(int64(n)))
}
