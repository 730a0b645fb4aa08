// Package rows puts answers of the admin API into rows of a table, for people who
// use the command line. It prints nothing. The words of states and concerns are
// those of the pages and the tray.
package rows

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/key2oauth/key2oauth/shim"
	"github.com/key2oauth/key2oauth/shim/api"
)

// Status is how things stand.
func Status(s api.Status) [][]string {
	public, paused := "-", "no"
	if s.PublicOrigin != nil {
		public = *s.PublicOrigin
	}
	if s.Paused {
		paused = "yes; resume with: key2oauth resume"
	}
	rows := [][]string{
		{"version", s.Version},
		{"this computer", s.LocalOrigin},
		{"internet", internet(s.Internet, public)},
	}
	rows = append(rows, Tunnel(s.Tunnel)...)
	rows = append(rows, [][]string{
		{"keychain", phrase(s.Keychain.State, s.Keychain.Words)},
		{"paused", paused},
		{"servers", strconv.Itoa(s.Endpoints)},
		{"connected apps", strconv.Itoa(s.Grants)},
	}...)
	if !s.SameUserCheck {
		rows = append(rows, []string{"other users", "this system does not tell which user's program connects; only the cookie and the forms of the window keep other users of this computer out"})
	}
	if s.Disk.Words != "" {
		rows = append(rows, []string{"disk", s.Disk.Words + " " + s.Disk.Next})
	}
	for _, n := range s.Notes {
		rows = append(rows, []string{"note", n.Words})
	}
	for _, d := range s.Damaged {
		rows = append(rows, []string{"damaged", d.Words + " " + d.Next + damagedCommand(d)})
	}
	for _, c := range s.Concerns {
		if words := todo(c); words != "" {
			rows = append(rows, []string{"to do", words})
		}
	}
	if s.Struck > 0 {
		rows = append(rows, []string{"repeated keys", fmt.Sprintf("in %d answers of servers; apps got asterisks in their place", s.Struck)})
	}
	for _, r := range s.Pending {
		waits := "is waiting at " + r.URL
		if r.Asked {
			waits = "is asking from another device; answer it with: key2oauth open"
		}
		rows = append(rows, []string{"request", fmt.Sprintf("%s, which returns to %s, %s", r.App, r.ReturnsTo, waits)})
	}
	for _, a := range s.Attempts {
		rows = append(rows, []string{"could not connect", strings.TrimSpace(a.Diagnosis.Words + " " + a.Diagnosis.Next)})
	}
	return rows
}

// internet is the state of the internet and the public address, where there is
// one.
func internet(n api.Internet, public string) string {
	if public == "-" {
		return n.Words
	}
	return n.Words + ", " + public
}

// todo is what a concern says to do, with the command that does it; "" if
// another row of the status says it.
func todo(c api.Concern) string {
	var command string
	switch c.Kind {
	case api.ConcernRejected, api.ConcernKeyLost, api.ConcernKeyWanted:
		command = " Command: key2oauth key " + c.Slug
	case api.ConcernTwoPlaces:
		command = " Command: key2oauth disconnect " + c.ID
	case api.ConcernUnreachable, api.ConcernCannotStart, api.ConcernNotConfirmed, api.ConcernInternet, api.ConcernWaiting, api.ConcernStranded:
	default:
		return ""
	}
	return strings.TrimSpace(c.Words+" "+c.Next) + command
}

// damagedCommand is the command that deletes what is damaged.
func damagedCommand(d api.Damage) string {
	switch d.Kind {
	case api.DamagedApp:
		return " Command: key2oauth disconnect " + d.ID
	case api.DamagedSealedKey, api.DamagedKey:
		if d.Slug == "" {
			return ""
		}
		return " Command: key2oauth key " + d.Slug + " --credential " + d.ID
	case api.DamagedServer:
		return " Command: key2oauth remove " + d.ID
	}
	return ""
}

// phrase is the sentence that explains a state, or the state where there is
// none.
func phrase(state, words string) string {
	if words == "" {
		return strings.ReplaceAll(state, "_", " ")
	}
	return words
}

// Tunnel is how the tunnel is.
func Tunnel(t api.TunnelStatus) [][]string {
	rows := [][]string{{"tunnel", phrase(t.State, t.Words)}}
	var usage string
	if t.Usage != nil {
		usage = t.Usage.Warning
	}
	for _, extra := range [][]string{{"to do", t.Next}, {"on", t.Link}, {"test", t.Test}, {"senders", t.Senders}, {"usage", usage}} {
		if extra[1] != "" {
			rows = append(rows, extra)
		}
	}
	for _, name := range t.Stranded {
		rows = append(rows, []string{"add again", name + " uses an earlier public address"})
	}
	return rows
}

// Servers is a list of servers.
func Servers(all []api.Endpoint, paused bool) [][]string {
	rows := [][]string{{"SLUG", "NAME", "STATE", "KEYS", "LAST USED", "SERVER", "ADDRESS"}}
	for _, e := range all {
		rows = append(rows, []string{e.Slug, e.DisplayName, shim.ServerState(e.State, paused), labels(e.Credentials), Day(e.LastUsed), e.UpstreamURL, e.MCPEndpoint})
	}
	return rows
}

func labels(credentials []api.Credential) string {
	var all []string
	for _, c := range credentials {
		all = append(all, c.Label)
	}
	return strings.Join(all, ", ")
}

// Day shows a time in the local time zone.
func Day(t *time.Time) string {
	if t == nil || t.IsZero() {
		return ""
	}
	return t.Local().Format("2006-01-02 15:04")
}
