package timeline

import (
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

// A clock is one that tests set.
type clock struct{ now time.Time }

func (c *clock) pass(d time.Duration) { c.now = c.now.Add(d) }

func newLog() (*Log, *clock) {
	c := &clock{noon}
	return &Log{Now: func() time.Time { return c.now }}, c
}

// shape returns an attempt as one line: the client and its steps.
func shape(a Attempt) string {
	var b strings.Builder
	b.WriteString(strings.Trim(a.Who(), "\u201c\u201d"))
	for _, e := range a.Events {
		b.WriteString(" " + string(e.Step))
		if e.Why != "" {
			b.WriteString(":" + e.Why)
		}
		if e.Count > 1 {
			fmt.Fprintf(&b, "*%d", e.Count)
		}
	}
	return b.String()
}

func shapes(l *Log) (all []string) {
	for _, a := range l.Unfinished() {
		all = append(all, shape(a))
	}
	return all
}

func TestOneAttempt(t *testing.T) {
	cloud := Entry{From: "160.79.104.10", Agent: "python-httpx", Via: Ngrok}
	far := func(s Entry) Entry {
		s.From, s.Agent, s.Via = cloud.From, cloud.Agent, cloud.Via
		return s
	}
	browser := func(s Entry) Entry {
		s.From, s.Agent, s.Via = "198.51.100.7", "Mozilla", Ngrok
		return s
	}
	tests := []struct {
		name   string
		sights []Entry
		want   []string // the newest first
	}{
		{"DCR in a cloud", []Entry{
			{From: cloud.From, Agent: "Claude-User", Via: Ngrok, Step: Found, Slug: "s"},
			far(Entry{Step: Found}), far(Entry{Step: Found, Slug: "s"}),
			far(Entry{Step: Registered, Client: "c1", Name: "Claude"}), far(Entry{Step: Registered, Client: "c2", Name: "Claude"}),
			browser(Entry{Step: Asked, Client: "c2", Request: "r1", Slug: "s"}),
			{Step: Shown, Request: "r1", Via: Ngrok}, {Step: Key, Request: "r1", Via: Ngrok},
			{Step: Approved, Request: "r1", Grant: "g", Via: Ngrok},
			far(Entry{Step: Exchanged, Grant: "g", Client: "c2"}),
			far(Entry{Step: Found, Slug: "s"}),
			{Step: Called, Grant: "g"},
		}, []string{"Claude found*4 register*2 authorize consent key approve exchange call"}},
		{"no registration", []Entry{
			far(Entry{Step: Found, Slug: "s"}),
			browser(Entry{Step: Asked, Client: "https://claude.ai/doc", Name: "Claude", Request: "r1", Slug: "s"}),
			{Step: Shown, Request: "r1", Via: Ngrok},
		}, []string{"Claude found authorize consent"}},
		{"several addresses", []Entry{
			far(Entry{Step: Found, Slug: "s"}),
			{From: "160.79.104.99", Agent: cloud.Agent, Via: Ngrok, Step: Found, Slug: "s"},
			{From: "160.79.104.99", Agent: cloud.Agent, Via: Ngrok, Step: Registered, Client: "c", Name: "Claude"},
		}, []string{"Claude found*2 register"}},
		{"two apps on this computer", []Entry{
			{Agent: "node", Via: Local, Step: Found, Slug: "s"}, {Agent: "Cursor", Via: Local, Step: Found, Slug: "s"},
			{Agent: "Cursor", Via: Local, Step: Registered, Client: "c", Name: "Cursor"},
			{Agent: "node", Via: Local, Step: Registered, Client: "d", Name: "mcp-remote"},
		}, []string{"mcp-remote found register", "Cursor found register"}},
		{"two servers", []Entry{
			far(Entry{Step: Found, Slug: "s"}), far(Entry{Step: Found, Slug: "t"}),
		}, []string{"python-httpx found", "python-httpx found"}},
		{"reload", []Entry{
			far(Entry{Step: Registered, Client: "c"}),
			browser(Entry{Step: Asked, Client: "c", Request: "r1"}), browser(Entry{Step: Asked, Client: "c", Request: "r2"}),
			{Step: Shown, Request: "r1"},
		}, []string{"python-httpx register authorize*2 consent"}},
		{"again after the first was approved", []Entry{
			far(Entry{Step: Registered, Client: "c"}), browser(Entry{Step: Asked, Client: "c", Request: "r1"}),
			{Step: Approved, Request: "r1", Grant: "g"},
			far(Entry{Step: Registered, Client: "c"}), browser(Entry{Step: Asked, Client: "c", Request: "r2"}),
		}, []string{"python-httpx register authorize", "python-httpx register authorize approve"}},
		{"again after the first was refused", []Entry{
			far(Entry{Step: Found, Slug: "s"}), far(Entry{Step: Registered, Client: "c"}),
			browser(Entry{Step: Asked, Why: "pkce", Client: "c", Slug: "s"}),
			far(Entry{Step: Registered, Client: "d"}),
		}, []string{"python-httpx register", "python-httpx found register authorize:pkce"}},
		{"one id for two servers", []Entry{
			far(Entry{Step: Found, Slug: "s"}), far(Entry{Step: Registered, Client: "c"}), browser(Entry{Step: Asked, Client: "c", Slug: "s", Request: "r1"}),
			far(Entry{Step: Found, Slug: "t"}), far(Entry{Step: Registered, Client: "c"}), browser(Entry{Step: Asked, Client: "c", Slug: "t", Request: "r2"}),
			far(Entry{Step: Refreshed, Why: "unknown", Client: "c"}),
		}, []string{"python-httpx refresh:unknown", "python-httpx found register authorize", "python-httpx found register authorize"}},
		{"stale client", []Entry{
			far(Entry{Step: Found, Slug: "s"}), browser(Entry{Step: Asked, Why: "client", Client: "stale", Slug: "s"}),
		}, []string{"python-httpx found authorize:client"}},
		{"a grant that is gone", []Entry{
			far(Entry{Step: Refreshed, Why: "unknown", Grant: "gone", Client: "c", Name: "Claude"}),
			far(Entry{Step: Refreshed, Why: "unknown", Grant: "gone", Client: "c", Name: "Claude"}),
		}, []string{"Claude refresh:unknown*2"}},
		{"a request that is forgotten", []Entry{{Step: Shown, Request: "r9"}}, nil},
		{"first tool", []Entry{
			far(Entry{Step: Registered, Client: "c"}), browser(Entry{Step: Asked, Client: "c", Request: "r1"}),
			{Step: Approved, Request: "r1", Grant: "g"}, {Step: Tool, Grant: "g"},
		}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			l, c := newLog()
			for _, s := range tt.sights {
				l.Note(s)
				c.pass(time.Second)
			}
			if d := cmp.Diff(tt.want, shapes(l)); d != "" {
				t.Errorf("(-want +got)\n%s", d)
			}
		})
	}
}

func TestFarApart(t *testing.T) {
	l, c := newLog()
	s := Entry{From: "203.0.113.1", Agent: "x", Via: External, Step: Found}
	l.Note(s)
	c.pass(soon + time.Second)
	l.Note(s)
	if n := len(l.Unfinished()); n != 2 {
		t.Errorf("got %d attempts, want 2", n)
	}
	c.pass(keepFor)
	if n := len(l.Unfinished()); n != 1 {
		t.Errorf("got %d attempts after a day, want 1", n)
	}
}

// TestFlood has strangers try to push out the attempts that the owner looks at.
func TestFlood(t *testing.T) {
	l, c := newLog()
	l.Note(Entry{From: "198.51.100.1", Agent: "python-httpx", Via: Ngrok, Step: Registered, Client: "mine", Name: "Claude"})
	l.Note(Entry{From: "198.51.100.7", Agent: "Mozilla", Via: Ngrok, Step: Asked, Client: "mine", Request: "r"})
	l.Note(Entry{Step: Shown, Request: "r"})
	l.Note(Entry{Agent: "node", Via: Local, Step: Registered, Client: "local", Name: "Cursor"})
	for i := range 5000 {
		c.pass(time.Millisecond)
		id := fmt.Sprint(i)
		l.Note(Entry{From: "203.0.113.5", Agent: "a" + id, Via: Ngrok, Step: Found, Slug: id})
		l.Note(Entry{From: "10.0." + fmt.Sprint(i/250, ".", i%250), Agent: "b" + id, Via: Ngrok, Step: Asked, Why: "client", Client: id, Slug: id})
		l.Note(Entry{From: "unknown", Via: External, Step: Token, Why: "malformed", Slug: id})
	}
	all := l.Unfinished()
	if len(all) > maxStrangers+maxOwn {
		t.Errorf("a flood is kept as %d attempts", len(all))
	}
	var mine, ofOne int
	for _, a := range all {
		switch {
		case a.Client == "Claude" || a.Client == "Cursor":
			mine++
		case a.from == "203.0.113.5":
			ofOne++
		}
	}
	if mine != 2 || ofOne > maxFromOne {
		t.Errorf("after a flood: %d of the owner's 2 attempts, %d of one stranger's", mine, ofOne)
	}
}

func TestEventsAreBounded(t *testing.T) {
	l, _ := newLog()
	for i := range 1000 {
		l.Note(Entry{From: "203.0.113.5", Agent: "a", Via: Ngrok, Step: Found, Why: fmt.Sprint(i), Slug: "s"})
	}
	a := l.Unfinished()[0]
	if len(a.Events) != maxEvents || a.Events[0].Why != "0" || a.Events[maxEvents-1].Why != "999" {
		t.Errorf("got %d events, from %q to %q", len(a.Events), a.Events[0].Why, a.Events[len(a.Events)-1].Why)
	}
}

// TestGrant follows a grant over a restart until nothing more is recorded.
func TestGrant(t *testing.T) {
	saved, done := map[string][]byte{}, false
	l, c := newLog()
	l.Save = func(grant string, record []byte, isDone bool) { saved[grant], done = record, isDone }
	l.Note(Entry{Agent: "node", Via: Local, Step: Registered, Client: "c", Name: "Cursor"})
	l.Note(Entry{Agent: "Mozilla", Via: Local, Step: Asked, Client: "c", Request: "request-id", Host: "cursor:"})
	if len(saved) != 0 || l.Watches("g") {
		t.Fatal("something is saved or watched before there is a grant")
	}
	l.Note(Entry{Step: Approved, Request: "request-id", Grant: "g", Via: Local})
	if !l.Watches("g") || l.Watches("h") {
		t.Error("the new grant is not watched, or another is")
	}
	before := l.Unfinished()

	l2, _ := newLog()
	l2.Now, l2.Save = func() time.Time { return c.now }, l.Save
	if !l2.Load("g", saved["g"]) || done {
		t.Error("a grant that has not used a tool is not gone on with")
	}
	opt := cmp.FilterPath(func(p cmp.Path) bool {
		f, ok := p.Last().(cmp.StructField)
		return ok && (unicode.IsLower(rune(f.Name()[0])) || f.Name() == "ID")
	}, cmp.Ignore())
	if d := cmp.Diff(before, l2.Unfinished(), opt); d != "" {
		t.Errorf("after a restart (-before +after)\n%s", d)
	}
	l2.Note(Entry{Step: Called, Grant: "g"})
	l2.Note(Entry{Step: Tool, Grant: "g"})
	if l2.Watches("g") || l2.watched.Load() != 0 {
		t.Error("the grant is watched after its first tool")
	}
	a, ok := Parse(saved["g"])
	if !ok || !done || !a.Done() || shape(a) != "Cursor register authorize approve call tool" {
		t.Errorf("saved is %s", saved["g"])
	}
	if strings.Contains(string(saved["g"]), "request-id") {
		t.Errorf("the record holds the id of a request: %s", saved["g"])
	}
	l3, _ := newLog()
	if l3.Load("g", saved["g"]) || l3.Load("x", []byte("{")) || l3.Watches("g") || l3.Watches("x") {
		t.Error("a grant that works, or a record that is none, is watched")
	}
	l.Forget("g")
	if l.Watches("g") || len(l.Unfinished()) != 0 {
		t.Error("a grant that has ended is watched")
	}
}

func TestWatchedAreBounded(t *testing.T) {
	l, c := newLog()
	for i := range maxWatched + 10 {
		c.pass(time.Second)
		l.Load(fmt.Sprint(i), []byte(`{"last":"`+c.now.Format(time.RFC3339)+`"}`))
	}
	if len(l.grants) != maxWatched || l.Watches("0") || !l.Watches(fmt.Sprint(maxWatched+9)) {
		t.Errorf("%d grants are watched", len(l.grants))
	}
}

func FuzzAgent(f *testing.F) {
	for _, s := range []string{"", "Claude-User", "python-httpx/0.28.1", "Mozilla/5.0 (X11)", "a\x00b\u202e", strings.Repeat("\u00e4", 99)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := Agent(s)
		bad := strings.ContainsFunc(got, func(r rune) bool { return !unicode.IsPrint(r) })
		if len(got) > 40 || !utf8.ValidString(got) || bad {
			t.Errorf("Agent(%q) = %q", s, got)
		}
	})
}
