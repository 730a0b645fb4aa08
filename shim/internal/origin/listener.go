package origin

import (
	"container/list"
	"context"
	"net"
	"net/http"
	"sync"
	"time"
)

// What the connections of a public side may cost. One person's apps have dozens
// of connections, and each costs about 20 kB while it waits.
const (
	maxConns = 2048
	// maxStrangers of them may belong to senders that have not shown a valid
	// token for the request that they are sending, which leaves room for apps.
	maxStrangers = 1536
	// strangerTime is how long one request without a valid token may take until
	// its answer is read, where the deadline for its body does not end it sooner.
	strangerTime = 30 * time.Second
	// sweepEvery is how often connections are looked through for that.
	sweepEvery = 5 * time.Second
)

// A Listener bounds the connections of a public side, and counts the bytes that
// leave by them. Where there is no room for a new connection, an older one goes:
// one whose sender has shown no valid token, the one that has waited longest
// first. So whoever holds many connections open takes room only from others who
// do the same, and never from an app that is signed in.
type Listener struct {
	net.Listener
	// Wrote is told of each write.
	Wrote func(n int)
	// Known reports whether an access token is valid. It is asked only for
	// requests with a very long head.
	Known func(token string) bool

	mu       sync.Mutex
	open     int
	waiting  list.List // of *conn: a request that has shown none, the oldest first
	idle     list.List // of *conn: between two requests
	idleApps list.List // of *conn: between two requests, and an earlier one had shown a token
}

// Accept waits for a connection.
func (l *Listener) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		n := &conn{Conn: c, l: l}
		if l.admit(n) {
			return n, nil
		}
		c.Close()
	}
}

// admit counts a new connection. It returns false if there is no room, because
// signed-in apps use all of it.
func (l *Listener) admit(c *conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for l.open >= maxConns || l.waiting.Len()+l.idle.Len() >= maxStrangers {
		old := older(first(&l.waiting), first(&l.idle))
		if old == nil {
			old = first(&l.idleApps)
		}
		if old == nil {
			return false
		}
		l.drop(old)
	}
	l.open++
	c.move(&l.waiting)
	return true
}

// first returns the first connection of a list, or nil.
func first(of *list.List) *conn {
	if e := of.Front(); e != nil {
		return e.Value.(*conn)
	}
	return nil
}

// older returns the one that came into its list first. Either may be nil.
func older(a, b *conn) *conn {
	if a == nil || b != nil && b.since.Before(a.since) {
		return b
	}
	return a
}

// drop closes a connection, and counts it no more. The caller holds mu.
func (l *Listener) drop(c *conn) {
	c.leave()
	// A write that the peer does not read holds the connection of a tunnel, and
	// would hold us.
	go c.Conn.Close()
}

// Sweep ends requests without a valid token that take too long, until ctx ends.
func (l *Listener) Sweep(ctx context.Context) {
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	for {
		select {
		case now := <-tick.C:
			l.sweep(now)
		case <-ctx.Done():
			return
		}
	}
}

func (l *Listener) sweep(now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for c := first(&l.waiting); c != nil && now.Sub(c.since) > strangerTime; c = first(&l.waiting) {
		l.drop(c)
	}
}

// Watch has srv tell what becomes of the connections that it serves.
func (l *Listener) Watch(srv *http.Server) {
	srv.ConnContext = func(ctx context.Context, c net.Conn) context.Context {
		return context.WithValue(ctx, connKey{}, c)
	}
	srv.ConnState = func(c net.Conn, state http.ConnState) {
		if c, ok := c.(*conn); ok {
			c.became(state)
		}
	}
}

type connKey struct{}

// Trust says that a request has shown a valid token: it may take as long as it
// likes from now on.
func Trust(w http.ResponseWriter, r *http.Request) {
	c, ok := r.Context().Value(connKey{}).(*conn)
	if !ok {
		return
	}
	http.NewResponseController(w).SetReadDeadline(time.Time{})
	c.l.mu.Lock()
	defer c.l.mu.Unlock()
	if c.in != nil {
		c.app = true
		c.move(nil)
	}
}

// A conn is one connection. Its fields but head belong to the listener's mu.
type conn struct {
	net.Conn
	l     *Listener
	in    *list.List    // nil while its request is trusted, and once it has left
	at    *list.Element // in in
	since time.Time     // when it came into in
	app   bool          // an earlier request has shown a valid token
	gone  bool

	head headReader // belongs to the one who reads
}

// move puts c at the end of a list; nil is for a trusted request. The caller
// holds mu.
func (c *conn) move(to *list.List) {
	if c.in != nil {
		c.in.Remove(c.at)
	}
	c.in, c.at = to, nil
	if to != nil {
		c.at, c.since = to.PushBack(c), time.Now()
	}
}

// leave counts c no more. The caller holds mu.
func (c *conn) leave() {
	if !c.gone {
		c.gone = true
		c.l.open--
		c.move(nil)
	}
}

// began notes that a request arrives.
func (c *conn) began() {
	c.l.mu.Lock()
	defer c.l.mu.Unlock()
	if !c.gone && (c.in == &c.l.idle || c.in == &c.l.idleApps) {
		c.move(&c.l.waiting)
	}
}

// became notes what the HTTP server says of its connection.
func (c *conn) became(state http.ConnState) {
	switch state {
	case http.StateActive: // the head has arrived
		c.head.whole.Store(true)
		c.began()
	case http.StateIdle:
		c.head.again()
		c.l.mu.Lock()
		defer c.l.mu.Unlock()
		switch {
		case c.gone:
		case c.app:
			c.move(&c.l.idleApps)
		default:
			c.move(&c.l.idle)
		}
	}
}

// Read notes when a request begins, and refuses a long head without a token.
func (c *conn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if n > 0 && !c.head.whole.Load() {
		c.began()
		if !c.head.take(b[:n], c.l.Known) {
			c.Conn.Write(headTooLong)
			return 0, errHeadTooLong
		}
	}
	return n, err
}

func (c *conn) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	c.l.Wrote(n)
	return n, err
}

func (c *conn) Close() error {
	c.l.mu.Lock()
	c.leave()
	c.l.mu.Unlock()
	return c.Conn.Close()
}
