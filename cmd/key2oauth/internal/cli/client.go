package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/key2oauth/key2oauth/cmd/key2oauth/internal/instance"
	"github.com/key2oauth/key2oauth/shim/api"
)

// NotRunning says that there is no Key2OAuth to talk to.
func (p *Program) NotRunning() error {
	start := "key2oauth serve"
	if p.DirChosen {
		start += " --data-dir " + p.DataDir // or another folder would be served
	}
	return &Failure{Code: ExitNotRunning, err: fmt.Errorf("Key2OAuth is not running (data folder %s). Start it with: %s", p.DataDir, start)}
}

// noAnswer says that Key2OAuth stopped answering: it was found running a moment
// ago.
func noAnswer(origin string, err error) error {
	return &Failure{Code: ExitNotRunning, err: fmt.Errorf("Key2OAuth at %s does not answer: %w", origin, errors.Unwrap(err)), hint: "if it has ended, start it with: key2oauth serve"}
}

// A Client talks to the admin API of the running Key2OAuth.
type Client struct {
	Origin string
	token  string // the admin token; only "key2oauth token" prints it
	http   *http.Client
}

// Connect finds the Key2OAuth that is running on the data folder.
func (p *Program) Connect() (*Client, error) {
	info, err := instance.Find(p.DataDir)
	if errors.Is(err, instance.ErrNotRunning) {
		return nil, p.NotRunning()
	}
	if err != nil {
		return nil, err
	}
	token, err := p.AdminToken()
	if err != nil {
		return nil, err
	}
	return &Client{
		Origin: info.LocalOrigin,
		token:  token,
		http: &http.Client{
			// A new key is tried at its server before the answer comes.
			Timeout: time.Minute,
			// No proxy, since the token must not leave this computer. No
			// connection is kept, since quitting would wait for it.
			Transport: &http.Transport{Proxy: nil, DisableKeepAlives: true},
			// A redirect is never expected, and must not get the token.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}, nil
}

// AdminToken reads the token that lets a program use the admin API.
func (p *Program) AdminToken() (string, error) {
	b, err := os.ReadFile(filepath.Join(p.DataDir, api.TokenFile))
	if errors.Is(err, fs.ErrNotExist) {
		return "", p.NotRunning()
	}
	return strings.TrimSpace(string(b)), err
}

// An apiError is an answer that is not a success.
type apiError struct {
	status int
	words  string
	body   []byte
	// canForce says that the same request is carried out if it insists.
	canForce bool
}

func (e *apiError) Error() string { return e.words }

// Get returns the body of the answer to a GET.
func (c *Client) Get(ctx context.Context, path string) ([]byte, error) {
	return c.Call(ctx, http.MethodGet, path, nil)
}

// Call sends body, if it is not nil, as JSON and returns the answer's body.
func (c *Client) Call(ctx context.Context, method, path string, body any) ([]byte, error) {
	var content io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			return nil, err
		}
		content = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, c.Origin+path, content)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+c.token)
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	res, err := c.http.Do(req)
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if err != nil {
		return nil, noAnswer(c.Origin, err)
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	if err != nil {
		return nil, fmt.Errorf("reading the answer of Key2OAuth: %w", err)
	}
	if res.StatusCode/100 == 2 {
		return answer, nil
	}
	var said api.Error
	if json.Unmarshal(answer, &said) != nil || said.Error == "" {
		said.Error = fmt.Sprintf("Key2OAuth at %s answered %s", c.Origin, res.Status)
	}
	return nil, &apiError{status: res.StatusCode, words: said.Error, body: answer, canForce: said.CanForce}
}

// GetInto is Get, and decodes the answer into v too; raw is for --json.
func (c *Client) GetInto(ctx context.Context, path string, v any) (raw []byte, err error) {
	raw, err = c.Get(ctx, path)
	if err != nil {
		return nil, err
	}
	return raw, Decode(raw, v)
}

// Decode decodes an answer of the admin API into v.
func Decode(raw []byte, v any) error {
	if err := json.Unmarshal(raw, v); err != nil {
		return fmt.Errorf("reading the answer of Key2OAuth: %w", err)
	}
	return nil
}

// notFound turns a 404 into an error that names what was asked for.
func notFound(err error, what, hint string) error {
	if e, ok := errors.AsType[*apiError](err); ok && e.status == http.StatusNotFound {
		return Failed(fmt.Errorf("there is no %s", what), hint)
	}
	return err
}
