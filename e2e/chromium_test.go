package e2e

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"

	"github.com/key2oauth/key2oauth/e2e/testenv"
)

// shots is the folder of the screenshots, which a person looks at later.
const shots = "output"

// A chromium is a real browser with a fresh profile and one tab.
type chromium struct {
	t   testing.TB
	ctx context.Context

	mu       sync.Mutex
	blocked  []string // blocked by a content security policy
	kept     []string // requests to this machine's own network that the browser blocked
	failures []string // failed loads: "net::ERR_..."
	answers  []answer
}

// An answer is a response that the browser received.
type answer struct {
	url    string
	kind   network.ResourceType
	status int64
}

// newChromium starts Chromium. Each of hosts, "name=127.0.0.1:port", maps a
// name to a server of the test. Certificates are not checked.
func newChromium(t testing.TB, hosts ...string) *chromium {
	t.Helper()
	return startChromium(t, hosts)
}

func startChromium(t testing.TB, hosts []string, more ...chromedp.ExecAllocatorOption) *chromium {
	t.Helper()
	var rules []string
	for _, h := range hosts {
		name, addr, _ := strings.Cut(h, "=")
		rules = append(rules, "MAP "+name+" "+addr)
	}
	opts := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(testenv.Need(t, "chromium")),
		chromedp.NoSandbox, // CI runs as root
		chromedp.Flag("host-resolver-rules", strings.Join(rules, ",")),
		chromedp.IgnoreCertErrors,
		chromedp.WindowSize(1280, 800),
	)
	opts = append(opts, more...)
	ctx, cancel := chromedp.NewExecAllocator(context.Background(), opts...)
	t.Cleanup(cancel)
	quiet := func(string, ...any) {} // for events that are newer than the library
	ctx, cancel = chromedp.NewContext(ctx, chromedp.WithErrorf(quiet), chromedp.WithLogf(quiet))
	t.Cleanup(cancel)
	c := &chromium{t: t, ctx: ctx}
	c.prepare()
	return c
}

// A step is an action in the browser.
type step = chromedp.Action[chromedp.Void]

// command turns a protocol command into a step.
func command[P, R any](cmd cdp.Command[P, R], params P) step {
	return chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, cmd, params)
		return err
	})
}

// prepare opens the tab and starts recording what happens in it. The context
// has no timeout, because a tab closes with the context that opened it.
func (c *chromium) prepare() {
	c.t.Helper()
	err := chromedp.Listen(c.ctx, func(ev any) {
		c.mu.Lock()
		defer c.mu.Unlock()
		switch ev := ev.(type) {
		case *log.EventEntryAdded:
			if strings.Contains(ev.Entry.Text, "Content Security Policy") {
				c.blocked = append(c.blocked, ev.Entry.Text)
			}
			if strings.Contains(ev.Entry.Text, "address space") {
				c.kept = append(c.kept, ev.Entry.Text)
			}
		case *network.EventLoadingFailed:
			c.failures = append(c.failures, ev.ErrorText)
		case *network.EventResponseReceived:
			c.answers = append(c.answers, answer{ev.Response.URL, ev.Type, ev.Response.Status})
		}
	})
	if err != nil {
		c.t.Fatal(err)
	}
	c.run(
		command(network.Enable, network.EnableParams{}),
		command(log.Enable, cdp.Empty{}),
		command(emulation.SetFocusEmulationEnabled, emulation.SetFocusEmulationEnabledParams{Enabled: true}),
	)
}

// run runs steps with a generous timeout.
func (c *chromium) run(steps ...step) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.ctx, patience)
	defer cancel()
	if err := chromedp.Do(ctx, steps...); err != nil {
		c.t.Fatalf("%v\nthe browser shows:\n%s", err, c.text())
	}
}

// value runs an action and returns its value.
func value[T any](c *chromium, a chromedp.Action[T]) T {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.ctx, patience)
	defer cancel()
	v, err := chromedp.Run(ctx, a)
	for moved(err) {
		v, err = chromedp.Run(ctx, a)
	}
	if err != nil {
		c.t.Fatalf("%v\nthe browser shows:\n%s", err, c.text())
	}
	return v
}

// moved reports whether the page navigated away during a command, as a form
// that submits automatically does.
func moved(err error) bool {
	return err != nil && strings.Contains(err.Error(), "Inspected target navigated or closed")
}

// text is what the page shows, for failure messages.
func (c *chromium) text() string {
	ctx, cancel := context.WithTimeout(c.ctx, 5*time.Second)
	defer cancel()
	text, err := chromedp.Run(ctx, chromedp.Evaluate[string](`location.href.split("?")[0] + "\n" + document.body.innerText`))
	if err != nil {
		return err.Error()
	}
	return text
}

// location is the address of the page.
func (c *chromium) location() *url.URL {
	c.t.Helper()
	u, err := url.Parse(value(c, chromedp.Location()))
	if err != nil {
		c.t.Fatal(err)
	}
	return u
}

// waitFor waits until the page shows words.
func (c *chromium) waitFor(words string) {
	c.t.Helper()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		if strings.Contains(c.text(), words) {
			return
		}
	}
	c.t.Fatalf("the page never said %q; it shows:\n%s", words, c.text())
}

// eventually waits until what returns true.
func (c *chromium) eventually(words string, what func() bool) {
	c.t.Helper()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		if what() {
			return
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t.Fatalf("never came true: %s; blocked %q, failed loads %q", words, c.blocked, c.failures)
}

// noPolicyStopped fails the test if a content security policy blocked anything.
func (c *chromium) noPolicyStopped() {
	c.t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, b := range c.blocked {
		c.t.Errorf("the browser says: %s", b)
	}
}

// laidOut is true once the page has the window's width and colors, and no
// transition is left that will end.
const laidOut = `innerWidth === %d && matchMedia("(prefers-color-scheme: %s)").matches &&
	document.getAnimations().every(a => a.playState !== "running" || a.effect.getComputedTiming().endTime === Infinity)`

// shoot takes screenshots of the page: narrow and wide, light and dark. It
// fails the test if the page scrolls sideways.
func (c *chromium) shoot(name string) {
	c.t.Helper()
	if err := os.MkdirAll(shots, 0o755); err != nil {
		c.t.Fatal(err)
	}
	for _, width := range []int64{320, 1280} {
		for _, scheme := range []string{"light", "dark"} {
			c.run(
				chromedp.EmulateViewport(width, 800),
				command(emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
					Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}},
				}),
			)
			c.eventually(fmt.Sprintf("%s is laid out for %d pixels, %s", name, width, scheme), func() bool {
				return value(c, chromedp.Evaluate[bool](fmt.Sprintf(laidOut, width, scheme)))
			})
			overflow := value(c, chromedp.Evaluate[int](`document.documentElement.scrollWidth - document.documentElement.clientWidth`))
			png := value(c, chromedp.FullScreenshot(100))
			if overflow > 0 {
				c.t.Errorf("%s is %d pixels wider than a window of %d", name, overflow, width)
			}
			file := filepath.Join(shots, fmt.Sprintf("%s-%d-%s.png", name, width, scheme))
			if err := os.WriteFile(file, png, 0o644); err != nil {
				c.t.Fatal(err)
			}
		}
	}
	c.run(chromedp.ResetViewport(), command(emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{}))
}

// signIn opens a one-time link, which signs this browser in as the owner.
func (c *chromium) signIn(a *app) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.ctx, patience)
	defer cancel()
	if err := chromedp.Do(ctx, chromedp.Navigate(a.ownerLink())); err != nil && !moved(err) {
		c.t.Fatalf("the owner's link: %v", err)
	}
	c.eventually("the home page is open", func() bool { u := c.location(); return u.Path == "/" })
}

const (
	keyField      = chromedp.CSS(`#api_key`)
	problem       = chromedp.CSS(`#problem`)
	approveButton = chromedp.CSS(`button.p[name=action][value=approve]`)
	denyButton    = chromedp.CSS(`button[name=action][value=deny]`)
)

// paste fills in the key field as a person does, and approves.
func (c *chromium) paste(key string) {
	c.t.Helper()
	c.run(chromedp.SendKeys(keyField, key))
	c.approve()
}

// approve presses Approve once the page accepts it. With JavaScript the button
// is blocked for a moment, against double clicks meant for another page.
func (c *chromium) approve() {
	c.t.Helper()
	c.run(
		chromedp.WaitVisible(approveButton+`:not([aria-disabled=true])`),
		chromedp.Click(approveButton),
	)
}

// openTab opens another tab of the same browser, for as long as t runs.
func (c *chromium) openTab(t testing.TB) *chromium {
	t.Helper()
	ctx, cancel := chromedp.NewContext(c.ctx)
	t.Cleanup(cancel)
	tab := &chromium{t: t, ctx: ctx}
	tab.prepare()
	return tab
}
