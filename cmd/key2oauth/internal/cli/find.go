package cli

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/key2oauth/key2oauth/shim/api"
)

// server returns the server that a person means: by its slug, else by its name,
// in which case does not count. A name that several servers have is an error
// that lists their slugs.
func (p *Program) server(ctx context.Context, c *Client, named string) (api.Endpoint, error) {
	var e api.Endpoint
	missing := Failed(fmt.Errorf("there is no server %s", Printable(named)), hintList)
	if named == "" {
		return e, missing
	}
	_, err := c.GetInto(ctx, SlugPath(named), &e)
	if refused, ok := errors.AsType[*apiError](err); !ok || refused.status != http.StatusNotFound {
		return e, err
	}
	var all api.Endpoints
	if _, err := c.GetInto(ctx, "/api/slugs", &all); err != nil {
		return api.Endpoint{}, err
	}
	found := slices.DeleteFunc(all.Slugs, func(e api.Endpoint) bool { return !strings.EqualFold(e.DisplayName, named) })
	switch len(found) {
	case 0:
		return api.Endpoint{}, missing
	case 1:
		return found[0], nil
	}
	slugs := make([]string, len(found))
	for i, e := range found {
		slugs[i] = e.Slug
	}
	return api.Endpoint{}, Failed(fmt.Errorf("%d servers are called %s", len(found), Printable(named)), "use the slug of the one you mean: "+strings.Join(slugs, ", "))
}

// grant returns the connected app that a person means: by its id, else by the
// name that "grants" lists, with or without its quotation marks. A name that several have is an error that lists
// their ids.
func (p *Program) grant(ctx context.Context, c *Client, named string) (api.Grant, error) {
	var all api.Grants
	if _, err := c.GetInto(ctx, "/api/grants", &all); err != nil {
		return api.Grant{}, err
	}
	if i := slices.IndexFunc(all.Grants, func(g api.Grant) bool { return g.ID == named }); i >= 0 {
		return all.Grants[i], nil
	}
	found := slices.DeleteFunc(all.Grants, func(g api.Grant) bool {
		return named == "" || !strings.EqualFold(g.App, named) && !strings.EqualFold(g.ClientName, named)
	})
	switch len(found) {
	case 0:
		return api.Grant{}, Failed(fmt.Errorf("there is no connected app %s", Printable(named)), "list them with: key2oauth grants")
	case 1:
		return found[0], nil
	}
	ids := make([]string, len(found))
	for i, g := range found {
		ids[i] = g.ID
	}
	return api.Grant{}, Failed(fmt.Errorf("%d connected apps are called %s", len(found), Printable(named)), "use the id of the one you mean: "+strings.Join(ids, ", "))
}
