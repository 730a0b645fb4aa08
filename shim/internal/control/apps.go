package control

import (
	"cmp"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/key2oauth/key2oauth/shim/api"
	"github.com/key2oauth/key2oauth/shim/internal/endpoint"
)

// PageSize is how many connected apps are shown at a time.
const PageSize = 20

// A Listing is what pages and the tray show of servers and apps.
type Listing struct {
	Servers []api.Endpoint     // oldest first, or by name
	Apps    map[string]int     // how many each has
	Newest  map[string][]Grant // of each: some of its apps, the newest first
}

// Listing lists all servers, without apps. The last use of a server is saved a
// second after a call, so here it is taken from its apps, where it is known at once.
func (c *Control) Listing() (Listing, error) { return c.listing(c.Servers(), 0) }

// ServersPage lists a page of the servers whose name or host has what was
// searched for, by name, each with its two newest apps, and says how many there
// are and how many pages. The first page is number 1, and one past the last is the
// last.
func (c *Control) ServersPage(search string, page int) (l Listing, total, at, pages int, err error) {
	type server struct {
		endpoint.Endpoint
		name string
	}
	var found []server
	search = strings.ToLower(strings.TrimSpace(search))
	for _, e := range c.cfg.Vault.Endpoints() {
		name := strings.ToLower(e.Name)
		if search == "" || strings.Contains(name+"\n"+strings.ToLower(e.UpstreamHost()), search) {
			found = append(found, server{e, name})
		}
	}
	slices.SortStableFunc(found, func(a, b server) int { return cmp.Compare(a.name, b.name) })
	pages = max(1, (len(found)+PageSize-1)/PageSize)
	at = min(max(page, 1), pages)
	var servers []api.Endpoint
	struck := c.cfg.Struck()
	for _, e := range found[(at-1)*PageSize : min(at*PageSize, len(found))] {
		servers = append(servers, c.server(e.Endpoint, struck))
	}
	l, err = c.listing(servers, 2)
	return l, len(found), at, pages, err
}

// ServerListing lists one server with a page of its apps.
func (c *Control) ServerListing(e endpoint.Endpoint) (Listing, error) {
	return c.listing([]api.Endpoint{c.Server(e)}, PageSize)
}

// listing lists servers, each with some of its newest apps.
func (c *Control) listing(servers []api.Endpoint, newest int) (Listing, error) {
	l := Listing{Servers: servers, Apps: make(map[string]int), Newest: make(map[string][]Grant)}
	roll := c.cfg.Vault.Roll
	roll.Used(c.cfg.Tokens.Uses())
	for i := range l.Servers {
		o := &l.Servers[i]
		apps, used, err := roll.Server(o.Slug)
		if err != nil {
			return l, err
		}
		ids, err := roll.Newest(o.Slug, 0, newest)
		if err != nil {
			return l, err
		}
		l.Apps[o.Slug], l.Newest[o.Slug] = apps, c.describeAll(ids)
		if o.LastUsed == nil || used.After(*o.LastUsed) {
			o.LastUsed = whenSet(used)
		}
	}
	return l, nil
}

// Recent lists the apps that were used or connected last, the last first: a page.
func (c *Control) Recent() ([]Grant, error) {
	c.cfg.Vault.Roll.Used(c.cfg.Tokens.Uses())
	ids, err := c.cfg.Vault.Roll.Recent(PageSize)
	return c.describeAll(ids), err
}

// First is the oldest of the apps that have been used, or else of all, or nil: an
// app that was approved may never have fetched its token.
func (c *Control) First() (*Grant, error) {
	c.cfg.Vault.Roll.Used(c.cfg.Tokens.Uses())
	id, err := c.cfg.Vault.Roll.First()
	if one := c.describeAll([]string{id}); len(one) > 0 {
		return &one[0], nil
	}
	return nil, err
}

// describeAll describes the grants that have not ended meanwhile.
func (c *Control) describeAll(ids []string) []Grant {
	all := make([]Grant, 0, len(ids))
	for _, id := range ids {
		if g, err := c.cfg.Vault.Grant(id); err == nil {
			all = append(all, c.describe(g))
		}
	}
	return all
}

// AppsPage lists a page of the apps of a server, the newest first, and says how
// many it has. The first page is number 1.
func (c *Control) AppsPage(slug string, page int) (apps []Grant, total int, err error) {
	total, err = c.NumApps(slug)
	if err != nil || page < 1 || page > total/PageSize+1 {
		return nil, total, err
	}
	ids, err := c.cfg.Vault.Roll.Newest(slug, (page-1)*PageSize, PageSize)
	return c.describeAll(ids), total, err
}

// AppsSince lists the newest apps that were connected to a server since a moment,
// at most a page of them.
func (c *Control) AppsSince(slug string, since time.Time) ([]Grant, error) {
	ids, err := c.cfg.Vault.Roll.Since(slug, since, PageSize)
	return c.describeAll(ids), err
}

// EachApp calls fn with the apps of a server, or with all for "", oldest first,
// until it returns an error. It leaves out offset of them, and ends after limit;
// a limit of 0 is none.
func (c *Control) EachApp(slug string, offset, limit int, fn func(Grant) error) error {
	if limit == 0 {
		limit = math.MaxInt
	}
	ids, err := c.cfg.Vault.Roll.Oldest(slug, offset, limit)
	if err != nil {
		return err
	}
	for _, id := range ids {
		g, err := c.cfg.Vault.Grant(id)
		if err != nil {
			continue // it has ended meanwhile
		}
		if err := fn(c.describe(g)); err != nil {
			return err
		}
	}
	return nil
}

// NumApps is how many apps a server has.
func (c *Control) NumApps(slug string) (n int, err error) {
	n, _, err = c.cfg.Vault.Roll.Server(slug)
	return n, err
}
