package tunnel

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

	"golang.ngrok.com/ngrok/v2"
	"golang.ngrok.com/ngrok/v2/rpc"
)

// Ngrok is a tunnel through the ngrok service. Its fields must not be changed
// after Open was called.
type Ngrok struct {
	Authtoken Authtoken
	// URL is the origin that the owner asked for, or "". Then the tunnel has
	// the origin that it had before, or else the domain that came with the
	// account.
	URL string
	Log *slog.Logger // nil logs nothing

	// ConnectAddr and ConnectCAs put another service in ngrok's place: its
	// host:port and the authorities that it is checked against. They are for
	// tests. A setting that reached them would let whoever can write it read
	// everything that passes.
	ConnectAddr string
	ConnectCAs  *x509.CertPool

	// For tests; 0 means what is usual.
	heartbeat, tolerance, firstWait, stuck time.Duration

	mu        sync.Mutex
	preferred string
}

const (
	openTime    = 20 * time.Second // for one attempt to get online
	abandonTime = 2 * time.Second  // for an attempt to end after it was given up
	stuckTime   = 5 * time.Second  // for the SDK to hand out a connection that it has
)

// prefer makes origin the one to ask for, unless the owner asked for another.
func (n *Ngrok) prefer(origin string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.preferred = origin
}

// notTheirs are the codes for a domain that the account does not have.
var notTheirs = []string{"313", "314", "319", "320"}

// Open connects, once: what can be tried again is the caller's to try again.
func (n *Ngrok) Open(ctx context.Context) (net.Listener, string, error) {
	if n.Authtoken.reveal() == "" {
		return nil, "", fault("4018", nil)
	}
	n.mu.Lock()
	ask := cmp.Or(n.URL, n.preferred)
	n.mu.Unlock()
	ln, origin, err := n.open(ctx, ask)
	if f, ok := errors.AsType[*Fault](err); ok && n.URL == "" && ask != "" && slices.Contains(notTheirs, codeIn(f.Problem.Code)) {
		// The authtoken is now that of another account. Its own domain is
		// better than none; the caller sees that it changed.
		return n.open(ctx, "")
	}
	return ln, origin, err
}

func (n *Ngrok) open(ctx context.Context, ask string) (net.Listener, string, error) {
	ctx, cancel := context.WithTimeout(ctx, openTime)
	defer cancel()
	// The session lives until it is closed, not as long as ctx.
	life, end := context.WithCancel(context.WithoutCancel(ctx))
	l := &ngrokListener{
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
		return nil, "", fault(unknown, nil)
	}
	l.agent = agent
	type opened struct {
		ln  ngrok.EndpointListener
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
		origin, perr := ParseOrigin(o.ln.URL().String())
		if perr == nil {
			l.open(agent)
			return l, origin, nil
		}
		err = fault(unknown, perr)
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

// agent makes the Agent of one generation.
func (n *Ngrok) agent(l *ngrokListener) (ngrok.Agent, error) {
	options := n.options()
	options = append(options,
		ngrok.WithLogger(sdkLog(n.Log, l.handover.begin)),
		ngrok.WithAuthtoken(n.Authtoken.reveal()),
		ngrok.WithDialer(&l.dialer),
		ngrok.WithEventHandler(l.event),
		ngrok.WithRPCHandler(l.command),
	)
	return ngrok.NewAgent(options...)
}

// options are those of every Agent.
func (n *Ngrok) options() []ngrok.AgentOption {
	options := []ngrok.AgentOption{ngrok.WithLogger(sdkLog(n.Log, nil))}
	if n.ConnectAddr != "" {
		options = append(options, ngrok.WithAgentConnectURL(n.ConnectAddr))
	}
	if n.ConnectCAs != nil {
		options = append(options, ngrok.WithAgentConnectCAs(n.ConnectCAs))
	}
	if n.heartbeat > 0 {
		options = append(options, ngrok.WithHeartbeatInterval(n.heartbeat), ngrok.WithHeartbeatTolerance(n.tolerance))
	}
	return options
}

func endpoint(ask string) []ngrok.EndpointOption {
	if ask == "" {
		return nil
	}
	return []ngrok.EndpointOption{ngrok.WithURL(ask)}
}

// explain finds out why a session did not come about. The SDK loses the reason
// when the TLS handshake fails, so a second connection looks for it.
func (n *Ngrok) explain(ctx context.Context, err error) error {
	f := classify(err)
	if f.Problem.key != broken && f.Problem.key != unknown {
		return f
	}
	agent, aerr := ngrok.NewAgent(append(n.options(), ngrok.WithDialer(&net.Dialer{Timeout: dialTime}))...)
	if aerr != nil {
		return f
	}
	ctx, cancel := context.WithTimeout(ctx, dialTime)
	defer cancel()
	if _, derr := agent.(ngrok.Diagnoser).Diagnose(ctx, ""); derr != nil && ctx.Err() == nil {
		return classify(derr)
	}
	return f
}

// An ngrokListener is one generation: an Agent, its session and its endpoint.
type ngrokListener struct {
	agent  ngrok.Agent
	inner  ngrok.EndpointListener
	dialer dialer
	end    context.CancelFunc // of the session
	own    bool               // the domain is the account's own, whatever it is

	handover handover
	conns    chan net.Conn
	once     sync.Once
	closed   chan struct{} // no connection is handed out any more
	endOnce  sync.Once
	ended    chan struct{} // the SDK's listener has ended

	news   chan struct{} // holds one when st changed
	failed chan error    // holds the first failure before open

	mu     sync.Mutex
	opened bool
	done   bool // what happens now is our own doing
	st     linkState
}

// open begins to take connections. Its caller has the listener alone.
func (l *ngrokListener) open(agent ngrok.Agent) {
	l.mu.Lock()
	l.opened = true
	if !l.st.online { // already not any more
		signal(l.news)
	}
	if s, err := agent.Session(); err == nil {
		if d, ok := s.(ngrok.AgentSessionDetails); ok {
			l.st.account, l.st.plan, l.st.region = d.AccountName(), d.PlanName(), d.Region()
		}
	}
	l.mu.Unlock()
	l.dialer.patience(true)
	go l.pump()
}

// pump takes connections from the SDK until its listener ends. It does so even
// when nobody wants them any more: a connection that is not taken blocks the
// SDK's Close for ever.
func (l *ngrokListener) pump() {
	defer l.endOnce.Do(func() { close(l.ended) })
	for {
		l.handover.wait()
		c, err := l.inner.Accept()
		l.handover.end()
		if err != nil {
			f := classify(err)
			if e, ok := errors.AsType[ngrok.Error](err); ok && e.Code() == "" {
				f = fault(takenOffline, nil)
			}
			l.stop(f)
			return
		}
		select {
		case l.conns <- &ngrokConn{c}:
		case <-l.closed:
			go c.Close()
		}
	}
}

// lockedUp ends what pump waits for in vain. It happens when ngrok takes the
// address offline, and looks from here as if nothing had.
func (l *ngrokListener) lockedUp() {
	l.stop(fault(takenOffline, nil))
	l.endOnce.Do(func() { close(l.ended) })
}

func (l *ngrokListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	case <-l.ended:
		return nil, net.ErrClosed // the reason is in state
	}
}

func (l *ngrokListener) Addr() net.Addr { return l.inner.Addr() }

// Close tells ngrok that the endpoint is no more, for at most closeTime, and
// hands out connections until then. Those that were handed out live on.
func (l *ngrokListener) Close() error {
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

// disconnect ends the session. The SDK's Disconnect waits for what may never
// come, so it runs aside and loses its connection after a while.
func (l *ngrokListener) disconnect() {
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

// abandon ends a session without ceremony.
func (l *ngrokListener) abandon() {
	l.mu.Lock()
	l.done = true
	l.mu.Unlock()
	l.end()
	l.dialer.kill()
	go l.agent.Disconnect() // may wait for Connect, which ends with l.end
}

func (l *ngrokListener) changes() <-chan struct{} { return l.news }

func (l *ngrokListener) state() linkState {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.st
}

// event is called by the SDK, with a lock held: it must neither block nor call
// the agent.
func (l *ngrokListener) event(e ngrok.Event) {
	switch e := e.(type) {
	case *ngrok.EventAgentConnectSucceeded:
		l.mu.Lock()
		defer l.mu.Unlock()
		if !l.final() {
			l.st.online, l.st.err, l.st.retry = true, nil, time.Time{}
			signal(l.news)
		}
	case *ngrok.EventAgentDisconnected:
		if e.Error == nil { // there has been another before
			return
		}
		f := classify(e.Error)
		if l.stop(f); f.Problem.Permanent {
			l.end() // or the SDK would try again
		}
	}
}

// final reports whether the session is to end for a reason that is known. l.mu
// must be held.
func (l *ngrokListener) final() bool {
	return l.done || l.st.err != nil && (classify(l.st.err).Problem.Permanent || errors.Is(l.st.err, errAgain))
}

// stop notes that the session broke.
func (l *ngrokListener) stop(f *Fault) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.final() || !l.st.retry.IsZero() && !f.Problem.Permanent {
		return // what follows from the reason is no news
	}
	if l.opened && l.own && slices.Contains(notTheirs, codeIn(f.Problem.Code)) {
		f = &Fault{f.Problem, errAgain} // with the domain that the account has now
	}
	l.st.online, l.st.err = false, f
	signal(l.news)
	if !l.opened {
		select {
		case l.failed <- f:
		default:
		}
	}
}

// waiting is called by the dialer before it waits for its next attempt, and
// without an error when it is done with waiting. The SDK's events come when
// they like: what they say of the time before is no news while it waits.
func (l *ngrokListener) waiting(err error, retry time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.final() {
		return
	}
	l.st.retry = retry
	if err != nil {
		l.st.online, l.st.err = false, classify(err)
	}
	signal(l.news)
}

// command answers what somebody asked for on ngrok's dashboard. When it agrees
// the SDK sends the answer and then ends the session.
func (l *ngrokListener) command(_ context.Context, _ ngrok.AgentSession, r rpc.Request) ([]byte, error) {
	switch r.Method() {
	case rpc.StopAgentMethod:
		l.leave(fault(stopped, nil))
	case rpc.RestartAgentMethod:
		l.leave(&Fault{problemOf(restarted), errAgain})
	default:
		return nil, errors.New("Key2OAuth is updated by its owner, not from here")
	}
	return nil, nil
}

// leave notes why the session is about to end, and tells it after the SDK had
// the time to end it.
func (l *ngrokListener) leave(why error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.final() {
		return
	}
	l.st.online, l.st.err = false, why
	time.AfterFunc(time.Second, func() { signal(l.news) })
}

// kick breaks the connection. The SDK sees it at once and resumes the session,
// which unlike a new one keeps its address from itself.
func (l *ngrokListener) kick() bool {
	l.mu.Lock()
	online := l.st.online
	l.mu.Unlock()
	return l.dialer.wakeUp() || online && l.dialer.kill()
}

// alive reports whether the address that the connection comes from is still
// one of this computer's.
func (l *ngrokListener) alive() bool {
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
