package standing

import (
	"github.com/key2oauth/key2oauth/shim/api"
	"github.com/key2oauth/key2oauth/shim/internal/web"
)

// Internet is the state of the internet. A tunnel that is open is not enough for
// InternetOnline: the last self-test must not have failed, and through a tunnel of
// the owner's own, which we know only from our end, something must have come.
func Internet(t api.TunnelStatus, paused bool) api.Internet {
	out := api.Internet{State: internetState(t, paused)}
	out.Words = web.InternetState(out.State)
	switch out.State {
	case api.InternetPaused, api.InternetOnline, api.InternetOff:
	case api.InternetWaiting:
		out.Why = t.Test
		if out.Why == "" {
			out.Why, out.Next = t.Words, t.Next
		}
	default:
		out.Why, out.Next, out.Link = t.Words, t.Next, t.Link
		if t.State == api.TunnelOnline {
			out.Why, out.Next, out.Link = t.Test, "", ""
		}
	}
	return out
}

func internetState(t api.TunnelStatus, paused bool) string {
	switch {
	case t.Provider == "" || t.Provider == api.TunnelOff || t.State == api.TunnelOff || t.State == "":
		if paused {
			return api.InternetPaused
		}
		return api.InternetOff
	case paused || t.State == api.TunnelPaused:
		return api.InternetPaused
	case t.State == api.TunnelConnecting, t.State == api.TunnelRetrying:
		return api.InternetConnecting
	case t.State != api.TunnelOnline:
		return api.InternetUnreachable
	case t.Provider == api.TunnelExternal && !t.Proven:
		return api.InternetWaiting
	case t.Test != "":
		return api.InternetUnreachable
	}
	return api.InternetOnline
}
