package main

import (
	"net/http"
	"net/url"

	"github.com/spf13/cobra"

	"github.com/key2oauth/key2oauth/shim/api"
)

func (p *program) grantsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "grants [flags]",
		Short: "List the clients that may use an endpoint",
		Long: `List the clients that may use an endpoint. Each consent makes a grant of its own,
so a client that was connected twice is listed twice.`,
		Args: wants(),
	}
	asJSON := jsonFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		c, err := p.connect()
		if err != nil {
			return err
		}
		var answer api.Grants
		raw, err := c.getInto(cmd.Context(), "/api/grants", &answer)
		if err != nil {
			return err
		}
		if *asJSON {
			return p.printJSON(raw)
		}
		if len(answer.Grants) == 0 {
			p.remark("no client is connected yet; paste the URL of an endpoint into one")
			return nil
		}
		rows := [][]string{{"GRANT", "CLIENT", "ANSWERS GO TO", "ENDPOINT", "CREATED", "LAST USED"}}
		for _, g := range answer.Grants {
			rows = append(rows, []string{g.ID, g.ClientName, g.RedirectHost, g.Slug, day(&g.Created), day(g.LastUsed)})
		}
		return p.printTable(rows)
	}
	return cmd
}

func (p *program) revokeCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "revoke GRANT",
		Short: "End a client's access at once",
		Args:  wants("GRANT"),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := p.connect()
			if err != nil {
				return err
			}
			if _, err := c.call(cmd.Context(), http.MethodDelete, "/api/grants/"+url.PathEscape(args[0]), nil); err != nil {
				return notFound(err, "grant "+args[0], `"key2oauth grants" lists them`)
			}
			p.remark("revoked; the client must connect again to go on")
			return nil
		},
	}
}
