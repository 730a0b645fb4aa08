package shim

import (
	"net/http"
	"net/netip"
	"net/url"
	"strings"

	"github.com/key2oauth/key2oauth/shim/internal/httpx"
	"github.com/key2oauth/key2oauth/shim/internal/limits"
	"github.com/key2oauth/key2oauth/shim/internal/oauth"
)

// seemsHere guesses whether the browser runs on this computer: it comes from
// the address that we have in the world, and is none of a phone. A wrong guess
// costs a page that does not open.
func (o *origin) seemsHere(r *http.Request) bool {
	own := o.s.ownAddr.Load()
	addr, ok := o.clientAddr(r)
	return own != nil && ok && sender(*own) == sender(addr) && httpx.IsDesktop(r.UserAgent())
}

// clientAddr is the address of whoever sent r. It is not ok if the way from the
// internet to us does not say so. What the sender wrote himself never counts:
// of a list, the last element is the one that our tunnel appended.
func (o *origin) clientAddr(r *http.Request) (addr netip.Addr, ok bool) {
	if o.loopback || o.addrHeader == "" {
		return addr, false
	}
	all := r.Header[http.CanonicalHeaderKey(o.addrHeader)]
	if len(all) == 0 {
		return addr, false
	}
	last := all[len(all)-1]
	last = strings.TrimSpace(last[strings.LastIndexByte(last, ',')+1:])
	if ap, err := netip.ParseAddrPort(last); err == nil {
		return ap.Addr(), true
	}
	addr, err := netip.ParseAddr(last)
	return addr, err == nil
}

// from names the sender of r, "" on this machine.
func (o *origin) from(r *http.Request) string {
	if o.loopback {
		return ""
	}
	addr, _ := o.clientAddr(r)
	return sender(addr)
}

// limitRegister refuses whoever registers clients without end.
func (o *origin) limitRegister(next httpx.HandlerFunc) httpx.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) error {
		if !o.loopback && !o.limits.Register.Allow(o.from(r)) {
			o.observe(r, oauth.Sight{Step: oauth.StepRegister, Why: oauth.WhyTooMany})
			return &httpx.Error{
				Status: http.StatusTooManyRequests, Code: "temporarily_unavailable",
				Msg:    "too many registrations came from this address; try again in a minute",
				Header: http.Header{"Retry-After": {"60"}},
			}
		}
		return next(w, r)
	}
}

// sender names who an address stands for: an IPv4 address, or an IPv6 network
// as one household or machine has it.
func sender(addr netip.Addr) string {
	addr = addr.Unmap().WithZone("")
	if !addr.IsValid() {
		return limits.Unknown
	}
	if addr.Is6() {
		if p, err := addr.Prefix(64); err == nil {
			return p.String()
		}
	}
	return addr.String()
}

// isPublicHost reports whether the world reaches us at this host: to fetch a
// document from there would be to ask ourselves.
func (s *Shim) isPublicHost(host string) bool {
	u, err := url.Parse(s.PublicOrigin())
	return err == nil && u.Host != "" && strings.EqualFold(u.Hostname(), host)
}
