package e2e

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/auth"
	"github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/modelcontextprotocol/go-sdk/oauthex"
	"golang.org/x/oauth2"
)

// TestM01GoClient drives the go-sdk's client through its own authorization
// code handler, at each revision of the protocol.
func TestM01GoClient(t *testing.T) {
	t.Parallel()
	goClients(t, startApp)
}

// goClients drives the client against the program that start starts.
func goClients(t *testing.T, start func(testing.TB) *app) {
	for _, r := range revisions {
		for _, stateless := range r.stateless {
			t.Run(fmt.Sprintf("M01 %s stateless=%v", r.revision, stateless), func(t *testing.T) {
				g := newGate(t, everything(t, stateless))
				a := start(t)
				e := a.addEndpoint("Everything", g.URL, "")
				held := &holdable{base: a.http().Transport}
				via := &http.Client{Transport: held}
				// Nothing listens there: the test reads the code from the redirect.
				c := newGoClient(t, via, "http://127.0.0.1:1/callback", func(authorize string) url.Values {
					back, err := url.Parse(consent(t, a, authorize))
					if err != nil {
						t.Fatal(err)
					}
					return back.Query()
				})
				ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
				defer cancel()

				s, err := mcp.NewClient(&mcp.Implementation{Name: "e2e", Version: "1"}, nil).Connect(ctx,
					&mcp.StreamableClientTransport{Endpoint: a.url(e), HTTPClient: via, OAuthHandler: c.handler},
					&mcp.ClientSessionOptions{ProtocolVersion: r.revision})
				if err != nil {
					t.Fatal(err)
				}
				defer s.Close()
				g.refused.Store(0) // the trial of the key also sends a request without a key
				if got := s.InitializeResult().ProtocolVersion; got != r.revision {
					t.Errorf("the session speaks %s, want %s", got, r.revision)
				}
				list, err := s.ListTools(ctx, nil)
				if err != nil {
					t.Fatal(err)
				}
				texts := []string{simpleText(ctx, t, s)}
				first := c.refreshToken()
				c.expire()
				texts = append(texts, simpleText(ctx, t, s))
				rotated := c.refreshToken() != first
				a.mustHaveTimeline(t)
				before := g.streams.Load()
				// The client gives up its session if its stream is refused, as a tunnel does
				// while nobody is at its end.
				release := held.hold()
				a.restart()
				release()
				texts = append(texts, simpleText(ctx, t, s))
				if !stateless {
					eventually(t, patience, "the client's stream is back", func() bool { return g.streams.Load() > before })
				}
				g.rotate(t)
				dead := deadText(ctx, t, s)
				a.replaceKey(rotatedKey)
				texts = append(texts, simpleText(ctx, t, s))

				report{
					Tools: len(list.Tools), Texts: texts, Rejected: dead, Rotated: rotated,
					Authorizations: int(c.authorizations.Load()), Saved: int(c.issued.Load()), Version: r.revision,
				}.check(t)
				if n := len(a.grants()); n != 1 {
					t.Errorf("there are %d grants, want 1", n)
				}
			})
		}
	}
}

// A holdable transport can hold requests back.
type holdable struct {
	base http.RoundTripper

	mu   sync.Mutex
	held chan struct{} // nil while nothing is held back
}

// hold makes new requests wait until release is called.
func (h *holdable) hold() (release func()) {
	held := make(chan struct{})
	set := func(c chan struct{}) {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.held = c
	}
	set(held)
	return func() { set(nil); close(held) }
}

// RoundTrip implements http.RoundTripper.
func (h *holdable) RoundTrip(r *http.Request) (*http.Response, error) {
	h.mu.Lock()
	held := h.held
	h.mu.Unlock()
	if held != nil {
		select {
		case <-held:
		case <-r.Context().Done():
			return nil, r.Context().Err()
		}
	}
	return cmp.Or(h.base, http.DefaultTransport).RoundTrip(r)
}

// simpleText returns the result of the tool, which must succeed.
func simpleText(ctx context.Context, t *testing.T, s *mcp.ClientSession) string {
	t.Helper()
	text, isError := callText(ctx, t, s)
	if isError {
		t.Fatalf("the tool failed with %q", text)
	}
	return text
}

// deadText returns the result of the tool while the upstream's key is dead.
func deadText(ctx context.Context, t *testing.T, s *mcp.ClientSession) string {
	t.Helper()
	text, isError := callText(ctx, t, s)
	if !isError {
		t.Errorf("with a dead key the tool succeeded with %q", text)
	}
	return text
}

func callText(ctx context.Context, t *testing.T, s *mcp.ClientSession) (text string, isError bool) {
	t.Helper()
	res, err := s.CallTool(ctx, &mcp.CallToolParams{Name: "test_simple_text"})
	if err != nil {
		t.Fatal(err)
	}
	if len(res.Content) != 1 {
		t.Fatalf("the tool answered %+v", res)
	}
	content, ok := res.Content[0].(*mcp.TextContent)
	if !ok {
		t.Fatalf("the tool answered %T, want text", res.Content[0])
	}
	return content.Text, res.IsError
}

// A goClient is the go-sdk's handler, with a token source that refreshes on
// demand.
type goClient struct {
	handler        *auth.AuthorizationCodeHandler
	authorizations atomic.Int64
	issued         atomic.Int64

	mu      sync.Mutex
	current *oauth2.Token
	refresh func(*oauth2.Token) (*oauth2.Token, error)
}

// newGoClient returns a client that sends its requests by via. browse stands in
// for its user: it gets the authorization URL and returns the query that
// arrived at redirect.
func newGoClient(t testing.TB, via *http.Client, redirect string, browse func(authorize string) url.Values) *goClient {
	t.Helper()
	c := new(goClient)
	h, err := auth.NewAuthorizationCodeHandler(&auth.AuthorizationCodeHandlerConfig{
		DynamicClientRegistrationConfig: &auth.DynamicClientRegistrationConfig{Metadata: &oauthex.ClientRegistrationMetadata{
			ClientName: "e2e Go client", RedirectURIs: []string{redirect},
			GrantTypes: []string{"authorization_code", "refresh_token"}, TokenEndpointAuthMethod: "none",
		}},
		RequestRefreshToken: true,
		Client:              via,
		AuthorizationCodeFetcher: func(_ context.Context, args *auth.AuthorizationArgs) (*auth.AuthorizationResult, error) {
			c.authorizations.Add(1)
			q := browse(args.URL)
			return &auth.AuthorizationResult{Code: q.Get("code"), State: q.Get("state"), Iss: q.Get("iss")}, nil
		},
		NewTokenSource: func(ctx context.Context, cfg *oauth2.Config, tok *oauth2.Token) (oauth2.TokenSource, error) {
			c.mu.Lock()
			defer c.mu.Unlock()
			c.issued.Add(1)
			c.current = tok
			c.refresh = func(old *oauth2.Token) (*oauth2.Token, error) { return cfg.TokenSource(ctx, old).Token() }
			return c, nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	c.handler = h
	return c
}

// Token implements oauth2.TokenSource.
func (c *goClient) Token() (*oauth2.Token, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.current.Valid() {
		return c.current, nil
	}
	if c.current.RefreshToken == "" {
		return nil, errors.New("no refresh token was issued")
	}
	tok, err := c.refresh(c.current)
	if err != nil {
		return nil, err
	}
	c.issued.Add(1)
	c.current = tok
	return tok, nil
}

// expire makes the next request refresh.
func (c *goClient) expire() {
	c.mu.Lock()
	defer c.mu.Unlock()
	old := *c.current
	old.Expiry = time.Now().Add(-time.Hour)
	c.current = &old
}

func (c *goClient) refreshToken() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.current.RefreshToken
}

// token is the current access token.
func (c *goClient) token() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.current.AccessToken
}
