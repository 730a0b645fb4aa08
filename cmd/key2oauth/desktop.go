package main

import (
	"context"
	"errors"
	"slices"

	"github.com/spf13/pflag"

	"github.com/key2oauth/key2oauth/cmd/key2oauth/internal/autostart"
	"github.com/key2oauth/key2oauth/cmd/key2oauth/internal/cli"
	"github.com/key2oauth/key2oauth/cmd/key2oauth/internal/desktop"
	"github.com/key2oauth/key2oauth/cmd/key2oauth/internal/instance"
	"github.com/key2oauth/key2oauth/shim"
)

// desktop is the program without a command: Key2OAuth with a tray icon, where
// there is a place for one.
func (p *program) desktop(ctx context.Context, o appOptions, flags *pflag.FlagSet) error {
	err := p.runDesktop(ctx, o, flags)
	if err != nil && ctx.Err() == nil && !cli.IsTerminal(p.Stderr) {
		// A program that was started by a click shows no standard error.
		if e := desktop.TellFailed(err); e != nil {
			p.logger(o).Debug("no notification says why the program ends", "err", e)
		}
	}
	return err
}

func (p *program) runDesktop(ctx context.Context, o appOptions, flags *pflag.FlagSet) error {
	running, quit := context.WithCancel(ctx)
	defer quit()
	self := p.loginCommand(flags)
	if self.Program != "" {
		o.login = loginSetting{self}
	}
	d := desktop.New(desktop.Config{Remark: p.Remark, Log: p.logger(o), AtLogin: o.atLogin, Self: self, Quit: quit})
	serving := make(chan *shim.Shim, 1)
	done := make(chan error, 1)
	// Some systems insist that the tray is on the first goroutine, so the rest is
	// on another one.
	go func() {
		err := p.serve(running, o, d, func(s *shim.Shim) { serving <- s })
		quit() // no tray without a server behind it
		done <- err
	}()
	select {
	case s := <-serving:
		d.Run(running, s)
		quit()
		return <-done
	case err := <-done:
		if errors.Is(err, instance.ErrRunning) {
			return p.secondDesktop(ctx, o)
		}
		return err
	}
}

// secondDesktop leads to the Key2OAuth that is already running. A person who
// starts it again may not see it, so the window opens, except at login.
func (p *program) secondDesktop(ctx context.Context, o appOptions) error {
	c, err := p.Connect()
	if err != nil {
		return err
	}
	p.Remark("already running at %s", c.Origin)
	if o.atLogin {
		return nil
	}
	return p.OpenWindow(ctx, c, "", false)
}

// loginCommand is what login starts: this program with the same flags.
func (p *program) loginCommand(flags *pflag.FlagSet) autostart.Command {
	exe, err := autostart.Self()
	if err != nil {
		return autostart.Command{} // it cannot be started at login
	}
	c := autostart.Command{Program: exe, Args: []string{"--" + atLoginFlag}}
	flags.Visit(func(f *pflag.Flag) {
		switch f.Name {
		case atLoginFlag:
		case "data-dir": // login has another working directory
			c.Args = append(c.Args, "--data-dir="+p.DataDir)
		default:
			c.Args = append(c.Args, "--"+f.Name+"="+f.Value.String())
		}
	})
	slices.Sort(c.Args) // the same flags in another order are the same command
	return c
}
