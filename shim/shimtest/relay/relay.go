// Package relay is a way to a server that takes as long as a test says, in each
// direction. What is on the way stays on the way: a request crosses the end of
// its connection, as it does between continents.
package relay

import (
	"io"
	"net"
	"sync"
	"testing"
	"time"
)

// Start listens on loopback, and passes on each connection to the server at
// target. It ends with the test, and so do its connections.
func Start(t testing.TB, target string, delay time.Duration) (addr string) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &relay{target: target, delay: delay, open: map[net.Conn]bool{}}
	r.running.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			r.running.Go(func() { r.carry(c) })
		}
	})
	t.Cleanup(func() {
		ln.Close()
		r.end()
		r.running.Wait()
	})
	return ln.Addr().String()
}

type relay struct {
	target  string
	delay   time.Duration
	running sync.WaitGroup

	mu    sync.Mutex
	open  map[net.Conn]bool
	ended bool
}

// hold registers a connection, which end closes.
func (r *relay) hold(c net.Conn) (ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ended {
		c.Close()
		return false
	}
	r.open[c] = true
	return true
}

func (r *relay) drop(c net.Conn) {
	c.Close()
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.open, c)
}

func (r *relay) end() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ended = true
	for c := range r.open {
		c.Close()
	}
}

func (r *relay) carry(c net.Conn) {
	far, err := net.Dial("tcp", r.target)
	if err != nil {
		c.Close()
		return
	}
	if !r.hold(c) || !r.hold(far) {
		return
	}
	defer r.drop(c)
	defer r.drop(far)
	var both sync.WaitGroup
	both.Go(func() { r.pass(c, far) })
	both.Go(func() { r.pass(far, c) })
	both.Wait()
}

// A parcel is what arrives at once. nil bytes are the end.
type parcel struct {
	due   time.Time
	bytes []byte
}

// pass carries what from sends to to. An end is carried too, as are the resets
// that follow once the reader is gone.
func (r *relay) pass(from, to net.Conn) {
	way := make(chan parcel, 1<<10)
	go func() {
		defer close(way)
		for {
			buf := make([]byte, 16<<10)
			n, err := from.Read(buf)
			if n > 0 {
				way <- parcel{time.Now().Add(r.delay), buf[:n]}
			}
			if err != nil {
				way <- parcel{time.Now().Add(r.delay), nil}
				return
			}
		}
	}()
	for p := range way {
		time.Sleep(time.Until(p.due))
		if p.bytes == nil {
			to.Close() // the whole connection, as a server does that is done with it
			continue
		}
		if _, err := to.Write(p.bytes); err != nil {
			from.Close()
		}
	}
	io.Copy(io.Discard, from)
}
