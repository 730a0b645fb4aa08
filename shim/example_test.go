package shim_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"github.com/key2oauth/key2oauth/shim"
	"github.com/key2oauth/key2oauth/shim/api"
)

// open opens a Shim on a new data folder, which close removes. An error ends
// the example, as it would end a program.
func open() (s *shim.Shim, dir string, closeAll func()) {
	dir, err := os.MkdirTemp("", "key2oauth-example-")
	if err != nil {
		panic(err)
	}
	s, err = shim.Open(shim.Config{Dir: dir, Keychain: api.ModeFile, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		panic(err)
	}
	return s, dir, func() {
		if err := s.Close(); err != nil {
			panic(err)
		}
		os.RemoveAll(dir)
	}
}

// serve serves s until stop is called.
func serve(s *shim.Shim) (origin string, stop func() error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ready, done := make(chan struct{}), make(chan error, 1)
	go func() { done <- s.ServeLocal(ctx, ln, func() { close(ready) }) }()
	<-ready
	return "http://" + ln.Addr().String(), func() error { cancel(); return <-done }
}

// A program opens a data folder and serves it on a listener of its own. Apps
// on this computer find the authorization server by its metadata.
func Example() {
	s, _, closeAll := open()
	defer closeAll()
	origin, stop := serve(s)

	res, err := http.Get(origin + "/.well-known/oauth-authorization-server")
	if err != nil {
		panic(err)
	}
	defer res.Body.Close()
	var metadata struct {
		Issuer string
		PKCE   []string `json:"code_challenge_methods_supported"`
	}
	if err := json.NewDecoder(res.Body).Decode(&metadata); err != nil {
		panic(err)
	}
	fmt.Println("issuer is the origin:", metadata.Issuer == origin)
	fmt.Println("PKCE:", metadata.PKCE)
	fmt.Println("stopped:", stop())
	// Output:
	// issuer is the origin: true
	// PKCE: [S256]
	// stopped: <nil>
}

// Another program of the owner's adds a server with the admin API, using the
// token from the data folder. A tray shows the Overview.
func ExampleShim_Overview() {
	s, dir, closeAll := open()
	defer closeAll()
	origin, stop := serve(s)
	defer stop()

	token, err := os.ReadFile(filepath.Join(dir, api.TokenFile))
	if err != nil {
		panic(err)
	}
	req, err := http.NewRequest("POST", origin+"/api/slugs",
		strings.NewReader(`{"upstream_url": "http://127.0.0.1:1/mcp", "display_name": "Weather"}`))
	if err != nil {
		panic(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+strings.TrimSpace(string(token)))
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		panic(err)
	}
	res.Body.Close()
	fmt.Println(res.Status)

	o, err := s.Overview()
	if err != nil {
		panic(err)
	}
	for _, e := range o.Endpoints {
		fmt.Println(e.DisplayName, strings.Replace(e.MCPEndpoint, e.Slug, "{slug}", 1) == origin+"/{slug}/mcp")
	}
	// Output:
	// 201 Created
	// Weather true
}

// Watch calls a function for each change, and returns when its context ends.
func ExampleShim_Watch() {
	s, _, closeAll := open()
	defer closeAll()

	ctx, stop := context.WithCancel(context.Background())
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		s.Watch(ctx, func() {
			if s.Status().Paused && ctx.Err() == nil {
				fmt.Println("paused")
				stop()
			}
		})
	}()
	if err := s.SetPaused(true); err != nil {
		panic(err)
	}
	<-watched
	// Output:
	// paused
}
