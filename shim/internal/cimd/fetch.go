package cimd

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/key2oauth/key2oauth/shim/internal/oauth"
	"github.com/key2oauth/key2oauth/shim/internal/safedial"
)

const (
	maxDocument  = 64 << 10
	fetchTimeout = 10 * time.Second
)

// newHTTP makes the HTTP client for fetches. It has no cookies, follows no
// redirect (Section 4 of the draft: the id itself must be the document's
// address), and uses no proxy from the environment, which could connect where
// we must not.
func (c *Clients) newHTTP() *http.Client {
	rt := c.Transport
	if rt == nil {
		g := &safedial.Guard{Own: c.Listeners, Public: true, Resolver: c.resolver}
		rt = &http.Transport{
			DialContext:            dial(g.DialContext("https")),
			TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12},
			TLSHandshakeTimeout:    fetchTimeout,
			ForceAttemptHTTP2:      true,
			DisableCompression:     true,
			DisableKeepAlives:      true,
			MaxResponseHeaderBytes: 64 << 10,
		}
	}
	return &http.Client{
		Transport:     rt,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

var errBusy = errors.New("too many documents were requested within a minute")

// load fetches a document and stores it if it is valid. Failures are not
// stored.
func (c *Clients) load(ctx context.Context, id string) (oauth.Client, error) {
	if !c.limiter.AllowN(c.now(), 1) {
		return oauth.Client{}, fmt.Errorf("%w: %w", oauth.ErrUnreachable, errBusy)
	}
	limit := c.timeout
	if limit == 0 {
		limit = fetchTimeout
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	select {
	case c.slots <- struct{}{}:
		defer func() { <-c.slots }()
	case <-ctx.Done():
		return oauth.Client{}, fmt.Errorf("%w: %w", oauth.ErrUnreachable, ctx.Err())
	}
	body, h, err := c.get(ctx, id)
	if err != nil {
		return oauth.Client{}, err
	}
	cl, err := parse(id, body)
	if err != nil {
		return oauth.Client{}, err
	}
	_, cl.BuiltIn = pins()[id]
	if fresh, ok := freshness(h); ok {
		c.keep(cl, fresh)
	}
	return cl, nil
}

// get fetches a document. It accepts only 200 with JSON: a page with a
// challenge for browsers is not a document.
func (c *Clients) get(ctx context.Context, id string) ([]byte, http.Header, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, id, nil)
	if err != nil {
		return nil, nil, err
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", "Key2OAuth")
	resp, err := c.http().Do(req)
	if err != nil {
		if e, ok := errors.AsType[*url.Error](err); ok {
			err = e.Err // without the address, which may be long
		}
		return nil, nil, fmt.Errorf("%w: %w", oauth.ErrUnreachable, err)
	}
	defer resp.Body.Close()
	switch code := resp.StatusCode; {
	case code == http.StatusOK:
	case code >= 500, code == http.StatusForbidden, code == http.StatusTooManyRequests, code == http.StatusRequestTimeout:
		// An outage, or a challenge for browsers.
		return nil, nil, fmt.Errorf("%w: the server answered with status %d", oauth.ErrUnreachable, code)
	default:
		return nil, nil, fmt.Errorf("the server answered with status %d", code)
	}
	mt, _, err := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	if err != nil || mt != "application/json" && !(strings.HasPrefix(mt, "application/") && strings.HasSuffix(mt, "+json")) {
		return nil, nil, errors.New("the server did not answer with JSON")
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxDocument+1))
	switch {
	case err != nil:
		return nil, nil, fmt.Errorf("%w: %w", oauth.ErrUnreachable, err)
	case len(body) > maxDocument:
		return nil, nil, errors.New("the document is larger than 64 kB")
	}
	return body, resp.Header, nil
}

// freshness returns how long a document may be used without fetching it again,
// as its server says, RFC 9111, Section 5.2.2. ok is false if it must not be
// stored.
func freshness(h http.Header) (d time.Duration, ok bool) {
	shared := false
	for directive := range strings.SplitSeq(strings.Join(h.Values("Cache-Control"), ","), ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(directive), "=")
		switch name = strings.ToLower(name); name {
		case "no-store":
			return 0, false
		case "s-maxage", "max-age":
			n, err := strconv.ParseUint(strings.Trim(value, `" `), 10, 64)
			if errors.Is(err, strconv.ErrRange) || n > uint64(maxFresh/time.Second) {
				n, err = uint64(maxFresh/time.Second), nil
			}
			if err != nil || shared && name == "max-age" {
				continue
			}
			shared = name == "s-maxage"
			d = time.Duration(n) * time.Second
		}
	}
	return d, true
}
