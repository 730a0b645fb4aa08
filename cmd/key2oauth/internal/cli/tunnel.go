package cli

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/key2oauth/key2oauth/cmd/key2oauth/internal/rows"
	"github.com/key2oauth/key2oauth/shim/api"
)

// TunnelCommand returns the command "tunnel".
func (p *Program) TunnelCommand() *cobra.Command {
	var url, preset string
	cmd := &cobra.Command{
		Use:   "tunnel [flags] [ngrok|external|off]",
		Short: "Turn access from the internet on or off",
		Long: `Let apps on the internet connect, such as claude.ai and ChatGPT, or keep them
out. Without an argument, shows the current state.

ngrok     Key2OAuth opens a tunnel with your ngrok account. The authtoken is read
          from standard input, tested and saved encrypted. Leave it empty to use
          the saved one.
external  You run a tunnel yourself (Tailscale Funnel, cloudflared, Caddy). It must
          lead to the address that "key2oauth status" shows.
off       Only apps on this computer can connect. The tunnel you used last is
          remembered.`,
		Example: `  key2oauth tunnel ngrok < authtoken.txt
  key2oauth tunnel external --url https://key2oauth.example.com --preset caddy
  key2oauth tunnel off`,
		Args: tunnelArgs,
	}
	cmd.Flags().StringVar(&url, "url", "", "the public `URL` of your own tunnel, or the ngrok domain to use")
	cmd.Flags().StringVar(&preset, "preset", "", "the program that runs your own tunnel: `tailscale|cloudflared|caddy`")
	asJSON := JSONFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if preset != "" && !slices.Contains(api.TunnelPresets, preset) {
			return Usage("use one of "+strings.Join(api.TunnelPresets, ", ")+", or leave it out", "--preset %s: no such preset", preset)
		}
		if preset != "" && !slices.Equal(args, []string{api.TunnelExternal}) {
			return Usage("use key2oauth tunnel external", "--preset is for a tunnel of your own")
		}
		c, err := p.Connect()
		if err != nil {
			return err
		}
		if len(args) == 0 {
			return p.showTunnel(cmd.Context(), c, *asJSON)
		}
		wish := api.TunnelChange{Provider: args[0], URL: url, Preset: preset}
		if args[0] == api.TunnelNgrok {
			if wish.Authtoken, err = p.ReadSecret(cmd.Context(), "ngrok authtoken, or Enter for the saved one"); err != nil {
				return err
			}
		}
		raw, err := c.Call(cmd.Context(), http.MethodPut, "/api/tunnel", wish)
		if err != nil {
			return withTunnelHint(err, wish)
		}
		return p.printTunnel(raw, *asJSON)
	}
	return cmd
}

// withTunnelHint says how to give a command what a wish lacks. The server's words
// are about its page.
func withTunnelHint(err error, wish api.TunnelChange) error {
	if e, ok := errors.AsType[*apiError](err); !ok || e.status != http.StatusBadRequest {
		return err
	}
	switch {
	case wish.Provider == api.TunnelNgrok && wish.URL == "":
		return Failed(err, "pass the authtoken on standard input: key2oauth tunnel ngrok < authtoken.txt")
	case wish.Provider == api.TunnelExternal && wish.URL == "":
		return Failed(err, "add --url with the public URL of your tunnel")
	}
	return err
}

// tunnelArgs takes the name of a tunnel or nothing. Other arguments are not
// repeated: one may be an authtoken.
func tunnelArgs(_ *cobra.Command, args []string) error {
	const hint = "use ngrok, external or off; the authtoken is read from standard input"
	switch {
	case len(args) > 1:
		return Usage(hint, "tunnel takes only one argument")
	case len(args) == 1 && !slices.Contains([]string{api.TunnelNgrok, api.TunnelExternal, api.TunnelOff}, args[0]):
		return Usage(hint, "no such tunnel")
	}
	return nil
}

func (p *Program) showTunnel(ctx context.Context, c *Client, asJSON bool) error {
	var s struct{ Tunnel json.RawMessage }
	if _, err := c.GetInto(ctx, "/api/status", &s); err != nil {
		return err
	}
	return p.printTunnel(s.Tunnel, asJSON)
}

func (p *Program) printTunnel(raw []byte, asJSON bool) error {
	if asJSON {
		return p.PrintJSON(raw)
	}
	var t api.TunnelStatus
	if err := Decode(raw, &t); err != nil {
		return err
	}
	return printTable(p.Stdout, rows.Tunnel(t))
}
