package tunneltest

import (
	"context"
	"fmt"
	"html"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
)

func newBind(id, host string, s *session) *bind {
	b := &bind{id: id, host: host, session: s}
	b.streams = &http.Transport{
		DisableCompression: true,
		IdleConnTimeout:    s.edge.config.Idle,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			addr, _ := ctx.Value(clientAddr{}).(string)
			header, err := proxyHeader{ID: id, ClientAddr: addr, Proto: "https"}.encode()
			if err != nil {
				return nil, err
			}
			c, err := s.open(ctx, typeProxy, header)
			if err != nil {
				return nil, err
			}
			return newStreamConn(c, s.edge.config.Idle), nil
		},
	}
	return b
}

// clientAddr is the key of a client's address in the context of its request.
type clientAddr struct{}

// visitPath is where the button of the warning page leads without JavaScript.
const visitPath = "/ngrok-visit-site"

func (e *Edge) publicHandler() http.Handler {
	h := http.Handler(http.HandlerFunc(e.servePublic))
	if e.config.Wrap != nil {
		h = e.config.Wrap(h)
	}
	return h
}

// servePublic handles a client's request as the service does.
func (e *Edge) servePublic(w http.ResponseWriter, r *http.Request) {
	host := strings.ToLower(r.Host)
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	e.mu.Lock()
	b, quota, page := e.binds[host], e.quota, e.page
	var free bool
	if b != nil {
		free = b.session.account.Plan == "Free"
	}
	e.mu.Unlock()
	switch {
	case strings.HasPrefix(r.URL.Path, "/.well-known/acme-challenge/"):
		http.NotFound(w, r)
	case b == nil:
		e.fail(w, r, http.StatusNotFound, refuse("3200", "The endpoint %s is offline.", host))
	case quota != nil:
		e.fail(w, r, http.StatusTooManyRequests, quota)
	case page && free && r.Method == http.MethodPost && r.URL.Path == visitPath:
		visit(w, r, host)
	case page && free && warns(r, host):
		warn(w, r, host)
	default:
		e.forward(w, r, b, free)
	}
}

func (e *Edge) forward(w http.ResponseWriter, r *http.Request, b *bind, free bool) {
	// The agent may answer before it has read the request's body to its end.
	// Without this, its later read would fail and cut the answer short.
	http.NewResponseController(w).EnableFullDuplex()
	e.mu.Lock()
	e.requests++
	e.mu.Unlock()
	ip := e.clientIP(r)
	proxy := &httputil.ReverseProxy{
		Transport:     b.streams,
		FlushInterval: -1,
		ErrorLog:      log.New(io.Discard, "", 0),
		Rewrite: func(p *httputil.ProxyRequest) {
			p.Out.URL.Scheme, p.Out.URL.Host = "http", b.host
			p.Out.Header["X-Forwarded-For"] = appended(p.In.Header["X-Forwarded-For"], ip)
			p.Out.Header["X-Forwarded-Proto"] = appended(p.In.Header["X-Forwarded-Proto"], "https")
			p.Out.Header["X-Forwarded-Host"] = p.In.Header["X-Forwarded-Host"]
			if p.Out.Header.Get("X-Forwarded-Host") == "" {
				p.Out.Header.Set("X-Forwarded-Host", p.In.Host)
			}
		},
		ModifyResponse: func(res *http.Response) error {
			res.Header.Del("Ngrok-Error-Code")
			if free {
				res.Header.Set("Ngrok-Agent-Ips", "127.0.0.1")
			}
			return nil
		},
		ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) {
			e.fail(w, r, http.StatusBadGateway, refuse("3004", "The agent gave no valid answer: %v.", err))
		},
	}
	proxy.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), clientAddr{}, r.RemoteAddr)))
}

// clientIP returns the address that r counts as coming from.
func (e *Edge) clientIP(r *http.Request) string {
	if e.config.ClientAddr != nil {
		if ip := e.config.ClientAddr(r); ip != "" {
			return ip
		}
	}
	ip, _, _ := net.SplitHostPort(r.RemoteAddr)
	return ip
}

// appended joins what a client sent with the edge's own value, as ngrok does.
func appended(sent []string, known string) []string {
	return []string{strings.Join(append(sent[:len(sent):len(sent)], known), ", ")}
}

// fail answers with an error of the service's own.
func (e *Edge) fail(w http.ResponseWriter, r *http.Request, status int, why *Refusal) {
	w.Header().Set("Ngrok-Error-Code", why.Code)
	if isBrowser(r) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.WriteHeader(status)
		fmt.Fprintf(w, "<!doctype html><title>%s</title><h1>ngrok</h1><p>%s</p><p>%s</p>", why.Code, html.EscapeString(why.Text), why.Code)
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	fmt.Fprintf(w, "%s\n\n%s\n", why.Text, why.Code)
}

func isBrowser(r *http.Request) bool { return strings.HasPrefix(r.UserAgent(), "Mozilla/") }

// visited is the cookie that the warning page sets for seven days.
const visited = "abuse_interstitial"

// warns reports whether r gets the warning page.
func warns(r *http.Request, host string) bool {
	if !isBrowser(r) || r.Header.Get("ngrok-skip-browser-warning") != "" {
		return false
	}
	c, err := r.Cookie(visited)
	return err != nil || c.Value != host
}

// warn shows the warning page. Its button sets the cookie and loads the same
// address again. Without JavaScript, a form does that.
func warn(w http.ResponseWriter, r *http.Request, host string) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Ngrok-Error-Code", "ERR_NGROK_6024")
	w.Header().Set("Cache-Control", "no-store")
	here := html.EscapeString(r.URL.RequestURI())
	fmt.Fprintf(w, warningPage, host, host, host, visitPath, here)
}

const warningPage = `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>You are about to visit %s</title></head><body>
<h1>You are about to visit: %s</h1>
<p>This website is served for free through ngrok.com. Only visit it if you trust whoever sent the link to you. ERR_NGROK_6024</p>
<button id="visit" type="button" onclick="document.cookie='` + visited + `=%s; path=/; max-age=604800; secure'; location.reload()">Visit Site</button>
<noscript><form method="post" action="%s"><input type="hidden" name="to" value="%s"><button>Visit Site</button></form></noscript>
</body></html>
`

func visit(w http.ResponseWriter, r *http.Request, host string) {
	to, err := url.Parse(r.PostFormValue("to"))
	if err != nil || to.IsAbs() || to.Host != "" || !strings.HasPrefix(to.Path, "/") {
		http.Error(w, "bad address", http.StatusBadRequest)
		return
	}
	http.SetCookie(w, &http.Cookie{Name: visited, Value: host, Path: "/", MaxAge: 604800, Secure: true})
	http.Redirect(w, r, to.String(), http.StatusSeeOther)
}
