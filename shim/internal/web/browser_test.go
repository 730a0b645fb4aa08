package web

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/key2oauth/key2oauth/e2e/testenv"
)

// TestScript checks what JavaScript adds to the pages.
func TestScript(t *testing.T) {
	testenv.Slow(t)
	ctx := startBrowser(t)
	posted := make(chan string, 10)
	srv := serveForms(t, posted)

	do := func(t *testing.T, actions ...chromedp.Action[chromedp.Void]) {
		t.Helper()
		limited, cancel := context.WithTimeout(ctx, testenv.Patience)
		defer cancel()
		err := chromedp.Do(limited, actions...)
		// The answer to the previous form may still be on its way. The browser
		// would then leave the page that it has opened since.
		for n := 0; n < 5 && err != nil && strings.Contains(err.Error(), "net::ERR_ABORTED"); n++ {
			err = chromedp.Do(limited, actions...)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	is := func(t *testing.T, expression string, want bool) {
		t.Helper()
		got, err := chromedp.Run(ctx, chromedp.Evaluate[bool](expression))
		if err != nil {
			t.Fatal(err)
		}
		if got != want {
			t.Errorf("%s: got %v, want %v", expression, got, want)
		}
	}
	const shown = `document.getElementById("api_key").offsetParent !== null`

	t.Run("show and hide", func(t *testing.T) {
		do(t, chromedp.Navigate(srv.URL+"/consent-loopback"), chromedp.SendKeys(chromedp.CSS("#api_key"), "sk-1"))
		is(t, `getComputedStyle(document.getElementById("api_key")).webkitTextSecurity === "disc"`, true)
		do(t, chromedp.Click(chromedp.CSS("[data-reveal]")))
		is(t, `getComputedStyle(document.getElementById("api_key")).webkitTextSecurity === "none"`, true)
		is(t, `document.querySelector("[data-reveal]").getAttribute("aria-pressed") === "true"`, true)
	})
	t.Run("another key", func(t *testing.T) {
		do(t, chromedp.Navigate(srv.URL+"/consent-known"))
		is(t, shown, false)
		do(t, chromedp.Click(chromedp.CSS(`input[name=credential][value=new]`)))
		is(t, shown, true)
		do(t, chromedp.Click(chromedp.CSS(`input[name=credential][value=c1]`)))
		is(t, shown, false)
	})
	t.Run("pick", func(t *testing.T) {
		do(t, chromedp.Navigate(srv.URL+"/consent-pick"))
		is(t, shown, false)
		do(t, chromedp.Click(chromedp.CSS(`input[value=p0d8s6f4h2jk]`))) // it has no saved key
		is(t, shown, true)
		do(t, chromedp.Click(chromedp.CSS(`input[value=k3v9x2m7q4ab]`)))
		is(t, shown, false)
		do(t, chromedp.Click(chromedp.CSS(`input[value=c1]`)), chromedp.Click(chromedp.CSS(`input[value=z1x2c3v4b5n6]`)))
		is(t, `document.querySelector("input[value=c1]").checked`, false)
		is(t, `document.querySelector("input[value=c9]").checked`, true) // its only key
		do(t, chromedp.Click(chromedp.CSS(`.option:has(input[value=z1x2c3v4b5n6]) input[value=new]`)))
		is(t, shown, true)
		do(t, chromedp.Click(chromedp.CSS(`input[value=c9]`)))
		is(t, shown, false)
	})
	t.Run("approval waits a moment", func(t *testing.T) {
		do(t, chromedp.Navigate(srv.URL+"/consent-loopback"), chromedp.SendKeys(chromedp.CSS("#api_key"), "sk-1"))
		is(t, `dispatchEvent(new Event("focus")); document.querySelector("[value=approve]").click(); document.querySelector("[aria-disabled]") !== null`, true)
		select {
		case got := <-posted:
			t.Errorf("got a post at once: %s", got)
		case <-time.After(300 * time.Millisecond):
		}
		do(t, chromedp.WaitVisible(chromedp.CSS(`button[value=approve]:not([aria-disabled])`)), chromedp.Click(chromedp.CSS(`button[value=approve]`)))
		wantPost(t, posted, "action=approve", "api_key=sk-1", "form_token="+token)
	})
	t.Run("a slow check counts the seconds", func(t *testing.T) {
		do(t, chromedp.Navigate(srv.URL+"/add"), chromedp.SendKeys(chromedp.CSS("#upstream_url"), "https://a.example/mcp\r"))
		wantPost(t, posted, "upstream_url=https") // the answer leaves the page as it is
		two := strings.ReplaceAll(t2("key.busy"), "{s}", "2")
		for end := time.Now().Add(testenv.Patience); ; time.Sleep(50 * time.Millisecond) {
			got, err := chromedp.Run(ctx, chromedp.Evaluate[string](`document.querySelector("button.busy").textContent`))
			if err != nil {
				t.Fatal(err)
			}
			if got == two {
				break
			}
			if time.Now().After(end) {
				t.Fatalf("the button says %q, want %q", got, two)
			}
		}
	})
	t.Run("deny does not wait", func(t *testing.T) {
		do(t, chromedp.Navigate(srv.URL+"/consent-loopback"), chromedp.Click(chromedp.CSS(`button[value=deny]`)))
		wantPost(t, posted, "action=deny")
	})
	t.Run("Enter adds the server", func(t *testing.T) {
		do(t, chromedp.Navigate(srv.URL+"/add"), chromedp.SendKeys(chromedp.CSS("#upstream_url"), "https://a.example/mcp\r"))
		got := wantPost(t, posted, "upstream_url=https", "form_token="+token)
		if strings.Contains(got, "fill=") {
			t.Errorf("got %s, want no other button's name", got)
		}
	})
	t.Run("the one-time link is posted", func(t *testing.T) {
		// Navigate would wait until the page has loaded, but this one redirects
		// at once.
		is(t, `location.href = "/open"; true`, true)
		wantPost(t, posted, "ticket=ticket1")
	})
}

// TestRefresh: the Health page reloads only if something has changed since it
// was made, including changes from before the script began to listen.
func TestRefresh(t *testing.T) {
	testenv.Slow(t)
	ctx := startBrowser(t)
	var state atomic.Int64
	loads, listens, events := make(chan string, 100), make(chan bool, 100), make(chan string)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/check":
			as := strconv.FormatInt(state.Load(), 10)
			Render(w, http.StatusOK, Check{As: as, Attempts: []AttemptRow{{Client: "Cursor", State: "stopped", Steps: []StepRow{{Step: "found"}}}}, Token: func(string) string { return "" }})
			loads <- as
		case "/api/events":
			w.Header().Set("Content-Type", "text/event-stream")
			http.NewResponseController(w).Flush()
			listens <- true
			for {
				select {
				case id := <-events:
					fmt.Fprintf(w, "event: status\nid: %s\ndata: {\"pending\":[],\"tunnel\":{}}\n\n", id)
					http.NewResponseController(w).Flush()
				case <-r.Context().Done():
					return
				}
			}
		}
	}))
	t.Cleanup(func() { srv.CloseClientConnections(); srv.Close() })
	loaded := func(want string) {
		t.Helper()
		select {
		case got := <-loads:
			if got != want {
				t.Fatalf("the page was loaded as %s, want %s", got, want)
			}
		case <-time.After(testenv.Patience):
			t.Fatalf("the page was not loaded as %s", want)
		}
		<-listens
	}
	if err := chromedp.Do(ctx, chromedp.Navigate(srv.URL+"/check")); err != nil {
		t.Fatal(err)
	}
	loaded("0")
	state.Store(1)
	events <- "1" // the first event that the page receives
	loaded("1")
	events <- "1"
	time.Sleep(4 * time.Second) // twice as long as a reload takes, which must not come
	if len(loads) > 0 {
		t.Error("the page was loaded again, and nothing had changed")
	}
	// Details that the reader opened stay open until the reader closes them.
	fold := func(open bool) {
		t.Helper()
		if _, err := chromedp.Run(ctx, chromedp.Evaluate[bool](fmt.Sprintf(`document.querySelector(".attempts details").open = %v, true`, open))); err != nil {
			t.Fatal(err)
		}
	}
	fold(true)
	state.Store(2)
	events <- "2"
	time.Sleep(4 * time.Second) // again, it must not come
	if len(loads) > 0 {
		t.Error("the page was loaded again under its reader's eyes")
	}
	fold(false)
	loaded("2")
}

// TestLiveActivity: the script makes the same rows for calls as the server
// does, shows only those that match the search, and stops adding rows while it
// is told to.
func TestLiveActivity(t *testing.T) {
	testenv.Slow(t)
	ctx := startBrowser(t)
	pages := serveStates(t).Config.Handler
	listeners := make(chan chan string, 10)
	var listener chan string // of the page that is open
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/api/events" {
			pages.ServeHTTP(w, r)
			return
		}
		w.Header().Set("Content-Type", "text/event-stream")
		events := make(chan string)
		listeners <- events
		for {
			http.NewResponseController(w).Flush()
			select {
			case data := <-events:
				fmt.Fprintf(w, "event: activity\ndata: %s\n\n", data)
			case <-r.Context().Done():
				return
			}
		}
	}))
	t.Cleanup(srv.Close)
	now := time.Now()
	var calls []CallRow
	for i, status := range []int{200, 202, 302, 400, 401, 403, 404, 405, 418, 429, 499, 500, 502, 503, 600, 0} {
		calls = append(calls, CallRow{Time: now.Add(time.Duration(i)), Client: "Cursor", Server: "Linear", Method: "tools/call", Tool: "search", Status: status,
			MS: []int64{0, 999, 1000, 59_949, 60_000, 3_599_999, 7_200_000}[i%7]})
	}
	calls = append(calls, CallRow{Time: now, Method: "GET", Status: 200}, CallRow{Time: now, Client: "<b>", Method: "<i>", Tool: "&amp;"},
		CallRow{Time: now, Client: "Cursor", Server: "Linear", Method: "tools/call", Tool: "search", Status: 200, Struck: 2})
	send := func(t *testing.T, c CallRow) {
		t.Helper()
		slug := map[string]string{"Linear": "k3v9x2m7q4ab"}[c.Server]
		b, err := json.Marshal(map[string]any{"time": c.Stamp(), "slug": slug, "grant": "g1", "client": c.Client, "app": c.Client, "method": c.Method, "tool": c.Tool, "status": c.Status, "ms": c.MS, "struck": c.Struck})
		if err != nil {
			t.Fatal(err)
		}
		select {
		case listener <- string(b):
		case <-time.After(testenv.Patience):
			t.Fatal("the page listens no more")
		}
	}
	text := func(t *testing.T, expression string) string {
		t.Helper()
		s, err := chromedp.Run(ctx, chromedp.Evaluate[string](expression))
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	waitText := func(t *testing.T, expression, want string) {
		t.Helper()
		for end := time.Now().Add(testenv.Patience); text(t, expression) != want; time.Sleep(20 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("%s: got %q, want %q", expression, text(t, expression), want)
			}
		}
	}
	const count = `String(document.querySelectorAll("#calls tr").length)`
	open := func(t *testing.T, name string) {
		t.Helper()
		if err := chromedp.Do(ctx, chromedp.Navigate(srv.URL+"/"+name)); err != nil {
			t.Fatal(err)
		}
		select {
		case listener = <-listeners:
		case <-time.After(testenv.Patience):
			t.Fatal("the page does not listen")
		}
	}

	t.Run("rows are the server's", func(t *testing.T) {
		open(t, "activity-empty")
		for i, c := range calls {
			send(t, c)
			waitText(t, count, strconv.Itoa(i+1))
			row := `[...document.querySelector("#calls tr").querySelectorAll("time, .mg, .client, .server, .mono, .claims, .outcome, .struck:not([hidden]), .took")].map(e => e.textContent).join("|") +
				"|" + document.querySelector("#calls .dot").className + "|" + document.querySelector("#calls .mg").className + "|" + document.querySelector("#calls time").dateTime`
			outcome := c.Outcome()
			if c.Struck > 0 {
				outcome += "|" + Text("activity.struck")
			}
			mg := monogram(c.ClientName(), "sm")
			want := strings.Join([]string{c.When(), mg.Letter, c.ClientName(), c.ServerName(), c.What(), c.NoteWords(), outcome, c.Took(),
				strings.TrimSpace("dot " + c.Dot()), fmt.Sprintf("mg sm m%d", mg.Color), c.Stamp()}, "|")
			if got := text(t, row); got != want {
				t.Errorf("got %q, want %q", got, want)
			}
		}
		waitText(t, `String(document.getElementById("none") === null && !document.querySelector("section").hidden)`, "true")
	})
	t.Run("search", func(t *testing.T) {
		open(t, "activity-live")
		send(t, CallRow{Client: "Cursor", Server: "Linear", Method: "tools/call", Tool: "other", Status: 401})
		send(t, CallRow{Client: "Cursor", Server: "elsewhere", Method: "tools/call", Tool: "search", Status: 401})
		send(t, CallRow{Client: "Cursor", Server: "Linear", Method: "tools/call", Tool: "search", Status: 200})
		send(t, CallRow{Client: "Cursor", Server: "Linear", Method: "tools/call", Tool: "Search", Status: 401})
		waitText(t, `document.querySelector("#calls tr .mono").textContent`, "Search")
		waitText(t, count, "2")
	})
	t.Run("stop and resume", func(t *testing.T) {
		open(t, "activity-empty")
		send(t, calls[0])
		waitText(t, count, "1")
		text(t, `document.getElementById("live").click(), ""`)
		send(t, calls[1])
		send(t, calls[2])
		waitText(t, `document.getElementById("live").textContent`, "Resume updates")
		time.Sleep(100 * time.Millisecond) // time for rows, which must not come
		waitText(t, count, "1")
		text(t, `document.getElementById("live").click(), ""`)
		waitText(t, count, "3")
	})
}

// serveForms serves the states and passes on what their forms post.
func serveForms(t *testing.T, posted chan<- string) *httptest.Server {
	t.Helper()
	pages := serveStates(t).Config.Handler
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost {
			pages.ServeHTTP(w, r)
			return
		}
		if err := r.ParseForm(); err != nil {
			t.Error(err)
		}
		posted <- r.PostForm.Encode()
		w.WriteHeader(http.StatusNoContent)
	}))
	t.Cleanup(srv.Close)
	return srv
}

func wantPost(t *testing.T, posted <-chan string, want ...string) string {
	t.Helper()
	select {
	case got := <-posted:
		for _, s := range want {
			if !strings.Contains(got, s) {
				t.Errorf("got %s, want %s in it", got, s)
			}
		}
		return got
	case <-time.After(testenv.Patience):
		t.Fatal("nothing was posted")
		return ""
	}
}
