package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/key2oauth/key2oauth/cmd/key2oauth/internal/rows"
	"github.com/key2oauth/key2oauth/shim/api"
)

const hintList = "list your servers with: key2oauth list"

// SlugPath is the path of a server in the admin API.
func SlugPath(slug string) string { return "/api/slugs/" + url.PathEscape(slug) }

// AddCommand returns the command "add".
func (p *Program) AddCommand() *cobra.Command {
	var name, header, prefix string
	var keyStdin, force bool
	cmd := &cobra.Command{
		Use:   "add URL [flags]",
		Short: "Add an MCP server, print its address for your apps",
		Long: `Add an MCP server and print the address to paste into your apps.

The server is asked first. One that can't be reached is added only with --force,
or if you say so when asked.

You paste the API key on the page that opens when an app connects. To save it
now, use --key-stdin: the key is tested at the server first. It is never taken
from the command line, where other programs could read it.`,
		Example: `  key2oauth add https://example.com/mcp --name Example
  key2oauth add https://example.com/mcp --header X-API-Key
  pass show example | key2oauth add https://example.com/mcp --key-stdin`,
		Args: Wants("URL"),
	}
	f := cmd.Flags()
	f.SortFlags = false
	f.StringVar(&name, "name", "", "a name for the server (default what it calls itself)")
	f.StringVar(&header, "header", "Authorization", "the `header` for the key")
	f.StringVar(&prefix, "prefix", "", "text before the key in the header (default \"Bearer \" in Authorization, else nothing)")
	f.BoolVar(&keyStdin, "key-stdin", false, "read the key from standard input, test it and save it")
	f.BoolVar(&force, "force", false, "add it even if it can't be reached, or isn't an MCP server")
	asJSON := JSONFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		c, err := p.Connect()
		if err != nil {
			return err
		}
		body := api.NewEndpoint{UpstreamURL: args[0], DisplayName: name, Check: true, Force: force}
		if f.Changed("header") {
			body.HeaderName = &header
		}
		if f.Changed("prefix") {
			body.Prefix = &prefix
		}
		if keyStdin {
			if body.Key, err = p.ReadKey(cmd.Context()); err != nil {
				return err
			}
		}
		raw, err := p.create(cmd.Context(), c, body)
		if err != nil {
			return err
		}
		var e api.CreatedEndpoint
		if err := Decode(raw, &e); err != nil {
			return err
		}
		if e.Note != "" {
			p.Remark("%s", Printable(e.Note))
		}
		if strings.Contains(args[0], "?") {
			p.Remark("the part of the URL after ? is kept encrypted, but it may be in your shell's history")
		}
		if *asJSON {
			return p.PrintJSON(raw)
		}
		if keyStdin {
			p.Remark("paste this address into your app:")
		} else {
			p.Remark("paste this address into your app; when it connects, a page opens and asks for the key:")
		}
		fmt.Fprintln(p.Stdout, e.MCPEndpoint)
		return nil
	}
	return cmd
}

// create adds a server. One that cannot be reached is added only if a person says
// so, or --force does.
func (p *Program) create(ctx context.Context, c *Client, body api.NewEndpoint) (raw []byte, err error) {
	for {
		done := p.remarkTrying("trying the server; this takes 20 seconds at most")
		raw, err = c.Call(ctx, http.MethodPost, "/api/slugs", body)
		done()
		e, ok := errors.AsType[*apiError](err)
		if !ok || !e.canForce || body.Force {
			return raw, err
		}
		if _, ok := p.Terminal(); !ok {
			return raw, Failed(err, "add it anyway with --force")
		}
		p.Remark("%s", Printable(e.words))
		if body.Force, err = p.ask(ctx, "Add it anyway?"); err != nil {
			return nil, err
		} else if !body.Force {
			return nil, errors.New("nothing was added")
		}
	}
}

const forceUsage = "save the key even if this does not look like an MCP server"

// ListCommand returns the command "list".
func (p *Program) ListCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "list [flags]",
		Short: "List your servers",
		Args:  Wants(),
	}
	return showJSON(p, cmd, "/api/slugs", func(ctx context.Context, c *Client, answer api.Endpoints) error {
		if len(answer.Slugs) == 0 {
			p.Remark("no servers yet; add one with: key2oauth add URL")
			return nil
		}
		var st api.Status
		if _, err := c.GetInto(ctx, "/api/status", &st); err != nil {
			return err
		}
		for _, e := range answer.Slugs {
			for _, c := range e.Credentials {
				if c.Words != "" {
					p.Remark("%s, %s: %s", Printable(e.DisplayName), Printable(c.Label), Printable(c.Words))
				}
			}
		}
		return printTable(p.Stdout, rows.Servers(answer.Slugs, st.Paused))
	})
}

// URLCommand returns the command "url".
func (p *Program) URLCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "url SERVER",
		Short: "Print the address of a server for your apps",
		Long: `Print the address of a server for your apps. SERVER is the slug that "list"
shows, or the name if only one server has it.`,
		Example: `  claude mcp add --transport http example "$(key2oauth url 0123456789ab)"`,
		Args:    Wants("SERVER"),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := p.Connect()
			if err != nil {
				return err
			}
			e, err := p.server(cmd.Context(), c, args[0])
			if err != nil {
				return err
			}
			fmt.Fprintln(p.Stdout, e.MCPEndpoint)
			return nil
		},
	}
}

// RemoveCommand returns the command "remove".
func (p *Program) RemoveCommand() *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use:   "remove SERVER [flags]",
		Short: "Remove a server and its keys, and disconnect its apps",
		Long: `Remove a server and its keys, and disconnect its apps. SERVER is its slug, or
its name if only one server has it. On a terminal it asks first.`,
		Args: Wants("SERVER"),
	}
	cmd.Flags().BoolVar(&yes, "yes", false, "do not ask")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		ctx := cmd.Context()
		c, err := p.Connect()
		if err != nil {
			return err
		}
		e, err := p.server(ctx, c, args[0])
		if err != nil {
			return err
		}
		if !yes {
			question := fmt.Sprintf("Remove %s with its keys, and disconnect every app that uses it?", Printable(e.DisplayName))
			if ok, err := p.Confirm(ctx, question); err != nil || !ok {
				return err
			}
		}
		if _, err := c.Call(ctx, http.MethodDelete, SlugPath(e.Slug), nil); err != nil {
			return notFound(err, "server "+args[0], hintList)
		}
		p.Remark("removed %s", Printable(e.DisplayName))
		return nil
	}
	return cmd
}

// KeyCommand returns the command "key".
func (p *Program) KeyCommand() *cobra.Command {
	var credential string
	var force bool
	cmd := &cobra.Command{
		Use:   "key SERVER [flags]",
		Short: "Save or replace a key, read from standard input",
		Long: `Save or replace the key of a server. The key is read from standard input; on a
terminal it is asked for and not shown. It is tested at the server first.
Connected apps keep working with the new key. SERVER is its slug, or its name if
only one server has it.`,
		Example: `  key2oauth key Linear
  pass show example | key2oauth key 0123456789ab`,
		Args: Wants("SERVER"),
	}
	cmd.Flags().StringVar(&credential, "credential", "", "the `ID` of the key to replace, if the server has several")
	cmd.Flags().BoolVar(&force, "force", false, forceUsage)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		ctx := cmd.Context()
		c, err := p.Connect()
		if err != nil {
			return err
		}
		// A server that is gone is reported before a key is pasted.
		e, err := p.server(ctx, c, args[0])
		if err != nil {
			return err
		}
		key, err := p.ReadKey(ctx)
		if err != nil {
			return err
		}
		change := api.KeyChange{Key: key, Credential: credential, Force: force}
		done := p.remarkTrying("trying the key at the server; this takes 20 seconds at most")
		_, err = c.Call(ctx, http.MethodPut, SlugPath(e.Slug)+"/key", change)
		done()
		if e, ok := errors.AsType[*apiError](err); ok && e.status == http.StatusConflict {
			return p.severalKeys(e)
		}
		if err != nil {
			return err
		}
		p.Remark("key saved for %s; connected apps keep working", Printable(e.DisplayName))
		return p.remarkUnverified(ctx, c, e.Slug, credential)
	}
	return cmd
}

// remarkTrying says what is being tried, if that takes long. What it returns must
// be called when the answer has come.
func (p *Program) remarkTrying(words string) (done func()) {
	said := make(chan struct{})
	t := time.AfterFunc(2*time.Second, func() {
		defer close(said)
		p.Remark("%s", words)
	})
	return func() {
		if !t.Stop() {
			<-said
		}
	}
}

// remarkUnverified says so if the key that was just saved could not be tested.
func (p *Program) remarkUnverified(ctx context.Context, c *Client, slug, credential string) error {
	var e api.Endpoint
	if _, err := c.GetInto(ctx, SlugPath(slug), &e); err != nil {
		return err
	}
	for _, cred := range e.Credentials {
		if cred.State == api.CredentialUnverified && (cred.ID == credential || credential == "" && cred.For == api.ForOwner) {
			p.Remark("the key is not proven: the server did not answer, needs no key, or was not seen to refuse a wrong one")
		}
	}
	return nil
}

// severalKeys lists the keys to choose from.
func (p *Program) severalKeys(e *apiError) error {
	var answer api.SeveralKeys
	if json.Unmarshal(e.body, &answer) == nil && len(answer.Credentials) > 0 {
		rows := [][]string{{"ID", "LABEL", "STATE"}}
		for _, c := range answer.Credentials {
			rows = append(rows, []string{c.ID, c.Label, c.State})
		}
		if err := printTable(p.Stderr, rows); err != nil {
			return err
		}
	}
	return Failed(e, "choose the key to replace with --credential ID")
}
