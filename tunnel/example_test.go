package tunnel_test

import (
	"context"
	"fmt"
	"net"
	"net/http"

	"github.com/key2oauth/key2oauth/tunnel"
	"github.com/key2oauth/key2oauth/tunnel/external"
)

// A Supervisor opens the tunnel it is told to, and serves what comes through
// it.
func ExampleSupervisor() {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	s := tunnel.Supervisor{Serve: func(ctx context.Context, ln net.Listener, f tunnel.Front) error {
		srv := &http.Server{Handler: http.NotFoundHandler()}
		stop := context.AfterFunc(ctx, func() { srv.Shutdown(context.WithoutCancel(ctx)) })
		defer stop()
		return srv.Serve(ln)
	}}
	done := make(chan struct{})
	go func() { defer close(done); s.Run(ctx) }()

	show := func(w tunnel.Want) {
		s.Set(w)
		st := s.Settled(ctx)
		fmt.Printf("%s %q\n", st.State, st.Origin)
		fmt.Println(st.Words)
	}
	show(tunnel.Want{Tunnel: &external.Tunnel{URL: "https://mcp.example.com/", Addr: "127.0.0.1:0"}})
	show(tunnel.Want{})
	cancel()
	<-done
	// Output:
	// online "https://mcp.example.com"
	// Waiting for the first request through your tunnel.
	// off ""
	// Only apps on this computer can connect.
}

// The URL of a wish is brought into the form that issuers have, or refused.
func ExampleWish_Check() {
	for _, u := range []string{"MCP.example.com:443/", "http://mcp.example.com", "https://localhost"} {
		w, err := tunnel.Wish{Provider: tunnel.ProviderExternal, URL: u}.Check()
		if err != nil {
			fmt.Println(err)
			continue
		}
		fmt.Println(w.URL)
	}
	// Output:
	// https://mcp.example.com
	// the public URL must begin with https://
	// the public URL must be one that the internet reaches, not this computer's own
}
