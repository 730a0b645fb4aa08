package activity

import (
	"encoding/json"
	"fmt"
	"maps"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/key2oauth/key2oauth/shim/display"
)

func tools(calls []Call) string {
	var all []string
	for _, c := range calls {
		all = append(all, c.Tool)
	}
	return strings.Join(all, " ")
}

// TestFields: programs read these fields, so there must be exactly these.
func TestFields(t *testing.T) {
	c := Call{Time: time.Date(2026, 11, 23, 7, 41, 55, 120, time.UTC), Slug: "s", Grant: "g", Client: "c", Method: "m", Status: 200, MS: 7}
	got, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"time":"2026-11-23T07:41:55.00000012Z","slug":"s","grant":"g","client":"c","app":"","method":"m","tool":"","status":200,"ms":7}`
	if string(got) != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestQuery(t *testing.T) {
	var l Log
	start := time.Date(2026, 11, 23, 7, 0, 0, 0, time.UTC)
	now := start
	l.Now = func() time.Time { return now }
	for i, c := range []Call{
		{Slug: "a", Grant: "g1", Tool: "t0"},
		{Slug: "a", Grant: "g2", Tool: "t1"},
		{Slug: "b", Grant: "g3", Tool: "t2"},
		{Slug: "a", Grant: "g1", Tool: "t3"},
		{Slug: "b", Grant: "g3", Tool: "t4"},
	} {
		now = start.Add(time.Duration(i) * time.Minute)
		l.Add(c)
	}
	odd := func(c *Call) bool { return c.Tool == "t1" || c.Tool == "t3" }
	tests := []struct {
		name string
		q    Query
		want string
		more bool
	}{
		{"all", Query{}, "t4 t3 t2 t1 t0", false},
		{"slug", Query{Slug: "a"}, "t3 t1 t0", false},
		{"grant", Query{Grant: "g3"}, "t4 t2", false},
		{"both", Query{Slug: "a", Grant: "g2"}, "t1", false},
		{"both of no call", Query{Slug: "b", Grant: "g2"}, "", false},
		{"limit", Query{Limit: 2}, "t4 t3", true},
		{"limit that is just enough", Query{Limit: 5}, "t4 t3 t2 t1 t0", false},
		{"before", Query{Before: start.Add(2 * time.Minute)}, "t1 t0", false},
		{"before and limit", Query{Before: start.Add(4 * time.Minute), Limit: 3}, "t3 t2 t1", true},
		{"before the first", Query{Before: start}, "", false},
		{"match", Query{Match: odd}, "t3 t1", false},
		{"match and limit", Query{Match: odd, Limit: 1}, "t3", true},
		{"match and limit that is just enough", Query{Match: odd, Limit: 2}, "t3 t1", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			found, more := l.Query(tt.q)
			if got := tools(found); got != tt.want || more != tt.more {
				t.Errorf("got %q, more %v, want %q, %v", got, more, tt.want, tt.more)
			}
		})
	}
}

// TestPages turns pages through calls at the same instant, and past a clock
// that was set back: every call is on exactly one page.
func TestPages(t *testing.T) {
	var l Log
	now := time.Date(2026, 11, 23, 7, 0, 0, 0, time.UTC)
	l.Now = func() time.Time { return now }
	for i := range 40 {
		if i == 20 {
			now = now.Add(-time.Hour)
		}
		l.Add(Call{Tool: fmt.Sprint(i)})
	}
	now = now.Add(2 * time.Hour)
	seen := make(map[string]int)
	for q, more := (Query{Limit: 7}), true; more; {
		var page []Call
		page, more = l.Query(q)
		for i, c := range page {
			seen[c.Tool]++
			if i > 0 && !c.Time.Before(page[i-1].Time) {
				t.Errorf("call %s is not older than the one above", c.Tool)
			}
		}
		q.Before = page[len(page)-1].Time
	}
	for i := range 40 {
		if n := seen[fmt.Sprint(i)]; n != 1 {
			t.Errorf("call %d is on %d pages, want 1", i, n)
		}
	}
}

func TestBounds(t *testing.T) {
	t.Run("count", func(t *testing.T) {
		var l Log
		for i := range Keep + 3 {
			l.Add(Call{Tool: fmt.Sprint(i)})
		}
		all, _ := l.Query(Query{})
		if len(all) != Keep || all[0].Tool != fmt.Sprint(Keep+2) || all[Keep-1].Tool != "3" {
			t.Errorf("got %d calls from %s to %s, want the last %d", len(all), all[len(all)-1].Tool, all[0].Tool, Keep)
		}
		if cap(l.calls) > 2*Keep {
			t.Errorf("got room for %d calls, want about %d", cap(l.calls), Keep)
		}
	})
	t.Run("age", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			var l Log
			l.Add(Call{Tool: "old"})
			time.Sleep(time.Hour)
			l.Add(Call{Tool: "new"})
			time.Sleep(MaxAge - time.Hour)
			if got, _ := l.Query(Query{}); tools(got) != "new old" {
				t.Errorf("after 30 days: got %q, want both", tools(got))
			}
			time.Sleep(time.Minute)
			if got, _ := l.Query(Query{}); tools(got) != "new" {
				t.Errorf("after 30 days and a minute: got %q, want new", tools(got))
			}
		})
	})
	t.Run("words", func(t *testing.T) {
		var l Log
		c := l.Add(Call{Client: strings.Repeat("é", 500), Method: "tools\r\n/call\x1b[31m\u202e\u200b", Tool: strings.Repeat("x", 1<<20), MS: -1})
		if got, want := c.Method, "tools /call[31m"; got != want {
			t.Errorf("Method: got %q, want %q", got, want)
		}
		if len(c.Client) > maxWord || !utf8.ValidString(c.Client) || len(c.Tool) > maxWord || c.MS != 0 {
			t.Errorf("got %d and %d bytes and %d ms, want at most %d and no less than 0", len(c.Client), len(c.Tool), c.MS, maxWord)
		}
	})
}

func TestLoad(t *testing.T) {
	var many []Call
	for i := range Keep + 2 {
		many = append(many, Call{Tool: fmt.Sprint(i), Time: time.Now().Add(time.Duration(i-Keep) * time.Second)})
	}
	var l Log
	l.Load(many)
	end := l.End()
	l.Add(Call{Tool: "next"})
	all, _ := l.Query(Query{})
	if len(all) != Keep || all[len(all)-1].Tool != "3" {
		t.Errorf("got %d calls that begin with %s, want %d that begin with 3", len(all), all[len(all)-1].Tool, Keep)
	}
	if got, _, _ := l.Since(end); tools(got) != "next" {
		t.Errorf("since the load: got %q, want next", tools(got))
	}
}

func TestSince(t *testing.T) {
	var l Log
	l.Add(Call{Tool: "a"})
	calls, end, more := l.Since(l.End())
	if len(calls) != 0 {
		t.Errorf("got %q since the end, want none", tools(calls))
	}
	select {
	case <-more:
		t.Error("it reports more calls before there are any")
	default:
	}
	l.Add(Call{Tool: "b"})
	<-more
	l.Add(Call{Tool: "c"})
	if calls, end, _ = l.Since(end); tools(calls) != "b c" || end != 3 {
		t.Errorf("got %q up to %d, want b c up to 3", tools(calls), end)
	}
	for range Keep + 1 {
		l.Add(Call{})
	}
	if calls, _, _ := l.Since(0); len(calls) != Keep {
		t.Errorf("too late: got %d calls, want %d", len(calls), Keep)
	}
	if calls, _, _ := l.Since(1 << 40); len(calls) != 0 {
		t.Errorf("since a time to come: got %d calls, want none", len(calls))
	}
}

// TestConcurrent is for the race detector. No call is lost or counted twice.
func TestConcurrent(t *testing.T) {
	var l Log
	var adders, reader sync.WaitGroup
	stop := make(chan struct{})
	got := make(map[string]int)
	reader.Go(func() {
		end := uint64(0)
		for done := false; ; {
			var calls []Call
			var more <-chan struct{}
			calls, end, more = l.Since(end)
			for _, c := range calls {
				got[c.Tool]++
			}
			if done {
				return
			}
			l.Query(Query{Slug: "a", Limit: 10})
			select {
			case <-more:
			case <-stop:
				done = true
			}
		}
	})
	const each = 500
	for i := range 8 {
		adders.Go(func() {
			for j := range each {
				l.Add(Call{Slug: "a", Tool: fmt.Sprint(i, ".", j)})
			}
		})
	}
	adders.Wait()
	close(stop)
	reader.Wait()
	for tool, n := range got {
		if n != 1 {
			t.Errorf("%s came %d times", tool, n)
		}
	}
	if len(got) != 8*each {
		t.Errorf("got %d calls, want %d", len(got), 8*each)
	}
	times := make(map[time.Time]bool)
	all, _ := l.Query(Query{})
	for _, c := range all {
		times[c.Time] = true
	}
	if diff := cmp.Diff(len(all), len(times)); diff != "" {
		t.Errorf("times are not unique (-calls +times):\n%s", diff)
	}
}

func FuzzClean(f *testing.F) {
	f.Add("tools/call")
	f.Add("\x00\u202e" + strings.Repeat("\U0001F600", 60))
	f.Fuzz(func(t *testing.T, s string) {
		got := clean(s)
		if len(got) > maxWord || got != display.Text(got, display.NoLimit) {
			t.Errorf("clean(%q) = %q", s, got)
		}
		if again := clean(got); again != got {
			t.Errorf("clean(%q) = %q, and then %q", s, got, again)
		}
	})
}

func BenchmarkAdd(b *testing.B) {
	var l Log
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			l.Add(Call{Slug: "k3v9x2m7q4ab", Grant: "g1", Client: "Claude Code", Method: "tools/call", Tool: "echo", Status: 200, MS: 3})
		}
	})
}

// TestStruck counts the calls whose answer held the key, as long as they are
// kept.
func TestStruck(t *testing.T) {
	now := time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)
	l := Log{Now: func() time.Time { return now }}
	l.Add(Call{Slug: "a", Struck: 3})
	l.Add(Call{Slug: "a"})
	l.Add(Call{Slug: "b", Struck: 1})
	now = now.Add(MaxAge / 2)
	l.Add(Call{Slug: "a", Struck: 1})
	if got, want := l.Struck(), map[string]int{"a": 2, "b": 1}; !maps.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	now = now.Add(MaxAge/2 + time.Hour)
	if got, want := l.Struck(), map[string]int{"a": 1}; !maps.Equal(got, want) {
		t.Errorf("30 days later: got %v, want %v", got, want)
	}
}
