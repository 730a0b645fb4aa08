package wire

import (
	"bufio"
	"errors"
	"net"
	"os"
	"sync"
	"time"
)

// A conn is one connection to a host. It carries one exchange at a time.
type conn struct {
	net.Conn
	now  *now // nil if it cannot be asked
	t    *Transport
	host string
	in   *bufio.Reader

	reused bool // it carried an exchange before
	wrote  bool // something of the present one went out
	torn   bool // the peer takes no more of it, and may have answered before
	got    bool // and something came back

	limited bool  // the head of an answer is being read
	left    int64 // of it

	since time.Time // it waits since then
}

// Read reads from the peer, not more than the head of an answer may have while
// that is read.
func (c *conn) Read(p []byte) (int, error) {
	if c.limited {
		if c.left <= 0 {
			return 0, errHeader
		}
		p = p[:min(int64(len(p)), c.left)]
	}
	n, err := c.Conn.Read(p)
	if n > 0 {
		c.got = true
		c.left -= int64(n)
	}
	return n, err
}

// A sink writes to a connection. It has no ReadFrom: net's would copy the
// body through a buffer of 32 kB that it makes for each.
type sink struct{ c *conn }

func (s sink) Write(p []byte) (int, error) {
	n, err := s.c.Conn.Write(p)
	if n > 0 {
		s.c.wrote = true
	}
	// Not when our own deadline ended it.
	if err != nil && s.c.wrote && !errors.Is(err, os.ErrDeadlineExceeded) {
		s.c.torn = true
	}
	return n, err
}

// cancel ends what is being read or written.
func (c *conn) cancel() { c.Conn.SetDeadline(time.Unix(1, 0)) }

// A pool holds connections that wait for a request.
type pool struct {
	mu    sync.Mutex
	hosts map[string][]*conn // the one that was used last is the last
	sweep *time.Timer        // nil while nothing waits
}

// get returns the connection to a host that was used last, or nil.
func (p *pool) get(host string) *conn {
	p.mu.Lock()
	defer p.mu.Unlock()
	waiting := p.hosts[host]
	if len(waiting) == 0 {
		return nil
	}
	c := waiting[len(waiting)-1]
	waiting[len(waiting)-1] = nil
	p.hosts[host] = waiting[:len(waiting)-1]
	return c
}

// put lets a connection wait.
func (p *pool) put(c *conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	waiting := p.hosts[c.host]
	if len(waiting) >= c.t.MaxIdlePerHost {
		c.Close()
		return
	}
	c.since = time.Now()
	if p.hosts == nil {
		p.hosts = make(map[string][]*conn)
	}
	p.hosts[c.host] = append(waiting, c)
	if p.sweep == nil {
		idle := c.t.IdleTimeout
		p.sweep = time.AfterFunc(idle, func() { p.swept(idle) })
	}
}

// swept closes what has waited for too long, and comes again while anything
// waits.
func (p *pool) swept(idle time.Duration) {
	p.close(time.Now().Add(-idle))
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.hosts) == 0 {
		p.sweep = nil
		return
	}
	p.sweep.Reset(idle / 2)
}

// close closes what waits since before a time; the zero time closes all.
func (p *pool) close(before time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for host, waiting := range p.hosts {
		n := 0
		for n < len(waiting) && (before.IsZero() || waiting[n].since.Before(before)) {
			waiting[n].Close()
			n++
		}
		if n == len(waiting) {
			delete(p.hosts, host)
			continue
		}
		p.hosts[host] = append([]*conn(nil), waiting[n:]...)
	}
}
