package wire

import (
	"bufio"
	"errors"
	"net"
	"os"
	"sync"
	"time"
)

// A conn is a connection to a host. It carries one request at a time.
type conn struct {
	net.Conn
	probe *probe // nil if the system cannot tell
	t     *Transport
	host  string
	in    *bufio.Reader

	reused bool // it carried a request before
	wrote  bool // some of the current request was sent
	torn   bool // the peer takes no more of it, but may have answered
	got    bool // some of the answer came back

	limited bool  // the header of an answer is being read
	left    int64 // bytes that it may still have

	since time.Time // when it became idle
}

// Read reads from the peer. While the header of an answer is read, it reads no
// more than MaxHeader.
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

// A sink writes to a connection. It hides net's ReadFrom, which would allocate
// a buffer of 32 kB for each body.
type sink struct{ c *conn }

func (s sink) Write(p []byte) (int, error) {
	n, err := s.c.Conn.Write(p)
	if n > 0 {
		s.c.wrote = true
	}
	// A deadline of our own does not count.
	if err != nil && s.c.wrote && !errors.Is(err, os.ErrDeadlineExceeded) {
		s.c.torn = true
	}
	return n, err
}

// cancel ends a Read or Write in progress.
func (c *conn) cancel() { c.Conn.SetDeadline(time.Unix(1, 0)) }

// A pool holds idle connections.
type pool struct {
	mu    sync.Mutex
	hosts map[string][]*conn // the most recently used is the last
	sweep *time.Timer        // nil while there are no idle connections
}

// get takes the most recently used connection to a host out of the pool, or
// returns nil.
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

// put adds an idle connection.
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
		p.sweep = time.AfterFunc(idle, func() { p.expire(idle) })
	}
}

// expire closes connections that were idle for too long. It schedules itself
// while there are any.
func (p *pool) expire(idle time.Duration) {
	p.close(time.Now().Add(-idle))
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.hosts) == 0 {
		p.sweep = nil
		return
	}
	p.sweep.Reset(idle / 2)
}

// close closes the connections that are idle since before a time; the zero time
// means all of them.
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
