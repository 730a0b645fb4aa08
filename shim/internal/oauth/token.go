package oauth

import (
	"cmp"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/key2oauth/key2oauth/shim/internal/httpx"
)

// tokenParams must not occur twice; resource may.
var tokenParams = append([]string{"grant_type", "code", "redirect_uri", "code_verifier", "refresh_token", "scope"}, authParams...)

// errGrant is the one answer for a code or refresh token that is unknown,
// expired, revoked, used, or another client's.
var errGrant = oauthError(http.StatusBadRequest, "invalid_grant", "this code or refresh token is not valid; sign in again")

// refused is errGrant with a reason that only the log and the owner see.
func refused(why Reason) error {
	e := *errGrant
	e.Err = why
	return &e
}

// tokenResponse is RFC 6749, Section 5.1.
type tokenResponse struct {
	AccessToken  string `json:"access_token"`
	TokenType    string `json:"token_type"`
	ExpiresIn    int64  `json:"expires_in"`
	RefreshToken string `json:"refresh_token"`
	Scope        string `json:"scope"`
}

// ServeToken answers POST /token.
func (s *Server) ServeToken(w http.ResponseWriter, r *http.Request) error {
	f, err := readForm(r, tokenParams...)
	if err != nil {
		return err
	}
	answer, err := s.token(r, f)
	s.sawToken(r, f, err)
	if err != nil {
		return err
	}
	noStore(w)
	return httpx.WriteJSON(w, http.StatusOK, answer)
}

func (s *Server) token(r *http.Request, f form) (*tokenResponse, error) {
	client, err := s.authenticateClient(r, f)
	if err != nil {
		return nil, err
	}
	switch f.get("grant_type") {
	case "authorization_code":
		return s.redeem(client, f)
	case "refresh_token":
		return s.refresh(client, f, s.OwnUser != nil && s.OwnUser(r))
	case "":
		return nil, invalidRequest("grant_type is missing")
	}
	return nil, oauthError(http.StatusBadRequest, "unsupported_grant_type", "grant_type must be authorization_code or refresh_token")
}

// redeem exchanges a code for tokens, RFC 6749, Section 4.1.3. A failure
// leaves the code valid, so the client can try again; a guessed code matches
// no digest and changes nothing.
func (s *Server) redeem(c Client, f form) (*tokenResponse, error) {
	code, verifier := f.get("code"), f.get("code_verifier")
	switch {
	case code == "":
		return nil, invalidRequest("code is missing")
	case verifier == "":
		return nil, invalidRequest("code_verifier is missing")
	}
	id, d, err := s.lookup(codePrefix, code)
	if err != nil {
		return nil, err
	}
	var answer *tokenResponse
	var replayed bool
	err = s.Tokens.store.UpdateGrant(id, func(tx Tx) error {
		answer, replayed = nil, false // the store may run this more than once
		now := s.now()
		g := tx.Grant()
		t, ok := tx.Token(d)
		if why := misplaced(g, ok && t.Kind == Code, c, s.Issuer); why != "" {
			return refused(why)
		}
		uri := f.get("redirect_uri") // OAuth 2.1 dropped it; older clients send it
		switch {
		case uri != "" && uri != t.RedirectURI:
			return refused(ReasonRedirect)
		case !verifyPKCE(t.Challenge, verifier):
			return refused(ReasonPKCE)
		}
		if err := s.checkResource(f, g.Slug); err != nil {
			return err
		}
		if t.Used {
			// RFC 6749, Section 4.1.2: two parties hold the code, and it is
			// unknown which of them got the tokens. OAuth 2.1, Section 7.5.3
			// wants the request to be valid otherwise: otherwise someone
			// who only saw the code could end the grant.
			replayed = true
			tx.Delete()
			return nil
		}
		if !now.Before(t.Expires) {
			return refused(ReasonExpired)
		}
		t.Used = true
		tx.SetToken(d, t)
		g.CodeRedeemed = true
		tx.SetGrant(g)
		answer = s.issue(tx, t.Scope, Token{Kind: RefreshToken, Scope: t.Scope}, now)
		return nil
	})
	return s.settle(id, answer, replayed, err)
}

// refresh exchanges a refresh token, RFC 6749, Section 6. OAuth 2.1, Section
// 4.3.1 requires a new one each time. Older access tokens stay valid, since
// calls in progress carry them.
//
// RFC 9700, Section 4.14.2: using a replaced refresh token means that two
// parties hold the chain, so the grant ends. But a laptop that goes to sleep
// loses answers, and Claude has two back ends that refresh one grant
// independently. So a replaced token stays valid for some time after its
// successor's first use, which proves that the answer arrived; see overlap. What
// that hides, the owner is told: see Branch.
func (s *Server) refresh(c Client, f form, own bool) (*tokenResponse, error) {
	token := f.get("refresh_token")
	if token == "" {
		return nil, invalidRequest("refresh_token is missing")
	}
	id, d, err := s.lookup(refreshPrefix, token)
	if err != nil {
		return nil, err
	}
	var answer *tokenResponse
	var reused bool
	err = s.Tokens.store.UpdateGrant(id, func(tx Tx) error {
		answer, reused = nil, false // the store may run this more than once
		now := s.now()
		g := tx.Grant()
		t, ok := tx.Token(d)
		if why := misplaced(g, ok && t.Kind == RefreshToken, c, s.Issuer); why != "" {
			return refused(why)
		}
		if !now.Before(t.Expires) {
			return refused(ReasonExpired)
		}
		if err := s.checkResource(f, g.Slug); err != nil {
			return err
		}
		fork, window := t.Superseded, g.overlap(d, own)
		if fork && !t.SuccessorUsed.IsZero() && !now.Before(t.SuccessorUsed.Add(window)) {
			reused = true
			tx.Delete()
			return nil
		}
		t.Superseded = true
		tx.SetToken(d, t)
		if t.Parent != (Digest{}) {
			if p, ok := tx.Token(t.Parent); ok && p.SuccessorUsed.IsZero() {
				p.SuccessorUsed = now
				tx.SetToken(t.Parent, p)
			}
		}
		// A successor never expires before its predecessor, even if the clock
		// was wrong. If the clock was years behind, the new token would
		// already be expired once the clock is right, and the owner would have
		// to sign in again.
		next := Token{Kind: RefreshToken, Scope: t.Scope, Parent: d, Expires: t.Expires}
		answer = s.issue(tx, narrowed(t.Scope, f.get("scope")), next, now)
		fresh := digest(answer.RefreshToken)
		changed := false
		if own && !fork {
			g.ownUsed(d)
			changed = true
		}
		if nt, ok := tx.Token(fresh); g.branched(d, fresh, fork, window, now, nt.Expires) && ok || changed {
			tx.SetGrant(g)
		}
		return nil
	})
	return s.settle(id, answer, reused, err)
}

// misplaced returns why this client on this origin cannot use a code or
// refresh token, or "".
func misplaced(g Grant, known bool, c Client, issuer string) Reason {
	switch {
	case !known:
		return ReasonUnknown
	case g.ClientID != c.ID:
		return ReasonOtherClient
	case g.Origin != issuer:
		return ReasonOtherOrigin
	}
	return ""
}

// lookup finds the grant and the digest of a code or refresh token. Unknown
// tokens are refused before any transaction, so a stranger's guesses do not
// delay others.
func (s *Server) lookup(prefix, token string) (id string, d Digest, err error) {
	id, ok := tokenGrant(prefix, token)
	if !ok {
		return "", d, refused(ReasonUnknown)
	}
	d = digest(token)
	_, ok, err = s.Tokens.store.Token(id, d)
	switch {
	case errors.Is(err, ErrNotFound), err == nil && !ok:
		return "", d, refused(ReasonUnknown)
	case err != nil:
		return "", d, s.unavailable(err)
	}
	return id, d, nil
}

// settle turns the result of a transaction into the answer. ended says that
// the transaction deleted the grant.
func (s *Server) settle(id string, answer *tokenResponse, ended bool, err error) (*tokenResponse, error) {
	switch {
	case errors.Is(err, ErrNotFound):
		return nil, refused(ReasonUnknown)
	case err != nil:
		return nil, s.asError(err)
	case ended:
		s.log().Warn("ended a grant because its code or refresh token was used again", "grant", id)
		s.Tokens.end(id, func(*Access) bool { return true })
		return nil, refused(ReasonReused)
	}
	return answer, nil
}

// issue makes an access token, and a refresh token from next, which stays
// valid at least as long as next already says. A refresh token is issued even
// without offline_access: otherwise the owners of clients that forget to ask
// would have to sign in every day.
func (s *Server) issue(tx Tx, scope string, next Token, now time.Time) *tokenResponse {
	ttl, rttl := DefaultAccessTTL, s.RefreshTTL
	if s.AccessTTL != nil {
		ttl = cmp.Or(s.AccessTTL(), DefaultAccessTTL)
	}
	if rttl == 0 {
		rttl = refreshTTL
	}
	access, ad := newToken(accessPrefix, tx.Grant().ID)
	fresh, rd := newToken(refreshPrefix, tx.Grant().ID)
	tx.SetToken(ad, Token{Kind: AccessToken, Expires: now.Add(ttl), Scope: scope})
	if until := now.Add(rttl); until.After(next.Expires) {
		next.Expires = until
	}
	tx.SetToken(rd, next)
	return &tokenResponse{
		AccessToken:  access,
		TokenType:    "Bearer",
		ExpiresIn:    int64(ttl / time.Second),
		RefreshToken: fresh,
		Scope:        scope,
	}
}

// checkResource checks the resource indicators of a token request. None means
// the grant's endpoint; clients of the 2025-03-26 version and old versions of
// Codex send none.
func (s *Server) checkResource(f form, slug string) error {
	got, e := s.resourceSlug(f.all("resource"))
	switch {
	case e != nil:
		return e
	case got != "" && got != slug:
		return invalidTarget("the grant is for another endpoint")
	}
	return nil
}

// narrowed returns the part of asked that was already granted.
func narrowed(granted, asked string) string {
	if asked == "" || granted == "mcp" {
		return granted
	}
	return grantedScope(asked)
}

// verifyPKCE checks verifier against an S256 challenge.
//
// RFC 7636, Section 4.6. Only S256 exists here: OAuth 2.1 drops "plain", and
// a server that accepts it lets an attacker who sees the authorization
// request redeem the code.
func verifyPKCE(challenge, verifier string) bool {
	if len(verifier) < 43 || len(verifier) > 128 || strings.Trim(verifier, unreserved) != "" {
		return false
	}
	sum := sha256.Sum256([]byte(verifier))
	want := base64.RawURLEncoding.EncodeToString(sum[:])
	return subtle.ConstantTimeCompare([]byte(want), []byte(challenge)) == 1
}

const unreserved = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~"
