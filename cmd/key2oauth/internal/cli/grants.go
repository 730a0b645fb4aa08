package cli

import (
	"context"
	"net/http"
	"net/url"

	"github.com/spf13/cobra"

	"github.com/key2oauth/key2oauth/cmd/key2oauth/internal/rows"
	"github.com/key2oauth/key2oauth/shim/api"
)

// GrantsCommand returns the command "grants".
func (p *Program) GrantsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "grants [flags]",
		Short: "List the connected apps",
		Long: `List the connected apps. There is one line for each approval, so an app that was
approved twice is listed twice.`,
		Args: Wants(),
	}
	return showJSON(p, cmd, "/api/grants", func(_ context.Context, _ *Client, answer api.Grants) error {
		if len(answer.Grants) == 0 {
			p.Remark("no app is connected yet; paste the address of a server into one")
			return nil
		}
		table := [][]string{{"GRANT", "APP", "RETURNS TO", "SERVER", "CONNECTED", "LAST USED"}}
		for _, g := range answer.Grants {
			table = append(table, []string{g.ID, g.App, g.ReturnsTo, g.Slug, rows.Day(&g.Created), rows.Day(g.LastUsed)})
		}
		return printTable(p.Stdout, table)
	})
}

// DisconnectCommand returns the command "disconnect".
func (p *Program) DisconnectCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "disconnect GRANT",
		Aliases: []string{"revoke"},
		Short:   "Disconnect an app at once",
		Long: `Disconnect an app at once. GRANT is the id that "grants" lists, or the app's name
if only one connected app has it.`,
		Args: Wants("GRANT"),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := p.Connect()
			if err != nil {
				return err
			}
			g, err := p.grant(cmd.Context(), c, args[0])
			if err != nil {
				return err
			}
			if _, err := c.Call(cmd.Context(), http.MethodDelete, "/api/grants/"+url.PathEscape(g.ID), nil); err != nil {
				return notFound(err, "connected app "+args[0], "list them with: key2oauth grants")
			}
			p.Remark("disconnected %s; to use it again, connect it again", Printable(g.App))
			return nil
		},
	}
}
