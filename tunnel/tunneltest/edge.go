// Package tunneltest stands in for the ngrok service: an edge that speaks the
// wire protocol of its agents, and the public side that clients talk to. An
// unmodified SDK connects to it and sees no difference.
//
// One port serves both. A connection comes from an agent if its TLS greeting
// names no server, or the service's own host. Every other connection comes from
// a client of the host that it names.
package tunneltest

import (
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/key2oauth/key2oauth/tunnel/tunneltest/internal/authority"
	"github.com/key2oauth/key2oauth/tunnel/tunneltest/internal/line"
)

// AgentHost is the name of the agents' side, besides the addresses of this
// machine.
const AgentHost = "connect.ngrok-agent.com"

// DefaultDomain is the domain of an account that sets none.
const DefaultDomain = "quiet-otter-canary.ngrok-free.app"

// A Config says what an edge is like when it starts. The zero Config is a free
// account that takes any authtoken and shows no warning page.
type Config struct {
	// Addr is where to listen; "" means a free port of 127.0.0.1.
	Addr string
	// Accounts are the existing accounts, by their authtokens. nil means that
	// every authtoken with the right form belongs to the zero Account.
	Accounts map[string]Account
	// MaxSessions is how many sessions an account may have at a time; 0 means
	// any number.
	MaxSessions int
	// Interstitial shows browsers ngrok's warning page.
	Interstitial bool
	// Idle is how long a connection may be silent; 0 means 5 minutes.
	Idle time.Duration
	// OnAuth and OnBind may refuse an agent. They see attempts that the edge
	// would have allowed, and return a *Refusal or nil. They may block.
	OnAuth func(Auth) *Refusal
	OnBind func(Bind) *Refusal
	// ClientAddr returns the IP address that a client's request comes from,
	// which lets one machine be many senders. It may remove the header that
	// tells it. If ClientAddr is nil or returns "", the real address is used.
	ClientAddr func(*http.Request) string
	// Wrap wraps the handler of clients' requests, so tests can observe them; it
	// may be nil.
	Wrap func(http.Handler) http.Handler
}

// An Account is what a customer has with the service.
type Account struct {
	Name    string // "" means "Otter"
	Plan    string // "" means "Free"
	Domain  string // the domain given if none is requested; "" means DefaultDomain
	Domains []string
	// Revoked makes every authentication fail.
	Revoked bool
}

// An Auth is one attempt of an agent to open a session.
type Auth struct {
	Time      time.Time
	Token     string
	ClientID  string // set when the agent resumes a session
	UserAgent string
	Heartbeat time.Duration
	Refused   string // the code, or ""
}

// A Bind is one attempt of an agent to put a host online.
type Bind struct {
	Time       time.Time
	Asked      string // the requested host, or ""
	Host       string // the assigned host, unless refused
	ForwardsTo string
	Again      bool   // of a resumed session
	Refused    string // the code, or ""
}

// An Edge is a stand-in for the ngrok service. Its methods may be called at
// any time.
type Edge struct {
	config Config
	ca     *authority.Authority
	line   line.Line
	addr   string

	mu       sync.Mutex
	listener net.Listener // nil while closed
	handOver *handOver
	public   *http.Server
	proxy    *http.Server
	conns    map[net.Conn]bool
	sessions map[*session]bool
	binds    map[string]*bind // by host
	accounts map[string]*Account
	held     map[string]bool
	quota    *Refusal
	page     bool
	auths    []Auth
	attempts []Bind
	unbinds  int
	requests int
	wg       sync.WaitGroup
}

// Start returns an edge that lives as long as the test.
func Start(t testing.TB, c Config) *Edge {
	t.Helper()
	e, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	return e
}

// New returns an edge that serves until Close.
func New(c Config) (*Edge, error) {
	ca, err := authority.New()
	if err != nil {
		return nil, err
	}
	if c.Addr == "" {
		c.Addr = "127.0.0.1:0"
	}
	if c.Idle == 0 {
		c.Idle = 5 * time.Minute
	}
	e := &Edge{
		config: c, ca: ca, addr: c.Addr, page: c.Interstitial,
		conns:    make(map[net.Conn]bool),
		sessions: make(map[*session]bool),
		binds:    make(map[string]*bind),
		held:     make(map[string]bool),
		accounts: make(map[string]*Account),
	}
	for token, a := range c.Accounts {
		e.accounts[token] = a.filled()
	}
	if c.Accounts == nil {
		e.accounts[anyToken] = Account{}.filled()
	}
	return e, e.Reopen()
}

// anyToken is the key of the account that owns every authtoken.
const anyToken = "*"

func (a Account) filled() *Account {
	if a.Name == "" {
		a.Name = "Otter"
	}
	if a.Plan == "" {
		a.Plan = "Free"
	}
	if a.Domain == "" {
		a.Domain = DefaultDomain
	}
	return &a
}

// Reopen listens again, on the same port, after Close.
func (e *Edge) Reopen() error {
	ln, err := net.Listen("tcp", e.addr)
	if err != nil {
		return err
	}
	hand := newHandOver(ln.Addr())
	public := &http.Server{
		Handler:           e.publicHandler(),
		TLSConfig:         &tls.Config{GetCertificate: e.certificate},
		ReadHeaderTimeout: e.config.Idle,
		IdleTimeout:       e.config.Idle,
		MaxHeaderBytes:    1 << 20,
		ErrorLog:          log.New(io.Discard, "", 0),
	}
	e.mu.Lock()
	e.addr = ln.Addr().String()
	e.listener, e.handOver, e.public = ln, hand, public
	e.mu.Unlock()
	e.wg.Go(func() { public.ServeTLS(hand, "", "") })
	e.wg.Go(func() { e.accept(ln, hand) })
	return nil
}

// Close ends the edge and all connections, as a power failure would. Reopen
// brings it back without sessions.
func (e *Edge) Close() {
	e.mu.Lock()
	ln, hand, public, proxy := e.listener, e.handOver, e.public, e.proxy
	e.listener, e.proxy = nil, nil
	e.mu.Unlock()
	if proxy != nil {
		proxy.Close()
	}
	if ln == nil {
		return
	}
	ln.Close()
	hand.Close()
	e.killConns()
	e.KillSessions() // including frozen ones
	public.Close()
	e.wg.Wait()
}

func (e *Edge) killConns() {
	e.mu.Lock()
	defer e.mu.Unlock()
	for c := range e.conns {
		c.Close()
	}
}

func (e *Edge) accept(ln net.Listener, hand *handOver) {
	for {
		c, err := ln.Accept()
		if err != nil {
			return
		}
		e.mu.Lock()
		open := e.listener == ln
		if open {
			e.conns[c] = true
			e.wg.Go(func() { e.greet(c, hand) })
		}
		e.mu.Unlock()
		if !open {
			c.Close()
			return
		}
	}
}

// greet finds out whether c is an agent or a client.
func (e *Edge) greet(c net.Conn, hand *handOver) {
	c.SetReadDeadline(time.Now().Add(10 * time.Second))
	name, c2, err := clientHello(c)
	c.SetReadDeadline(time.Time{})
	switch {
	case err != nil:
		e.forget(c)
	case name == "" || name == AgentHost || name == "localhost":
		defer e.forget(c)
		e.serveAgent(c2, c)
	default:
		hand.give(trackedConn{c2, func() { e.forget(c) }})
	}
}

func (e *Edge) forget(c net.Conn) {
	c.Close()
	e.mu.Lock()
	delete(e.conns, c)
	e.mu.Unlock()
}

// trackedConn tells the edge when its connection is closed.
type trackedConn struct {
	net.Conn
	closed func()
}

func (c trackedConn) Close() error { c.closed(); return nil }

func (e *Edge) certificate(h *tls.ClientHelloInfo) (*tls.Certificate, error) {
	return e.ca.Certificate(h.ServerName)
}

// Addr is the one address of the edge, for agents and clients.
func (e *Edge) Addr() string { return e.addr }

// CA returns the certificates that agents and clients must trust.
func (e *Edge) CA() *x509.CertPool { return e.ca.Pool() }

// CAFile writes the certificate of the edge's authority into dir, in PEM.
func (e *Edge) CAFile(dir string) (string, error) {
	name := filepath.Join(dir, "edge.pem")
	return name, os.WriteFile(name, e.ca.PEM(), 0o600)
}

// SPKI returns the hash of the public key in all certificates of the edge, as
// Chromium takes it in --ignore-certificate-errors-spki-list.
func (e *Edge) SPKI() string { return e.ca.SPKI }

// KillSessions closes the connections of all agents.
func (e *Edge) KillSessions() {
	e.mu.Lock()
	defer e.mu.Unlock()
	for s := range e.sessions {
		s.conn.Close()
	}
}

// Freeze stops all bytes between agents and the edge but keeps the connections
// open, like an unplugged cable. New connections are accepted and frozen too.
func (e *Edge) Freeze() { e.line.Freeze() }

// Thaw ends Freeze. Bytes on their way arrive.
func (e *Edge) Thaw() { e.line.Thaw() }

// Starve limits each direction of each agent's connection to so many bytes a
// second, 0 for no limit, and delays each packet.
func (e *Edge) Starve(bytesPerSecond int, delay time.Duration) {
	e.line.Starve(bytesPerSecond, delay)
}

// Revoke makes token a revoked one. Its sessions end.
func (e *Edge) Revoke(token string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	a := *e.account(token)
	a.Revoked = true
	e.accounts[token] = &a
	for s := range e.sessions {
		if s.token == token {
			s.conn.Close()
		}
	}
}

// Rename gives the account of token another domain. The old domain stays online
// until its session ends, and cannot be bound again.
func (e *Edge) Rename(token, domain string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	a := *e.account(token)
	a.Domain = domain
	if _, ok := e.accounts[token]; !ok {
		token = anyToken
	}
	e.accounts[token] = &a
}

// account returns the account of token, or nil.
func (e *Edge) account(token string) *Account {
	if a := e.accounts[token]; a != nil {
		return a
	}
	return e.accounts[anyToken]
}

// Hold makes host look online at another agent until Release.
func (e *Edge) Hold(host string) { e.hold(host, true) }

// Release ends Hold.
func (e *Edge) Release(host string) { e.hold(host, false) }

func (e *Edge) hold(host string, held bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.held[host] = held
}

// UseUp answers all clients with an error of the service without asking the
// agent, as happens when a quota is used up: "727" for requests, "725" for
// bytes. "" ends it.
func (e *Edge) UseUp(code string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.quota = nil
	if code != "" {
		e.quota = refuse(code, "The account used up what its plan allows in a month.")
	}
}

// SetInterstitial turns the warning page on or off.
func (e *Edge) SetInterstitial(on bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.page = on
}

// Auths returns all attempts to open a session, oldest first.
func (e *Edge) Auths() []Auth {
	e.mu.Lock()
	defer e.mu.Unlock()
	return append([]Auth(nil), e.auths...)
}

// Binds returns all attempts to put a host online, oldest first.
func (e *Edge) Binds() []Bind {
	e.mu.Lock()
	defer e.mu.Unlock()
	return append([]Bind(nil), e.attempts...)
}

// Unbinds counts the hosts that agents took offline properly.
func (e *Edge) Unbinds() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.unbinds
}

// Requests counts the clients' requests that were passed to an agent.
func (e *Edge) Requests() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.requests
}

// Hosts returns the hosts that are online.
func (e *Edge) Hosts() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	var hosts []string
	for h := range e.binds {
		hosts = append(hosts, h)
	}
	return hosts
}

// Sessions counts the sessions that are open.
func (e *Edge) Sessions() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.sessions)
}

// errNoSession means that an agent is needed but none has the host online.
var errNoSession = errors.New("no agent has that host online")

func opaque(prefix string) string { return prefix + strings.ToLower(rand.Text()) }

// StopTunnel takes host offline as the service's dashboard does, and tells its
// agent why. An agent may end its session at once.
func (e *Edge) StopTunnel(host, code, message string) error {
	e.mu.Lock()
	b := e.binds[host]
	delete(e.binds, host)
	e.mu.Unlock()
	if b == nil {
		return errNoSession
	}
	err := b.session.tell(typeStopTunnel, stopTunnel{ID: b.id, Message: message, ErrorCode: code}, nil)
	return b.session.unlessEnded(err)
}

// A Command is a request that the service's dashboard can send to an agent.
type Command string

// The commands.
const (
	Stop    Command = "stop"
	Restart Command = "restart"
	Update  Command = "update"
)

// Send gives the command to the agent that has host online. It returns the
// agent's answer: an error if it refuses. An agent that stops or restarts ends
// its session right after its answer.
func (e *Edge) Send(host string, c Command) error {
	e.mu.Lock()
	b := e.binds[host]
	e.mu.Unlock()
	if b == nil {
		return errNoSession
	}
	typ := typeStop
	switch c {
	case Restart:
		typ = typeRestart
	case Update:
		typ = typeUpdate
	}
	var answer outcome
	if err := b.session.tell(typ, struct{}{}, &answer); err != nil {
		if c == Update {
			return err
		}
		return b.session.unlessEnded(err)
	}
	if answer.Error != "" {
		return fmt.Errorf("the agent refused to %s: %s", c, answer.Error)
	}
	return nil
}
