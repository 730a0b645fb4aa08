package notify

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/key2oauth/key2oauth/tray"
)

// A screen is a desktop that records what it is asked.
type screen struct {
	lines  []string
	last   uint32
	clicks chan uint32
	err    error
}

func (s *screen) show(n tray.Notice, old uint32) (uint32, error) {
	if s.err != nil {
		return 0, s.err
	}
	s.last++
	line := fmt.Sprintf("%d %s", s.last, strings.Join(n.About, "+"))
	if old != 0 {
		line += fmt.Sprintf(" for %d", old)
	}
	s.lines = append(s.lines, line)
	return s.last, nil
}

func (s *screen) withdraw(id uint32)     { s.lines = append(s.lines, fmt.Sprintf("-%d", id)) }
func (s *screen) clicked() <-chan uint32 { return s.clicks }
func (s *screen) close()                 {}

func key(names ...string) tray.State {
	var s tray.State
	for _, n := range names {
		s.Endpoints = append(s.Endpoints, tray.Endpoint{Slug: n, Name: n, Key: tray.KeyRejected})
	}
	return s
}

func pending(n int) tray.State {
	return tray.State{Pending: make([]tray.Request, n)}
}

// here are requests on this computer.
func here(ids ...string) tray.State {
	var s tray.State
	for _, id := range ids {
		s.Pending = append(s.Pending, tray.Request{ID: id, Here: true, App: "Claude"})
	}
	return s
}

func clients(grants ...string) tray.State {
	var s tray.State
	for _, g := range grants {
		s.Clients = append(s.Clients, tray.Client{Grant: g, Name: g, Endpoint: "Linear"})
	}
	return s
}

// TestTell shows states one after another; each line is the result of one.
func TestTell(t *testing.T) {
	needsYou := tray.State{Tunnel: tray.Tunnel{State: tray.TunnelNeedsYou, Words: "ngrok does not accept the authtoken."}}
	for _, tt := range []struct {
		name   string
		states []tray.State
		want   []string
	}{
		{"nothing", []tray.State{{}, {}}, []string{"", ""}},
		{"L09 a hundred requests are one notification", []tray.State{pending(1), pending(2), pending(100), {}},
			[]string{"1 request", "", "", "-1"}},
		{"a request after the last was answered", []tray.State{pending(1), {}, pending(1)},
			[]string{"1 request", "-1", "2 request"}},
		{"each request on this computer is one", []tray.State{here("A"), here("A"), here("A", "B"), here("B"), {}},
			[]string{"1 sign-in A", "", "2 sign-in B", "-1", "-2"}},
		{"a page that opens many requests on this computer", []tray.State{here("A"), here("A", "B", "C"), here("B", "C", "D", "E"), here("F", "G", "H"), {}},
			[]string{"1 sign-in A", "-1|2 sign-ins", "", "", "-2"}},
		{"a key stays rejected", []tray.State{key("A"), key("A"), key("A"), {}, key("A")},
			[]string{"1 key A", "", "", "-1", "2 key A"}},
		{"a second key", []tray.State{key("A"), key("A", "B"), key("B")},
			[]string{"1 key A", "2 key B", "-1"}},
		{"many keys are one notification, and it takes the place of the first", []tray.State{key("A"), key("A", "B", "C"), key("A", "B")},
			[]string{"1 key A", "2 key A+key B+key C for 1", ""}},
		{"many keys after two of them", []tray.State{key("A", "B"), key("A", "B", "C"), {}},
			[]string{"1 key A|2 key B", "-1|3 key A+key B+key C for 2", "-3"}},
		{"the tunnel", []tray.State{needsYou, needsYou, {}},
			[]string{"1 tunnel", "", "-1"}},
		{"clients of before the start are not told", []tray.State{clients("A", "B"), clients("A", "B", "C")},
			[]string{"", "1 grant C"}},
		{"a client that leaves the list and comes back", []tray.State{{}, clients("A"), {}, clients("A")},
			[]string{"", "1 grant A", "-1", ""}},
		{"a flood", []tray.State{{}, clients("A", "B", "C", "D", "E")},
			[]string{"", "1 grant A|2 grant B|3 grant C"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := &screen{}
			m := &memory{desktop: s, log: slog.New(slog.DiscardHandler), told: map[string]bool{}, events: map[string]bool{}}
			var got []string
			for _, state := range tt.states {
				s.lines = nil
				m.tell(tray.Notices(state))
				got = append(got, strings.Join(s.lines, "|"))
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("notifications (-want +got):\n%s", diff)
			}
		})
	}
}

func TestRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		s := &screen{clicks: make(chan uint32)}
		states := make(chan tray.State)
		done := make(chan struct{})
		var did []tray.Action
		go func() {
			run(ctx, Config{
				States: states,
				Do:     func(_ context.Context, a tray.Action) { did = append(did, a) },
				Log:    slog.New(slog.DiscardHandler),
			}, s)
			close(done)
		}()
		states <- key("A") // replaced before it can be read
		states <- tray.State{}
		states <- key("B")
		time.Sleep(time.Second)
		s.clicks <- 1
		s.clicks <- 99 // another program's notification
		synctest.Wait()
		cancel()
		<-done
		if diff := cmp.Diff([]string{"1 key B", "-1"}, s.lines); diff != "" {
			t.Errorf("notifications (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff([]tray.Action{{Verb: tray.FixKey, ID: "B"}}, did); diff != "" {
			t.Errorf("clicks (-want +got):\n%s", diff)
		}
	})
}

// TestClickNow: a click on a notification that stays does what it would do if
// the notification came now.
func TestClickNow(t *testing.T) {
	m := &memory{desktop: &screen{}, log: slog.New(slog.DiscardHandler), told: map[string]bool{}, events: map[string]bool{}}
	for _, want := range []string{"first", "second"} {
		m.tell(tray.Notices(tray.State{Pending: []tray.Request{{ID: want}}}))
		if a, ok := m.click(1); !ok || a != (tray.Action{Verb: tray.ReviewRequest, ID: want}) {
			t.Errorf("a click does %v (%t), want the review of %s", a, ok, want)
		}
	}
}

func TestFailureIsSaidOnce(t *testing.T) {
	var log strings.Builder
	s := &screen{err: errors.New("no daemon")}
	m := &memory{desktop: s, log: slog.New(slog.NewTextHandler(&log, nil)), told: map[string]bool{}, events: map[string]bool{}}
	m.tell(tray.Notices(key("A")))
	m.tell(tray.Notices(key("A", "B")))
	if n := strings.Count(log.String(), "no daemon"); n != 1 {
		t.Errorf("the failure was said %d times, want once:\n%s", n, log.String())
	}
	s.err = nil
	m.tell(tray.Notices(tray.State{Pending: make([]tray.Request, 1)}))
	s.err = errors.New("no daemon")
	m.tell(tray.Notices(key("C")))
	if n := strings.Count(log.String(), "no daemon"); n != 2 {
		t.Errorf("the second failure was said %d times in all, want twice:\n%s", n, log.String())
	}
}

func FuzzInert(f *testing.F) {
	f.Add("Linear")
	f.Add("$(calc) `n ]]> \"@ \u200d \u2019")
	f.Add("]]]]>>")
	f.Fuzz(func(t *testing.T, s string) {
		got := inert(s)
		if strings.ContainsAny(got, "$`\n") || strings.Contains(got, "]]>") {
			t.Errorf("inert(%q) = %q", s, got)
		}
	})
}
