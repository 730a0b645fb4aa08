package ngrok

import (
	"context"
	"testing"
	"time"

	"github.com/key2oauth/key2oauth/tunnel"
	"github.com/key2oauth/key2oauth/tunnel/tunneltest"
)

// TestSettled: the returned status is about the last wish, whether it succeeded
// or failed.
func TestSettled(t *testing.T) {
	k := newKit(t, tunneltest.Config{Accounts: map[string]tunneltest.Account{goodToken: {}}}, nil)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	settled := make(chan tunnel.Status, 1)
	k.s.Set(tunnel.Want{Tunnel: k.ngrok("2wrong_authtoken_of_a_test")}) // before Run
	go func() { settled <- k.s.Settled(ctx) }()
	k.run()
	if st := <-settled; st.State != tunnel.Failed || st.Code != "ERR_NGROK_107" {
		t.Errorf("after a wrong authtoken: %+v, want it failed", st)
	}
	for _, tt := range []struct {
		want tunnel.Want
		is   tunnel.State
	}{
		{tunnel.Want{Tunnel: k.ngrok(goodToken)}, tunnel.Online},
		{tunnel.Want{Tunnel: k.ngrok("2wrong_authtoken_of_a_test")}, tunnel.Failed},
		{tunnel.Want{}, tunnel.Off},
		{tunnel.Want{Tunnel: k.ngrok(goodToken), Paused: true}, tunnel.Paused},
		{tunnel.Want{Tunnel: k.ngrok(goodToken)}, tunnel.Online},
	} {
		k.s.Set(tt.want)
		if st := k.s.Settled(ctx); st.State != tt.is {
			t.Errorf("settled as %+v, want %s", st, tt.is)
		}
	}
	k.edge.Close()
	short, cancel := context.WithCancel(ctx)
	cancel()
	if st := k.s.Settled(short); st.State == tunnel.Failed {
		t.Errorf("an edge that is away is %+v", st)
	}
}
