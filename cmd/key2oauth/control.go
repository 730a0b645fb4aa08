package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/key2oauth/key2oauth/cmd/key2oauth/internal/instance"
	"github.com/key2oauth/key2oauth/shim/api"
)

func (p *program) statusCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "status [flags]",
		Short: "Show how Key2OAuth is doing",
		Args:  wants(),
	}
	asJSON := jsonFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		c, err := p.connect()
		if err != nil {
			return err
		}
		var s api.Status
		raw, err := c.getInto(cmd.Context(), "/api/status", &s)
		if err != nil {
			return err
		}
		if *asJSON {
			return p.printJSON(raw)
		}
		public, paused := "-", "no"
		if s.PublicOrigin != nil {
			public = *s.PublicOrigin
		}
		if s.Paused {
			paused = "yes; resume with: key2oauth resume"
		}
		rows := [][]string{
			{"version", s.Version},
			{"this computer", s.LocalOrigin},
			{"internet", public},
		}
		rows = append(rows, tunnelRows(s.Tunnel)...)
		rows = append(rows, [][]string{
			{"keychain", phrase(s.Keychain.State, s.Keychain.Words)},
			{"paused", paused},
			{"servers", strconv.Itoa(s.Endpoints)},
			{"connected apps", strconv.Itoa(s.Grants)},
		}...)
		if s.Disk.Words != "" {
			rows = append(rows, []string{"disk", s.Disk.Words + " " + s.Disk.Next})
		}
		if s.Rejected > 0 {
			rows = append(rows, []string{"rejected keys", fmt.Sprintf("%d; replace one with: key2oauth key SLUG", s.Rejected)})
		}
		for _, r := range s.Pending {
			waits := "is waiting at " + r.URL
			if r.Asked {
				waits = "is asking from another device; answer it with: key2oauth open"
			}
			rows = append(rows, []string{"request", fmt.Sprintf("%s (%s) %s", r.ClientName, r.RedirectHost, waits)})
		}
		for _, a := range s.Attempts {
			rows = append(rows, []string{"could not connect", strings.TrimSpace(a.Diagnosis.Words + " " + a.Diagnosis.Next)})
		}
		return p.printTable(rows)
	}
	return cmd
}

// phrase is the sentence that explains a state, or the state where there is
// none.
func phrase(state, words string) string {
	if words == "" {
		return strings.ReplaceAll(state, "_", " ")
	}
	return words
}

func (p *program) pauseCommand() *cobra.Command {
	return p.switchCommand("pause", "Stop all calls until you resume, even after a restart",
		"paused: all calls are refused; resume with: key2oauth resume")
}

func (p *program) resumeCommand() *cobra.Command {
	return p.switchCommand("resume", "Let calls through again", "resumed: calls go through again")
}

func (p *program) quitCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "quit",
		Short: "Quit Key2OAuth",
		Long: `Quit Key2OAuth, as Quit in its menu does, and wait until it has ended. It is not
an error if it is not running. Whether it starts at login does not change.`,
		Args: wants(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := p.connect()
			if f, ok := errors.AsType[*failure](err); ok && f.code == exitNotRunning {
				p.remark("Key2OAuth is not running (data folder %s)", printable(p.dataDir))
				return nil
			}
			if err != nil {
				return err
			}
			if _, err := c.call(cmd.Context(), http.MethodPost, "/api/quit", nil); err != nil {
				return err
			}
			if err := p.waitEnded("Key2OAuth has not quit yet"); err != nil {
				return err
			}
			p.remark("Key2OAuth has quit")
			return nil
		},
	}
}

// waitEnded waits until Key2OAuth on the data folder has ended, since the next
// command may remove or replace the program.
func (p *program) waitEnded(otherwise string) error {
	const patience = 15 * time.Second
	for end := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
		if _, err := instance.Find(p.dataDir); errors.Is(err, instance.ErrNotRunning) {
			return nil
		}
		if time.Now().After(end) {
			return failed(errors.New(otherwise), "choose Quit in its tray menu, or restart the computer")
		}
	}
}

func (p *program) switchCommand(name, short, done string) *cobra.Command {
	return &cobra.Command{
		Use:   name,
		Short: short,
		Args:  wants(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := p.connect()
			if err != nil {
				return err
			}
			if _, err := c.call(cmd.Context(), http.MethodPost, "/api/"+name, nil); err != nil {
				return err
			}
			p.remark("%s", done)
			return nil
		},
	}
}

func (p *program) openCommand() *cobra.Command {
	var print bool
	cmd := &cobra.Command{
		Use:   "open [flags]",
		Short: "Open the Key2OAuth window in your browser",
		Long: `Open the Key2OAuth window in your browser, with a link that works once, for 30
seconds. If there is no browser, the link is printed.`,
		Args: wants(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := p.connect()
			if err != nil {
				return err
			}
			return p.openWindow(cmd.Context(), c, print)
		},
	}
	cmd.Flags().BoolVar(&print, "print", false, "print the link instead of opening it")
	return cmd
}

// openWindow opens a one-time link to the owner's pages, or prints it where
// there is no browser.
func (p *program) openWindow(ctx context.Context, c *client, print bool) error {
	raw, err := c.call(ctx, http.MethodPost, "/api/open", nil)
	if err != nil {
		return err
	}
	var answer api.OwnerLink
	if err := decode(raw, &answer); err != nil {
		return err
	}
	if !print && hasBrowser() {
		err := openBrowser(ctx, answer.Link)
		if err == nil {
			p.remark("Key2OAuth opens in your browser")
			return nil
		}
		p.remark("could not open a browser: %v", err)
	}
	p.remark("open this link in a browser on this computer; it works once, for 30 seconds")
	fmt.Fprintln(p.stdout, answer.Link)
	return nil
}

func (p *program) tokenCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "token",
		Short: "Print the token of the admin API",
		Long: `Print the token of the admin API. It gives full control of Key2OAuth on this
computer, so keep it secret.`,
		Example: `  curl -H "Authorization: Bearer $(key2oauth token)" http://127.0.0.1:7450/api/status`,
		Args:    wants(),
		RunE: func(*cobra.Command, []string) error {
			token, err := p.adminToken()
			if err != nil {
				return err
			}
			fmt.Fprintln(p.stdout, token)
			return nil
		},
	}
}
