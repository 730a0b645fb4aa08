package api

import "time"

// An Overview is all that a tray shows.
type Overview struct {
	Status    Status
	Endpoints []Endpoint      // oldest first
	Clients   []ClientSummary // the most recently used or approved first; at most 20
	WasOnline bool            // a tunnel was turned on before, and "go online" turns it on again
	Confirm   string          // the page that waits for a link of the owner's, "" for none
	// MoreClients is how many connected apps are not among Clients.
	MoreClients int
}

// A ClientSummary is one connected app.
type ClientSummary struct {
	Grant, Name, Endpoint string // Endpoint is its display name
	Connected             time.Time
	LastUsed              time.Time // zero if never
	// Old says that it was connected more than an hour ago. It may come into the
	// list of the recent ones by being used, and is no news.
	Old bool
}
