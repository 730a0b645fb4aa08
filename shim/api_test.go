package shim_test

import (
	"testing"

	"github.com/key2oauth/key2oauth/shim/api"
	"github.com/key2oauth/key2oauth/shim/internal/endpoint"
	"github.com/key2oauth/key2oauth/shim/internal/keychain"
	"github.com/key2oauth/key2oauth/shim/internal/statefile"
	"github.com/key2oauth/key2oauth/shim/internal/timeline"
	"github.com/key2oauth/key2oauth/tunnel"
)

// TestAPIWords: packages that must not import the API have their own constants,
// which must equal the API's words.
func TestAPIWords(t *testing.T) {
	for _, w := range [][2]string{
		{string(keychain.StateReady), api.KeychainReady},
		{string(keychain.StateWaiting), api.KeychainWaiting},
		{string(keychain.StateLocked), api.KeychainLocked},
		{string(keychain.StateNotSetUp), api.KeychainNotSetUp},
		{string(keychain.StateUnavailable), api.KeychainUnavailable},
		{string(keychain.StateMemory), api.KeychainMemory},
		{string(keychain.StateFile), api.KeychainFile},
		{string(keychain.ModeOS), api.ModeOS},
		{string(keychain.ModeFile), api.ModeFile},
		{string(keychain.ModeMemory), api.ModeMemory},
		{string(statefile.DiskReady), api.DiskReady},
		{string(statefile.DiskFull), api.DiskFull},
		{string(statefile.DiskFailing), api.DiskFailing},
		{string(endpoint.Working), api.CredentialOK},
		{string(endpoint.Unverified), api.CredentialUnverified},
		{string(endpoint.Rejected), api.CredentialRejected},
		{string(endpoint.KeyNeeded), api.CredentialKeyNeeded},
		{tunnel.ProviderOff, api.TunnelOff},
		{tunnel.ProviderNgrok, api.TunnelNgrok},
		{tunnel.ProviderExternal, api.TunnelExternal},
		{string(tunnel.Off), api.TunnelOff},
		{string(tunnel.Connecting), api.TunnelConnecting},
		{string(tunnel.Online), api.TunnelOnline},
		{string(tunnel.Retrying), api.TunnelRetrying},
		{string(tunnel.Failed), api.TunnelFailed},
		{string(tunnel.Paused), api.TunnelPaused},
		{string(tunnel.Locked), api.TunnelLocked},
		{string(tunnel.Yours), api.WhoseYours},
		{string(tunnel.Ngroks), api.WhoseNgrok},
		{string(tunnel.Network), api.WhoseNetwork},
		{string(tunnel.Ours), api.WhoseOurs},
		{string(timeline.PartyOwner), api.WhoseYours},
		{string(timeline.PartyClient), api.WhoseClient},
		{string(timeline.PartyUpstream), api.WhoseUpstream},
		{string(timeline.PartyTunnel), api.WhoseNgrok},
		{string(timeline.PartyUs), api.WhoseOurs},
		{timeline.Local, api.ViaLocal},
		{timeline.Ngrok, api.TunnelNgrok},
		{timeline.External, api.TunnelExternal},
		{timeline.Done, api.AttemptDone},
		{timeline.Connected, api.AttemptConnected},
		{timeline.Going, api.AttemptGoing},
		{timeline.Stopped, api.AttemptStopped},
	} {
		if w[0] != w[1] {
			t.Errorf("a package says %q, and the API %q", w[0], w[1])
		}
	}
}
