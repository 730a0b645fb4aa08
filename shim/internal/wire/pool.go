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
	era   int64 // of t when it was made
	in    *bufio.Reader

	reused bool // it carried a request before
	wrote  bool // some of the current request was sent
	torn   bool // the peer takes no more of it, but may have answered
	got    bool // some of the answer came back

	limited bool  // the header of an answer is being read
	left    int64 // bytes that it may still have

	keep  time.Duration // how long it may be idle
	until time.Time     // while it is idle: when it must not be used any more
}

// Read reads from the peer. While the header of an answer is read, it reads no
// more than MaxHeader.
func (c *conn) Read(p []byte) (int, error) {
	if c.limited {
		if c.left <= 0 {
			return 0, ErrHeader
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
	next  time.Time          // when sweep is due, or earlier
}

// get takes the most recently used connection to a host out of the pool, or
// returns nil.
func (p *pool) get(host string) *conn {
	p.mu.Lock()
	defer p.mu.Unlock()
	for waiting := p.hosts[host]; len(waiting) > 0; {
		c := waiting[len(waiting)-1]
		waiting[len(waiting)-1] = nil
		waiting = waiting[:len(waiting)-1]
		p.hosts[host] = waiting
		if time.Now().Before(c.until) {
			return c
		}
		c.Close() // the sweep is late, as after sleep
	}
	return nil
}

// put adds an idle connection.
func (p *pool) put(c *conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	waiting := p.hosts[c.host]
	if c.keep <= 0 || c.era != c.t.era.Load() || len(waiting) >= c.t.MaxIdlePerHost {
		c.Close()
		return
	}
	c.until = time.Now().Add(c.keep)
	if p.hosts == nil {
		p.hosts = make(map[string][]*conn)
	}
	p.hosts[c.host] = append(waiting, c)
	switch {
	case p.sweep == nil:
		p.next = c.until
		p.sweep = time.AfterFunc(c.keep, p.expire)
	case c.until.Before(p.next):
		p.next = c.until
		p.sweep.Reset(c.keep)
	}
}

// expire closes connections that were idle for too long. It schedules itself
// while there are any.
func (p *pool) expire() {
	now := time.Now()
	p.close(now)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.next = time.Time{}
	for _, waiting := range p.hosts {
		for _, c := range waiting {
			if p.next.IsZero() || c.until.Before(p.next) {
				p.next = c.until
			}
		}
	}
	if p.next.IsZero() {
		p.sweep = nil
		return
	}
	// Under load the next one is always close, and most are in use again by then.
	p.sweep.Reset(max(time.Until(p.next), sweepEvery))
}

// sweepEvery is how often connections are looked through at most.
const sweepEvery = 100 * time.Millisecond

// close closes the connections that may be idle until a time; the zero time
// means all of them.
func (p *pool) close(now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for host, waiting := range p.hosts {
		kept := waiting[:0]
		for _, c := range waiting {
			if now.IsZero() || !now.Before(c.until) {
				c.Close()
			} else {
				kept = append(kept, c)
			}
		}
		clear(waiting[len(kept):])
		if len(kept) == 0 {
			delete(p.hosts, host)
			continue
		}
		p.hosts[host] = kept
	}
}
