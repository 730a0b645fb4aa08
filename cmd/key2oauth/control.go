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
		Short: "Show how the running app is doing",
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
			paused = `yes; "key2oauth resume" lets calls through again`
		}
		rows := [][]string{
			{"version", s.Version},
			{"local", s.LocalOrigin},
			{"public", public},
		}
		rows = append(rows, tunnelRows(s.Tunnel)...)
		rows = append(rows, [][]string{
			{"keychain", phrase(s.Keychain.State, s.Keychain.Words)},
			{"paused", paused},
			{"endpoints", strconv.Itoa(s.Endpoints)},
			{"clients", strconv.Itoa(s.Grants)},
		}...)
		if s.Disk.Words != "" {
			rows = append(rows, []string{"disk", s.Disk.Words + " " + s.Disk.Next})
		}
		if s.Rejected > 0 {
			rows = append(rows, []string{"rejected", fmt.Sprintf(`API keys: %d; "key2oauth key SLUG" replaces one`, s.Rejected)})
		}
		for _, r := range s.Pending {
			waits := "waits at " + r.URL
			if r.Asked {
				waits = `asks from another device; "key2oauth open" leads to it`
			}
			rows = append(rows, []string{"request", fmt.Sprintf("%s (%s) %s", r.ClientName, r.RedirectHost, waits)})
		}
		for _, a := range s.Attempts {
			rows = append(rows, []string{"attempt", strings.TrimSpace(a.Diagnosis.Words + " " + a.Diagnosis.Next)})
		}
		return p.printTable(rows)
	}
	return cmd
}

// phrase joins a state and the words for people that explain it.
func phrase(state, words string) string {
	if words == "" {
		return strings.ReplaceAll(state, "_", " ")
	}
	return words
}

func (p *program) pauseCommand() *cobra.Command {
	return p.switchCommand("pause", "Stop every call until resume, also across restarts",
		`paused: every call is answered with 503 until "key2oauth resume"`)
}

func (p *program) resumeCommand() *cobra.Command {
	return p.switchCommand("resume", "Let calls through again", "resumed: calls go through again")
}

func (p *program) quitCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "quit",
		Short: "End the running app",
		Long: `End the app that runs, as Quit in its menu does, and wait until it has ended. It
is no error if none runs. Start at login stays as it is.`,
		Args: wants(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := p.connect()
			if f, ok := errors.AsType[*failure](err); ok && f.code == exitNotRunning {
				p.remark("%v", err)
				return nil
			}
			if err != nil {
				return err
			}
			if _, err := c.call(cmd.Context(), http.MethodPost, "/api/quit", nil); err != nil {
				return err
			}
			if err := p.waitEnded("the app has not ended yet"); err != nil {
				return err
			}
			p.remark("the app has ended")
			return nil
		},
	}
}

// waitEnded waits until the app on the data folder has ended, since whoever
// removes or replaces the program next must not find it running.
func (p *program) waitEnded(otherwise string) error {
	const patience = 15 * time.Second
	for end := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
		if _, err := instance.Find(p.dataDir); errors.Is(err, instance.ErrNotRunning) {
			return nil
		}
		if time.Now().After(end) {
			return failed(errors.New(otherwise), "end it by its tray menu, or restart the machine")
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
		Short: "Open the dashboard in a browser",
		Long: `Open the dashboard in a browser, by a link that works once and for 30 seconds.
Where there is no browser the link is printed.`,
		Args: wants(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := p.connect()
			if err != nil {
				return err
			}
			return p.openDashboard(cmd.Context(), c, print)
		},
	}
	cmd.Flags().BoolVar(&print, "print", false, "print the link, open nothing")
	return cmd
}

// openDashboard opens a one-time link to the dashboard, or prints it where
// there is no browser to open it with.
func (p *program) openDashboard(ctx context.Context, c *client, print bool) error {
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
			p.remark("the dashboard opens in your browser")
			return nil
		}
		p.remark("no browser could be opened: %v", err)
	}
	p.remark("open this link in a browser on this machine; it works once and for 30 seconds")
	fmt.Fprintln(p.stdout, answer.Link)
	return nil
}

func (p *program) tokenCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "token",
		Short: "Print the token of the admin API",
		Long: `Print the token of the admin API. Whoever has it can do all that you can do with
the app on this machine.`,
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
