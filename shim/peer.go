package shim

import (
	"context"
	"net"
	"net/http"
	"net/netip"
	"sync"

	"github.com/key2oauth/key2oauth/shim/internal/httpx"
	"github.com/key2oauth/key2oauth/shim/internal/web"
	"github.com/key2oauth/key2oauth/shim/internal/wire"
)

// Loopback is proof of the machine, not of the person: every OS user and every
// container with the host's network can connect to it. So what only the owner
// may reach also asks the kernel whose process is at the other end.

// A peer is the other end of one connection. The kernel is asked once, and
// only if a request needs to know.
type peer struct {
	conn net.Conn
	once sync.Once
	err  error
}

type peerKey struct{}

func withPeer(ctx context.Context, c net.Conn) context.Context {
	return context.WithValue(wire.ConnContext(ctx, c), peerKey{}, &peer{conn: c})
}

// sameUser returns nil if the other end is a process of our own OS user, or if
// this system has no way to tell (see checksUser).
func (p *peer) sameUser() error {
	p.once.Do(func() {
		remote, local := addrPort(p.conn.RemoteAddr()), addrPort(p.conn.LocalAddr())
		p.err = ownedByUs(remote, local)
	})
	return p.err
}

func addrPort(a net.Addr) netip.AddrPort {
	t, ok := a.(*net.TCPAddr)
	if !ok {
		return netip.AddrPort{}
	}
	ap := t.AddrPort()
	return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
}

// requireSameUser refuses r unless it comes from a process of our own OS user.
// A connection that nothing is known of is refused as well.
func requireSameUser(r *http.Request) error {
	p, ok := r.Context().Value(peerKey{}).(*peer)
	if !ok {
		return httpx.New(http.StatusForbidden, web.TextOtherUser)
	}
	if err := p.sameUser(); err != nil {
		return &httpx.Error{Status: http.StatusForbidden, Msg: web.TextOtherUser, Err: err}
	}
	return nil
}
