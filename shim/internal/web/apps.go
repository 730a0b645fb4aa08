package web

import "strconv"

// Apps is the page of the apps that use a server, some at a time. Its links ask
// for the same page with another number.
type Apps struct {
	Version      string
	Slug, Server string
	Grants       []GrantRow // the newest first
	First, Total int        // the place of the first one, of how many
	Page, Pages  int
}

func (p Apps) view() view {
	return view{template: "apps", title: t("apps.title", name(p.Server)), script: true, owner: true, nav: "home", version: p.Version}
}

// Shown says which part of the apps the page shows.
func (p Apps) Shown() string {
	last := p.First + len(p.Grants) - 1
	return t("apps.shown", thousands(int64(p.First)), thousands(int64(last)), thousands(int64(p.Total)))
}

// Newer and Older are the addresses of the pages beside this one, "" where there
// is none.
func (p Apps) Newer() string { return p.at(p.Page - 1) }

// Older is documented with Newer.
func (p Apps) Older() string { return p.at(p.Page + 1) }

func (p Apps) at(page int) string {
	if page < 1 || page > p.Pages {
		return ""
	}
	return "/servers/" + p.Slug + "/apps?page=" + strconv.Itoa(page)
}
