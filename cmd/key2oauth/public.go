package main

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/key2oauth/key2oauth/shim"
	"github.com/key2oauth/key2oauth/shim/api"
	"github.com/key2oauth/key2oauth/tunnel"
	"github.com/key2oauth/key2oauth/tunnel/ngrok"
)

// A publicSide ties the shim, which knows what the owner wants, to the tunnel,
// which knows how to be reached. Neither knows the other.
type publicSide struct {
	addr string // where an external tunnel leads
	log  *slog.Logger
	// said is told each status, for the terminal.
	said func(api.TunnelStatus)

	shim       *shim.Shim
	supervisor tunnel.Supervisor
	test       testEdge

	mu     sync.Mutex
	header tunnel.ClientHeader // of what is wanted
	tested time.Time           // the Since of the connection that was tested
	found  string              // what that test found, if it was trouble
}

func newPublicSide(addr string, log *slog.Logger, said func(api.TunnelStatus)) (*publicSide, error) {
	p := &publicSide{addr: addr, log: log, said: said}
	if p.addr == "" {
		p.addr = tunnel.DefaultAddr
	}
	var err error
	if p.test, err = readTestEdge(); err != nil {
		return nil, err
	}
	p.supervisor = tunnel.Supervisor{Serve: p.serve, Notify: p.notify, Log: log}
	return p, nil
}

// config is what the shim is told at its start.
func (p *publicSide) config(o appOptions) shim.TunnelConfig {
	c := shim.TunnelConfig{Control: p, Mode: o.tunnel, URL: o.publicURL, Presets: p.presets}
	if token := strings.TrimSpace(os.Getenv("NGROK_AUTHTOKEN")); token != "" {
		c.Authtoken = shim.NewSecret(token)
	}
	return c
}

func (p *publicSide) presets(publicURL string) []shim.TunnelPreset {
	var all []shim.TunnelPreset
	for _, q := range tunnel.Presets(publicURL, p.addr) {
		t := shim.TunnelPreset{ID: q.ID, Name: q.Name}
		for _, s := range q.Steps {
			t.Steps = append(t.Steps, shim.TunnelStep{Words: s.Words, File: s.File, Text: s.Text})
		}
		all = append(all, t)
	}
	return all
}

// ParseURL implements shim.Tunnel.
func (p *publicSide) ParseURL(s string) (string, error) { return tunnel.ParseOrigin(s) }

// Want implements shim.Tunnel.
func (p *publicSide) Want(w shim.TunnelWish) {
	want := tunnel.Want{Paused: w.Paused}
	header := tunnel.NoClientHeader
	switch w.Provider {
	case api.TunnelNgrok:
		want.Tunnel = &ngrok.Tunnel{
			Authtoken: tunnel.NewAuthtoken(w.Authtoken.Reveal()), URL: w.URL, Log: p.log,
			ConnectAddr: p.test.addr, ConnectCAs: p.test.cas,
		}
		want.Known = w.Known
		header = tunnel.NgrokClientHeader
	case api.TunnelExternal:
		want.Tunnel = &tunnel.External{URL: w.URL, Addr: p.addr}
		if preset, ok := tunnel.PresetByID(w.Preset, w.URL, p.addr); ok {
			header = preset.ClientHeader
		}
	}
	p.mu.Lock()
	p.header = header
	p.mu.Unlock()
	p.supervisor.Set(want)
}

// Settled implements shim.Tunnel.
func (p *publicSide) Settled(ctx context.Context) api.TunnelStatus {
	return p.translate(p.supervisor.Settled(ctx))
}

func (p *publicSide) serve(ctx context.Context, ln net.Listener, origin string) error {
	p.mu.Lock()
	header := p.header
	p.mu.Unlock()
	return p.shim.ServePublic(ctx, ln, shim.PublicConfig{Origin: origin, AddrHeader: string(header)})
}

// translate puts a status of the tunnel's into the shim's form.
func (p *publicSide) translate(st tunnel.Status) api.TunnelStatus {
	out := api.TunnelStatus{
		Provider: st.Provider, State: string(st.State), Words: st.Words, Next: st.Next, Link: st.Link, Code: st.Code, Whose: string(st.Whose),
		Account: st.Account, Plan: st.Plan, Region: st.Region, Origin: st.Origin,
	}
	if st.State == tunnel.Online {
		since := st.Since.UTC()
		out.Since = &since
		if st.Provider == tunnel.ProviderNgrok {
			out.Words = "Apps on the internet reach this computer at " + st.Origin + "."
		}
		p.mu.Lock()
		if p.tested.Equal(st.Since) {
			out.Test = p.found
		}
		p.mu.Unlock()
	}
	if st.Provider == tunnel.ProviderExternal {
		out.Listener = "http://" + p.addr
	}
	if limits, ok := tunnel.LimitsOf(st.Plan); ok {
		out.MaxRequests, out.MaxBytes = limits.Requests, limits.Out
	}
	return out
}

// notify is told by the supervisor how things are. Each time that the tunnel is
// online anew, it is tried from outside: an edge may accept us and nobody else.
func (p *publicSide) notify(st tunnel.Status) {
	p.publish(st)
	if st.State != tunnel.Online {
		return
	}
	p.mu.Lock()
	known := p.tested.Equal(st.Since)
	p.tested, p.found = st.Since, ""
	p.mu.Unlock()
	if known {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), testTime)
	defer cancel()
	words, ok := p.Test(ctx)
	p.mu.Lock()
	if !ok && p.tested.Equal(st.Since) {
		p.found = words
	}
	p.mu.Unlock()
	p.publish(p.supervisor.Status())
}

func (p *publicSide) publish(st tunnel.Status) {
	out := p.translate(st)
	p.shim.SetTunnelStatus(out)
	if p.said != nil {
		p.said(out)
	}
}

const testTime = 20 * time.Second

// Test implements shim.Tunnel: it goes out to the internet and in again by the
// public address.
func (p *publicSide) Test(ctx context.Context) (words string, ok bool) {
	path, nonce, end := p.shim.BeginSelfTest()
	defer end()
	origin := p.shim.PublicOrigin()
	err := tunnel.Probe(ctx, p.test.client(), origin, path, nonce)
	if err == nil {
		return "The public address leads to this computer.", true
	}
	f, isFault := errors.AsType[*tunnel.Fault](err)
	if !isFault {
		return "The public address could not be tried: " + err.Error(), false
	}
	return strings.TrimSpace(f.Problem.Words + " " + f.Problem.Next), false
}

// run keeps the tunnel as it is wanted until ctx ends.
func (p *publicSide) run(ctx context.Context) { p.supervisor.Run(ctx) }

// probeClient goes out as any client does, by the proxy of the environment if
// there is one, and keeps no connection.
func probeClient(t *http.Transport) *http.Client {
	t.DisableKeepAlives = true
	return &http.Client{Transport: t, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}
