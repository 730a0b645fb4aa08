package web

import (
	"encoding/json"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Activity is the page of calls, day by day. Its form and its links ask for the
// same page with q, server, app and show; the links at its end add before.
type Activity struct {
	Version       string
	Query, Server string // what was searched for, and the slug of one server
	App           string // the name of one app
	Show          string // "" is what apps did, one of Shows is something else
	Servers       []ServerOption
	Apps          []string  // those that made calls
	Rows          []CallRow // newest first
	Days          map[string]DayCount
	Hidden        int    // protocol messages that are left out
	Paged         bool   // Rows are not the newest
	Newest, Older string // addresses; Older is "" where there is nothing older
	Now           time.Time
}

// What the page shows instead of what apps did.
const (
	ShowRefused = "refused" // calls that did not go well
	ShowStruck  = "keys"    // answers that held the key
	ShowAll     = "all"     // protocol messages too
)

// Shows are the values of Activity.Show.
var Shows = []string{"", ShowRefused, ShowStruck, ShowAll}

// A DayCount counts the calls of a day that fit the filters, whichever page they
// are on.
type DayCount struct{ Calls, Refused int }

// A ServerOption is a server that calls can be narrowed down to.
type ServerOption struct{ Slug, Name string }

// A CallRow is one call that is over.
type CallRow struct {
	Time         time.Time
	Client       string
	Server       string // "" if it was deleted
	Method, Tool string
	Status       int // as proxy.Outcome has it
	MS           int64
	Struck       int    // how often the answer held the key
	Note         string // as proxy.Outcome has it
}

func (p Activity) view() view {
	return view{template: "activity", title: t("activity.title"), script: true, owner: true, nav: "activity", version: p.Version}
}

// A callDay is one card of the page.
type callDay struct {
	ID, Title, Count string
	Rows             []CallRow
	Live             bool // new calls come in here
}

// CallDays are the rows by day. On the newest page the first day is today, with
// rows or without.
func (p Activity) CallDays() []callDay {
	var all []callDay
	day := func(at time.Time) callDay {
		key := DayKey(at)
		return callDay{ID: "day-" + key, Title: p.dayTitle(at), Count: p.Days[key].words()}
	}
	if !p.Paged {
		today := day(p.Now)
		today.Live = true
		all = append(all, today)
	}
	for _, r := range p.Rows {
		if n := len(all); n == 0 || all[n-1].ID != "day-"+DayKey(r.Time) {
			all = append(all, day(r.Time))
		}
		d := &all[len(all)-1]
		d.Rows = append(d.Rows, r)
	}
	return all
}

// DayKey names the day of a time, of the clock of this computer.
func DayKey(at time.Time) string { return at.Local().Format("2006-01-02") }

func (p Activity) dayTitle(at time.Time) string {
	now := p.Now.Local()
	switch at = at.Local(); {
	case DayKey(at) == DayKey(now):
		return t("activity.today")
	case DayKey(at) == DayKey(now.AddDate(0, 0, -1)):
		return t("activity.yesterday")
	case at.Year() == now.Year():
		return at.Format("Monday, 2 January")
	}
	return at.Format("Monday, 2 January 2006")
}

func (c DayCount) words() string {
	if c.Calls == 0 {
		return ""
	}
	words := counted(c.Calls, "activity.count.1", "activity.count")
	if c.Refused > 0 {
		words += " \u00b7 " + t("activity.count.refused", thousands(int64(c.Refused)))
	}
	return words
}

// A chip is one of the choices of which only one holds.
type chip struct {
	Href, Words string
	Here        bool
}

// Chips are what the page can show. What was searched for stays.
func (p Activity) Chips() []chip {
	var all []chip
	for _, show := range []string{"", ShowRefused, ShowStruck} {
		words := t("activity.show.calls")
		if show != "" {
			words = t("activity.show." + show)
		}
		all = append(all, chip{p.address(show), words, show == p.Show || show == "" && p.Show == ShowAll})
	}
	return all
}

// address is that of the page when it shows something else.
func (p Activity) address(show string) string {
	q := make([]string, 0, 4)
	for _, f := range [][2]string{{"q", p.Query}, {"server", p.Server}, {"app", p.App}, {"show", show}} {
		if f[1] != "" {
			q = append(q, f[0]+"="+url.QueryEscape(f[1]))
		}
	}
	if len(q) == 0 {
		return "/activity"
	}
	return "/activity?" + strings.Join(q, "&")
}

// Protocol is where the messages that are left out are, or "" if none is.
func (p Activity) Protocol() string {
	if p.Show != "" || p.Hidden <= 0 {
		return ""
	}
	return p.address(ShowAll)
}

// ProtocolWords say how many are left out.
func (p Activity) ProtocolWords() string {
	return counted(p.Hidden, "activity.hidden.1", "activity.hidden")
}

// WithoutProtocol is where they are left out again, or "" if they are.
func (p Activity) WithoutProtocol() string {
	if p.Show != ShowAll {
		return ""
	}
	return p.address("")
}

// Blank is the row that new calls are made from.
func (p Activity) Blank() CallRow { return CallRow{} }

// Searched reports whether only some calls are shown.
func (p Activity) Searched() bool {
	return p.Query != "" || p.Server != "" || p.App != "" || p.Show == ShowRefused || p.Show == ShowStruck
}

// Unused reports whether there is nothing to search.
func (p Activity) Unused() bool {
	return len(p.Rows) == 0 && !p.Searched() && !p.Paged && p.Hidden == 0
}

// ServersJSON names the servers for the script.
func (p Activity) ServersJSON() string {
	names := make(map[string]string)
	for _, s := range p.Servers {
		names[s.Slug] = name(s.Name)
	}
	return asJSON(names)
}

// OutcomesJSON has the words of every outcome for the script, each behind the
// class of its dot.
func (p Activity) OutcomesJSON() string {
	all := make(map[string][2]string)
	for key := range text {
		if code, ok := strings.CutPrefix(key, "outcome."); ok {
			all[code] = [2]string{outcomeClass(code), t(key)}
		}
	}
	return asJSON(all)
}

// WorkJSON lists for the script the methods that are no protocol messages.
func (p Activity) WorkJSON() string { return asJSON(work) }

func asJSON(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return "{}"
	}
	return string(b)
}

// work are the methods, besides tools, with which an app gets something done.
var work = []string{"tools/call", "resources/read", "prompts/get", "completion/complete"}

// Protocol reports whether the row is about how app and server talk, and went
// well. What an app did is not, and neither is what kept it from that.
func (r CallRow) Protocol() bool {
	return r.Tool == "" && !slices.Contains(work, r.Method) && !r.Refused() && r.Struck == 0
}

// Refused reports whether the call did not go well.
func (r CallRow) Refused() bool { return r.Dot() == "warn" || r.Dot() == "err" }

// Outcome says how the call ended.
func (r CallRow) Outcome() string { return t("outcome." + outcomeCode(r.Status)) }

// Dot is what that looks like.
func (r CallRow) Dot() string { return outcomeClass(outcomeCode(r.Status)) }

// outcomeCode is the part of the catalogue's key for a status: the status
// itself where there are words for it, else its first digit.
func outcomeCode(status int) string {
	code := strconv.Itoa(status)
	if _, ok := text["outcome."+code]; ok {
		return code
	}
	if first := code[:1]; len(code) == 3 && "2" <= first && first <= "5" {
		return first
	}
	return "0"
}

func outcomeClass(code string) string {
	switch code {
	case "2":
		return "ok"
	case "401", "403", "5", "502", "504":
		return "err"
	case "405", "499", "3", "0":
		return ""
	}
	return "warn"
}

// Has reports whether every one of words, in lower case, occurs in the call:
// the app's or the server's name, the tool, the method, or how it ended.
func (r CallRow) Has(words []string) bool {
	struck := ""
	if r.Struck > 0 {
		struck = t("activity.struck")
	}
	all := strings.ToLower(strings.Join([]string{r.ClientName(), r.ServerName(), r.Tool, r.Method, r.NoteWords(), r.Outcome(), struck}, "\n"))
	for _, w := range words {
		if !strings.Contains(all, w) {
			return false
		}
	}
	return true
}

// ClientName is the app's name.
func (r CallRow) ClientName() string {
	if n := name(r.Client); n != "" {
		return n
	}
	return t("consent.noname")
}

// ServerName is the server's name.
func (r CallRow) ServerName() string {
	if n := name(r.Server); n != "" {
		return n
	}
	return t("activity.gone")
}

// What is the tool, or the method where no tool was called.
func (r CallRow) What() string {
	if r.Tool != "" {
		return r.Tool
	}
	return r.Method
}

// NoteWords say what is strange about the tool or method, such as a header that
// claims another one.
func (r CallRow) NoteWords() string {
	words, ok := text["activity.note."+r.Note]
	if !ok || r.Note == "" {
		return ""
	}
	return typography.Replace(words)
}

// NotesJSON has the words of every note for the script.
func (p Activity) NotesJSON() string {
	all := make(map[string]string)
	for key := range text {
		if note, ok := strings.CutPrefix(key, "activity.note."); ok {
			all[note] = t(key)
		}
	}
	return asJSON(all)
}

// Stamp is the time for programs.
func (r CallRow) Stamp() string {
	if r.Time.IsZero() {
		return ""
	}
	return r.Time.UTC().Format(time.RFC3339Nano)
}

// When is the time of the day, of the clock of this computer.
func (r CallRow) When() string {
	if r.Time.IsZero() {
		return ""
	}
	return r.Time.Local().Format("15:04")
}

// Took is how long the call took.
func (r CallRow) Took() string {
	d := time.Duration(max(r.MS, 0)) * time.Millisecond
	switch {
	case d < time.Second:
		return strconv.FormatInt(d.Milliseconds(), 10) + " ms"
	case d < time.Minute:
		return strconv.FormatFloat(d.Seconds(), 'f', 1, 64) + " s"
	case d < time.Hour:
		return strconv.Itoa(int(d.Minutes())) + " min"
	}
	return strconv.Itoa(int(d.Hours())) + " h"
}
