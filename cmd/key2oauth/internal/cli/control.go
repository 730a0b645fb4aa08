package cli

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/key2oauth/key2oauth/cmd/key2oauth/internal/browser"
	"github.com/key2oauth/key2oauth/cmd/key2oauth/internal/instance"
	"github.com/key2oauth/key2oauth/cmd/key2oauth/internal/rows"
	"github.com/key2oauth/key2oauth/shim/api"
)

// StatusCommand returns the command "status".
func (p *Program) StatusCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "status [flags]",
		Short: "Show how Key2OAuth is doing",
		Args:  Wants(),
	}
	return showJSON(p, cmd, "/api/status", func(_ context.Context, _ *Client, s api.Status) error {
		return printTable(p.Stdout, rows.Status(s))
	})
}

// PauseCommand returns the command "pause".
func (p *Program) PauseCommand() *cobra.Command {
	return p.switchCommand("pause", "Stop all calls until you resume, even after a restart",
		"paused: all calls are refused; resume with: key2oauth resume")
}

// ResumeCommand returns the command "resume".
func (p *Program) ResumeCommand() *cobra.Command {
	return p.switchCommand("resume", "Let calls through again", "resumed: calls go through again")
}

// QuitCommand returns the command "quit".
func (p *Program) QuitCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "quit",
		Short: "Quit Key2OAuth",
		Long: `Quit Key2OAuth, as Quit in its menu does, and wait until it has ended. It is not
an error if it is not running. Whether it starts at login does not change.`,
		Args: Wants(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := p.Connect()
			if f, ok := errors.AsType[*Failure](err); ok && f.Code == ExitNotRunning {
				p.Remark("Key2OAuth is not running (data folder %s)", Printable(p.DataDir))
				return nil
			}
			if err != nil {
				return err
			}
			if _, err := c.Call(cmd.Context(), http.MethodPost, "/api/quit", nil); err != nil {
				return err
			}
			if err := p.WaitEnded("Key2OAuth has not quit yet"); err != nil {
				return err
			}
			p.Remark("Key2OAuth has quit")
			return nil
		},
	}
}

// WaitEnded waits until Key2OAuth on the data folder has ended, since the next
// command may remove or replace the program.
func (p *Program) WaitEnded(otherwise string) error {
	const patience = 15 * time.Second
	for end := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
		if _, err := instance.Find(p.DataDir); errors.Is(err, instance.ErrNotRunning) {
			return nil
		}
		if time.Now().After(end) {
			return Failed(errors.New(otherwise), "choose Quit in its tray menu, or restart the computer")
		}
	}
}

func (p *Program) switchCommand(name, short, done string) *cobra.Command {
	return &cobra.Command{
		Use:   name,
		Short: short,
		Args:  Wants(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := p.Connect()
			if err != nil {
				return err
			}
			if _, err := c.Call(cmd.Context(), http.MethodPost, "/api/"+name, nil); err != nil {
				return err
			}
			p.Remark("%s", done)
			return nil
		},
	}
}

// OpenCommand returns the command "open".
func (p *Program) OpenCommand() *cobra.Command {
	var print bool
	cmd := &cobra.Command{
		Use:   "open [PAGE] [flags]",
		Short: "Open the Key2OAuth window in your browser",
		Long: `Open the Key2OAuth window in your browser, with a link that works once, for 30
seconds. If there is no browser, the link is printed. PAGE is activity,
internet, health, settings, or move to take everything to another computer.`,
		Example: "  key2oauth open internet",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return nil
			}
			return Wants("PAGE")(cmd, args)
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := p.Connect()
			if err != nil {
				return err
			}
			return p.OpenWindow(cmd.Context(), c, strings.Join(args, ""), print)
		},
	}
	cmd.Flags().BoolVar(&print, "print", false, "print the link instead of opening it")
	return cmd
}

// OpenWindow opens a one-time link to the owner's pages, or prints it where
// there is no browser.
func (p *Program) OpenWindow(ctx context.Context, c *Client, page string, print bool) error {
	raw, err := c.Call(ctx, http.MethodPost, "/api/open", api.OpenPage{Page: page})
	if err != nil {
		return err
	}
	var answer api.OwnerLink
	if err := Decode(raw, &answer); err != nil {
		return err
	}
	if !print && browser.Available() {
		err := browser.Open(ctx, answer.Link)
		if err == nil {
			p.Remark("Key2OAuth opens in your browser")
			return nil
		}
		p.Remark("could not open a browser: %v", err)
	}
	p.Remark("open this link in a browser on this computer; it works once, for 30 seconds")
	fmt.Fprintln(p.Stdout, answer.Link)
	return nil
}

// TokenCommand returns the command "token".
func (p *Program) TokenCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "token",
		Short: "Print the token of the admin API",
		Long: `Print the token of the admin API. It gives full control of Key2OAuth on this
computer, so keep it secret.`,
		Example: `  curl -H "Authorization: Bearer $(key2oauth token)" http://127.0.0.1:7450/api/status`,
		Args:    Wants(),
		RunE: func(*cobra.Command, []string) error {
			token, err := p.AdminToken()
			if err != nil {
				return err
			}
			fmt.Fprintln(p.Stdout, token)
			return nil
		},
	}
}
