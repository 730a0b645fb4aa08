package owner

import (
	"context"
	"net"
	"net/http"
	"net/netip"
	"sync"

	"github.com/key2oauth/key2oauth/shim/internal/httpx"
	"github.com/key2oauth/key2oauth/shim/internal/web"
)

// A loopback connection proves the machine, not the person: every OS user and
// every container on the host's network can make one. So what is for the owner
// only also asks the kernel whose process is at the other end.

// A peer is the other end of one connection. The kernel is asked at most once,
// when the first request needs to know.
type peer struct {
	conn net.Conn
	once sync.Once
	err  error
}

type peerKey struct{}

// WithPeer remembers a connection for RequireSameUser. It is made for
// http.Server.ConnContext.
func WithPeer(ctx context.Context, c net.Conn) context.Context {
	return context.WithValue(ctx, peerKey{}, &peer{conn: c})
}

// sameUser returns nil if the other end is a process of our own OS user, and
// where the system cannot tell (see ChecksUser).
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

// IsSameUser reports whether the kernel shows that r comes from a process of our
// own OS user. It is false where the system cannot tell.
func IsSameUser(r *http.Request) bool { return ChecksUser() && RequireSameUser(r) == nil }

// RequireSameUser rejects r unless it comes from a process of our own OS user.
// An unknown connection is rejected too.
func RequireSameUser(r *http.Request) error {
	p, ok := r.Context().Value(peerKey{}).(*peer)
	if !ok {
		return httpx.New(http.StatusForbidden, web.TextOtherUser)
	}
	if err := p.sameUser(); err != nil {
		return &httpx.Error{Status: http.StatusForbidden, Msg: web.TextOtherUser, Err: err}
	}
	return nil
}
