//go:build linux

package tray

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"image/color"
	"image/png"
	"log"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"fyne.io/systray"
	"github.com/google/go-cmp/cmp"

	"github.com/key2oauth/key2oauth/e2e/testenv"
	"github.com/key2oauth/key2oauth/icons"
	"github.com/key2oauth/key2oauth/tray/traytest"
)

// The systray package works only once in a process, so each test runs the test
// binary again as a program with a tray.
const (
	asProgram = "KEY2OAUTH_TRAY_TEST_PROGRAM"
	unhurried = "KEY2OAUTH_TRAY_TEST_UNHURRIED" // draws nothing again by itself
)

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		helper()
		return
	}
	os.Exit(m.Run())
}

// helper shows the states that it reads and prints the actions that it
// receives.
func helper() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	if os.Getenv(unhurried) != "" {
		redraw = time.Hour
	}
	// An icon that the systray package has lost leaves an older one in its place.
	lose := make(chan os.Signal, 1)
	signal.Notify(lose, syscall.SIGUSR1)
	go func() {
		for range lose {
			systray.SetIcon(picture(icons.Paused))
			systray.SetTooltip("")
		}
	}()
	states := make(chan State)
	go func() {
		for in := json.NewDecoder(os.Stdin); ; {
			var s State
			if in.Decode(&s) != nil {
				return
			}
			states <- s
		}
	}()
	err := Run(ctx, Config{
		States: states,
		Do: func(_ context.Context, a Action) {
			fmt.Println("do", a.Verb, a.ID)
			if a.Verb == Quit {
				stop()
			}
		},
		Host: func(shown bool) { fmt.Println("host", shown) },
		Log:  slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug})),
	})
	fmt.Println("ended", err)
}

// An app is a program with a tray.
type app struct {
	t      testing.TB
	cmd    *exec.Cmd
	in     *json.Encoder
	lines  chan string
	stderr testenv.Output
}

func start(t testing.TB, env []string) *app {
	t.Helper()
	a := &app{t: t, cmd: exec.Command(os.Args[0]), lines: make(chan string, 1000)}
	a.cmd.Env = append(slices.Clone(env), asProgram+"=1", "GORACE=exitcode=0 atexit_sleep_ms=10")
	a.cmd.Stderr = &a.stderr
	in, err := a.cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := a.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := a.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		a.cmd.Process.Kill()
		a.cmd.Wait()
		if t.Failed() {
			t.Logf("the program said:\n%s", a.stderr.String())
		}
	})
	a.in = json.NewEncoder(in)
	go func() {
		defer close(a.lines)
		for s := bufio.NewScanner(out); s.Scan(); {
			a.lines <- s.Text()
		}
	}()
	return a
}

func (a *app) show(s State) {
	a.t.Helper()
	if err := a.in.Encode(s); err != nil {
		a.t.Fatal(err)
	}
}

// line waits for the next line that begins with prefix, and returns the rest.
func (a *app) line(prefix string) string {
	a.t.Helper()
	late := time.After(time.Minute)
	for {
		select {
		case l, ok := <-a.lines:
			if !ok {
				a.t.Fatalf("the program ended without a line %q", prefix)
			}
			if rest, ok := strings.CutPrefix(l, prefix+" "); ok {
				return strings.TrimSpace(rest)
			}
		case <-late:
			a.t.Fatalf("no line %q", prefix)
		}
	}
}

// end waits for the end of the program, which must exit without an error.
func (a *app) end(want error) {
	a.t.Helper()
	if got := a.line("ended"); want == nil && got != "<nil>" || want != nil && !strings.HasPrefix(got, want.Error()) {
		a.t.Errorf("Run returned %s, want %v", got, want)
	}
	for range a.lines {
	}
	if err := a.cmd.Wait(); err != nil {
		a.t.Errorf("the program ended with %v", err)
	}
	for _, r := range races(a.stderr.String()) {
		a.t.Errorf("a data race:\n%s", r)
	}
}

// access matches the first line of each of the two stacks of a report.
var access = regexp.MustCompile(`(?m)^(?:Previous )?(?:[Rr]ead|[Ww]rite) at .*\n +(\S+)\(`)

// races returns the reports of the race detector that involve our code. The
// systray package has some of its own (a counter of revisions), and one that
// involves us, which the comment at rebuild describes.
func races(stderr string) []string {
	var ours []string
	for _, report := range strings.Split(stderr, "WARNING: DATA RACE")[1:] {
		var frames string
		for _, m := range access.FindAllStringSubmatch(report, -1) {
			frames += m[1] + "\n"
		}
		known := strings.Contains(frames, "(*drawer).rebuild\n") && strings.Contains(frames, "systrayMenuItemSelected\n")
		if !known && (frames == "" || strings.Contains(frames, "/key2oauth/")) {
			ours = append(ours, report)
		}
	}
	return ours
}

func TestRaces(t *testing.T) {
	report := func(a, b string) string {
		return "WARNING: DATA RACE\nWrite at 0x1 by goroutine 4:\n  " + a + "()\n      file.go:1\n\nPrevious read at 0x1 by goroutine 5:\n  " + b + "()\n"
	}
	const ours = "github.com/key2oauth/key2oauth/tray.(*drawer)"
	for _, tt := range []struct {
		name, stderr string
		want         int
	}{
		{"none", "all is well", 0},
		{"the library's", report("fyne.io/systray.refresh", "fyne.io/systray.(*tray).GetLayout"), 0},
		{"the known one", report(ours+".rebuild", "fyne.io/systray.systrayMenuItemSelected"), 0},
		{"ours", report(ours+".draw", ours+".draw"), 1},
		{"ours and theirs", report(ours+".rebuild", "fyne.io/systray.refresh"), 1},
		{"unreadable", "WARNING: DATA RACE\n?", 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := len(races(tt.stderr)); got != tt.want {
				t.Errorf("%d races, want %d", got, tt.want)
			}
		})
	}
}

func (a *app) terminate() {
	a.t.Helper()
	if err := a.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		a.t.Fatal(err)
	}
}

// live is a connected app with times measured from the real clock, as Run
// measures them.
func live() State {
	s := connected()
	for i := range s.Endpoints {
		if !s.Endpoints[i].LastUsed.IsZero() {
			s.Endpoints[i].LastUsed = time.Now().Add(-130 * time.Second)
		}
	}
	for i := range s.Clients {
		s.Clients[i].LastUsed = time.Now().Add(-130 * time.Second)
	}
	return s
}

// onPanel returns a menu as a panel on Linux reads it.
func onPanel(s State) string {
	s.Now = time.Now()
	var escape func([]Item) []Item
	escape = func(items []Item) []Item {
		items = slices.Clone(items)
		for i := range items {
			items[i].Text = strings.ReplaceAll(items[i].Text, "_", "__")
			items[i].Items = escape(items[i].Items)
		}
		return items
	}
	lines := strings.Split(drawn(escape(Menu(s))), "\n")
	for i, l := range lines {
		if before, _, ok := strings.Cut(l, " ["); ok && strings.HasSuffix(l, "]") {
			lines[i] = before
			if strings.HasPrefix(strings.TrimSpace(l), "[") { // a check mark
				lines[i] = l[:strings.LastIndex(l, " [")]
			}
		}
	}
	return strings.Join(lines, "\n")
}

func reads(s State) func(*traytest.Item) bool {
	return func(m *traytest.Item) bool { return m.String() == onPanel(s) }
}

// hasPicture waits until the panel draws the icon of state.
func hasPicture(t *testing.T, icon *traytest.Icon, state icons.State) {
	t.Helper()
	img, err := png.Decode(bytes.NewReader(icons.PNG(state, icons.Neutral, 64)))
	if err != nil {
		t.Fatal(err)
	}
	var want []byte
	for y := range 64 {
		for x := range 64 {
			c := color.NRGBAModel.Convert(img.At(x, y)).(color.NRGBA)
			want = append(want, c.A, c.R, c.G, c.B)
		}
	}
	traytest.Wait(t, "the icon "+string(state), func() (bool, string) {
		p, err := icon.Picture()
		return err == nil && p.Width == 64 && bytes.Equal(p.Pixels, want), fmt.Sprint(err, p.Width, p.Height)
	})
}

func TestEveryStateOnAPanel(t *testing.T) {
	bus := traytest.StartBus(t)
	panel := bus.StartWatcher(t)
	a := start(t, bus.Env())
	a.show(live())
	icon := panel.Icon(t)
	if got := a.line("host"); got != "true" {
		t.Errorf("host is %s, want true", got)
	}
	if got, err := icon.Title(); got != "Key2OAuth" {
		t.Errorf("title is %q, %v", got, err)
	}
	for name, s := range menuStates() {
		t.Run(name, func(t *testing.T) {
			a.show(s)
			icon.WaitMenu(t, "the menu", reads(s))
			hasPicture(t, icon, Icon(s))
			traytest.Wait(t, "the tooltip", func() (bool, string) {
				got, err := icon.Tooltip()
				return got == Tooltip(s), fmt.Sprint(got, err)
			})
		})
	}
	a.terminate()
	a.end(nil)
}

// TestLostIcon: what was lost while the panel connected is drawn once the panel
// reads the menu.
func TestLostIcon(t *testing.T) {
	bus := traytest.StartBus(t)
	panel := bus.StartWatcher(t)
	a := start(t, append(bus.Env(), unhurried+"=1"))
	s := live()
	a.show(s)
	icon := panel.Icon(t)
	hasPicture(t, icon, Icon(s))
	traytest.Wait(t, "the loss of the icon", func() (bool, string) {
		if err := a.cmd.Process.Signal(syscall.SIGUSR1); err != nil {
			t.Fatal(err)
		}
		tip, err := icon.Tooltip()
		return tip == "" && err == nil, fmt.Sprint(tip, err)
	})
	hasPicture(t, icon, icons.Paused)
	icon.WaitMenu(t, "the menu", reads(s))
	hasPicture(t, icon, Icon(s))
	traytest.Wait(t, "the tooltip", func() (bool, string) {
		got, err := icon.Tooltip()
		return got == Tooltip(s), fmt.Sprint(got, err)
	})
	a.terminate()
	a.end(nil)
}

func TestClicks(t *testing.T) {
	bus := traytest.StartBus(t)
	panel := bus.StartWatcher(t)
	a := start(t, bus.Env())
	a.show(live())
	icon := panel.Icon(t)
	menu := icon.WaitMenu(t, "the menu", reads(live()))

	t.Run("none of 200 is lost", func(t *testing.T) {
		items := []struct {
			path []string
			want string
		}{
			{[]string{"Linear", Text("copy")}, "copy-url aaaaaaaaaaaa"},
			{[]string{"Sentry", Text("open")}, "open-endpoint bbbbbbbbbbbb"},
			{[]string{Text("clients"), "Claude", Text("revoke"), Text("revoke.now")}, "revoke g1"},
			{[]string{Text("pause")}, "pause"},
			{[]string{Text("dashboard")}, "open-dashboard"},
		}
		want := make(map[string]int)
		for i := range 200 {
			item := items[i%len(items)]
			if err := icon.ClickID(menu.Find(item.path...).ID); err != nil {
				t.Fatal(err)
			}
			want[item.want]++
		}
		got := make(map[string]int)
		for range 200 {
			got[a.line("do")]++
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("clicks (-sent +arrived):\n%s", diff)
		}
	})
	t.Run("of what is grayed do nothing", func(t *testing.T) {
		for _, path := range [][]string{
			{Text("status.connected.at", "calm-otter.ngrok-free.app")},
			{"Linear", Text("used", Text("ago.minutes", 2))},
			{"Linear"},
			{Text("clients"), "Claude", Text("revoke"), "Claude will have to connect again"},
		} {
			if err := icon.ClickID(menu.Find(path...).ID); err != nil {
				t.Fatal(err)
			}
		}
		icon.Click(t, Text("offline"))
		if got := a.line("do"); got != "go-offline" {
			t.Errorf("a click did %q, want the one after those on grayed items", got)
		}
	})
	t.Run("of what is gone do nothing", func(t *testing.T) {
		old := menu.Find(Text("clients"), "Claude", Text("revoke"), Text("revoke.now")).ID
		s := live()
		s.Clients = s.Clients[1:]
		a.show(s)
		icon.WaitMenu(t, "the menu without the app", reads(s))
		if err := icon.ClickID(old); !traytest.Gone(err) {
			t.Errorf("got %v, want to be told that it is gone", err)
		}
		icon.Click(t, Text("pause"))
		if got := a.line("do"); got != "pause" {
			t.Errorf("a click did %q, want the one after that on the item that is gone", got)
		}
	})
	t.Run("quit", func(t *testing.T) {
		icon.Click(t, Text("quit"))
		a.end(nil)
	})
}

// TestLineKeepsItsMeaning: a text may change under the pointer, but what a
// click does may not.
func TestLineKeepsItsMeaning(t *testing.T) {
	bus := traytest.StartBus(t)
	panel := bus.StartWatcher(t)
	a := start(t, bus.Env())
	s := live()
	a.show(s)
	icon := panel.Icon(t)
	before := icon.WaitMenu(t, "the menu", reads(s))

	s.Endpoints = slices.Clone(s.Endpoints)
	s.Endpoints[0].LastUsed = time.Now()
	a.show(s)
	after := icon.WaitMenu(t, "the new time", reads(s))
	open := []string{"Linear", Text("open")}
	if a, b := before.Find(open...).ID, after.Find(open...).ID; a != b {
		t.Errorf("a new time made item %d of item %d; an open menu would jump", b, a)
	}

	slices.Reverse(s.Endpoints)
	a.show(s)
	turned := icon.WaitMenu(t, "the new order", reads(s))
	ids := make(map[int32]bool)
	var collect func(*traytest.Item)
	collect = func(i *traytest.Item) {
		ids[i.ID] = true
		for _, c := range i.Items {
			collect(c)
		}
	}
	collect(turned)
	if id := before.Find("Linear", Text("copy")).ID; ids[id] {
		t.Errorf("item %d meant Linear and may mean another endpoint now", id)
	}
	a.terminate()
	a.end(nil)
}

func TestPanel(t *testing.T) {
	t.Run("comes late", func(t *testing.T) {
		bus := traytest.StartBus(t)
		a := start(t, bus.Env())
		a.show(live())
		if got := a.line("host"); got != "false" {
			t.Fatalf("host is %s, want false", got)
		}
		s := live()
		s.Paused = true
		a.show(s) // the newest one is shown
		panel := bus.StartWatcher(t)
		if got := a.line("host"); got != "true" {
			t.Fatalf("host is %s, want true", got)
		}
		icon := panel.Icon(t)
		icon.WaitMenu(t, "the newest menu", reads(s))
		hasPicture(t, icon, icons.Paused)
		a.terminate()
		a.end(nil)
	})
	t.Run("restarts", func(t *testing.T) {
		bus := traytest.StartBus(t)
		panel := bus.StartWatcher(t)
		a := start(t, bus.Env())
		a.show(live())
		// The library looks for another panel only after it has registered with
		// the first.
		panel.Icon(t).WaitMenu(t, "the menu", reads(live()))
		host := func(want string) {
			t.Helper()
			if got := a.line("host"); got != want {
				t.Fatalf("host is %s, want %s", got, want)
			}
		}
		host("true")
		for range 3 {
			panel.Stop()
			host("false")
			panel = bus.StartWatcher(t)
			host("true")
			icon := panel.Icon(t)
			icon.Click(t, Text("dashboard"))
			if got := a.line("do"); got != "open-dashboard" {
				t.Errorf("a click did %q", got)
			}
			a.show(live())
		}
		a.terminate()
		a.end(nil)
	})
	t.Run("goes for good", func(t *testing.T) {
		bus := traytest.StartBus(t)
		panel := bus.StartWatcher(t)
		a := start(t, bus.Env())
		a.show(live())
		panel.Icon(t)
		panel.Stop()
		a.line("host")
		a.line("host")
		for range 5 {
			a.show(live())
			a.show(State{})
		}
		a.terminate()
		a.end(nil)
	})
	t.Run("never comes", func(t *testing.T) {
		bus := traytest.StartBus(t)
		a := start(t, bus.Env())
		a.show(live())
		a.line("host")
		a.terminate()
		a.end(nil)
	})
}

func TestBus(t *testing.T) {
	t.Run("none", func(t *testing.T) {
		if _, err := os.Stat(fmt.Sprintf("/run/user/%d/bus", os.Getuid())); err == nil {
			testenv.Skip(t, "has a session bus of its own")
		}
		// godbus would start a bus with this program, and leave it running.
		bin := t.TempDir()
		started := filepath.Join(bin, "started")
		script := "#!/bin/sh\necho >" + started + "\n"
		if err := os.WriteFile(filepath.Join(bin, "dbus-launch"), []byte(script), 0o755); err != nil {
			t.Fatal(err)
		}
		for _, address := range []string{"", "autolaunch:"} {
			a := start(t, []string{"PATH=" + bin + ":" + os.Getenv("PATH"), "DBUS_SESSION_BUS_ADDRESS=" + address})
			a.end(ErrNoBus)
		}
		if _, err := os.Stat(started); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("a bus was started: %v", err)
		}
	})
	t.Run("leads nowhere", func(t *testing.T) {
		a := start(t, []string{"DBUS_SESSION_BUS_ADDRESS=unix:path=/nowhere/bus"})
		a.end(ErrNoBus)
	})
	t.Run("does not answer", func(t *testing.T) {
		testenv.Slow(t) // it waits for the time-out
		dir := testenv.ShortDir(t)
		ln, err := net.Listen("unix", filepath.Join(dir, "bus"))
		if err != nil {
			t.Fatal(err)
		}
		defer ln.Close()
		a := start(t, []string{"DBUS_SESSION_BUS_ADDRESS=unix:path=" + filepath.Join(dir, "bus")})
		a.end(ErrNoBus)
	})
	t.Run("ends before a panel comes", func(t *testing.T) {
		bus := traytest.StartBus(t)
		a := start(t, bus.Env())
		a.show(live())
		a.line("host")
		bus.Stop()
		a.end(ErrBusGone)
	})
	t.Run("ends", func(t *testing.T) {
		bus := traytest.StartBus(t)
		panel := bus.StartWatcher(t)
		a := start(t, bus.Env())
		a.show(live())
		panel.Icon(t).WaitMenu(t, "the menu", reads(live()))
		bus.Stop()
		a.end(ErrBusGone)
	})
	t.Run("ends while much changes", func(t *testing.T) {
		bus := traytest.StartBus(t)
		panel := bus.StartWatcher(t)
		a := start(t, bus.Env())
		a.show(live())
		panel.Icon(t)
		stop := make(chan struct{})
		var group sync.WaitGroup
		var shown atomic.Int64
		group.Go(func() {
			for i := 0; ; i++ {
				s := live()
				s.Paused = i%2 == 0
				if a.in.Encode(s) != nil { // the program has ended
					return
				}
				shown.Add(1)
				select {
				case <-stop:
					return
				case <-time.After(2 * time.Millisecond):
				}
			}
		})
		traytest.Wait(t, "many changes", func() (bool, string) { return shown.Load() > 100, "" })
		bus.Stop()
		a.end(ErrBusGone)
		close(stop)
		group.Wait()
	})
}

// TestIconIsClicked is for LXQt, where the left button opens no menu.
func TestIconIsClicked(t *testing.T) {
	for _, tt := range []struct {
		desktop string
		opens   bool
	}{{"LXQt", true}, {"XFCE", false}} {
		t.Run(tt.desktop, func(t *testing.T) {
			bus := traytest.StartBus(t)
			panel := bus.StartWatcher(t)
			a := start(t, append(bus.Env(), "XDG_CURRENT_DESKTOP="+tt.desktop))
			a.show(live())
			icon := panel.Icon(t)
			icon.WaitMenu(t, "the menu", reads(live()))
			err := icon.Activate()
			if opened := err == nil; opened != tt.opens {
				t.Errorf("a click on the icon: %v", err)
			}
			want := "pause"
			if tt.opens {
				want = "open-dashboard"
			}
			icon.Click(t, Text("pause"))
			if got := a.line("do"); got != want {
				t.Errorf("the first that was done is %q, want %q", got, want)
			}
			a.terminate()
			a.end(nil)
		})
	}
}

func TestQuiet(t *testing.T) {
	var said, rest bytes.Buffer
	before := log.Writer()
	log.SetOutput(&rest)
	defer log.SetOutput(before)
	restore := quiet(slog.New(slog.NewTextHandler(&said, &slog.HandlerOptions{Level: slog.LevelDebug})))
	log.Print("systray error: failed to register")
	log.Print("of someone else")
	restore()
	log.Print("systray error: later")
	if got := said.String(); !strings.Contains(got, `said="failed to register"`) || strings.Contains(got, "else") {
		t.Errorf("our log has %q", got)
	}
	if got := rest.String(); strings.Contains(got, "register") || !strings.Contains(got, "else") || !strings.Contains(got, "later") {
		t.Errorf("the other log has %q", got)
	}
}

// TestClicksWhileTheMenuChanges reproduces a crash: the systray package closes
// the channel of a removed item while a click may be on its way.
func TestClicksWhileTheMenuChanges(t *testing.T) {
	testenv.Slow(t)
	bus := traytest.StartBus(t)
	panel := bus.StartWatcher(t)
	a := start(t, bus.Env())
	a.show(live())
	icon := panel.Icon(t)
	icon.WaitMenu(t, "the menu", reads(live()))
	go func() {
		for range a.lines { // the results of the clicks, maybe even quit
		}
	}()
	var highest atomic.Int32
	var group sync.WaitGroup
	stop := make(chan struct{})
	end := sync.OnceFunc(func() { close(stop); group.Wait() })
	defer end()
	for i := range 4 {
		group.Go(func() {
			for n := int32(i); ; n += 4 {
				select {
				case <-stop:
					return
				default:
				}
				// The IDs of recent menus. The newest menu still exists.
				if err := icon.ClickID(highest.Load() - n%40); err != nil && !traytest.Gone(err) {
					t.Error(err)
					return
				}
			}
		})
	}
	for i := range 80 {
		s := live()
		s.Paused = i%2 == 0
		a.show(s)
		line := map[bool]string{true: Text("resume"), false: Text("pause")}[s.Paused]
		menu := icon.WaitMenu(t, "the next menu", func(m *traytest.Item) bool { return m.Find(line) != nil })
		highest.Store(menu.Items[len(menu.Items)-2].ID) // the last line but one, to avoid clicking Quit
	}
	end()
	a.show(live())
	icon.WaitMenu(t, "the menu, after all that", reads(live()))
}
