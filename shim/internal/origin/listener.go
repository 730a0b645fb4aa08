package origin

import (
	"container/list"
	"context"
	"errors"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// What the connections of a public side may cost. One person's apps have dozens
// of connections, and each costs about 20 kB while it waits.
const (
	maxConns = 2048
	// maxStrangers of them may belong to senders that have not shown a valid
	// token for the request that they are sending, which leaves room for apps.
	maxStrangers = 1024
	// minStay is how long a connection may stay at least, or a sender of many new
	// ones would push out an app before it has shown its token.
	minStay = 500 * time.Millisecond
	// maxQueued new ones wait for that, which costs little: nothing of them is
	// read yet.
	maxQueued = 2048
	// strangerTime is how long one request without a valid token may take until
	// its answer is read, where the deadline for its body does not end it sooner.
	strangerTime = 30 * time.Second
	// sweepEvery is how often connections are looked through for that.
	sweepEvery = 5 * time.Second
)

// A Listener bounds the connections of a public side, and counts the bytes that
// leave by them. Where there is no room for a new connection, an older one goes:
// of a request that came without a valid token, then one whose request has not
// arrived yet, the oldest first. So a sender that holds many connections open takes
// room only from others that do the same, and never from an app that is signed
// in. Idle connections go last, since the next request may be on its way on one;
// while many strangers are connected, their connections end with the answer.
type Listener struct {
	net.Listener
	wrote func(n int)             // is told of each write
	known func(token string) bool // reports whether an access token is valid; asked only if a head is very long

	mu   sync.Mutex
	open int
	// Of *conn, each with the oldest first. A connection is in none of them while
	// its request is one that has shown a valid token.
	arriving  list.List // the head of a request has not arrived yet
	strangers list.List // it has, and has shown no valid token
	idle      list.List // between two requests
	idleApps  list.List // between two requests, the last of which had shown a valid token

	crowded atomic.Bool // with strangers

	pumping sync.Once
	queue   chan net.Conn // accepted, and not admitted yet
	ready   chan acceptResult
	closing sync.Once
	closed  chan struct{}
}

// An acceptResult is what an Accept returns.
type acceptResult struct {
	conn net.Conn
	err  error
}

// NewListener returns a Listener on ln. Both functions must be set.
func NewListener(ln net.Listener, wrote func(n int), known func(token string) bool) *Listener {
	return &Listener{
		Listener: ln, wrote: wrote, known: known,
		queue: make(chan net.Conn, maxQueued), ready: make(chan acceptResult), closed: make(chan struct{}),
	}
}

// Accept waits for a connection that there is room for.
func (l *Listener) Accept() (net.Conn, error) {
	l.pumping.Do(func() {
		go l.pump()
		go l.feed()
	})
	select {
	case a := <-l.ready:
		return a.conn, a.err
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

// pump takes each connection at once: a tunnel refuses those that are not taken.
func (l *Listener) pump() {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			l.hand(acceptResult{err: err})
			if temporary, ok := errors.AsType[net.Error](err); !ok || !temporary.Timeout() {
				return
			}
			continue
		}
		select {
		case l.queue <- c:
		default:
			go c.Close()
		}
	}
}

// feed admits queued connections in their order.
func (l *Listener) feed() {
	for {
		select {
		case c := <-l.queue:
			n := &conn{Conn: c, l: l}
			for !l.admit(n) {
				select {
				case <-time.After(minStay / 20):
				case <-l.closed:
					c.Close()
					return
				}
			}
			l.hand(acceptResult{conn: n})
		case <-l.closed:
			return
		}
	}
}

// hand waits until Accept takes a.
func (l *Listener) hand(a acceptResult) {
	select {
	case l.ready <- a:
	case <-l.closed:
		if a.conn != nil {
			a.conn.Close()
		}
	}
}

// Close ends Accept. Connections that were accepted live on.
func (l *Listener) Close() error {
	l.closing.Do(func() { close(l.closed) })
	return l.Listener.Close()
}

// admit counts a new connection. It returns false while there is no room.
func (l *Listener) admit(c *conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for l.open >= maxConns || l.unknown() >= maxStrangers {
		old := l.oldest()
		if old == nil {
			return false
		}
		l.drop(old)
	}
	l.open++
	c.busy = true
	c.began = time.Now()
	c.move(&l.arriving)
	return true
}

// oldest finds the connection that makes room, or nil. The caller holds mu.
func (l *Listener) oldest() *conn {
	for _, of := range []*list.List{&l.strangers, &l.arriving, &l.idle, &l.idleApps} {
		if e := of.Front(); e != nil && time.Since(e.Value.(*conn).since) >= minStay {
			return e.Value.(*conn)
		}
	}
	return nil
}

// unknown counts the connections that are not those of apps. The caller holds mu.
func (l *Listener) unknown() int { return l.arriving.Len() + l.strangers.Len() + l.idle.Len() }

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
	for _, of := range []*list.List{&l.arriving, &l.strangers} {
		for e := of.Front(); e != nil; {
			c := e.Value.(*conn)
			e = e.Next()
			if now.Sub(c.began) > strangerTime {
				l.drop(c)
			}
		}
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

// distrust prepares for a request that has not shown a token yet.
func distrust(w http.ResponseWriter, r *http.Request) {
	limitBody(w)
	if c, ok := r.Context().Value(connKey{}).(*conn); ok && c.l.crowded.Load() {
		w.Header()["Connection"] = closing
	}
}

var closing = []string{"close"}

// Trust says that a request has shown a valid token: it may take as long as it
// likes from now on.
func Trust(w http.ResponseWriter, r *http.Request) {
	http.NewResponseController(w).SetReadDeadline(time.Time{})
	delete(w.Header(), "Connection")
	if c, ok := r.Context().Value(connKey{}).(*conn); ok {
		c.trust()
	}
}

// A conn is one connection. Its fields but head belong to the listener's mu.
type conn struct {
	net.Conn
	l     *Listener
	in    *list.List    // nil while its request is trusted, and once it has left
	at    *list.Element // in in
	since time.Time     // when it came into in
	busy  bool          // with a request
	began time.Time     // of that request
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
	c.l.crowded.Store(c.l.unknown() > maxStrangers/2)
}

// leave counts c no more. The caller holds mu.
func (c *conn) leave() {
	if !c.gone {
		c.gone = true
		c.l.open--
		c.move(nil)
	}
}

// begin notes that a request arrives.
func (c *conn) begin() {
	c.l.mu.Lock()
	defer c.l.mu.Unlock()
	if !c.gone && !c.busy {
		c.busy = true
		c.began = time.Now()
		c.move(&c.l.arriving)
	}
}

// arrived notes that the head of a request is there. It has not been looked at.
func (c *conn) arrived() {
	c.begin() // where it came together with the request before
	c.l.mu.Lock()
	defer c.l.mu.Unlock()
	if c.in == &c.l.arriving {
		c.move(&c.l.strangers)
	}
}

// trust notes that the request has shown a valid token.
func (c *conn) trust() {
	c.l.mu.Lock()
	defer c.l.mu.Unlock()
	if !c.gone {
		c.move(nil)
	}
}

// end notes that the request was answered.
func (c *conn) end() {
	c.l.mu.Lock()
	defer c.l.mu.Unlock()
	if c.gone || !c.busy {
		return
	}
	to := &c.l.idle
	if c.in == nil {
		to = &c.l.idleApps
	}
	c.busy = false
	c.move(to)
}

// became notes what the HTTP server says of its connection.
func (c *conn) became(state http.ConnState) {
	switch state {
	case http.StateActive:
		c.head.whole.Store(true)
		c.arrived()
	case http.StateIdle:
		c.head.again()
		c.end()
	}
}

// Read notes when a request begins, and refuses a long head without a token.
func (c *conn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if n > 0 && !c.head.whole.Load() {
		c.begin()
		if !c.head.take(b[:n], c.l.known) {
			c.Conn.Write(headTooLong)
			return 0, errHeadTooLong
		}
	}
	return n, err
}

func (c *conn) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	c.l.wrote(n)
	return n, err
}

func (c *conn) Close() error {
	c.l.mu.Lock()
	c.leave()
	c.l.mu.Unlock()
	return c.Conn.Close()
}
