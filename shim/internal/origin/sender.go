package origin

import (
	"net/http"
	"net/netip"
	"strings"

	"github.com/key2oauth/key2oauth/shim/internal/httpx"
	"github.com/key2oauth/key2oauth/shim/internal/limits"
)

// Here guesses whether the browser runs on this computer: its address equals
// our own public address, and it is not a mobile browser. A wrong guess costs a
// page that does not open.
func (o *Origin) Here(r *http.Request) bool {
	own := o.cfg.SelfTests.addr.Load()
	addr, ok := o.clientAddr(r)
	return own != nil && ok && sender(*own) == sender(addr) && httpx.IsDesktop(r.UserAgent())
}

// From names the sender of r for limits. It is empty on the loopback side, and
// limits.Unknown if the tunnel does not say.
func (o *Origin) From(r *http.Request) string {
	if o.Loopback {
		return ""
	}
	addr, _ := o.clientAddr(r)
	return sender(addr)
}

// clientAddr is the address that r was sent from; ok is false if the tunnel
// does not say. Nothing that the sender wrote counts: of a list, the last
// element is the one that our tunnel appended.
func (o *Origin) clientAddr(r *http.Request) (addr netip.Addr, ok bool) {
	if o.Loopback || o.addrHeader == "" {
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

// sender names what an address stands for: an IPv4 address, or the IPv6 network
// that one household or machine has.
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
