// Package cimd finds OAuth clients whose id is the URL of a document that
// describes them: OAuth Client ID Metadata Document, draft 00, which MCP pins.
// A client proves its name by the host that serves the document, and need not
// register.
//
// Fetching such a document opens a connection to an address that a stranger
// named. So a fetch happens only for a person who looks at a consent page
// (Fetch), or after such a page to renew a stored copy (Refresh); only from
// the public internet, checked when dialing; and only a few times a minute.
// Recall, which anyone can trigger, fetches nothing.
//
// The documents of the best-known clients are built into the program, as their
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

	"github.com/key2oauth/key2oauth/shim/display"
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

// Clients finds clients by their documents. The zero value works. Its fields
// must not be changed after the first fetch.
type Clients struct {
	// Listeners returns the addresses that we listen on ourselves; nil means
	// none.
	Listeners func() []netip.AddrPort
	// OwnHost reports whether a host name is one of our public ones. nil means
	// that there are none.
	OwnHost func(host string) bool
	Log     *slog.Logger     // nil means no log
	Now     func() time.Time // nil means time.Now
	// Transport sends the requests. nil means one that connects only to the
	// public internet, without a proxy.
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
	tried   map[string]time.Time // time of the last refresh
}

// An entry is a fetched document.
type entry struct {
	client  oauth.Client
	fetched time.Time
	until   time.Time // fresh until then
}

// A flight is a fetch in progress, which others may wait for.
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

// pins are the clients whose documents are built into the program.
var pins = sync.OnceValue(func() map[string]oauth.Client {
	var all []struct {
		Seen     string // when the document was served in this form
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

// IsBuiltInRedirect reports whether uri is exactly a redirect URI of a
// built-in client. A client that registers with that URI gets its answer at
// the same place, no matter what it calls itself.
func IsBuiltInRedirect(uri string) bool {
	for _, c := range pins() {
		if slices.Contains(c.RedirectURIs, uri) {
			return true
		}
	}
	return false
}

// App is who a client is whose document was read when it was approved, by the
// name that it had. documentID is "" for a client without a document.
func App(name, documentID string) display.App {
	if documentID == "" {
		return display.App{Name: name}
	}
	_, known := pins()[documentID]
	return display.App{Name: name, Host: hostOf(documentID), Known: known}
}

// errOwn rejects a document that we would have to serve ourselves.
var errOwn = errors.New("the client id is one of our own addresses")

// Check returns what is wrong with a client id, if anything.
func (c *Clients) Check(id string) error {
	if err := checkURL(id); err != nil {
		return err
	}
	if c.OwnHost != nil && c.OwnHost(hostOf(id)) {
		return errOwn
	}
	return nil
}

// Recall returns a stored client: from a document fetched in the last seven
// days, or from the built-in copy. fresh is false if it should be fetched
// again before it counts as complete.
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

// Fetch returns a client: from memory if its document is fresh, else from a
// fetch, else from an older copy. Call it only for a person who looks at a
// page of ours.
func (c *Clients) Fetch(ctx context.Context, id string) (oauth.Client, error) {
	// Others may still wait for this fetch after the browser that started it
	// has gone.
	return c.fetch(ctx, context.WithoutCancel(ctx), id)
}

// fetch waits until ctx ends. The work continues until life ends.
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
			c.log().Info("using an older copy of a client's metadata document", "host", old.Host, "err", err)
			old.Copy = errors.Is(err, oauth.ErrUnreachable)
			return old, nil
		}
		return oauth.Client{}, err
	}
	return cl, nil
}

// join fetches a document, or waits for the fetch in progress.
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
	f = &flight{done: make(chan struct{}), err: errors.New("the fetch was interrupted")}
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

// keep stores a document for as long as its server says, within bounds. A
// document that must not be stored serves only the sign-in that asked for it.
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

// Refresh lets Run fetch a document of which there is only an old copy. It
// does not wait. Call it only for a person, like Fetch.
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

// Run does the fetches that Refresh asks for, until ctx ends.
func (c *Clients) Run(ctx context.Context) {
	c.init()
	for {
		select {
		case <-ctx.Done():
			return
		case id := <-c.behind:
			c.fetch(ctx, ctx, id) // a failure is logged, and the older copy stays
		}
	}
}
