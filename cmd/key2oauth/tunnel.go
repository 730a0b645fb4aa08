package main

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"

	"github.com/spf13/cobra"

	"github.com/key2oauth/key2oauth/shim/api"
)

func (p *program) tunnelCommand() *cobra.Command {
	var url, preset string
	cmd := &cobra.Command{
		Use:   "tunnel [flags] [ngrok|external|off]",
		Short: "Let clients on the internet in, or not",
		Long: `Let clients on the internet in, such as claude.ai and ChatGPT, or keep them out.
Without an argument it says how things are.

ngrok     The app opens a tunnel by itself, with your ngrok account. The authtoken
          is read from standard input the first time, tried at once and kept
          sealed; an empty line goes on with the one that is kept.
external  You run a tunnel yourself (Tailscale Funnel, cloudflared, Caddy) that
          leads to the address that "key2oauth status" names.
off       Clients on this machine go on; all others are shut out. What was on is
          remembered.`,
		Example: `  key2oauth tunnel ngrok < authtoken.txt
  key2oauth tunnel external --url https://key2oauth.example.com --preset caddy
  key2oauth tunnel off`,
		Args: tunnelArgs,
	}
	cmd.Flags().StringVar(&url, "url", "", "the public `URL`: of your own tunnel, or the ngrok domain to ask for")
	cmd.Flags().StringVar(&preset, "preset", "", "what runs your own tunnel: `tailscale|cloudflared|caddy`")
	asJSON := jsonFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		c, err := p.connect()
		if err != nil {
			return err
		}
		if len(args) == 0 {
			return p.showTunnel(cmd.Context(), c, *asJSON)
		}
		wish := api.TunnelChange{Provider: args[0], URL: url, Preset: preset}
		if args[0] == api.TunnelNgrok {
			if wish.Authtoken, err = p.readSecret(cmd.Context(), "ngrok authtoken, or Enter for the one that is kept"); err != nil {
				return err
			}
		}
		raw, err := c.call(cmd.Context(), http.MethodPut, "/api/tunnel", wish)
		if err != nil {
			return err
		}
		return p.printTunnel(raw, *asJSON)
	}
	return cmd
}

// tunnelArgs takes the name of a tunnel or nothing. What else there may be is
// not repeated: somebody may try to give an authtoken.
func tunnelArgs(_ *cobra.Command, args []string) error {
	const hint = "it is one of ngrok, external, off; the authtoken is read from standard input"
	switch {
	case len(args) > 1:
		return usage(hint, "too many arguments")
	case len(args) == 1 && !slices.Contains([]string{api.TunnelNgrok, api.TunnelExternal, api.TunnelOff}, args[0]):
		return usage(hint, "there is no such tunnel")
	}
	return nil
}

func (p *program) showTunnel(ctx context.Context, c *client, asJSON bool) error {
	var s struct{ Tunnel json.RawMessage }
	if _, err := c.getInto(ctx, "/api/status", &s); err != nil {
		return err
	}
	return p.printTunnel(s.Tunnel, asJSON)
}

func (p *program) printTunnel(raw []byte, asJSON bool) error {
	if asJSON {
		return p.printJSON(raw)
	}
	var t api.TunnelStatus
	if err := decode(raw, &t); err != nil {
		return err
	}
	return p.printTable(tunnelRows(t))
}

// tunnelRows are the rows of a table that says how the tunnel is.
func tunnelRows(t api.TunnelStatus) [][]string {
	rows := [][]string{{"tunnel", phrase(t.State, t.Words)}}
	var usage string
	if t.Usage != nil {
		usage = t.Usage.Warning
	}
	for _, extra := range [][]string{{"to do", t.Next}, {"on", t.Link}, {"test", t.Test}, {"usage", usage}} {
		if extra[1] != "" {
			rows = append(rows, extra)
		}
	}
	for _, name := range t.Stranded {
		rows = append(rows, []string{"add again", name + " knows an earlier public address"})
	}
	return rows
}
