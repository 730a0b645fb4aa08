package web

import (
	"html/template"
	"slices"
	"strconv"
	"strings"

	"github.com/key2oauth/key2oauth/shim/api"
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
	Name string // one of the groups of package api
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

// count counts the findings in one of the states.
func (p Check) count(states ...string) (n int) {
	for _, g := range p.Findings {
		n += g.count(states...)
	}
	return n
}

func (g FindingGroup) count(states ...string) (n int) {
	for _, f := range g.Rows {
		if slices.Contains(states, f.State) {
			n++
		}
	}
	return n
}

// Summary is the result, and the heading of the page.
func (p Check) Summary() string {
	switch n := p.count(api.FindingFailed); {
	case p.Running:
		return t("check.h.running")
	case p.count(api.FindingOK, api.FindingWarn, api.FindingFailed) == 0:
		return t("check.title") // nothing is known yet
	case n == 0:
		return t("check.well")
	default:
		return counted(n, "check.failed.1", "check.failed")
	}
}

// Dot is what the result looks like.
func (p Check) Dot() string {
	switch {
	case p.Running, p.count(api.FindingOK, api.FindingWarn, api.FindingFailed) == 0:
		return ""
	case p.count(api.FindingFailed) > 0:
		return "err"
	}
	return "ok"
}

// Detail says when that was, and how much was looked at.
func (p Check) Detail() string {
	if p.Running {
		return t("check.running")
	}
	passed, all := p.count(api.FindingOK, api.FindingWarn), p.count(api.FindingOK, api.FindingWarn, api.FindingFailed)
	if all == 0 {
		return t("check.never")
	}
	words := counted(all, "check.count.1", "check.count")
	if passed < all {
		words = t("check.passed", strconv.Itoa(passed), strconv.Itoa(all))
	}
	if p.Age != "" {
		age := []rune(name(p.Age))
		words = strings.ToUpper(string(age[:min(1, len(age))])) + string(age[min(1, len(age)):]) + " \u00b7 " + words
	}
	return words
}

// MainRun reports whether to check everything is the main action.
func (p Check) MainRun() bool { return !p.Running && len(p.Findings) == 0 }

// Groups are those of the report, what needs the owner first.
func (p Check) Groups() []FindingGroup {
	urgency := func(g FindingGroup) int {
		switch {
		case g.count(api.FindingFailed) > 0:
			return 0
		case !g.Well():
			return 1
		}
		return 2
	}
	all := slices.Clone(p.Findings)
	if !p.Running { // rows that are being filled do not move
		slices.SortStableFunc(all, func(a, b FindingGroup) int { return urgency(a) - urgency(b) })
	}
	return all
}

// Well reports whether there is nothing to say of the group, so that it can be
// folded up.
func (g FindingGroup) Well() bool { return g.count(api.FindingOK) == len(g.Rows) }

// Dot is what the group looks like.
func (g FindingGroup) Dot() string {
	switch {
	case g.count(api.FindingFailed) > 0:
		return "err"
	case g.count(api.FindingRunning) > 0, g.count(api.FindingOK, api.FindingWarn) == 0:
		return ""
	case g.count(api.FindingWarn) > 0:
		return "warn"
	}
	return "ok"
}

// Count says how many things work.
func (g FindingGroup) Count() string {
	if n := g.count(api.FindingFailed); n > 0 {
		return t("check.some", strconv.Itoa(len(g.Rows)-n), strconv.Itoa(len(g.Rows)))
	}
	return counted(len(g.Rows), "check.count.1", "check.count")
}

// Title names the group.
func (g FindingGroup) Title() string { return t("check.group." + g.Name) }

// Dot is what the state looks like.
func (f FindingRow) Dot() string {
	switch f.State {
	case api.FindingOK:
		return "ok"
	case api.FindingWarn:
		return "warn"
	case api.FindingFailed:
		return "err"
	}
	return ""
}

// Running reports whether it is being looked at.
func (f FindingRow) Running() bool { return f.State == api.FindingRunning }

// Odd reports whether the state says more than that it works.
func (f FindingRow) Odd() bool { return f.State != api.FindingOK && !f.Running() }

// Tag is what the words about who has to fix it look like.
func (f FindingRow) Tag() string {
	if f.State == api.FindingFailed {
		return "w"
	}
	return "n"
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

// Tag is what the state looks like.
func (a AttemptRow) Tag() string {
	switch a.State {
	case api.AttemptDone, api.AttemptConnected:
		return ""
	case api.AttemptStopped:
		return "w"
	}
	return "n"
}

// StateWords is the state for the reader.
func (a AttemptRow) StateWords() string { return t("attempt." + a.State) }

// WhoseWords say who can do something about it, or nothing.
func (a AttemptRow) WhoseWords() string { return whoseWords(a.Whose) }

// ViaWords say where the app is.
func (a AttemptRow) ViaWords() string {
	if a.Via == api.ViaLocal {
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
