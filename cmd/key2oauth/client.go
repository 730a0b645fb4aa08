package main

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
	"strings"
	"time"

	"github.com/key2oauth/key2oauth/cmd/key2oauth/internal/instance"
	"github.com/key2oauth/key2oauth/shim"
	"github.com/key2oauth/key2oauth/shim/api"
)

const hintStart = `start it with "key2oauth serve", or name its data folder with --data-dir`

// A client talks to the admin API of the running app.
type client struct {
	origin string
	token  string // the admin token; never printed but by "key2oauth token"
	http   *http.Client
}

// connect finds the app that runs on the data folder.
func (p *program) connect() (*client, error) {
	info, err := instance.Find(p.dataDir)
	if errors.Is(err, instance.ErrNotRunning) {
		return nil, &failure{exitNotRunning, fmt.Errorf("no app is running on the data folder %s", p.dataDir), hintStart}
	}
	if err != nil {
		return nil, err
	}
	token, err := p.adminToken()
	if err != nil {
		return nil, err
	}
	return &client{
		origin: info.LocalOrigin,
		token:  token,
		http: &http.Client{
			// The app tries a new key against its upstream before it answers.
			Timeout: time.Minute,
			// No proxy: the token must not leave this machine. No connection is
			// kept: an app that ends would wait for it.
			Transport: &http.Transport{Proxy: nil, DisableKeepAlives: true},
			// A redirect is never expected, and must not carry the token on.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}, nil
}

func (p *program) adminToken() (string, error) {
	b, err := os.ReadFile(shim.TokenFile(p.dataDir))
	if errors.Is(err, fs.ErrNotExist) {
		return "", &failure{exitNotRunning, fmt.Errorf("no app has run on the data folder %s", p.dataDir), hintStart}
	}
	return strings.TrimSpace(string(b)), err
}

// An apiError is what the app answered when it refused.
type apiError struct {
	status int
	words  string
	body   []byte
}

func (e *apiError) Error() string { return e.words }

func (c *client) get(ctx context.Context, path string) ([]byte, error) {
	return c.call(ctx, http.MethodGet, path, nil)
}

// call sends body, if it is not nil, as JSON and returns the answer's body.
func (c *client) call(ctx context.Context, method, path string, body any) ([]byte, error) {
	var content io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			return nil, err
		}
		content = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, c.origin+path, content)
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
		return nil, &failure{exitNotRunning, fmt.Errorf("the app at %s does not answer: %w", c.origin, errors.Unwrap(err)), hintStart}
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	if err != nil {
		return nil, fmt.Errorf("reading the app's answer: %w", err)
	}
	if res.StatusCode/100 == 2 {
		return answer, nil
	}
	var said api.Error
	if json.Unmarshal(answer, &said) != nil || said.Error == "" {
		said.Error = fmt.Sprintf("the app at %s answered %s", c.origin, res.Status)
	}
	return nil, &apiError{status: res.StatusCode, words: said.Error, body: answer}
}

// getInto decodes the answer too; raw is for --json.
func (c *client) getInto(ctx context.Context, path string, v any) (raw []byte, err error) {
	raw, err = c.get(ctx, path)
	if err != nil {
		return nil, err
	}
	return raw, decode(raw, v)
}

func decode(raw []byte, v any) error {
	if err := json.Unmarshal(raw, v); err != nil {
		return fmt.Errorf("reading the app's answer: %w", err)
	}
	return nil
}

// notFound makes a 404 an error that names what was looked for.
func notFound(err error, what, hint string) error {
	if e, ok := errors.AsType[*apiError](err); ok && e.status == http.StatusNotFound {
		return failed(fmt.Errorf("there is no %s", what), hint)
	}
	return err
}
