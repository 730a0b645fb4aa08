package shim

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/key2oauth/key2oauth/shim/api"
	"github.com/key2oauth/key2oauth/shim/internal/httpx"
	"github.com/key2oauth/key2oauth/shim/internal/problem"
	"github.com/key2oauth/key2oauth/shim/internal/web"
)

// settleTime is how long the owner waits to be told how a change went. What
// takes longer shows in the status.
const settleTime = 20 * time.Second

// setTunnel makes the tunnel be as the owner wants, and returns how that went.
// A wish that is refused for what he typed just now, such as a wrong authtoken,
// changes nothing: the tunnel is as it was.
func (s *Shim) setTunnel(ctx context.Context, w TunnelWish) (api.TunnelStatus, error) {
	p := &s.side
	if p.control == nil {
		return api.TunnelStatus{}, httpx.New(http.StatusServiceUnavailable, "this program runs without a tunnel")
	}
	switch w.Provider {
	case api.TunnelOff, api.TunnelNgrok, api.TunnelExternal:
	case "":
		return api.TunnelStatus{}, problem.Invalid("provider", errNoProvider)
	default:
		return api.TunnelStatus{}, problem.Invalid("provider", errNoSuchProvider)
	}
	if err := s.checkWish(&w); err != nil {
		return api.TunnelStatus{}, problem.Invalid("url", err)
	}
	typedToken := !w.Authtoken.IsZero()
	if typedToken {
		if err := checkAuthtoken(w.Authtoken.Reveal()); err != nil {
			return api.TunnelStatus{}, problem.Invalid("authtoken", err)
		}
		if k := s.control.Keychain(); !k.Usable() {
			return api.TunnelStatus{}, problem.Unavailable(k.Words, nil)
		}
	}
	p.putting.Lock()
	defer p.putting.Unlock()

	p.mu.Lock()
	before, wasOff, wasEnv := p.settings, p.off, p.env
	p.mu.Unlock()
	back := func(err error) (api.TunnelStatus, error) {
		kept := s.changeTunnel(func(t *tunnelSettings) {
			seen := t.Seen
			if *t = before; w.Provider != api.TunnelExternal {
				t.Seen = seen
			}
		})
		if kept != nil {
			s.log.Warn("what is kept about the tunnel could not be put back", "err", kept)
		}
		p.mu.Lock()
		p.off, p.env, p.pushed = wasOff, wasEnv, nil
		p.mu.Unlock()
		s.drive()
		return api.TunnelStatus{}, err
	}
	if err := s.saveTunnel(w); err != nil {
		return api.TunnelStatus{}, s.control.Explain(err)
	}
	p.mu.Lock()
	p.off = false
	if typedToken {
		p.env = w.Authtoken // tried first, kept once it works
	}
	p.pushed = nil
	p.mu.Unlock()
	s.drive()
	if w.Provider == api.TunnelOff || s.paused.is() {
		return s.keepToken(w, typedToken, back)
	}
	if _, trouble := s.wish(); trouble != nil {
		if trouble.State == api.TunnelFailed {
			return back(&problem.Field{Name: "authtoken", Err: httpx.New(http.StatusBadRequest, problem.Join(trouble.Words, trouble.Next))})
		}
		return s.tunnelStatus(), nil
	}
	ctx, cancel := context.WithTimeout(ctx, settleTime)
	defer cancel()
	st := p.control.Settled(ctx)
	s.SetTunnelStatus(st)
	if st.State == api.TunnelFailed && (typedToken || w.URL != "") {
		field := "authtoken"
		if !typedToken {
			field = "url"
		}
		return back(&problem.Field{Name: field, Err: httpx.New(http.StatusBadRequest, problem.Join(st.Words, st.Next))})
	}
	return s.keepToken(w, typedToken, back)
}

// keepToken seals an authtoken that was typed.
func (s *Shim) keepToken(w TunnelWish, typed bool, back func(error) (api.TunnelStatus, error)) (api.TunnelStatus, error) {
	if typed {
		if err := s.vault.SaveSecret(secretNgrok, w.Authtoken); err != nil {
			return back(s.control.Explain(err))
		}
	}
	s.control.Changed()
	return s.tunnelStatus(), nil
}

var (
	errNoProvider     = problem.Sentence(`say which tunnel: "provider" is one of "off", "ngrok", "external"`)
	errNoSuchProvider = problem.Sentence(`there is no such tunnel: "provider" is one of "off", "ngrok", "external"`)
)

// checkAuthtoken finds what cannot be an authtoken, before it is sent anywhere.
// The rest is for ngrok to judge.
func checkAuthtoken(token string) error {
	switch {
	case len(token) > 200 || strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r >= 0x7f }):
		return problem.Sentence(web.TextNotAuthtoken)
	case strings.HasPrefix(token, "ak_") || strings.HasPrefix(token, "ngrok_"):
		return problem.Sentence(web.TextAPIKeyNotAuthtoken)
	}
	return nil
}

// cleanAuthtoken takes an authtoken out of what people paste: the command that
// ngrok's own page shows, or the token alone.
func cleanAuthtoken(pasted string) string {
	f := strings.Fields(pasted)
	if len(f) == 0 {
		return ""
	}
	if len(f) > 1 && strings.Contains(pasted, "authtoken") {
		return strings.Trim(f[len(f)-1], `"'`)
	}
	return strings.Trim(strings.Join(f, " "), `"'`)
}

// apiPutTunnel turns a tunnel on or off.
func (s *Shim) apiPutTunnel(w http.ResponseWriter, r *http.Request) error {
	var in api.TunnelChange
	if err := readJSON(r, &in); err != nil {
		return err
	}
	wish := TunnelWish{Provider: in.Provider, URL: in.URL, Preset: in.Preset}
	if token := cleanAuthtoken(in.Authtoken); token != "" {
		wish.Authtoken = NewSecret(token)
	}
	st, err := s.setTunnel(r.Context(), wish)
	if err != nil {
		return err
	}
	return httpx.WriteJSON(w, http.StatusOK, st)
}

// apiTestTunnel goes out and in again.
func (s *Shim) apiTestTunnel(w http.ResponseWriter, r *http.Request) error {
	words, ok, err := s.testTunnel(r.Context())
	if err != nil {
		return err
	}
	return httpx.WriteJSON(w, http.StatusOK, api.TunnelTest{OK: ok, Words: words})
}

func (s *Shim) testTunnel(ctx context.Context) (words string, ok bool, err error) {
	if s.side.control == nil || s.PublicOrigin() == "" {
		return "", false, httpx.New(http.StatusConflict, web.TextTunnelOff)
	}
	words, ok = s.side.control.Test(ctx)
	return words, ok, nil
}
