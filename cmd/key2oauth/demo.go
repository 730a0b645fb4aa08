package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/key2oauth/key2oauth/cmd/key2oauth/internal/cli"
	"github.com/key2oauth/key2oauth/cmd/key2oauth/internal/instance"
	"github.com/key2oauth/key2oauth/cmd/key2oauth/internal/sample"
	"github.com/key2oauth/key2oauth/shim"
	"github.com/key2oauth/key2oauth/shim/api"
)

func (p *program) demoCommand() *cobra.Command {
	var o appOptions
	cmd := &cobra.Command{
		Use:   "demo [flags]",
		Short: "Try Key2OAuth with a sample MCP server",
		Long: `Run a sample MCP server that needs an API key, and add it to Key2OAuth. If
Key2OAuth is not running, run it too. Ctrl-C ends the demo and removes the
server.`,
		Args: cli.Wants(),
		RunE: func(cmd *cobra.Command, _ []string) error { return p.demo(cmd.Context(), o) },
	}
	o.addFlags(cmd.Flags())
	return cmd
}

func (p *program) demo(ctx context.Context, o appOptions) error {
	if err := o.check(); err != nil {
		return err
	}
	c, err := p.Connect()
	if err == nil {
		return p.runDemo(ctx, c)
	}
	if f, ok := errors.AsType[*cli.Failure](err); !ok || f.Code != cli.ExitNotRunning {
		return err
	}

	// Key2OAuth outlives the demo, which removes its server in the end.
	appCtx, endApp := context.WithCancel(context.WithoutCancel(ctx))
	defer endApp()
	var demoErr error
	ran := false
	err = p.serve(appCtx, o, nil, func(*shim.Shim) {
		defer endApp()
		ran = true
		c, err := p.Connect()
		if err != nil {
			demoErr = err
			return
		}
		demoErr = p.runDemo(ctx, c)
	})
	if errors.Is(err, instance.ErrRunning) && !ran {
		return p.secondServe() // another one was quicker
	}
	return errors.Join(demoErr, err)
}

// runDemo serves the sample until ctx ends.
func (p *program) runDemo(ctx context.Context, c *cli.Client) (err error) {
	key := "demo_" + rand.Text()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	srv := &http.Server{Handler: sample.RequireKey(key, sample.Server(p.Version)), ReadHeaderTimeout: 10 * time.Second}
	var serving sync.WaitGroup
	serving.Go(func() { srv.Serve(ln) })
	defer serving.Wait()
	defer srv.Close()

	upstream := "http://" + ln.Addr().String() + "/mcp"
	raw, err := c.Call(ctx, http.MethodPost, "/api/slugs", api.NewEndpoint{UpstreamURL: upstream, DisplayName: "Demo"})
	if err != nil {
		return err
	}
	var e api.CreatedEndpoint
	if err := cli.Decode(raw, &e); err != nil {
		return err
	}
	defer func() {
		// ctx has ended: that is why we are here.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		if _, e := c.Call(ctx, http.MethodDelete, cli.SlugPath(e.Slug), nil); e != nil {
			err = errors.Join(err, fmt.Errorf("the demo server is still there: %w", e))
			return
		}
		p.Remark("the demo is over, and its server was removed")
	}()

	fmt.Fprintf(p.Stdout, `
A sample MCP server is running. It takes an API key and knows no OAuth:

  Address   %s
  API key   %s

Add the address to an app on this computer, for example Claude Code:

  claude mcp add --transport http demo %s

When you connect (in Claude Code: /mcp), a page opens. Paste the API key there.
Then ask for "a roll of two dice". Ctrl-C ends the demo.

`, e.MCPEndpoint, key, e.MCPEndpoint)
	<-ctx.Done()
	return nil
}
