package web

import (
	"html/template"
	"strconv"
)

// Check is the page on which everything is checked, with the attempts of apps
// that did not get connected. Its form posts to /check, with form_token.
type Check struct {
	Version  string
	As       string // the id of the status event that says no more than this page
	Running  bool
	Age      string // of the report; "" if there is none
	Findings []FindingGroup
	Text     string // the report, to send to someone
	Attempts []AttemptRow
	Token    func(action string) string
}

// A FindingGroup is what was looked at in one place.
type FindingGroup struct {
	Name string // "computer", "local", "public" or "servers"
	Rows []FindingRow
}

// A FindingRow is one thing that was looked at.
type FindingRow struct {
	What, State, Whose, Words, Next, Link string
	MS                                    int64
}

// An AttemptRow is one try of an app to be connected.
type AttemptRow struct {
	Client, Server, Via, Age  string
	State, Whose, Words, Next string
	Steps                     []StepRow
}

// A StepRow is one thing that happened in an attempt.
type StepRow struct {
	Step, Why string
	Status    int
	Time      string
	Count     int
}

func (p Check) view() view {
	return view{template: "check", title: t("check.title"), script: true, owner: true, nav: "check", version: p.Version}
}

// FormToken is the token of the form that posts to action.
func (p Check) FormToken(action string) string { return Home{Token: p.Token}.FormToken(action) }

// Failed counts what does not work.
func (p Check) Failed() (n int) {
	for _, g := range p.Findings {
		for _, f := range g.Rows {
			if f.State == "failed" {
				n++
			}
		}
	}
	return n
}

// Summary is the report in one sentence.
func (p Check) Summary() string {
	switch n := p.Failed(); {
	case p.Running:
		return t("check.running")
	case n == 0:
		return t("check.well")
	case n == 1:
		return t("check.failed.1")
	default:
		return t("check.failed", strconv.Itoa(n))
	}
}

// Kind is the notice that the report deserves.
func (p Check) Kind() string {
	switch {
	case p.Running:
		return "info"
	case p.Failed() > 0:
		return "error"
	}
	return "ok"
}

// Well reports whether there is nothing to say of the group, so that it can be
// folded up.
func (g FindingGroup) Well() bool {
	for _, f := range g.Rows {
		if f.State != "ok" {
			return false
		}
	}
	return len(g.Rows) > 1
}

// All says how many things work.
func (g FindingGroup) All() string { return t("check.all", strconv.Itoa(len(g.Rows))) }

// Title names the group.
func (g FindingGroup) Title() string { return t("check.group." + g.Name) }

// Badge is what the state looks like.
func (f FindingRow) Badge() string {
	switch f.State {
	case "ok", "warn":
		return f.State
	case "failed":
		return "error"
	}
	return "plain"
}

// StateWords is the state for the reader.
func (f FindingRow) StateWords() string { return t("check.state." + f.State) }

// WhoseWords say whose a fault is, or nothing.
func (f FindingRow) WhoseWords() string { return whoseWords(f.Whose) }

// Took is how long it took, or nothing if that was no time.
func (f FindingRow) Took() string {
	if f.MS <= 0 {
		return ""
	}
	return CallRow{MS: f.MS}.Took()
}

// Href is a page on which something can be done about it.
func (f FindingRow) Href() template.URL { return safeURL(f.Link) }

func whoseWords(whose string) string {
	return typography.Replace(text["whose."+whose])
}

// Badge is what the state looks like.
func (a AttemptRow) Badge() string {
	switch a.State {
	case "done", "connected":
		return "ok"
	case "stopped":
		return "warn"
	}
	return "plain"
}

// StateWords is the state for the reader.
func (a AttemptRow) StateWords() string { return t("attempt." + a.State) }

// WhoseWords say who can do something about it, or nothing.
func (a AttemptRow) WhoseWords() string { return whoseWords(a.Whose) }

// ViaWords say where the app is.
func (a AttemptRow) ViaWords() string {
	if a.Via == "local" {
		return t("attempt.via.local")
	}
	return t("attempt.via.public")
}

// Words say what happened.
func (s StepRow) Words() string {
	key := "step." + s.Step
	if s.Why != "" {
		key = "refused." + s.Step
	}
	w, ok := text[key]
	if !ok {
		w = name(s.Step)
	}
	w = typography.Replace(w)
	if s.Status != 0 {
		w += " (" + strconv.Itoa(s.Status) + ")"
	}
	if s.Count > 1 {
		w += ", " + t("step.times", strconv.Itoa(s.Count))
	}
	return w
}

// Bad reports whether it went wrong.
func (s StepRow) Bad() bool { return s.Why != "" }
