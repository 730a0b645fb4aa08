package web

import (
	"encoding/json"
	"strconv"
	"strings"
	"time"
)

// Activity is the page of calls. Its form asks for the same page with q and
// server; its links add before.
type Activity struct {
	Version       string
	Query, Server string // what was searched for, and the slug of one server
	Servers       []ServerOption
	Rows          []CallRow // newest first
	Paged         bool      // Rows are not the newest
	Newest, Older string    // addresses; Older is "" where there is nothing older
	Now           time.Time
}

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

	now time.Time
}

func (p Activity) view() view {
	return view{template: "activity", title: t("activity.title"), script: true, owner: true, nav: "activity", version: p.Version}
}

// Calls are the rows, which know what day it is.
func (p Activity) Calls() []CallRow {
	rows := make([]CallRow, len(p.Rows))
	for i, r := range p.Rows {
		r.now = p.Now
		rows[i] = r
	}
	return rows
}

// Blank is the row that new calls are made from.
func (p Activity) Blank() CallRow { return CallRow{} }

// Searched reports whether only some calls are shown.
func (p Activity) Searched() bool { return p.Query != "" || p.Server != "" }

// Unused reports whether there is nothing to search.
func (p Activity) Unused() bool { return len(p.Rows) == 0 && !p.Searched() && !p.Paged }

// ServersJSON names the servers for the script.
func (p Activity) ServersJSON() string {
	names := make(map[string]string)
	for _, s := range p.Servers {
		names[s.Slug] = name(s.Name)
	}
	return asJSON(names)
}

// OutcomesJSON has the words of every outcome for the script, each behind the
// class of its badge.
func (p Activity) OutcomesJSON() string {
	all := make(map[string][2]string)
	for key := range text {
		if code, ok := strings.CutPrefix(key, "outcome."); ok {
			all[code] = [2]string{outcomeClass(code), t(key)}
		}
	}
	return asJSON(all)
}

func asJSON(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return "{}"
	}
	return string(b)
}

// Outcome says how the call ended.
func (r CallRow) Outcome() string { return t("outcome." + outcomeCode(r.Status)) }

// Badge is what that looks like.
func (r CallRow) Badge() string { return outcomeClass(outcomeCode(r.Status)) }

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
		return "error"
	case "405", "499", "3", "0":
		return "plain"
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
	all := strings.ToLower(strings.Join([]string{r.ClientName(), r.ServerName(), r.Tool, r.Method, r.How(), r.Outcome(), struck}, "\n"))
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

// How is the method, where it does not stand in front already, and what is
// strange about it.
func (r CallRow) How() string {
	how := ""
	if r.Tool != "" {
		how = r.Method
	}
	if words, ok := text["activity.note."+r.Note]; ok && r.Note != "" {
		how = strings.TrimSpace(how + " " + words)
	}
	return how
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

// When is the time for the reader, whose clock is this computer's.
func (r CallRow) When() string {
	at, now := r.Time.Local(), r.now.Local()
	switch {
	case r.Time.IsZero():
		return ""
	case at.Year() == now.Year() && at.YearDay() == now.YearDay():
		return at.Format("15:04:05")
	case at.Year() == now.Year():
		return at.Format("2 Jan, 15:04")
	}
	return at.Format("2 Jan 2006, 15:04")
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
