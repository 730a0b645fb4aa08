package e2e

import (
	"net/http"
	"net/url"
	"time"
)

// A faultCount says how many of each kind were tried after the last kill.
type faultCount struct {
	Logins, AccessTokens, Newest, Replaced, KeptCodes, Replayed, TooOld int
}

func (n *faultCount) add(m faultCount) {
	n.Logins += m.Logins
	n.AccessTokens += m.AccessTokens
	n.Newest += m.Newest
	n.Replaced += m.Replaced
	n.KeptCodes += m.KeptCodes
	n.Replayed += m.Replayed
	n.TooOld += m.TooOld
}

// tryTokens uses every token that a client received.
func (c *faultClient) tryTokens(n *faultCount) {
	for _, l := range c.logins {
		n.Logins++
		if l.state != connected {
			continue
		}
		for _, token := range l.access {
			n.AccessTokens++
			c.call(token)
		}
		// The newest ones come last in the list, but are tried first.
		for i := len(l.refresh) - 1; i >= 0; i-- {
			kind := &n.Replaced
			if l.refresh[i].used.IsZero() {
				kind = &n.Newest
			}
			if c.use(l, i) {
				*kind++
			} else {
				n.TooOld++
			}
		}
	}
}

// redeemKept redeems the codes that were kept for the end.
func (c *faultClient) redeemKept(n *faultCount) {
	for _, l := range c.logins {
		switch {
		case l.state != answered:
		case time.Since(l.at) > faultLifetime:
			n.TooOld++
		default:
			n.KeptCodes++
			c.redeem(l)
			if l.state == connected {
				c.call(l.access[0])
			}
		}
	}
}

// replayCodes uses every redeemed code again. That ends the grant of the code,
// and no other.
func (c *faultClient) replayCodes(n *faultCount) {
	for _, l := range c.logins {
		if l.state != connected {
			continue
		}
		n.Replayed++
		newest := l.access[len(l.access)-1]
		c.call(newest)
		status, answer := c.token(url.Values{
			"grant_type": {"authorization_code"}, "code": {l.code}, "redirect_uri": {l.id.Redirect},
			"client_id": {l.id.ID}, "code_verifier": {l.id.Verifier},
		})
		if status != http.StatusBadRequest || answer.Error != "invalid_grant" {
			c.f.t.Errorf("a code used twice = %d %s, want 400 invalid_grant", status, answer.Error)
		}
		l.state = ended
		if status, _ := c.post(newest); status != http.StatusUnauthorized {
			c.f.t.Errorf("a call with a token whose code was used twice = %d, want 401", status)
		}
		status, answer = c.token(url.Values{
			"grant_type": {"refresh_token"}, "refresh_token": {l.refresh[len(l.refresh)-1].value}, "client_id": {l.id.ID},
		})
		if status != http.StatusBadRequest || answer.Error != "invalid_grant" {
			c.f.t.Errorf("a refresh token whose code was used twice = %d %s, want 400 invalid_grant", status, answer.Error)
		}
	}
}

// checkGrants compares the list of grants with what the clients know. It
// expects one grant for each login, none where the code was used twice, and at
// most one where the consent got no response.
func (f *fault) checkGrants(clients []*faultClient, when string) {
	f.t.Helper()
	listed := make(map[string]int)
	for _, g := range f.a.grants() {
		listed[g.RedirectHost]++
	}
	for _, c := range clients {
		for _, l := range c.logins {
			n := listed[l.host]
			delete(listed, l.host)
			least, most := 0, 0
			switch l.state {
			case unknown:
				most = 1
			case answered, connected:
				least, most = 1, 1
			}
			if n < least || n > most {
				f.t.Errorf("%s: a login in state %d has %d grants, want %d to %d", when, l.state, n, least, most)
			}
		}
	}
	if len(listed) > 0 {
		f.t.Errorf("%s: there are grants of no login: %v", when, listed)
	}
}
