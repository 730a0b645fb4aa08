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
// limits.Unknown if the tunnel does not say. A loopback address is that of
// another proxy on this computer, which all senders share.
func (o *Origin) From(r *http.Request) string {
	if o.Loopback {
		return ""
	}
	addr, _ := o.clientAddr(r)
	if addr.Unmap().IsLoopback() {
		return limits.Unknown
	}
	return sender(addr)
}

// Mixed reports whether the senders of requests cannot be told apart, so that
// one stranger shares the limits of all. Before anything has come through the
// tunnel, that is not known.
func (o *Origin) Mixed() bool { return o.asked.Load() && !o.sign.Load().apart }

// A sign is how a tunnel says who sent a request: in the last element of a
// header.
type sign struct {
	header string // "" if the tunnel does not say
	// alone says that the header must be the only one of its name. A tunnel that
	// was seen to add to a header may add to the first of several, and leave the
	// last one as the sender wrote it.
	alone bool
	apart bool // it names the senders themselves, and no proxy of ours
}

// usualHeaders are the headers that a self-test looks at to learn the sign.
// Others cannot be tried: Cloudflare refuses requests that bring its own header.
var usualHeaders = []string{"X-Forwarded-For", "X-Real-Ip"}

// clientAddr is the address that r was sent from; ok is false if the tunnel
// does not say.
func (o *Origin) clientAddr(r *http.Request) (addr netip.Addr, ok bool) {
	if o.Loopback {
		return addr, false
	}
	return o.sign.Load().addr(r.Header)
}

// addr reads a sign. Nothing that the sender wrote counts: of a list, the last
// element is the one that our tunnel appended.
func (s sign) addr(h http.Header) (addr netip.Addr, ok bool) {
	all := h[http.CanonicalHeaderKey(s.header)]
	if s.header == "" || len(all) == 0 || s.alone && len(all) > 1 {
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

// learn finds the sign of the tunnel by a self-test, which claimed to come from
// another address, as a stranger may. What the tunnel left as it was claimed
// says nothing about anybody. The sign of the owner's preset is kept if it
// stands this test. Any other must name a public address: a private one is that
// of a proxy in between, or of a router that leads the way back inside.
func (o *Origin) learn(h http.Header, claimed netip.Addr) {
	for _, name := range append([]string{o.preset}, usualHeaders...) {
		s := sign{header: name}
		addr, ok := s.addr(h)
		if !ok || !claimed.IsValid() || addr.Unmap() == claimed {
			continue
		}
		if name != o.preset {
			all := h[http.CanonicalHeaderKey(name)]
			added := len(all) == 2 && all[0] == claimed.String() // another header, as HAProxy does
			if s.alone = len(all) == 1; !isPublic(addr) || !s.alone && !added {
				continue
			}
		}
		s.apart = !addr.Unmap().IsLoopback()
		o.sign.Store(&s)
		return
	}
	o.sign.Store(new(sign))
}

// sharedSpace is used by carriers and by Tailscale inside their networks.
var sharedSpace = netip.MustParsePrefix("100.64.0.0/10") // RFC 6598

func isPublic(addr netip.Addr) bool {
	addr = addr.Unmap()
	return addr.IsGlobalUnicast() && !addr.IsPrivate() && !sharedSpace.Contains(addr)
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
