// Package cimd finds OAuth clients whose id is the URL of a document that
// describes them: OAuth Client ID Metadata Document, draft 00, which MCP pins.
// A client proves its name by the host that the document lies on, and has
// nothing to register.
//
// Fetching such a document means to open a connection because a stranger named
// an address. So nothing is fetched but for a person who looks at a consent
// page (Fetch), or behind such a page to renew what is at hand (Refresh); only
// from the public internet, judged at the dial; and only a few times a minute.
// Recall, which everybody may cause, fetches nothing.
//
// The documents of the best-known clients come with the program, as their
// makers served them: some of those hosts answer programs with a challenge for
// browsers, and all have outages.
package cimd

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/key2oauth/key2oauth/shim/internal/oauth"
)

const (
	minFresh = 5 * time.Minute
	maxFresh = 24 * time.Hour
	maxStale = 7 * 24 * time.Hour

	maxEntries  = 100
	perMinute   = 10
	concurrent  = 2
	retryBehind = 5 * time.Minute
)

// Clients knows clients by their documents. The zero value works. Its fields
// must not be changed after the first fetch.
type Clients struct {
	// Listeners are the addresses that we listen on ourselves; nil means none.
	Listeners func() []netip.AddrPort
	// OwnHost reports whether a host name is one that the world reaches us at.
	// nil means that there is none.
	OwnHost func(host string) bool
	Log     *slog.Logger     // nil means no log
	Now     func() time.Time // nil means time.Now
	// Transport sends the requests. nil means one that connects to the public
	// internet alone, without a proxy.
	Transport http.RoundTripper

	timeout  time.Duration // of one fetch; 0 means 10 seconds
	resolver *net.Resolver // nil means the system's

	once    sync.Once
	http    func() *http.Client
	limiter *rate.Limiter
	slots   chan struct{}
	behind  chan string

	mu      sync.Mutex
	entries map[string]*entry
	flights map[string]*flight
	tried   map[string]time.Time // last refresh behind
}

// An entry is a document that was fetched.
type entry struct {
	client  oauth.Client
	fetched time.Time
	until   time.Time // fresh until then
}

// A flight is a fetch under way, which others may wait for.
type flight struct {
	done   chan struct{}
	client oauth.Client
	err    error
}

func (c *Clients) init() {
	c.once.Do(func() {
		c.http = sync.OnceValue(c.newHTTP)
		c.limiter = rate.NewLimiter(rate.Every(time.Minute/perMinute), perMinute)
		c.slots = make(chan struct{}, concurrent)
		c.behind = make(chan string, 16)
		c.entries = make(map[string]*entry)
		c.flights = make(map[string]*flight)
		c.tried = make(map[string]time.Time)
	})
}

func (c *Clients) now() time.Time {
	if c.Now != nil {
		return c.Now()
	}
	return time.Now()
}

func (c *Clients) log() *slog.Logger {
	if c.Log != nil {
		return c.Log
	}
	return slog.New(slog.DiscardHandler)
}

//go:embed pins.json
var pinsFile []byte

// pins are the clients whose documents come with the program.
var pins = sync.OnceValue(func() map[string]oauth.Client {
	var all []struct {
		Seen     string // when the document was served like this
		Document json.RawMessage
	}
	if err := json.Unmarshal(pinsFile, &all); err != nil {
		panic("cimd: pins.json: " + err.Error())
	}
	m := make(map[string]oauth.Client, len(all))
	for _, p := range all {
		var doc struct {
			ID string `json:"client_id"`
		}
		err := json.Unmarshal(p.Document, &doc)
		if err == nil {
			m[doc.ID], err = parse(doc.ID, p.Document)
		}
		if err != nil {
			panic("cimd: pins.json: " + doc.ID + ": " + err.Error())
		}
	}
	return m
})

// IsBuiltInRedirect reports whether uri is, to the letter, a redirect URI of a
// client whose document comes with the program. Clients that register with the
// same URI get their answer at the same place, whatever they call themselves.
func IsBuiltInRedirect(uri string) bool {
	for _, c := range pins() {
		if slices.Contains(c.RedirectURIs, uri) {
			return true
		}
	}
	return false
}

// errOwn is for a document that we would have to serve ourselves.
var errOwn = errors.New("the client id is an address of our own")

// Check says what is wrong with a client id, if anything.
func (c *Clients) Check(id string) error {
	if err := checkURL(id); err != nil {
		return err
	}
	if c.OwnHost != nil && c.OwnHost(hostOf(id)) {
		return errOwn
	}
	return nil
}

// Recall returns what is at hand of a client: a document that was fetched
// within the last seven days, or the copy that came with the program. fresh is
// false if it should be fetched again before it is relied on to be complete.
func (c *Clients) Recall(id string) (cl oauth.Client, fresh, ok bool) {
	c.init()
	now := c.now()
	c.mu.Lock()
	defer c.mu.Unlock()
	if e := c.entries[id]; e != nil {
		if now.Sub(e.fetched) < maxStale {
			return e.client, now.Before(e.until), true
		}
		delete(c.entries, id)
	}
	cl, ok = pins()[id]
	cl.BuiltIn = ok
	return cl, false, ok
}

// Fetch returns a client: from memory if its document is fresh, else by a
// fetch, else from an older copy. It must be called for a person alone who
// looks at a page of ours.
func (c *Clients) Fetch(ctx context.Context, id string) (oauth.Client, error) {
	// Others may wait for this fetch when the browser that began it has gone.
	return c.fetch(ctx, context.WithoutCancel(ctx), id)
}

// fetch waits until ctx ends and works until life does.
func (c *Clients) fetch(ctx, life context.Context, id string) (oauth.Client, error) {
	if err := c.Check(id); err != nil {
		return oauth.Client{}, err
	}
	if cl, fresh, ok := c.Recall(id); ok && fresh {
		return cl, nil
	}
	cl, err := c.join(ctx, life, id)
	if err != nil {
		if old, _, ok := c.Recall(id); ok {
			c.log().Info("an older copy of a client's metadata document is used", "host", old.Host, "err", err)
			return old, nil
		}
		return oauth.Client{}, err
	}
	return cl, nil
}

// join fetches a document, or waits for whoever is fetching it already.
func (c *Clients) join(ctx, life context.Context, id string) (oauth.Client, error) {
	c.mu.Lock()
	f := c.flights[id]
	if f != nil {
		c.mu.Unlock()
		select {
		case <-f.done:
			return f.client, f.err
		case <-ctx.Done():
			return oauth.Client{}, ctx.Err()
		}
	}
	f = &flight{done: make(chan struct{}), err: errors.New("the fetch was broken off")}
	c.flights[id] = f
	c.mu.Unlock()
	defer func() {
		c.mu.Lock()
		delete(c.flights, id)
		c.mu.Unlock()
		close(f.done)
	}()
	f.client, f.err = c.load(life, id)
	return f.client, f.err
}

// keep remembers a document for as long as its server says, within bounds.
// What must not be stored is not: it serves the one sign-in that asked for it.
func (c *Clients) keep(cl oauth.Client, fresh time.Duration) {
	now := c.now()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.entries[cl.ID] == nil && len(c.entries) >= maxEntries {
		var oldest *entry
		for _, e := range c.entries {
			if oldest == nil || e.fetched.Before(oldest.fetched) {
				oldest = e
			}
		}
		delete(c.entries, oldest.client.ID)
	}
	c.entries[cl.ID] = &entry{client: cl, fetched: now, until: now.Add(min(max(fresh, minFresh), maxFresh))}
}

// Refresh has Run fetch a document again of which there is only an old copy at
// hand. It does not wait. It must be called for a person alone, as Fetch.
func (c *Clients) Refresh(id string) {
	if _, fresh, ok := c.Recall(id); !ok || fresh || c.Check(id) != nil {
		return
	}
	now := c.now()
	c.mu.Lock()
	defer c.mu.Unlock()
	for id, t := range c.tried {
		if now.Sub(t) >= retryBehind {
			delete(c.tried, id)
		}
	}
	if _, ok := c.tried[id]; ok {
		return
	}
	select {
	case c.behind <- id:
		c.tried[id] = now
	default: // Run is busy; the next sign-in asks again
	}
}

// Run does what Refresh asks for until ctx ends.
func (c *Clients) Run(ctx context.Context) {
	c.init()
	for {
		select {
		case <-ctx.Done():
			return
		case id := <-c.behind:
			c.fetch(ctx, ctx, id) // what fails has been logged, and the older copy stays
		}
	}
}
