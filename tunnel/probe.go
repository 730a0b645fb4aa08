package tunnel

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"time"
)

// probeAgent must not look like a browser's, or ngrok shows its warning page.
const probeAgent = "Key2OAuth-self-test"

// ProbeClaim is the address that a Probe says it comes from, as a stranger may.
// No computer has it (RFC 5737). What arrives behind the tunnel shows whether the
// tunnel lets such a claim stand. It is claimed once and in short: Cloudflare
// refuses a request with two headers X-Forwarded-For or a long one, and any that
// brings Cf-Connecting-Ip.
const ProbeClaim = "192.0.2.254"

// maxProbe is how much of an answer is read.
const maxProbe = 4 << 10

// Probe asks for path at origin, as any client on the internet would, and expects
// the body want, which should be a nonce of this test alone. It returns nil if
// that is the answer, else a *Fault. The client must not have a proxy or a
// resolver that bypasses the tunnel; nil means a new client.
//
// Each probe costs a request of the tunnel's quota. So it is for the moment after
// a tunnel opened and for the owner's click, not for a timer.
func Probe(ctx context.Context, client *http.Client, origin, path, want string) error {
	ctx, cancel := context.WithTimeout(ctx, probeTime)
	defer cancel()
	if client == nil {
		t := http.DefaultTransport.(*http.Transport).Clone()
		defer t.CloseIdleConnections()
		client = &http.Client{Transport: t}
	}
	c := *client
	c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, origin+path, nil)
	if err != nil {
		return NewFault(CauseBadURL, nil)
	}
	req.Header.Set("User-Agent", probeAgent)
	req.Header.Set("ngrok-skip-browser-warning", "1")
	req.Header.Set("Cache-Control", "no-cache")
	req.Header.Set("X-Forwarded-For", ProbeClaim)
	req.Header.Set("X-Real-Ip", ProbeClaim)
	res, err := c.Do(req)
	if err != nil {
		return probeFailed(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, maxProbe))
	if code := CodeIn(res.Header.Get("Ngrok-Error-Code")); code != "" {
		return NewFault(code, nil)
	}
	if err != nil {
		return probeFailed(err)
	}
	if res.StatusCode == http.StatusOK && strings.TrimSpace(string(body)) == want {
		return nil
	}
	return judge(res, body)
}

const probeTime = 15 * time.Second

// wrongHost is in the answer of Key2OAuth to a request with another host name.
const wrongHost = `"wrong Host"`

// judge finds out what answered instead of us.
func judge(res *http.Response, body []byte) *Fault {
	cloudflare := res.Header.Get("Cf-Ray") != "" || strings.EqualFold(res.Header.Get("Server"), "cloudflare")
	html := strings.HasPrefix(res.Header.Get("Content-Type"), "text/html") || strings.HasPrefix(strings.ToLower(strings.TrimSpace(string(body))), "<!doctype html")
	switch {
	case cloudflare && (res.StatusCode == http.StatusBadGateway || res.StatusCode >= 520 && res.StatusCode <= 530):
		return NewFault(CauseProbeCFOrigin, nil)
	case cloudflare && (html || res.StatusCode == http.StatusForbidden || res.StatusCode == http.StatusServiceUnavailable):
		return NewFault(CauseProbeCF, nil)
	case res.StatusCode == http.StatusMisdirectedRequest && strings.Contains(string(body), wrongHost):
		return NewFault(CauseProbeHost, nil)
	case res.StatusCode == http.StatusBadGateway || res.StatusCode == http.StatusGatewayTimeout:
		return NewFault(CauseProbeLoop, nil)
	case html:
		return NewFault(CauseProbeHTML, nil)
	}
	return NewFault(CauseProbeOther, nil)
}

// probeFailed finds out why there was no answer. It differs from Classify, which
// is about the way to ngrok's agent service.
func probeFailed(err error) *Fault {
	if dns, ok := errors.AsType[*net.DNSError](err); ok {
		return NewFault(orOffline(CauseProbeName), dns)
	}
	switch {
	case isCertificate(err), isAlert(err):
		return NewFault(CauseBadCert, nil)
	case isNotTLS(err), errors.Is(err, http.ErrSchemeMismatch):
		return NewFault(CauseProbeNotTLS, nil)
	case errors.Is(err, errRefused):
		return NewFault(CauseProbeRefused, ofSystem(err))
	case isTimeout(err):
		return NewFault(orOffline(CauseProbeSlow), ofSystem(err))
	case errors.Is(err, errNoNetwork), errors.Is(err, errNoRoute):
		return NewFault(orOffline(CauseUnreachable), ofSystem(err))
	}
	return NewFault(CauseProbeBroken, ofSystem(err))
}

func isAlert(err error) bool {
	_, ok := errors.AsType[tls.AlertError](err)
	return ok
}
