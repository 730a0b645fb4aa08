// Package ngrok is a tunnel through the ngrok service. It is the only package
// that imports ngrok's SDK, and it keeps the habits of the SDK to itself:
//
//   - The SDK keeps trying to connect with an authtoken that was refused. So the
//     context of a session ends as soon as an event names a code that is final.
//   - Between its attempts it sleeps and cannot be woken. So the dialer that it
//     is given waits instead, as long as there is no network.
//   - Closing its listener can deadlock under load, and closing a connection
//     waits for a writer that waits for the client. So both run on goroutines
//     of their own, with a limit.
//   - Write deadlines do nothing on its connections, or damage the session. So
//     they are refused with os.ErrNoDeadline.
//   - After an endpoint was stopped from ngrok's dashboard, its next reconnect
//     opens the endpoint again with no listener behind it. So each opening has an
//     Agent of its own, which is discarded with it.
//   - Its errors repeat the authtoken. So only the code in them is passed on.
package ngrok

import (
	"cmp"
	"context"
	"crypto/x509"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	sdk "golang.ngrok.com/ngrok/v2"
	"golang.ngrok.com/ngrok/v2/rpc"

	"github.com/key2oauth/key2oauth/tunnel"
)

// A Tunnel is a tunnel through the ngrok service. Its fields must not be changed
// after Open was called.
type Tunnel struct {
	Authtoken tunnel.Authtoken
	// URL is the origin that the owner asked for, or "". Then the tunnel has
	// the origin that it had before, or else the domain that came with the
	// account.
	URL string
	Log *slog.Logger // nil logs nothing

	// ConnectAddr and ConnectCAs replace ngrok with another service: its
	// host:port and the authorities that sign its certificate. They are for
	// tests. No setting may reach them, since who can write that setting could
	// read everything that passes.
	ConnectAddr string
	ConnectCAs  *x509.CertPool

	// For tests; 0 means the usual time.
	heartbeat, tolerance, firstWait, stuck time.Duration
}

const (
	closeTime   = 2 * time.Second  // for telling ngrok that the tunnel closes
	openTime    = 20 * time.Second // for one attempt to get online
	abandonTime = 2 * time.Second  // for an abandoned attempt to end
	stuckTime   = 5 * time.Second  // for the SDK to hand out a connection that it has
)

// notTheirs are the codes for a domain that the account does not have.
var notTheirs = []tunnel.Cause{"313", "314", "319", "320"}

// Provider returns tunnel.ProviderNgrok.
func (*Tunnel) Provider() string { return tunnel.ProviderNgrok }

// ClientHeader returns the header that ngrok's edge appends to.
func (*Tunnel) ClientHeader() tunnel.ClientHeader { return tunnel.LastForwardedFor }

// Open tries to connect once. Trying again is up to the caller.
func (n *Tunnel) Open(ctx context.Context, known string) (net.Listener, string, error) {
	if n.Authtoken.Reveal() == "" {
		return nil, "", tunnel.NewFault("4018", nil)
	}
	ask := cmp.Or(n.URL, known)
	ln, origin, err := n.open(ctx, ask)
	if f, ok := errors.AsType[*tunnel.Fault](err); ok && n.URL == "" && ask != "" && slices.Contains(notTheirs, f.Problem.Cause) {
		// The authtoken belongs to another account now. That account's own
		// domain is better than none, and the caller sees that it changed.
		return n.open(ctx, "")
	}
	return ln, origin, err
}

func (n *Tunnel) open(ctx context.Context, ask string) (net.Listener, string, error) {
	ctx, cancel := context.WithTimeout(ctx, openTime)
	defer cancel()
	// The session lives until it is closed, not as long as ctx.
	life, end := context.WithCancel(context.WithoutCancel(ctx))
	l := &listener{
		end:    end,
		own:    n.URL == "",
		news:   make(chan struct{}, 1),
		failed: make(chan error, 1),
		conns:  make(chan net.Conn),
		closed: make(chan struct{}),
		ended:  make(chan struct{}),
	}
	l.dialer.report, l.dialer.first = l.waiting, cmp.Or(n.firstWait, time.Second)
	l.handover.limit, l.handover.stuck = cmp.Or(n.stuck, stuckTime), l.lockedUp
	agent, err := n.agent(l)
	if err != nil {
		end()
		return nil, "", tunnel.NewFault(tunnel.CauseUnknown, nil)
	}
	l.agent = agent
	type opened struct {
		ln  sdk.EndpointListener
		err error
	}
	done := make(chan opened, 1)
	go func() {
		ln, err := agent.Listen(life, endpoint(ask)...)
		done <- opened{ln, err}
	}()
	var o opened
	select {
	case o = <-done:
		err = o.err
	case err = <-l.failed:
	case <-ctx.Done():
		err = context.Cause(ctx)
	}
	if err == nil {
		l.inner = o.ln
		origin, perr := tunnel.ParseOrigin(o.ln.URL().String())
		if perr == nil {
			l.open(agent)
			return l, origin, nil
		}
		err = tunnel.NewFault(tunnel.CauseUnknown, perr)
	}
	l.abandon()
	if o.ln == nil && o.err == nil {
		select {
		case <-done:
		case <-time.After(abandonTime):
		}
	}
	return nil, "", n.explain(ctx, err)
}

// agent returns the Agent for one opening.
func (n *Tunnel) agent(l *listener) (sdk.Agent, error) {
	options := n.options()
	options = append(options,
		sdk.WithLogger(sdkLog(n.Log, l.handover.begin)),
		sdk.WithAuthtoken(n.Authtoken.Reveal()),
		sdk.WithDialer(&l.dialer),
		sdk.WithEventHandler(l.event),
		sdk.WithRPCHandler(l.command),
	)
	return sdk.NewAgent(options...)
}

// options returns the options that every Agent gets.
func (n *Tunnel) options() []sdk.AgentOption {
	options := []sdk.AgentOption{sdk.WithLogger(sdkLog(n.Log, nil))}
	if n.ConnectAddr != "" {
		options = append(options, sdk.WithAgentConnectURL(n.ConnectAddr))
	}
	if n.ConnectCAs != nil {
		options = append(options, sdk.WithAgentConnectCAs(n.ConnectCAs))
	}
	if n.heartbeat > 0 {
		options = append(options, sdk.WithHeartbeatInterval(n.heartbeat), sdk.WithHeartbeatTolerance(n.tolerance))
	}
	return options
}

func endpoint(ask string) []sdk.EndpointOption {
	if ask == "" {
		return nil
	}
	return []sdk.EndpointOption{sdk.WithURL(ask)}
}

// explain finds out why no session was opened. The SDK loses the reason when the
// TLS handshake fails, so a second connection looks for it.
func (n *Tunnel) explain(ctx context.Context, err error) error {
	f := tunnel.Classify(err)
	if f.Problem.Cause != tunnel.CauseBroken && f.Problem.Cause != tunnel.CauseUnknown {
		return f
	}
	agent, aerr := sdk.NewAgent(append(n.options(), sdk.WithDialer(&net.Dialer{Timeout: dialTime}))...)
	if aerr != nil {
		return f
	}
	ctx, cancel := context.WithTimeout(ctx, dialTime)
	defer cancel()
	if _, derr := agent.(sdk.Diagnoser).Diagnose(ctx, ""); derr != nil && ctx.Err() == nil {
		return tunnel.Classify(derr)
	}
	return f
}

// A listener is one opening of the tunnel: an Agent, its session and its endpoint.
type listener struct {
	agent  sdk.Agent
	inner  sdk.EndpointListener
	dialer dialer
	end    context.CancelFunc // of the session
	own    bool               // the account chooses the domain

	handover handover
	conns    chan net.Conn
	once     sync.Once
	closed   chan struct{} // closed once no connection is handed out
	endOnce  sync.Once
	ended    chan struct{} // closed once the SDK's listener has ended

	news   chan struct{} // holds one when st changed
	failed chan error    // holds the first failure before open

	mu     sync.Mutex // guards what callbacks of the SDK and callers of State share
	opened bool
	done   bool // we are closing it, so what happens now is expected
	st     tunnel.LinkState
}

// open starts to take connections. Nothing else uses the listener yet.
func (l *listener) open(agent sdk.Agent) {
	l.mu.Lock()
	l.opened = true
	if !l.st.Online { // it broke already
		signal(l.news)
	}
	if s, err := agent.Session(); err == nil {
		if d, ok := s.(sdk.AgentSessionDetails); ok {
			l.st.Account, l.st.Plan, l.st.Region = d.AccountName(), d.PlanName(), d.Region()
		}
	}
	l.mu.Unlock()
	l.dialer.patience(true)
	go l.pump()
}

// pump takes connections from the SDK until its listener ends, even after
// Accept is no longer called: a connection that is not taken blocks the SDK's
// Close forever.
func (l *listener) pump() {
	defer l.endOnce.Do(func() { close(l.ended) })
	for {
		l.handover.wait()
		c, err := l.inner.Accept()
		l.handover.end()
		if err != nil {
			f := tunnel.Classify(err)
			if e, ok := errors.AsType[sdk.Error](err); ok && e.Code() == "" {
				f = tunnel.NewFault(tunnel.CauseTakenOffline, nil)
			}
			l.stop(f)
			return
		}
		select {
		case l.conns <- &conn{c}:
		case <-l.closed:
			go c.Close()
		}
	}
}

// lockedUp stops waiting for pump, whose Accept will never return. This happens
// when ngrok takes the address offline, and nothing else tells us.
func (l *listener) lockedUp() {
	l.stop(tunnel.NewFault(tunnel.CauseTakenOffline, nil))
	l.endOnce.Do(func() { close(l.ended) })
}

func (l *listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	case <-l.ended:
		return nil, net.ErrClosed // the reason is in state
	}
}

func (l *listener) Addr() net.Addr { return l.inner.Addr() }

// Close tells ngrok that the endpoint is gone, which may take up to closeTime, and
// hands out connections until then. Connections that were handed out stay open.
func (l *listener) Close() error {
	l.once.Do(func() {
		l.mu.Lock()
		l.done = true
		l.mu.Unlock()
		done := make(chan struct{})
		go func() {
			defer close(done)
			l.inner.Close()
		}()
		select {
		case <-done:
		case <-time.After(closeTime):
		}
		close(l.closed)
	})
	return nil
}

// Disconnect ends the session. The SDK's Disconnect may wait forever, so it runs
// on its own goroutine, and after a while the connection under it is closed.
func (l *listener) Disconnect() {
	l.mu.Lock()
	l.done = true
	l.mu.Unlock()
	done := make(chan struct{})
	go func() {
		defer close(done)
		l.agent.Disconnect()
	}()
	select {
	case <-done:
	case <-time.After(abandonTime / 4):
	}
	l.abandon()
	select {
	case <-l.ended:
	case <-time.After(abandonTime / 4): // the SDK's Close has locked itself up
	}
}

// abandon ends a session without telling ngrok.
func (l *listener) abandon() {
	l.mu.Lock()
	l.done = true
	l.mu.Unlock()
	l.end()
	l.dialer.kill()
	go l.agent.Disconnect() // may wait for Connect, which ends with l.end
}

func (l *listener) Changes() <-chan struct{} { return l.news }

func (l *listener) State() tunnel.LinkState {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.st
}

// event is called by the SDK, which holds a lock. It must not block or call the
// agent.
func (l *listener) event(e sdk.Event) {
	switch e := e.(type) {
	case *sdk.EventAgentConnectSucceeded:
		l.mu.Lock()
		defer l.mu.Unlock()
		if !l.final() {
			l.st.Online, l.st.Err, l.st.Retry = true, nil, time.Time{}
			signal(l.news)
		}
	case *sdk.EventAgentDisconnected:
		if e.Error == nil { // there has been another before
			return
		}
		f := tunnel.Classify(e.Error)
		if l.stop(f); f.Problem.Permanent {
			l.end() // or the SDK would try again
		}
	}
}

// final reports whether the session is ending for a known reason. The caller
// holds mu.
func (l *listener) final() bool {
	return l.done || l.st.Err != nil && (tunnel.Classify(l.st.Err).Problem.Permanent || errors.Is(l.st.Err, tunnel.ErrAgain))
}

// stop records that the session broke.
func (l *listener) stop(f *tunnel.Fault) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.final() || !l.st.Retry.IsZero() && !f.Problem.Permanent {
		return // this only follows from the reason that is known
	}
	if l.opened && l.own && slices.Contains(notTheirs, f.Problem.Cause) {
		f = &tunnel.Fault{Problem: f.Problem, Err: tunnel.ErrAgain} // with the domain that the account has now
	}
	l.st.Online, l.st.Err = false, f
	signal(l.news)
	if !l.opened {
		select {
		case l.failed <- f:
		default:
		}
	}
}

// waiting is called by the dialer before it waits for its next attempt, and with
// no error once it stops waiting. The SDK's events may arrive late, so while the
// dialer waits they are ignored; see stop.
func (l *listener) waiting(err error, retry time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.final() {
		return
	}
	l.st.Retry = retry
	if err != nil {
		l.st.Online, l.st.Err = false, tunnel.Classify(err)
	}
	signal(l.news)
}

// errUpdate is the answer to a request for an update.
var errUpdate = errors.New("Key2OAuth is updated by its owner, not from here")

// command answers a request from ngrok's dashboard. If it returns no error, the
// SDK sends the answer and then ends the session.
func (l *listener) command(_ context.Context, _ sdk.AgentSession, r rpc.Request) ([]byte, error) {
	switch r.Method() {
	case rpc.StopAgentMethod:
		l.leave(tunnel.NewFault(tunnel.CauseStopped, nil))
	case rpc.RestartAgentMethod:
		l.leave(tunnel.NewFault(tunnel.CauseRestarted, tunnel.ErrAgain))
	default:
		return nil, errUpdate
	}
	return nil, nil
}

// leave records why the session is about to end, and signals that once the SDK
// had time to end it.
func (l *listener) leave(why error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.final() {
		return
	}
	l.st.Online, l.st.Err = false, why
	time.AfterFunc(time.Second, func() { signal(l.news) })
}

// Kick breaks the connection. The SDK sees it at once and resumes the session. A
// new session would find its address held by the old one.
func (l *listener) Kick() bool {
	l.mu.Lock()
	online := l.st.Online
	l.mu.Unlock()
	return l.dialer.wakeUp() || online && l.dialer.kill()
}

// Alive reports whether the address that the connection comes from is still
// one of this computer's.
func (l *listener) Alive() bool {
	from, ok := l.dialer.from()
	if !ok {
		return false
	}
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return true
	}
	return slices.ContainsFunc(addrs, func(a net.Addr) bool {
		n, ok := a.(*net.IPNet)
		if !ok {
			return false
		}
		ip, ok := netip.AddrFromSlice(n.IP)
		return ok && ip.Unmap() == from
	})
}

// signal puts a mark into c that stays until it is received.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
