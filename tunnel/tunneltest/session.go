package tunneltest

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/key2oauth/key2oauth/tunnel/tunneltest/internal/line"
	"golang.ngrok.com/muxado/v2"
)

// A session is the connection of one agent.
type session struct {
	edge  *Edge
	conn  *line.Conn
	mux   muxado.Session
	ended chan struct{} // closed when it is over

	// Guarded by edge.mu.
	id      string // "" until it is authenticated
	token   string
	account *Account
}

// A bind is a host that an agent has online.
type bind struct {
	id, host string
	session  *session
	streams  *http.Transport // over the session
}

// serveAgent runs the session of an agent that said hello on c. raw is the
// underlying connection.
func (e *Edge) serveAgent(c, raw net.Conn) {
	cert, err := e.ca.Certificate(AgentHost, "localhost", "127.0.0.1", "::1")
	if err != nil {
		return
	}
	lc := e.line.Conn(c)
	s := &session{edge: e, conn: lc, ended: make(chan struct{})}
	// Unsent data must not keep a dead session open.
	secure := tls.Server(lc, &tls.Config{Certificates: []tls.Certificate{*cert}, MinVersion: tls.VersionTLS12})
	s.mux = muxado.Server(secure, nil)
	e.mu.Lock()
	e.sessions[s] = true
	e.mu.Unlock()
	defer s.end()
	for {
		stream, err := s.mux.AcceptStream()
		if err != nil {
			return
		}
		go s.serve(stream)
	}
}

func (s *session) end() {
	s.conn.Close()
	s.mux.Close()
	e := s.edge
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.sessions, s)
	e.dropBinds(s)
	close(s.ended)
}

// dropBinds takes all hosts of s offline. e.mu must be held.
func (e *Edge) dropBinds(s *session) {
	for host, b := range e.binds {
		if b.session == s {
			delete(e.binds, host)
			b.streams.CloseIdleConnections()
		}
	}
}

// serve answers one stream that the agent opened.
func (s *session) serve(stream muxado.Stream) {
	defer stream.Close()
	typ, err := readType(stream)
	if err != nil {
		return
	}
	switch typ {
	case typeHeartbeat:
		echo(stream)
	case typeAuth:
		var req authRequest
		if readMessage(stream, &req) != nil {
			return
		}
		answer := s.auth(&req)
		writeMessage(stream, answer)
		if answer.Error != "" {
			// The agent reads the answer before the connection ends.
			time.AfterFunc(100*time.Millisecond, func() { s.conn.Close() })
		}
	case typeBind:
		var req bindRequest
		if readMessage(stream, &req) != nil {
			return
		}
		writeMessage(stream, s.bind(&req))
	case typeUnbind:
		var req unbindRequest
		if readMessage(stream, &req) != nil {
			return
		}
		writeMessage(stream, s.unbind(&req))
	case typeSrvInfo:
		var req struct{}
		if readMessage(stream, &req) != nil {
			return
		}
		writeMessage(stream, struct{ Region string }{region})
	}
}

const region = "test"

// echo answers heartbeats.
func echo(stream io.ReadWriter) {
	var beat [4]byte
	for {
		if _, err := io.ReadFull(stream, beat[:]); err != nil {
			return
		}
		if _, err := stream.Write(beat[:]); err != nil {
			return
		}
	}
}

// auth opens the session, or returns why not.
func (s *session) auth(req *authRequest) authResponse {
	e := s.edge
	a := Auth{
		Time: time.Now(), Token: req.Extra.Authtoken, ClientID: req.ClientID,
		UserAgent: req.Extra.UserAgent, Heartbeat: time.Duration(req.Extra.HeartbeatInterval),
	}
	e.mu.Lock()
	account, err := e.admit(req)
	e.mu.Unlock()
	if err == nil && e.config.OnAuth != nil {
		err = e.config.OnAuth(a)
	}
	if err != nil {
		a.Refused = err.Code
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.auths = append(e.auths, a)
	if err != nil {
		return authResponse{Version: "3", Error: err.Error()}
	}
	id := req.ClientID
	if id == "" {
		id = opaque("c")
	}
	for other := range e.sessions {
		if other.id == id && other != s { // the agent noticed before us that its old session is dead
			e.dropBinds(other)
			other.conn.Close()
		}
	}
	s.id, s.token, s.account = id, req.Extra.Authtoken, account
	return authResponse{Version: "3", ClientID: id, Extra: authResponseExtra{
		Version: "tunneltest", Region: region, Cookie: opaque("cookie-"),
		AccountName: account.Name, PlanName: account.Plan, AgentSessionID: opaque("ts_"),
	}}
}

// admit finds the account of an agent. e.mu must be held.
func (e *Edge) admit(req *authRequest) (*Account, *Refusal) {
	token := req.Extra.Authtoken
	account := e.account(token)
	switch {
	case !slices.Contains(req.Version, "3"):
		return nil, refuse("120", "This version of the protocol is not supported.")
	case token == "":
		return nil, refuse("4018", "Usage of ngrok requires a verified account and authtoken.")
	// Like the service, the edge repeats the authtoken in the error, so logging
	// that error leaks the token.
	case strings.ContainsAny(token, " \t\r\n") || len(token) < 8:
		return nil, refuse("105", "The authtoken you specified does not look like a proper ngrok authtoken.\nYour authtoken: %s", token)
	case account == nil:
		return nil, refuse("107", "The authtoken you specified is properly formed, but it is invalid.\nYour authtoken: %s", token)
	case account.Revoked:
		return nil, refuse("300", "The authtoken %s was revoked.", token)
	}
	if limit := e.config.MaxSessions; limit > 0 {
		n := 0
		for s := range e.sessions {
			if s.account == account && s.id != req.ClientID {
				n++
			}
		}
		if n >= limit {
			return nil, refuse("108", "Your account is limited to %d simultaneous agent sessions.", limit)
		}
	}
	return account, nil
}

// bind puts a host online, or returns why not.
func (s *session) bind(req *bindRequest) bindResponse {
	e := s.edge
	b := Bind{Time: time.Now(), ForwardsTo: req.ForwardsTo, Again: req.Extra.Token != ""}
	b.Asked, _ = req.askedHost()
	e.mu.Lock()
	host, err := s.allow(req)
	e.mu.Unlock()
	if err == nil {
		b.Host = host
		if e.config.OnBind != nil {
			err = e.config.OnBind(b)
		}
	}
	if err != nil {
		b.Host, b.Refused = "", err.Code
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.attempts = append(e.attempts, b)
	if err != nil {
		return bindResponse{ID: req.ID, Proto: req.Proto, Error: err.Error()}
	}
	id := req.ID
	if id == "" {
		id = opaque("b")
	}
	e.binds[host] = newBind(id, host, s)
	opts := req.Opts
	if opts == nil {
		opts = make(map[string]any)
	}
	opts["URL"] = "https://" + host // the agent sends these options when it resumes
	return bindResponse{
		ID: id, URL: "https://" + host, Proto: req.Proto, Opts: opts,
		Extra: bindResponseExtra{Token: opaque("bind-"), TunnelID: opaque("tn_")},
	}
}

// allow finds the host for a bind. edge.mu must be held.
func (s *session) allow(req *bindRequest) (string, *Refusal) {
	e := s.edge
	if s.account == nil {
		return "", refuse("4018", "The session is not authenticated.")
	}
	account := e.account(s.token) // the account's domain may have changed
	host, err := req.askedHost()
	if err != nil {
		return "", refusal(err)
	}
	if host == "" {
		host = account.Domain
	}
	if host != account.Domain && !slices.Contains(account.Domains, host) {
		for _, other := range e.accounts {
			if other.Domain == host {
				return "", refuse("320", "The domain %q is reserved for another account.", host)
			}
		}
		return "", refuse("319", "The domain %q is not reserved.", host)
	}
	if b := e.binds[host]; e.held[host] || b != nil && b.session != s {
		return "", refuse("334", "The endpoint 'https://%s' is already online.", host)
	}
	return host, nil
}

func (s *session) unbind(req *unbindRequest) outcome {
	e := s.edge
	e.mu.Lock()
	defer e.mu.Unlock()
	for host, b := range e.binds {
		if b.session == s && b.id == req.ID {
			delete(e.binds, host)
			e.unbinds++
			return outcome{}
		}
	}
	return outcome{Error: "no such endpoint"}
}

// open opens a stream of typ to the agent. It may block while the line is
// frozen, but no longer than ctx.
func (s *session) open(ctx context.Context, typ muxado.StreamType, first []byte) (net.Conn, error) {
	type opened struct {
		stream muxado.Stream
		err    error
	}
	done := make(chan opened, 1)
	go func() {
		stream, err := s.mux.OpenStream()
		if err == nil {
			// The type must be alone in its frame.
			if _, err = stream.Write(binary.BigEndian.AppendUint32(nil, uint32(typ))); err == nil && first != nil {
				_, err = stream.Write(first)
			}
		}
		done <- opened{stream, err}
	}()
	select {
	case o := <-done:
		return o.stream, o.err
	case <-ctx.Done():
		go func() {
			if o := <-done; o.stream != nil {
				o.stream.Close()
			}
		}()
		return nil, ctx.Err()
	}
}

// unlessEnded returns err, which came from a message that makes the agent end
// its session, or nil if the session did end. muxado may report that end as a
// failure to send a message that arrived before it.
func (s *session) unlessEnded(err error) error {
	if err == nil {
		return nil
	}
	select {
	case <-s.ended:
		return nil
	case <-time.After(5 * time.Second):
		return err
	}
}

// tell sends a message to the agent and reads its answer, if one is wanted.
func (s *session) tell(typ muxado.StreamType, message, answer any) error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	stream, err := s.open(ctx, typ, nil)
	if err != nil {
		return err
	}
	defer stream.Close()
	if err := writeMessage(stream, message); err != nil || answer == nil {
		return err
	}
	stream.SetReadDeadline(time.Now().Add(10 * time.Second))
	if err := readMessage(stream, answer); err != nil {
		return fmt.Errorf("the agent's answer: %w", err)
	}
	return nil
}
