package reach

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"path"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/key2oauth/key2oauth/shim/api"
	"github.com/key2oauth/key2oauth/shim/internal/keychain"
	"github.com/key2oauth/key2oauth/shim/internal/vault"
	"github.com/key2oauth/key2oauth/tunnel"
	"github.com/key2oauth/key2oauth/tunnel/external"
)

const publicOrigin = "https://calm-heron-42.ngrok-free.dev"

// A kit is a Reach on its own vault, with tunnels that open at once.
type kit struct {
	*Reach
	vault  *vault.Vault
	opened atomic.Int64 // tunnels that were made
	paused atomic.Bool
}

func newKit(t *testing.T, s Start) *kit {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	v, err := vault.Open(vault.Config{Dir: t.TempDir(), Mode: keychain.ModeFile, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { v.Close() })
	v.Start(t.Context())
	k := &kit{vault: v}
	if s.New == nil {
		s.New = func(w tunnel.Wish) tunnel.Tunnel { k.opened.Add(1); return &instantTunnel{w} }
	}
	k.Reach, err = New(Config{
		Start: s, Vault: v, Log: log, Paused: k.paused.Load, Changed: func() {},
		Keychain: func() api.Keychain { return api.Keychain{State: api.KeychainFile} },
		Serve: func(ctx context.Context, _ net.Listener, _ tunnel.Front) error {
			<-ctx.Done()
			return nil
		},
		BeginSelfTest: func() (string, string, func()) { return "/nonce", "nonce", func() {} },
		Outside:       func() *http.Client { return &http.Client{Transport: echo{}} },
		Explain:       func(err error) error { return err },
	})
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// run runs the tunnel until the test ends.
func (k *kit) run(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	k.Drive()
	go func() { defer close(done); k.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
}

// An instantTunnel is a tunnel that opens at once.
type instantTunnel struct{ tunnel.Wish }

func (x *instantTunnel) Provider() string                { return x.Wish.Provider }
func (*instantTunnel) ClientHeader() tunnel.ClientHeader { return tunnel.NoClientHeader }

func (x *instantTunnel) Open(ctx context.Context, known string) (net.Listener, string, error) {
	ln, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	return ln, cmp.Or(x.URL, known, publicOrigin), err
}

// echo answers a self-test with its nonce.
type echo struct{}

func (echo) RoundTrip(r *http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: http.StatusOK, Header: make(http.Header), Body: io.NopCloser(strings.NewReader(path.Base(r.URL.Path))), Request: r}, nil
}

// TestOpenedOnce compares the wish with the last one at every moment when the
// tunnel may learn its origin. Learning the origin must not open the tunnel
// again, and neither must a failure to save it.
func TestOpenedOnce(t *testing.T) {
	k := newKit(t, Start{Mode: tunnel.ProviderNgrok, Authtoken: tunnel.NewAuthtoken("2abc")})
	k.Drive()
	before := k.opened.Load()
	if before != 1 {
		t.Fatalf("opened %d times at the start, want once", before)
	}
	online := func(origin string) {
		k.take(tunnel.Status{Provider: tunnel.ProviderNgrok, State: tunnel.Online, Origin: origin})
	}
	stop := make(chan struct{})
	var driving sync.WaitGroup
	for range 2 {
		driving.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					k.Drive()
				}
			}
		})
	}
	for i := range 20 {
		want := fmt.Sprintf("https://heron-%d.ngrok-free.dev", i)
		if online(want); k.Origin() != want {
			t.Errorf("the origin is %q, want %q", k.Origin(), want)
		}
	}
	close(stop)
	driving.Wait()
	if err := k.vault.Close(); err != nil { // nothing is saved from now on
		t.Fatal(err)
	}
	online(publicOrigin)
	k.Drive()
	if got := k.opened.Load() - before; got > 0 {
		t.Errorf("the tunnel was opened %d times more", got)
	}
}

// TestManyAtOnce changes, drives and reads at the same time. The last value set
// wins, and nothing blocks forever.
func TestManyAtOnce(t *testing.T) {
	k := newKit(t, Start{})
	k.run(t)
	external := tunnel.Wish{Provider: tunnel.ProviderExternal, URL: "https://k2o.example.com"}
	ngrok := tunnel.Wish{Provider: tunnel.ProviderNgrok, Authtoken: tunnel.NewAuthtoken("2abc")}
	stop := make(chan struct{})
	var reading sync.WaitGroup
	for _, f := range []func(){k.Drive, func() { k.Status() }, func() { k.Origin(); k.Last(); k.LastProvider() }, func() { k.paused.Store(true); k.Drive(); k.paused.Store(false); k.Drive() }} {
		reading.Go(func() {
			for {
				select {
				case <-stop:
					return
				case <-time.After(time.Millisecond):
					f()
				}
			}
		})
	}
	var setting sync.WaitGroup
	for _, w := range []tunnel.Wish{external, ngrok, {Provider: tunnel.ProviderOff}} {
		setting.Go(func() {
			for range 5 {
				if _, err := k.Set(t.Context(), w); err != nil {
					t.Errorf("Set(%s): %v", w.Provider, err)
				}
			}
		})
	}
	setting.Wait()
	close(stop)
	reading.Wait()
	for _, w := range []tunnel.Wish{ngrok, external} {
		st, err := k.Set(t.Context(), w)
		if err != nil || st.State != api.TunnelOnline || st.Provider != w.Provider {
			t.Errorf("Set(%s) = %+v, %v, want it online", w.Provider, st, err)
		}
	}
	if got := k.Origin(); got != external.URL {
		t.Errorf("the origin is %q, want %q", got, external.URL)
	}
}

// TestStart rejects impossible settings.
func TestStart(t *testing.T) {
	for _, s := range []Start{
		{Mode: tunnel.ProviderNgrok},
		{Mode: tunnel.ProviderExternal, New: func(tunnel.Wish) tunnel.Tunnel { return nil }},
	} {
		v, err := vault.Open(vault.Config{Dir: t.TempDir(), Mode: keychain.ModeFile, Log: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		defer v.Close()
		_, err = New(Config{Start: s, Vault: v, Log: slog.New(slog.DiscardHandler)})
		if _, ok := errors.AsType[*tunnel.WishError](err); !ok {
			t.Errorf("New(%s) = %v, want a WishError", s.Mode, err)
		}
	}
}

// TestStates: the API and package tunnel use the same words.
func TestStates(t *testing.T) {
	for _, p := range [][2]string{
		{tunnel.ProviderOff, api.TunnelOff}, {tunnel.ProviderNgrok, api.TunnelNgrok}, {tunnel.ProviderExternal, api.TunnelExternal},
		{string(tunnel.Off), api.TunnelOff}, {string(tunnel.Connecting), api.TunnelConnecting}, {string(tunnel.Online), api.TunnelOnline},
		{string(tunnel.Retrying), api.TunnelRetrying}, {string(tunnel.Failed), api.TunnelFailed}, {string(tunnel.Paused), api.TunnelPaused},
		{string(tunnel.Locked), api.TunnelLocked}, {string(tunnel.Yours), api.WhoseYours}, {string(tunnel.Ngroks), api.WhoseNgrok},
		{string(tunnel.Network), api.WhoseNetwork}, {string(tunnel.Ours), api.WhoseOurs},
	} {
		if p[0] != p[1] {
			t.Errorf("%q in package tunnel is %q in the API", p[0], p[1])
		}
	}
}

// TestPresets: every list of presets has the same ones, the program's word goes
// before what was chosen earlier, and an unknown one that an earlier version
// saved neither counts nor keeps the program from starting.
func TestPresets(t *testing.T) {
	var ids []string
	for _, p := range external.Presets("", "") {
		ids = append(ids, p.ID)
	}
	if !slices.Equal(ids, api.TunnelPresets) {
		t.Errorf("package external has presets %q, the API %q", ids, api.TunnelPresets)
	}
	for _, tt := range []struct{ saved, start, want string }{
		{"", "", ""}, {"caddy", "", "caddy"}, {"", "tailscale", "tailscale"}, {"caddy", "cloudflared", "cloudflared"},
		{"nginx", "", ""}, {"nginx", "caddy", "caddy"},
	} {
		k := newKit(t, Start{})
		if err := k.vault.SetSetting(settingTunnel, fmt.Appendf(nil, `{"url":%q,"preset":%q}`, "https://k2o.example.com", tt.saved)); err != nil {
			t.Fatal(err)
		}
		c := k.c
		c.Start.Mode, c.Start.Preset = tunnel.ProviderExternal, tt.start
		r, err := New(c)
		if err != nil {
			t.Errorf("saved %q, started with %q: %v", tt.saved, tt.start, err)
			continue
		}
		if _, got := r.External(); got != tt.want {
			t.Errorf("saved %q, started with %q: the preset is %q, want %q", tt.saved, tt.start, got, tt.want)
		}
	}
}
