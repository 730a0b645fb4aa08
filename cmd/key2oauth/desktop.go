package main

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/spf13/pflag"

	"github.com/key2oauth/key2oauth/cmd/key2oauth/internal/autostart"
	"github.com/key2oauth/key2oauth/cmd/key2oauth/internal/clipboard"
	"github.com/key2oauth/key2oauth/cmd/key2oauth/internal/instance"
	"github.com/key2oauth/key2oauth/shim"
	"github.com/key2oauth/key2oauth/shim/api"
	"github.com/key2oauth/key2oauth/shim/display"
	"github.com/key2oauth/key2oauth/tray"
	"github.com/key2oauth/key2oauth/tray/notify"
)

// A desk is the app as its owner sees it on the desktop: the tray, the
// notifications, and what their clicks do.
type desk struct {
	p       *program
	log     *slog.Logger
	atLogin bool              // nobody waits for something to happen
	self    autostart.Command // what login is to start

	quit  func()
	shim  *shim.Shim // nil until it serves
	begun time.Time

	stale         chan struct{} // has an element if the state is to be shown anew
	tray, notices chan tray.State
	visible       chan struct{} // closed once the desktop shows the icon
	seen          sync.Once     // closes visible

	clicks    sync.WaitGroup // what clicks have begun
	switching *switching     // of the last click on Go online or Go offline
}

// desktop is the program without a command: the app with a tray where there is
// one.
func (p *program) desktop(ctx context.Context, o appOptions, flags *pflag.FlagSet) error {
	err := p.runDesktop(ctx, o, flags)
	if err != nil && ctx.Err() == nil && !isTerminal(p.stderr) {
		// Whoever started the program by a click sees no standard error.
		if e := notify.Tell(tray.StartFailed(display.Text(err.Error(), tray.MaxReason))); e != nil {
			p.logger(o).Debug("no notification says why the program ends", "err", e)
		}
	}
	return err
}

func (p *program) runDesktop(ctx context.Context, o appOptions, flags *pflag.FlagSet) error {
	running, quit := context.WithCancel(ctx)
	defer quit()
	d := &desk{
		p: p, log: p.logger(o), atLogin: o.atLogin, self: p.loginCommand(flags),
		quit: quit, stale: make(chan struct{}, 1),
		tray: make(chan tray.State, 1), notices: make(chan tray.State, 1), visible: make(chan struct{}),
	}
	if d.self.Program != "" {
		o.login = loginSetting{d.self}
	}
	serving := make(chan *shim.Shim, 1)
	done := make(chan error, 1)
	// The tray must be on the first goroutine, which some systems insist on, so
	// the app is on another.
	go func() {
		err := p.serve(running, o, d, func(s *shim.Shim) { serving <- s })
		quit() // no tray without the app
		done <- err
	}()
	select {
	case d.shim = <-serving:
		d.run(running)
		quit()
		return <-done
	case err := <-done:
		if errors.Is(err, instance.ErrRunning) {
			return p.secondDesktop(ctx, o)
		}
		return err
	}
}

// secondDesktop leads to the app that runs already. Who starts the program
// again does not see it, so it always opens the dashboard; login is nobody.
func (p *program) secondDesktop(ctx context.Context, o appOptions) error {
	c, err := p.connect()
	if err != nil {
		return err
	}
	p.remark("already running at %s", c.origin)
	if o.atLogin {
		return nil
	}
	return p.openDashboard(ctx, c, false)
}

// run shows the tray until ctx, or the owner's session, ends. Where there is no
// tray it says so, and the app goes on without.
func (d *desk) run(ctx context.Context) {
	var group sync.WaitGroup
	defer d.clicks.Wait()
	defer group.Wait()
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	d.begun = time.Now()
	d.repairLogin()
	group.Go(func() { d.shim.Watch(ctx, d.refresh) })
	group.Go(func() { d.show(ctx) })
	group.Go(func() { notify.Run(ctx, notify.Config{States: d.notices, Do: d.do, Log: d.log}) })
	group.Go(func() { d.greet(ctx) })
	err := tray.Run(ctx, tray.Config{States: d.tray, Do: d.do, Host: d.host, Log: d.log})
	switch {
	case err == nil:
	case errors.Is(err, tray.ErrBusGone) && d.atLogin:
		// Login starts it again. If it went on until then, that one would find
		// this one running, and there would be no tray.
		d.p.remark("the desktop session has ended, and the app with it")
	default:
		d.p.remark("running without a tray: %v", err)
		<-ctx.Done()
	}
}

// repairLogin makes login start the program where it is now, if it is no
// longer where it was.
func (d *desk) repairLogin() {
	st, err := autostart.Enabled(d.self)
	if err != nil || st != autostart.Moved {
		return
	}
	if err := autostart.Enable(d.self); err != nil {
		d.log.Warn("login starts the program where it was before", "err", err)
	}
}

// greet opens the dashboard where whoever started the program waits for
// something to happen: on a first run, and where no icon comes up.
func (d *desk) greet(ctx context.Context) {
	if d.atLogin || !hasBrowser() {
		return
	}
	patience := 3 * time.Second // for a panel that has just been started too
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
		d.open(ctx, "/?done=notray") // which says how to come back
	case <-ctx.Done():
	}
}

// host hears whether there is a place for the icon.
func (d *desk) host(shown bool) {
	if shown {
		d.seen.Do(func() { close(d.visible) })
		return
	}
	d.p.remark(`this desktop shows no tray icons now; "key2oauth open" opens the dashboard`)
}

// Prompt implements shim.Prompter. The state has what waits, so it is only to
// be shown without delay.
func (d *desk) Prompt(api.Prompt) { d.refresh() }

// refresh has the state shown anew.
func (d *desk) refresh() {
	select {
	case d.stale <- struct{}{}:
	default:
	}
}

// show passes the state on whenever it is stale.
func (d *desk) show(ctx context.Context) {
	for {
		select {
		case <-d.stale:
		case <-ctx.Done():
			return
		}
		o, err := d.shim.Overview()
		if err != nil {
			d.log.Warn("the tray cannot be told how things are", "err", err)
			continue
		}
		if d.tooEarly(ctx, o) {
			continue
		}
		state := trayState(o)
		state.Login = d.login()
		for _, c := range []chan tray.State{d.tray, d.notices} {
			select {
			case <-c: // not looked at yet, and out of date
			default:
			}
			c <- state
		}
	}
}

// tooEarly reports whether the keychain may still be about to answer for the
// first time. Until then an icon would tell everybody at each start that
// something is wrong.
func (d *desk) tooEarly(ctx context.Context, o shim.Overview) bool {
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

// do does what a click asks for. What may take long goes on in the background,
// since the next click may be Quit.
func (d *desk) do(ctx context.Context, a tray.Action) {
	var err error
	switch a.Verb {
	case tray.ReviewRequest:
		if a.ID == "" {
			d.open(ctx, "/")
		} else {
			d.open(ctx, "/consent/"+a.ID)
		}
	case tray.FixKey:
		d.open(ctx, "/endpoints/"+a.ID+"/key")
	case tray.OpenTunnel:
		d.open(ctx, "/tunnel")
	case tray.OpenCheck:
		d.open(ctx, "/check")
	case tray.OpenEndpoint:
		d.open(ctx, cardOf(a.ID))
	case tray.AddEndpoint:
		d.open(ctx, "/#add")
	case tray.OpenDashboard:
		d.open(ctx, "/")
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
		d.setLogin(autostart.Enable(d.self))
	case tray.DoNotStart:
		d.setLogin(autostart.Disable())
	case tray.Quit:
		d.quit()
	}
	if err != nil {
		d.log.Warn("a click came to nothing", "what", string(a.Verb), "err", err)
		d.open(ctx, "/") // which says what is wrong
	}
}

// open opens a page of the owner's by a one-time link. Without a browser the
// link is printed, for whoever has a terminal.
func (d *desk) open(ctx context.Context, path string) {
	link := d.shim.OwnerLink(path)
	d.clicks.Go(func() {
		if hasBrowser() {
			err := openBrowser(ctx, link)
			if err == nil || ctx.Err() != nil {
				return
			}
			d.p.remark("no browser could be opened: %v", err)
		}
		d.p.remark("open this link in a browser on this machine; it works once and for 30 seconds: %s", link)
	})
}

// cardOf is where the home page shows an endpoint.
func cardOf(slug string) string { return "/#e-" + slug }

// copyURL puts an endpoint's address on the clipboard. Where there is none, the
// home page shows it, and says why.
func (d *desk) copyURL(ctx context.Context, slug string) {
	o, err := d.shim.Overview()
	if err != nil {
		d.log.Warn("an address cannot be copied", "err", err)
		return
	}
	for _, e := range o.Endpoints {
		if e.Slug != slug {
			continue
		}
		if err := clipboard.CopyURL(ctx, e.URL); err != nil && ctx.Err() == nil {
			d.log.Info("the address could not be copied, so its page opens", "err", err)
			d.open(ctx, "/?done=copy"+cardOf(slug)[1:])
		}
	}
}

// A switching is a change of the tunnel that is under way.
type switching struct {
	cancel context.CancelFunc
	done   chan struct{}
}

// setOnline opens or closes the tunnel, which may take half a minute. A later
// click counts for more: nobody waits any longer for how the earlier one goes.
// It is called for clicks on the menu alone, one after the other.
func (d *desk) setOnline(ctx context.Context, online bool) {
	before := d.switching
	ctx, cancel := context.WithCancel(ctx)
	now := &switching{cancel, make(chan struct{})}
	d.switching = now
	d.clicks.Go(func() {
		defer close(now.done)
		defer cancel()
		if before != nil {
			before.cancel()
			<-before.done
		}
		if err := d.shim.SetOnline(ctx, online); err != nil && ctx.Err() == nil {
			d.log.Warn("the tunnel is not as it was asked for", "online", online, "err", err)
			d.open(ctx, "/tunnel") // which says why
		}
	})
}

// setLogin says how a change of what login starts went.
func (d *desk) setLogin(err error) {
	if err != nil {
		d.log.Warn("what login starts was not changed", "err", err)
		d.clicks.Go(func() {
			if err := notify.Tell(tray.LoginFailed(display.Text(err.Error(), tray.MaxReason))); err != nil {
				d.log.Debug("no notification says so", "err", err)
			}
		})
	}
	d.refresh()
}

// loginCommand is what login starts: this program, with the same flags.
func (p *program) loginCommand(flags *pflag.FlagSet) autostart.Command {
	exe, err := autostart.Self()
	if err != nil {
		return autostart.Command{} // which cannot be started at login
	}
	c := autostart.Command{Program: exe, Args: []string{"--" + atLoginFlag}}
	flags.Visit(func(f *pflag.Flag) {
		switch f.Name {
		case atLoginFlag:
		case "data-dir": // login has another working directory
			c.Args = append(c.Args, "--data-dir="+p.dataDir)
		default:
			c.Args = append(c.Args, "--"+f.Name+"="+f.Value.String())
		}
	})
	slices.Sort(c.Args) // the same flags in another order are the same command
	return c
}

// login says whether login starts the program, be it another copy of it.
func (d *desk) login() tray.Login {
	st, err := autostart.Enabled(d.self)
	switch {
	case err != nil:
		return tray.LoginUnknown
	case st == autostart.Off:
		return tray.LoginOff
	}
	return tray.LoginOn
}
