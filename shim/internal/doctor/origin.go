package doctor

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/key2oauth/key2oauth/shim/api"
	"github.com/key2oauth/key2oauth/shim/internal/selfcheck"
	"github.com/key2oauth/key2oauth/shim/internal/sse"
	"github.com/key2oauth/key2oauth/tunnel"
)

// public examines the tunnel, then the public origin through it.
func (r *round) public() {
	st := r.Status()
	v := r.look(api.GroupPublic, "tunnel", whatTunnel, func() verdict { return judgeTunnel(st.Tunnel) })
	if u := st.Tunnel.Usage; u != nil {
		r.look(api.GroupPublic, "quota", whatQuota, func() verdict {
			if u.Warning != "" {
				return warn(api.WhoseYours, u.Warning, NextQuota)
			}
			return well(fmt.Sprintf(TextUsage, u.Requests, u.Bytes>>20))
		})
	}
	if len(st.Tunnel.Stranded) > 0 {
		r.look(api.GroupPublic, "address", whatAddress, func() verdict {
			return warn(api.WhoseYours, fmt.Sprintf(TextStranded, strings.Join(st.Tunnel.Stranded, ", ")), NextStranded)
		})
	}
	if v.state == api.FindingOK && st.PublicOrigin != nil && r.reach(*st.PublicOrigin) {
		if words := r.Status().Tunnel.Senders; words != "" { // reach has just learned it
			r.look(api.GroupPublic, "senders", whatSenders, func() verdict { return warn(api.WhoseYours, words, "") })
		}
		r.origin(api.GroupPublic)
	}
}

// judgeTunnel judges the state of the tunnel.
func judgeTunnel(t api.TunnelStatus) verdict {
	switch t.State {
	case api.TunnelOnline:
		return well(t.Words)
	case api.TunnelOff:
		return verdict{state: api.FindingSkipped, words: t.Words}
	case api.TunnelConnecting:
		return warn(api.WhoseNetwork, TextConnecting, NextConnecting)
	case api.TunnelPaused:
		return failed(api.WhoseYours, t.Words, NextResume)
	case api.TunnelLocked:
		return failed(api.WhoseYours, t.Words, t.Next)
	}
	whose := t.Whose
	if whose == "" {
		whose = api.WhoseYours
	}
	return verdict{state: api.FindingFailed, whose: whose, words: t.Words, next: t.Next, link: t.Link}
}

// hops times the parts of one request.
type hops struct {
	mu                     sync.Mutex
	began                  time.Time
	name, connect, secured time.Duration
}

func (h *hops) trace() *httptrace.ClientTrace {
	var dns, dial, shake time.Time
	set := func(f func()) { h.mu.Lock(); defer h.mu.Unlock(); f() }
	return &httptrace.ClientTrace{
		DNSStart:          func(httptrace.DNSStartInfo) { set(func() { dns = time.Now() }) },
		DNSDone:           func(httptrace.DNSDoneInfo) { set(func() { h.name = time.Since(dns) }) },
		ConnectStart:      func(string, string) { set(func() { dial = time.Now() }) },
		ConnectDone:       func(string, string, error) { set(func() { h.connect = time.Since(dial) }) },
		TLSHandshakeStart: func() { set(func() { shake = time.Now() }) },
		TLSHandshakeDone:  func(tls.ConnectionState, error) { set(func() { h.secured = time.Since(shake) }) },
	}
}

// words lists how long each part took.
func (h *hops) words() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	var parts []string
	for _, p := range []struct {
		name string
		took time.Duration
	}{{"name", h.name}, {"connection", h.connect}, {"encryption", h.secured}} {
		if p.took > 0 {
			parts = append(parts, fmt.Sprintf("%s %d ms", p.name, p.took.Milliseconds()))
		}
	}
	if len(parts) == 0 {
		return ""
	}
	return fmt.Sprintf(TextReach, strings.Join(parts, ", "))
}

// reach goes out to the internet and comes back in by the public origin.
func (r *round) reach(origin string) bool {
	v := r.look(api.GroupPublic, "reach", whatReach, func() verdict {
		path, nonce, end := r.Nonce()
		defer end()
		h := &hops{began: time.Now()}
		err := tunnel.Probe(httptrace.WithClientTrace(r.ctx, h.trace()), r.outside(), origin, path, nonce)
		if f, ok := errors.AsType[*tunnel.Fault](err); ok {
			return ofFault(f)
		}
		if err != nil {
			return failed(api.WhoseNetwork, fmt.Sprintf(TextUntried, trimmed(err)), NextUntried)
		}
		return well(h.words())
	})
	return v.state == api.FindingOK
}

func (r *round) outside() *http.Client {
	if r.Outside == nil {
		return nil
	}
	return r.Outside()
}

// A visitor signs in on one origin as an app would.
type visitor struct {
	ctx     context.Context
	http    *http.Client
	check   *selfcheck.Server
	group   string
	browser bool // the next request is a browser's

	client          string
	verifier        string
	access, refresh string
}

// agent is the User-Agent of an examination, for people who read the logs of
// what stands in between.
const agent = "Key2OAuth-check/1"

const callback = "http://127.0.0.1/callback"

// origin runs a complete sign-in, from the metadata to revoking its tokens.
func (r *round) origin(group string) {
	check, err := r.Selfcheck(group == api.GroupPublic)
	if err != nil {
		return
	}
	defer check.End()
	c := r.outside()
	if c == nil || group == api.GroupLocal {
		c = &http.Client{Transport: &http.Transport{DisableKeepAlives: group == api.GroupLocal, Proxy: proxyOf(group)}}
	}
	c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	defer c.CloseIdleConnections()
	v := &visitor{ctx: r.ctx, http: c, check: check, group: group, verifier: rand.Text() + rand.Text()}
	steps := []struct {
		id, what string
		do       func() verdict
	}{
		{"resource", whatResource, v.resource},
		{"metadata", whatMetadata, v.metadata},
		{"challenge", whatChallenge, v.challenge},
		{"register", whatRegister, v.register},
		{"page", whatPage, v.page},
		{"token", whatToken, v.token},
		{"call", whatCall, v.call},
		{"stream", whatStream, v.stream},
		{"refresh", whatRefresh, v.renew},
		{"revoke", WhatRevoke, v.revoke},
	}
	for i, s := range steps {
		if got := r.look(group, s.id, s.what, s.do); got.state == api.FindingFailed {
			for _, rest := range steps[i+1:] {
				r.look(group, rest.id, rest.what, func() verdict { return verdict{state: api.FindingSkipped} })
			}
			return
		}
	}
}

// proxyOf returns the proxy to use: the environment's to the internet, none to
// this computer.
func proxyOf(group string) func(*http.Request) (*url.URL, error) {
	if group == api.GroupLocal {
		return nil
	}
	return http.ProxyFromEnvironment
}

const maxAnswer = 64 << 10

// send sends a request and reads the whole answer. If there is none, problem
// says why.
func (v *visitor) send(method, path, contentType, body string) (res *http.Response, b []byte, problem *verdict) {
	res, problem = v.open(method, path, contentType, body)
	if problem != nil {
		return nil, nil, problem
	}
	defer res.Body.Close()
	b, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err != nil {
		w := v.broken(err)
		return nil, nil, &w
	}
	return res, b, nil
}

// open is send for an answer that is a stream.
func (v *visitor) open(method, path, contentType, body string) (*http.Response, *verdict) {
	req, err := http.NewRequestWithContext(v.ctx, method, v.check.Origin+path, strings.NewReader(body))
	if err != nil {
		w := failed(api.WhoseOurs, TextNoRequest, NextReport)
		return nil, &w
	}
	req.Header.Set(selfcheck.Header, v.check.Nonce)
	req.Header.Set("User-Agent", agent)
	if v.browser {
		v.browser = false
		req.Header.Set("User-Agent", "Mozilla/5.0 "+agent)
		req.Header.Set("Accept", "text/html")
	}
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	if v.access != "" && strings.HasPrefix(path, "/"+v.check.Slug) {
		req.Header.Set("Authorization", "Bearer "+v.access)
		req.Header.Set("Accept", "application/json, text/event-stream")
	}
	res, err := v.http.Do(req)
	if err != nil {
		w := v.broken(err)
		return nil, &w
	}
	return res, nil
}

// broken says why there was no answer.
func (v *visitor) broken(err error) verdict {
	if v.group == api.GroupLocal {
		return failed(api.WhoseYours, fmt.Sprintf(TextUnreachable, reason(err)), NextFirewall)
	}
	return failed(api.WhoseNetwork, fmt.Sprintf(TextBroke, reason(err)), NextBroke)
}

// reason is an error without its URL, whose query may hold secrets.
func reason(err error) string {
	if u, ok := errors.AsType[*url.Error](err); ok {
		err = u.Err
	}
	if op, ok := errors.AsType[*net.OpError](err); ok {
		err = op.Err
	}
	return err.Error()
}

// strange judges an answer that Key2OAuth would not give.
func (v *visitor) strange(res *http.Response, b []byte) verdict {
	return judgeStrange(v.group, res.StatusCode, res.Header, b)
}

func judgeStrange(group string, status int, h http.Header, body []byte) verdict {
	html := strings.HasPrefix(h.Get("Content-Type"), "text/html") || bytes.HasPrefix(bytes.ToLower(bytes.TrimSpace(body)), []byte("<!doctype html"))
	code := h.Get("Ngrok-Error-Code")
	switch {
	case group == api.GroupLocal:
		return failed(api.WhoseOurs, fmt.Sprintf(TextOurAnswer, status), NextReport)
	case code != "":
		return failed(api.WhoseNgrok, fmt.Sprintf(TextNgrokAnswered, code), NextNgrokAnswered)
	case html || status == http.StatusForbidden:
		return failed(api.WhoseYours, TextBots, NextBots)
	}
	return failed(api.WhoseYours, fmt.Sprintf(TextChanged, status), NextChanged)
}

func (v *visitor) mcp() string { return "/" + v.check.Slug + "/mcp" }

// document reads one of the two descriptions and checks one member of it.
func (v *visitor) document(path, member, want string) verdict {
	res, b, problem := v.send(http.MethodGet, path, "", "")
	if problem != nil {
		return *problem
	}
	var doc map[string]any
	if res.StatusCode != http.StatusOK || json.Unmarshal(b, &doc) != nil || doc[member] != want {
		return v.strange(res, b)
	}
	return verdict{}
}

func (v *visitor) resource() verdict {
	return v.document("/.well-known/oauth-protected-resource"+v.mcp(), "resource", v.check.Origin+v.mcp())
}

func (v *visitor) metadata() verdict {
	return v.document("/.well-known/oauth-authorization-server", "issuer", v.check.Origin)
}

const initialize = `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"key2oauth-check","version":"1"}}}`

func (v *visitor) challenge() verdict {
	res, b, problem := v.send(http.MethodPost, v.mcp(), "application/json", initialize)
	if problem != nil {
		return *problem
	}
	want := v.check.Origin + "/.well-known/oauth-protected-resource" + v.mcp()
	if v.group == api.GroupPublic && res.StatusCode == http.StatusUnauthorized && res.Header.Get("WWW-Authenticate") == "" {
		return failed(api.WhoseYours, TextNoChallenge, NextPassHeader)
	}
	if got := res.Header.Get("WWW-Authenticate"); res.StatusCode != http.StatusUnauthorized || !strings.Contains(got, want) {
		return v.strange(res, b)
	}
	return verdict{}
}

func (v *visitor) register() verdict {
	res, b, problem := v.send(http.MethodPost, "/register", "application/json",
		`{"client_name":"Key2OAuth check","redirect_uris":["`+callback+`"],"token_endpoint_auth_method":"none"}`)
	if problem != nil {
		return *problem
	}
	var answer struct {
		ID string `json:"client_id"`
	}
	if res.StatusCode != http.StatusCreated || json.Unmarshal(b, &answer) != nil || answer.ID == "" {
		return v.strange(res, b)
	}
	v.client = answer.ID
	return verdict{}
}

func (v *visitor) challengeCode() string {
	sum := sha256.Sum256([]byte(v.verifier))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// page opens the sign-in page as a browser does.
func (v *visitor) page() verdict {
	q := url.Values{
		"response_type": {"code"}, "client_id": {v.client}, "redirect_uri": {callback}, "state": {"check"},
		"code_challenge": {v.challengeCode()}, "code_challenge_method": {"S256"}, "resource": {v.check.Origin + v.mcp()},
	}
	v.browser = true
	res, b, problem := v.send(http.MethodGet, "/authorize?"+q.Encode(), "", "")
	switch {
	case problem != nil:
		return *problem
	case res.Header.Get("Ngrok-Error-Code") == "ERR_NGROK_6024":
		return verdict{state: api.FindingWarn, whose: api.WhoseNgrok, words: TextNgrokPage, next: NextNgrokPage}
	case v.group == api.GroupLocal && res.StatusCode == http.StatusSeeOther, res.StatusCode == http.StatusOK && bytes.Contains(b, []byte("Key2OAuth")):
		return verdict{}
	}
	return v.strange(res, b)
}

func (v *visitor) form(path string, params url.Values) (*http.Response, []byte, *verdict) {
	params.Set("client_id", v.client)
	return v.send(http.MethodPost, path, "application/x-www-form-urlencoded", params.Encode())
}

// tokens asks for tokens.
func (v *visitor) tokens(params url.Values) verdict {
	res, b, problem := v.form("/token", params)
	if problem != nil {
		return *problem
	}
	var answer struct {
		Access  string `json:"access_token"`
		Refresh string `json:"refresh_token"`
	}
	if res.StatusCode != http.StatusOK || json.Unmarshal(b, &answer) != nil || answer.Access == "" {
		return v.strange(res, b)
	}
	v.access, v.refresh = answer.Access, answer.Refresh
	return verdict{}
}

func (v *visitor) token() verdict {
	code, err := v.check.Code(v.client, callback, v.challengeCode())
	if err != nil {
		return failed(api.WhoseOurs, TextNoAccess, NextReport)
	}
	return v.tokens(url.Values{"grant_type": {"authorization_code"}, "code": {code}, "code_verifier": {v.verifier}, "redirect_uri": {callback}})
}

func (v *visitor) renew() verdict {
	return v.tokens(url.Values{"grant_type": {"refresh_token"}, "refresh_token": {v.refresh}})
}

func tool(name string) string {
	return `{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"` + name + `","arguments":{}}}`
}

func (v *visitor) call() verdict {
	res, b, problem := v.send(http.MethodPost, v.mcp(), "application/json", tool("ping"))
	if problem != nil {
		return *problem
	}
	if v.group == api.GroupPublic && res.StatusCode == http.StatusUnauthorized {
		return failed(api.WhoseYours, TextNoToken, NextPassHeader)
	}
	if res.StatusCode != http.StatusOK || !bytes.Contains(b, []byte(selfcheck.Answer)) {
		return v.strange(res, b)
	}
	return verdict{}
}

// stream checks that events arrive one by one. That needs no clock: the second
// event is sent once the first has arrived, and says so.
func (v *visitor) stream() verdict {
	res, problem := v.open(http.MethodPost, v.mcp(), "application/json", tool("stream"))
	if problem != nil {
		return *problem
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		b, _ := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
		return v.strange(res, b)
	}
	events := sse.NewReader(res.Body, maxAnswer)
	var last string
	_, data, err := events.Next()
	for ; err == nil; _, data, err = events.Next() {
		last = string(data)
		v.check.Seen()
	}
	switch {
	case !errors.Is(err, io.EOF):
		return v.broken(err)
	case strings.Contains(last, selfcheck.Streamed):
		return verdict{}
	case v.group == api.GroupLocal:
		return failed(api.WhoseOurs, TextOurStream, NextReport)
	}
	return failed(api.WhoseYours, TextHeldBack, NextHeldBack)
}

// revoke ends the access, and checks that it has ended.
func (v *visitor) revoke() verdict {
	res, b, problem := v.form("/revoke", url.Values{"token": {v.refresh}})
	if problem != nil {
		return *problem
	}
	if res.StatusCode != http.StatusOK {
		return v.strange(res, b)
	}
	if res, b, problem = v.send(http.MethodPost, v.mcp(), "application/json", tool("ping")); problem != nil {
		return *problem
	}
	if res.StatusCode != http.StatusUnauthorized {
		return v.strange(res, b)
	}
	return verdict{}
}
