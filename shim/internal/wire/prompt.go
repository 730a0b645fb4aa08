package wire

import (
	"context"
	"io"
	"net"
	"net/http"
)

// A body that has arrived whole can be sent on in one write by the goroutine
// that serves the request. One that has not must be read by another goroutine,
// since the upstream may answer before it comes. Which of the two it is cannot
// be asked of an HTTP server, so the connection below it is made to answer
// "nothing yet" for a moment instead of waiting.

// Listen makes the bodies of requests on ln's connections known to Whole, as
// far as the system can tell what has arrived. ConnContext must be called for
// each of them.
func Listen(ln net.Listener) net.Listener { return listener{ln} }

type listener struct{ net.Listener }

func (l listener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return newArriving(c), nil
}

type arrivingKey struct{}

// ConnContext is for the field of that name of an http.Server.
func ConnContext(ctx context.Context, c net.Conn) context.Context {
	if a, ok := any(c).(*arriving); ok {
		return context.WithValue(ctx, arrivingKey{}, a)
	}
	return ctx
}

// Whole returns the body of a request that is served, if it is short and has
// arrived. Otherwise rest is to be used in its place. It does not wait.
func Whole(r *http.Request) (body []byte, rest io.Reader, whole bool) {
	n := r.ContentLength
	c, ok := r.Context().Value(arrivingKey{}).(*arriving)
	if !ok || n <= 0 || n > maxBody || r.ProtoMajor != 1 || r.Header["Expect"] != nil {
		return nil, r.Body, false
	}
	body = make([]byte, n)
	c.hasty.Store(true)
	got, err := 0, error(nil)
	for got < len(body) && err == nil {
		var m int
		m, err = r.Body.Read(body[got:])
		got += m
		if m == 0 && err == nil {
			break // it has not arrived
		}
	}
	c.hasty.Store(false)
	if got == len(body) {
		return body, nil, true
	}
	return nil, &resumed{head: body[:got], err: err, r: r.Body}, false
}

// A resumed is a body of which a part was read already.
type resumed struct {
	head []byte
	err  error // that came after head, if any
	r    io.Reader
}

func (b *resumed) Read(p []byte) (int, error) {
	if len(b.head) > 0 {
		n := copy(p, b.head)
		b.head = b.head[n:]
		return n, nil
	}
	if b.err != nil {
		return 0, b.err
	}
	return b.r.Read(p)
}
