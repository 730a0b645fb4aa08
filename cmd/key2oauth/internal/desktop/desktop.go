// Package desktop shows Key2OAuth on the owner's desktop: it passes the state of
// a Shim to the tray and the notifications, and does what their clicks ask for.
package desktop

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/key2oauth/key2oauth/cmd/key2oauth/internal/autostart"
	"github.com/key2oauth/key2oauth/cmd/key2oauth/internal/browser"
	"github.com/key2oauth/key2oauth/cmd/key2oauth/internal/clipboard"
	"github.com/key2oauth/key2oauth/shim"
	"github.com/key2oauth/key2oauth/shim/api"
	"github.com/key2oauth/key2oauth/shim/display"
	"github.com/key2oauth/key2oauth/tray"
	"github.com/key2oauth/key2oauth/tray/notify"
)

// A Config is what a Desk is made from.
type Config struct {
	Remark  func(format string, args ...any) // tells a person something
	Log     *slog.Logger
	AtLogin bool              // login started the program, and no person expects a window
	Self    autostart.Command // what to start at login
	Quit    func()            // ends the program
}

// A Desk is Key2OAuth as its owner sees it on the desktop: the tray, the
// notifications, and what their clicks do.
type Desk struct {
	c Config

	shim  *shim.Shim // nil until it serves
	begun time.Time

	stale         chan struct{} // has an element if the state must be shown again
	tray, notices chan tray.State
	visible       chan struct{} // closed once the desktop shows the icon
	seen          sync.Once     // closes visible

	clicks sync.WaitGroup // work that clicks have started
	tunnel *tunnelChange  // of the last click on Go online or Go offline
}

// New returns a Desk that shows nothing before Run.
func New(c Config) *Desk {
	return &Desk{
		c: c, stale: make(chan struct{}, 1),
		tray: make(chan tray.State, 1), notices: make(chan tray.State, 1), visible: make(chan struct{}),
	}
}

// TellFailed has a notification say why the program ends.
func TellFailed(err error) error {
	return notify.Tell(tray.StartFailed(display.Text(err.Error(), tray.MaxReason)))
}

// Run shows the tray of s until ctx, or the owner's session, ends. Where there is
// no tray, it says so and keeps running.
func (d *Desk) Run(ctx context.Context, s *shim.Shim) {
	d.shim = s
	var group sync.WaitGroup
	defer d.clicks.Wait()
	defer group.Wait()
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	d.begun = time.Now()
	d.repairLogin()
	group.Go(func() { d.shim.Watch(ctx, d.refresh) })
	group.Go(func() { d.show(ctx) })
	group.Go(func() { notify.Run(ctx, notify.Config{States: d.notices, Do: d.do, Log: d.c.Log}) })
	group.Go(func() { d.greet(ctx) })
	err := tray.Run(ctx, tray.Config{States: d.tray, Do: d.do, Host: d.host, Log: d.c.Log})
	switch {
	case err == nil:
	case errors.Is(err, tray.ErrBusGone) && d.c.AtLogin:
		// The next login starts it again. If this one were still running then,
		// there would be no tray.
		d.c.Remark("%s", tray.Text("said.session"))
	default:
		d.c.Remark("running without a tray: %v", err)
		<-ctx.Done()
	}
}

// repairLogin updates what login starts, if the program has moved.
func (d *Desk) repairLogin() {
	st, err := autostart.Enabled(d.c.Self)
	if err != nil || st != autostart.Moved {
		return
	}
	if err := autostart.Enable(d.c.Self); err != nil {
		d.c.Log.Warn("login starts the program in its old place", "err", err)
	}
}

// greet opens the window on a first run and where no icon appears, since the
// person who started the program expects to see something.
func (d *Desk) greet(ctx context.Context) {
	if d.c.AtLogin || !browser.Available() {
		return
	}
	patience := 3 * time.Second // for a panel that was just started too
	o, err := d.shim.Overview()
	firstRun := err == nil && len(o.Endpoints) == 0
	if firstRun {
		patience = time.Second
	}
	select {
	case <-d.visible:
		if firstRun {
			d.open(ctx, "/")
		}
	case <-time.After(patience):
		d.open(ctx, "/?done=notray") // which says how to open it again
	case <-ctx.Done():
	}
}

// host hears whether there is a place for the icon.
func (d *Desk) host(shown bool) {
	if shown {
		d.seen.Do(func() { close(d.visible) })
		return
	}
	d.c.Remark("%s", tray.Text("said.nohost"))
}

// Prompt implements shim.Prompter. The state lists what is waiting, so it only
// has to be shown without delay.
func (d *Desk) Prompt(api.Prompt) { d.refresh() }

// refresh has the state shown again.
func (d *Desk) refresh() {
	select {
	case d.stale <- struct{}{}:
	default:
	}
}

// show passes the state to the tray and the notifications whenever it is stale.
func (d *Desk) show(ctx context.Context) {
	for {
		select {
		case <-d.stale:
		case <-ctx.Done():
			return
		}
		o, err := d.shim.Overview()
		if err != nil {
			d.c.Log.Warn("the tray could not be updated", "err", err)
			continue
		}
		if d.tooEarly(ctx, o) {
			continue
		}
		state := trayState(o)
		state.Login = d.login()
		for _, c := range []chan tray.State{d.tray, d.notices} {
			select {
			case <-c: // not read yet, and out of date
			default:
			}
			c <- state
		}
	}
}

// tooEarly reports whether the keychain may still answer for the first time.
// Until then, the icon would show a problem at each start.
func (d *Desk) tooEarly(ctx context.Context, o api.Overview) bool {
	const patience = time.Second
	left := patience - time.Since(d.begun)
	if o.Status.Keychain.State != api.KeychainWaiting || left <= 0 {
		return false
	}
	d.clicks.Go(func() {
		select {
		case <-time.After(left):
			d.refresh()
		case <-ctx.Done():
		}
	})
	return true
}

// do does what a click asks for. What may take long runs in the background,
// since the next click may be Quit.
func (d *Desk) do(ctx context.Context, a tray.Action) {
	var err error
	switch a.Verb {
	case tray.ReviewRequest:
		if a.ID == "" {
			d.open(ctx, "/")
		} else {
			d.open(ctx, "/consent/"+a.ID)
		}
	case tray.FixKey:
		d.open(ctx, "/servers/"+a.ID+"/key")
	case tray.OpenTunnel:
		d.open(ctx, "/tunnel")
	case tray.OpenCheck:
		d.open(ctx, "/check")
	case tray.OpenEndpoint:
		d.open(ctx, cardOf(a.ID))
	case tray.AddEndpoint:
		d.open(ctx, "/servers/add")
	case tray.OpenDashboard:
		d.open(ctx, "/")
	case tray.OpenSettings:
		d.open(ctx, "/settings")
	case tray.ConfirmMove:
		d.open(ctx, "/settings/move")
	case tray.OpenAbout:
		d.open(ctx, "/settings#about")
	case tray.CopyURL:
		d.copyURL(ctx, a.ID)
	case tray.Revoke:
		err = d.shim.Revoke(a.ID)
	case tray.Pause:
		err = d.shim.SetPaused(true)
	case tray.Resume:
		err = d.shim.SetPaused(false)
	case tray.GoOffline:
		d.setOnline(ctx, false)
	case tray.GoOnline:
		d.setOnline(ctx, true)
	case tray.StartAtLogin:
		d.setLogin(autostart.Enable(d.c.Self))
	case tray.DoNotStart:
		d.setLogin(autostart.Disable())
	case tray.Quit:
		d.c.Quit()
	}
	if err != nil {
		d.c.Log.Warn("a click had no effect", "what", string(a.Verb), "err", err)
		d.open(ctx, "/") // it says what is wrong
	}
}

// open opens one of the owner's pages with a one-time link. Without a browser,
// the link is printed on the terminal.
func (d *Desk) open(ctx context.Context, path string) {
	link := d.shim.OwnerLink(path)
	d.clicks.Go(func() {
		if browser.Available() {
			err := browser.Open(ctx, link)
			if err == nil || ctx.Err() != nil {
				return
			}
			d.c.Remark("could not open a browser: %v", err)
		}
		d.c.Remark("open this link in a browser on this computer; it works once, for 30 seconds: %s", link)
	})
}

// cardOf is the page of an endpoint.
func cardOf(slug string) string { return "/servers/" + slug }

// copyURL copies an endpoint's address to the clipboard. Where there is none,
// its page shows the address and says why.
func (d *Desk) copyURL(ctx context.Context, slug string) {
	o, err := d.shim.Overview()
	if err != nil {
		d.c.Log.Warn("an address was not copied", "err", err)
		return
	}
	for _, e := range o.Endpoints {
		if e.Slug != slug {
			continue
		}
		if err := clipboard.CopyURL(ctx, e.MCPEndpoint); err != nil && ctx.Err() == nil {
			d.c.Log.Info("the address was not copied, so its page opens", "err", err)
			d.open(ctx, cardOf(slug)+"?done=copy")
		}
	}
}

// A tunnelChange opens or closes the tunnel, which takes a while.
type tunnelChange struct {
	cancel context.CancelFunc
	done   chan struct{}
}

// setOnline opens or closes the tunnel, which may take half a minute. A later
// click replaces an earlier one. It is called only for clicks on the menu, one
// after the other.
func (d *Desk) setOnline(ctx context.Context, online bool) {
	before := d.tunnel
	ctx, cancel := context.WithCancel(ctx)
	now := &tunnelChange{cancel, make(chan struct{})}
	d.tunnel = now
	d.clicks.Go(func() {
		defer close(now.done)
		defer cancel()
		if before != nil {
			before.cancel()
			<-before.done
		}
		if err := d.shim.SetOnline(ctx, online); err != nil && ctx.Err() == nil {
			d.c.Log.Warn("the tunnel could not be opened or closed", "online", online, "err", err)
			d.open(ctx, "/tunnel") // it says why
		}
	})
}

// setLogin reports a change of what login starts.
func (d *Desk) setLogin(err error) {
	if err != nil {
		d.c.Log.Warn("what login starts was not changed", "err", err)
		d.clicks.Go(func() {
			if err := notify.Tell(tray.LoginFailed(display.Text(err.Error(), tray.MaxReason))); err != nil {
				d.c.Log.Debug("no notification says so", "err", err)
			}
		})
	}
	d.refresh()
}

// login reports whether login starts the program, or another copy of it.
func (d *Desk) login() tray.Login {
	st, err := autostart.Enabled(d.c.Self)
	switch {
	case err != nil:
		return tray.LoginUnknown
	case st == autostart.Off:
		return tray.LoginOff
	}
	return tray.LoginOn
}
