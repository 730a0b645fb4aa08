package control

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/key2oauth/key2oauth/shim/api"
	"github.com/key2oauth/key2oauth/shim/internal/endpoint"
	"github.com/key2oauth/key2oauth/shim/internal/order"
	"github.com/key2oauth/key2oauth/shim/internal/vault"
)

// PageSize is how many connected apps are shown at a time.
const PageSize = order.Most

// A Listing is what pages and the tray show of servers and apps.
type Listing struct {
	Servers []api.Endpoint     // oldest first
	Apps    map[string]int     // how many each server has
	Newest  map[string][]Grant // of each server, the newest first: a page
	Recent  []Grant            // of all, the most recently used or approved first: a page
	First   *Grant             // the oldest of those that have been used, or else of all
}

// Listing lists servers and apps. The last use of a server is saved a second
// after a call, so here it is taken from its apps, where it is known at once.
func (c *Control) Listing() (Listing, error) { return c.listing(c.Servers()) }

// ServersPage lists a page of the servers whose name or host has what was
// searched for, by name, and says how many there are and how many pages. The
// first page is number 1, and one past the last is the last.
func (c *Control) ServersPage(search string, page int) (l Listing, total, at, pages int, err error) {
	var found []endpoint.Endpoint
	search = strings.ToLower(strings.TrimSpace(search))
	for _, e := range c.cfg.Vault.Endpoints() {
		if strings.Contains(strings.ToLower(e.Name+"\n"+e.UpstreamHost()), search) {
			found = append(found, e)
		}
	}
	slices.SortStableFunc(found, func(a, b endpoint.Endpoint) int {
		return cmp.Compare(strings.ToLower(a.Name), strings.ToLower(b.Name))
	})
	pages = max(1, (len(found)+PageSize-1)/PageSize)
	at = min(max(page, 1), pages)
	var servers []api.Endpoint
	struck := c.cfg.Struck()
	for _, e := range found[(at-1)*PageSize : min(at*PageSize, len(found))] {
		servers = append(servers, c.server(e, struck))
	}
	l, err = c.listing(servers)
	return l, len(found), at, pages, err
}

// ServerListing lists one server.
func (c *Control) ServerListing(e endpoint.Endpoint) (Listing, error) {
	return c.listing([]api.Endpoint{c.Server(e)})
}

func (c *Control) listing(servers []api.Endpoint) (Listing, error) {
	l := Listing{Servers: servers, Apps: make(map[string]int), Newest: make(map[string][]Grant)}
	uses := c.cfg.Tokens.Uses()
	type server struct {
		apps   int
		newest order.Newest
		used   time.Time
	}
	of := make(map[string]*server)
	var recent order.Newest
	var first order.Entry
	firstUsed := false
	err := c.cfg.Vault.EachMark(func(m vault.Mark) {
		s := of[string(m.Slug)]
		if s == nil {
			s = new(server)
			of[string(m.Slug)] = s
		}
		used := m.LastUsed
		if at := uses[string(m.ID)]; at.After(used) {
			used = at
		}
		s.apps++
		s.newest.Add(m.Created, m.ID)
		if used.After(s.used) {
			s.used = used
		}
		// An app that was approved may never have fetched its token.
		if isUsed := !used.IsZero(); first.ID == "" || isUsed && !firstUsed || isUsed == firstUsed && m.Created.Before(first.At) {
			first, firstUsed = order.Entry{At: m.Created, ID: string(m.ID)}, isUsed
		}
		if used.IsZero() {
			used = m.Created
		}
		recent.Add(used, m.ID)
	})
	if err != nil {
		return l, err
	}
	for i := range l.Servers {
		o := &l.Servers[i]
		s := of[o.Slug]
		if s == nil {
			continue
		}
		l.Apps[o.Slug], l.Newest[o.Slug] = s.apps, c.describeAll(s.newest)
		if o.LastUsed == nil || s.used.After(*o.LastUsed) {
			o.LastUsed = whenSet(s.used)
		}
	}
	l.Recent = c.describeAll(recent)
	if one := c.describeAll(order.Newest{first}); len(one) > 0 {
		l.First = &one[0]
	}
	return l, nil
}

// describeAll describes the grants that have not ended meanwhile.
func (c *Control) describeAll(ids []order.Entry) []Grant {
	all := make([]Grant, 0, len(ids))
	for _, x := range ids {
		if g, err := c.cfg.Vault.Grant(x.ID); err == nil {
			all = append(all, c.describe(g))
		}
	}
	return all
}

// order orders the apps of a server, or all for "".
func (c *Control) order(slug string) (order.List, error) {
	var o order.List
	if n, err := c.cfg.Vault.NumGrants(); err == nil && slug == "" {
		o.Grow(n)
	}
	err := c.cfg.Vault.EachMark(func(m vault.Mark) {
		if slug == "" || string(m.Slug) == slug {
			o.Add(m.Created, m.ID)
		}
	})
	o.Sort()
	return o, err
}

// describeOrder describes the apps between two places.
func (c *Control) describeOrder(o order.List, from, to int) []Grant {
	var ids []order.Entry
	for i := from; i < to; i++ {
		ids = append(ids, order.Entry{ID: o.ID(i)})
	}
	return c.describeAll(ids)
}

// AppsPage lists a page of the apps of a server, the newest first, and says how
// many it has. The first page is number 1.
func (c *Control) AppsPage(slug string, page int) (apps []Grant, total int, err error) {
	all, err := c.order(slug)
	if err != nil {
		return nil, 0, err
	}
	total = all.Len()
	if page < 1 || page > total/PageSize+1 {
		return nil, total, nil
	}
	end := max(0, total-(page-1)*PageSize)
	apps = c.describeOrder(all, max(0, end-PageSize), end)
	slices.Reverse(apps)
	return apps, total, nil
}

// AppsSince lists the newest apps that were connected to a server since a moment,
// at most a page of them.
func (c *Control) AppsSince(slug string, since time.Time) ([]Grant, error) {
	var newest order.Newest
	err := c.cfg.Vault.EachMark(func(m vault.Mark) {
		if string(m.Slug) == slug && !m.Created.Before(since) {
			newest.Add(m.Created, m.ID)
		}
	})
	return c.describeAll(newest), err
}

// EachApp calls fn with the apps of a server, or with all for "", oldest first,
// until it returns an error. It leaves out offset of them, and ends after limit;
// a limit of 0 is none.
func (c *Control) EachApp(slug string, offset, limit int, fn func(Grant) error) error {
	all, err := c.order(slug)
	if err != nil {
		return err
	}
	from, to := min(offset, all.Len()), all.Len()
	if limit > 0 {
		to = min(to-from, limit) + from
	}
	for i := from; i < to; i++ {
		g, err := c.cfg.Vault.Grant(all.ID(i))
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
	err = c.cfg.Vault.EachMark(func(m vault.Mark) {
		if string(m.Slug) == slug {
			n++
		}
	})
	return n, err
}
