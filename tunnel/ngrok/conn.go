package ngrok

import (
	"context"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"sync"
	"time"

	"github.com/key2oauth/key2oauth/tunnel"
)

// A conn is one client's connection, without the traps of the SDK's.
type conn struct{ net.Conn }

// closeWait is how long Close waits for the end to be sent. A connection whose
// client does not read never sends it.
const closeWait = 100 * time.Millisecond

func (c *conn) Close() error {
	done := make(chan error, 1)
	go func() { done <- c.Conn.Close() }()
	select {
	case err := <-done:
		return err
	case <-time.After(closeWait):
		return nil
	}
}

// SetWriteDeadline fails: the SDK would damage the session.
func (c *conn) SetWriteDeadline(t time.Time) error {
	if t.IsZero() {
		return nil
	}
	return os.ErrNoDeadline
}

// SetDeadline sets the read deadline, and fails as SetWriteDeadline does.
func (c *conn) SetDeadline(t time.Time) error {
	if err := c.Conn.SetReadDeadline(t); err != nil {
		return err
	}
	return c.SetWriteDeadline(t)
}

const dialTime = 10 * time.Second

// A dialer connects a session to ngrok and keeps the connection at hand. Once the
// session was online it does not give up: the SDK would sleep between its
// attempts, for up to 30 seconds, and nothing could wake it when the network is
// back.
type dialer struct {
	// report is called before each wait, and with nil after the last one.
	report func(err error, retry time.Time)
	first  time.Duration // the first wait; each is twice the one before

	mu      sync.Mutex // not the listener's, which report locks
	patient bool
	conn    net.Conn
	wake    chan struct{} // not nil while waiting
}

func (d *dialer) patience(on bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.patient = on
}

// Dial completes the SDK's interface. The SDK never calls it.
func (d *dialer) Dial(network, addr string) (net.Conn, error) {
	return d.DialContext(context.Background(), network, addr)
}

func (d *dialer) DialContext(ctx context.Context, network, addr string) (net.Conn, error) {
	wait, waited := d.first, false
	d.mu.Lock()
	d.conn = nil
	d.mu.Unlock()
	for {
		c, err := (&net.Dialer{Timeout: dialTime, KeepAlive: 15 * time.Second}).DialContext(ctx, network, addr)
		d.mu.Lock()
		if err == nil {
			d.conn = c
			d.mu.Unlock()
			if waited {
				d.report(nil, time.Time{})
			}
			return c, nil
		}
		if !d.patient || ctx.Err() != nil {
			d.mu.Unlock()
			return nil, err
		}
		wake := make(chan struct{})
		d.wake = wake
		d.mu.Unlock()
		waited = true
		d.report(err, time.Now().Add(wait))
		select {
		case <-ctx.Done():
			return nil, err
		case <-wake:
			wait = d.first
		case <-time.After(wait):
			wait = min(2*wait, 30*time.Second)
		}
		d.mu.Lock()
		d.wake = nil
		d.mu.Unlock()
	}
}

// wakeUp ends a wait, and reports whether there was one.
func (d *dialer) wakeUp() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.wake == nil {
		return false
	}
	close(d.wake)
	d.wake = nil
	return true
}

// kill breaks the connection, and reports whether there was one.
func (d *dialer) kill() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.conn == nil {
		return false
	}
	d.conn.Close()
	d.conn = nil
	return true
}

// from returns the local address of the connection.
func (d *dialer) from() (netip.Addr, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.conn == nil {
		return netip.Addr{}, false
	}
	ap, err := netip.ParseAddrPort(d.conn.LocalAddr().String())
	return ap.Addr().Unmap().WithZone(""), err == nil
}

// A handover notices a deadlock in the SDK's listener. If the SDK closes the
// listener while it hands out a connection, both wait for each other forever.
// The SDK logs that it has a connection before Accept returns it. If Accept does
// not return soon after that, the listener is deadlocked.
type handover struct {
	limit time.Duration // for Accept to return after the SDK has a connection
	stuck func()        // called each time the limit passes

	mu      sync.Mutex // not the listener's, which stuck locks
	begun   int        // connections that Accept has yet to return
	waiting bool
	timer   *time.Timer
}

// begin counts one more connection that the SDK is about to hand out.
func (h *handover) begin() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.begun++
	h.watch()
}

// wait records that Accept was called.
func (h *handover) wait() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.waiting = true
	h.watch()
}

// end records that Accept returned.
func (h *handover) end() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.waiting, h.begun = false, h.begun-1
	h.watch()
}

// watch restarts the timer while Accept has a connection to return, and stops it
// otherwise. The caller holds mu.
func (h *handover) watch() {
	switch need := h.waiting && h.begun > 0; {
	case !need && h.timer != nil:
		h.timer.Stop()
	case need && h.timer == nil:
		h.timer = time.AfterFunc(h.limit, h.late)
	case need:
		h.timer.Reset(h.limit)
	}
}

func (h *handover) late() {
	h.mu.Lock()
	late := h.waiting && h.begun > 0
	h.mu.Unlock()
	if late {
		h.stuck()
	}
}

// handsOut is what the SDK logs when it has a connection.
const handsOut = "handling connection"

// sdkLog returns the log for the SDK. It passes on messages at debug level, and of
// their attributes only ngrok's codes, since the SDK's errors repeat the
// authtoken and its messages are full of identifiers. If connection is not nil,
// it is called for each connection that the SDK is about to hand out.
func sdkLog(log *slog.Logger, connection func()) *slog.Logger {
	h := sdkHandler{slog.DiscardHandler, connection}
	if log != nil {
		h.to = log.Handler()
	}
	return slog.New(h)
}

type sdkHandler struct {
	to         slog.Handler
	connection func()
}

func (h sdkHandler) Enabled(ctx context.Context, _ slog.Level) bool {
	return h.connection != nil || h.to.Enabled(ctx, slog.LevelDebug)
}

func (h sdkHandler) Handle(ctx context.Context, r slog.Record) error {
	message := r.Message
	if message == handsOut && h.connection != nil {
		h.connection()
	}
	if !h.to.Enabled(ctx, slog.LevelDebug) {
		return nil
	}
	if code := tunnel.CodeIn(message); code != "" { // then it is not the SDK's own
		message = "ERR_NGROK_" + string(code)
	}
	out := slog.NewRecord(r.Time, slog.LevelDebug, "ngrok: "+message, 0)
	r.Attrs(func(a slog.Attr) bool {
		if err, ok := a.Value.Any().(error); ok {
			if code := tunnel.CodeIn(err.Error()); code != "" {
				out.AddAttrs(slog.String("code", "ERR_NGROK_"+string(code)))
			}
		}
		return true
	})
	return h.to.Handle(ctx, out)
}

func (h sdkHandler) WithAttrs([]slog.Attr) slog.Handler { return h }
func (h sdkHandler) WithGroup(string) slog.Handler      { return h }
