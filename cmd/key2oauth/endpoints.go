package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/spf13/cobra"

	"github.com/key2oauth/key2oauth/shim/api"
)

const hintList = `"key2oauth list" shows the endpoints`

func slugPath(slug string) string { return "/api/slugs/" + url.PathEscape(slug) }

func (p *program) addCommand() *cobra.Command {
	var name, header, prefix string
	var keyStdin, force bool
	cmd := &cobra.Command{
		Use:   "add UPSTREAM_URL [flags]",
		Short: "Make an endpoint for an MCP server, print the MCP URL to paste",
		Long: `Make an endpoint for an MCP server and print the MCP URL to paste into clients.

The API key is asked for on the page that opens when a client connects. If you
have it at hand, --key-stdin saves it now, after trying it; it is never taken
from the command line, where other programs could read it.`,
		Example: `  key2oauth add https://example.com/mcp --name Example
  key2oauth add https://example.com/mcp --header X-API-Key
  pass show example | key2oauth add https://example.com/mcp --key-stdin`,
		Args: wants("UPSTREAM_URL"),
	}
	f := cmd.Flags()
	f.SortFlags = false
	f.StringVar(&name, "name", "", "what to call the endpoint (default the upstream's host)")
	f.StringVar(&header, "header", "Authorization", "the `header` that carries the API key")
	f.StringVar(&prefix, "prefix", "", "what stands before the key in it (default \"Bearer \" in Authorization, else nothing)")
	f.BoolVar(&keyStdin, "key-stdin", false, "read the API key from standard input")
	f.BoolVar(&force, "force", false, forceUsage)
	asJSON := jsonFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		c, err := p.connect()
		if err != nil {
			return err
		}
		body := api.NewEndpoint{UpstreamURL: args[0], DisplayName: name}
		if f.Changed("header") {
			body.HeaderName = &header
		}
		if f.Changed("prefix") {
			body.Prefix = &prefix
		}
		if keyStdin {
			if body.Key, err = p.readKey(cmd.Context()); err != nil {
				return err
			}
			body.Force = force
		}
		raw, err := c.call(cmd.Context(), http.MethodPost, "/api/slugs", body)
		if err != nil {
			return err
		}
		var e api.CreatedEndpoint
		if err := decode(raw, &e); err != nil {
			return err
		}
		if e.Note != "" {
			p.remark("%s", printable(e.Note))
		}
		if strings.Contains(args[0], "?") {
			p.remark("the app keeps the URL's query sealed, but your shell may have it in its history")
		}
		if *asJSON {
			return p.printJSON(raw)
		}
		if keyStdin {
			p.remark("paste this URL into your client:")
		} else {
			p.remark("paste this URL into your client; the page that opens when it connects asks for the API key:")
		}
		fmt.Fprintln(p.stdout, e.MCPEndpoint)
		return nil
	}
	return cmd
}

const forceUsage = "save the key even if the server does not look like an MCP server"

func (p *program) listCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "list [flags]",
		Short: "List the endpoints",
		Args:  wants(),
	}
	asJSON := jsonFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		c, err := p.connect()
		if err != nil {
			return err
		}
		var answer api.Endpoints
		raw, err := c.getInto(cmd.Context(), "/api/slugs", &answer)
		if err != nil {
			return err
		}
		if *asJSON {
			return p.printJSON(raw)
		}
		if len(answer.Slugs) == 0 {
			p.remark(`no endpoints yet; "key2oauth add UPSTREAM_URL" makes one`)
			return nil
		}
		rows := [][]string{{"SLUG", "NAME", "STATE", "KEYS", "LAST USED", "UPSTREAM", "MCP URL"}}
		for _, e := range answer.Slugs {
			rows = append(rows, []string{e.Slug, e.DisplayName, e.State, labels(e.Credentials), day(e.LastUsed), e.UpstreamURL, e.MCPEndpoint})
		}
		return p.printTable(rows)
	}
	return cmd
}

func labels(credentials []api.Credential) string {
	var all []string
	for _, c := range credentials {
		all = append(all, c.Label)
	}
	return strings.Join(all, ", ")
}

func (p *program) urlCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "url SLUG",
		Short:   "Print the MCP URL of an endpoint",
		Example: `  claude mcp add --transport http example "$(key2oauth url 0123456789ab)"`,
		Args:    wants("SLUG"),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := p.connect()
			if err != nil {
				return err
			}
			var e api.Endpoint
			if _, err := c.getInto(cmd.Context(), slugPath(args[0]), &e); err != nil {
				return notFound(err, "endpoint "+args[0], hintList)
			}
			fmt.Fprintln(p.stdout, e.MCPEndpoint)
			return nil
		},
	}
}

func (p *program) removeCommand() *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use:   "remove SLUG [flags]",
		Short: "Remove an endpoint, its API keys and its clients' access",
		Long: `Remove an endpoint, its API keys and its clients' access. On a terminal it asks
first.`,
		Args: wants("SLUG"),
	}
	cmd.Flags().BoolVar(&yes, "yes", false, "do not ask")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		ctx := cmd.Context()
		c, err := p.connect()
		if err != nil {
			return err
		}
		var e api.Endpoint
		if _, err := c.getInto(ctx, slugPath(args[0]), &e); err != nil {
			return notFound(err, "endpoint "+args[0], hintList)
		}
		if !yes {
			question := fmt.Sprintf("Remove %q with its API keys, and cut off every client that uses it?", printable(e.DisplayName))
			if ok, err := p.confirm(ctx, question); err != nil || !ok {
				return err
			}
		}
		if _, err := c.call(ctx, http.MethodDelete, slugPath(e.Slug), nil); err != nil {
			return notFound(err, "endpoint "+args[0], hintList)
		}
		p.remark("removed %q", printable(e.DisplayName))
		return nil
	}
	return cmd
}

func (p *program) keyCommand() *cobra.Command {
	var credential string
	var force bool
	cmd := &cobra.Command{
		Use:   "key SLUG [flags]",
		Short: "Save or replace an API key, read from standard input",
		Long: `Save or replace the API key of an endpoint. The key is read from standard input;
on a terminal it is asked for and not shown. Clients that are connected go on
with the new key by themselves.`,
		Example: `  key2oauth key 0123456789ab
  pass show example | key2oauth key 0123456789ab`,
		Args: wants("SLUG"),
	}
	cmd.Flags().StringVar(&credential, "credential", "", "the `ID` of the key to replace, where the endpoint has several")
	cmd.Flags().BoolVar(&force, "force", false, forceUsage)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		ctx := cmd.Context()
		c, err := p.connect()
		if err != nil {
			return err
		}
		// Nobody should paste a key before hearing that the endpoint is gone.
		var e api.Endpoint
		if _, err := c.getInto(ctx, slugPath(args[0]), &e); err != nil {
			return notFound(err, "endpoint "+args[0], hintList)
		}
		key, err := p.readKey(ctx)
		if err != nil {
			return err
		}
		change := api.KeyChange{Key: key, Credential: credential, Force: force}
		_, err = c.call(ctx, http.MethodPut, slugPath(e.Slug)+"/key", change)
		if e, ok := errors.AsType[*apiError](err); ok && e.status == http.StatusConflict {
			return p.severalKeys(e)
		}
		if err != nil {
			return err
		}
		p.remark("saved the key of %q; connected clients go on with it", printable(e.DisplayName))
		return p.remarkUnverified(ctx, c, e.Slug, credential)
	}
	return cmd
}

// remarkUnverified says so if the key that was just saved could not be tried.
func (p *program) remarkUnverified(ctx context.Context, c *client, slug, credential string) error {
	var e api.Endpoint
	if _, err := c.getInto(ctx, slugPath(slug), &e); err != nil {
		return err
	}
	for _, cred := range e.Credentials {
		if cred.State == api.CredentialUnverified && (cred.ID == credential || credential == "" && cred.For == api.ForOwner) {
			p.remark("whether it is good is not known: the server could not be asked, or answers without a key too")
		}
	}
	return nil
}

// severalKeys shows the keys to choose from.
func (p *program) severalKeys(e *apiError) error {
	var answer api.SeveralKeys
	if json.Unmarshal(e.body, &answer) == nil && len(answer.Credentials) > 0 {
		rows := [][]string{{"ID", "LABEL", "STATE"}}
		for _, c := range answer.Credentials {
			rows = append(rows, []string{c.ID, c.Label, c.State})
		}
		if err := printTable(p.stderr, rows); err != nil {
			return err
		}
	}
	return failed(e, "name the key to replace with --credential ID")
}
