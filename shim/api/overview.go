package api

import "time"

// An Overview is all that a tray shows.
type Overview struct {
	Status    Status
	Endpoints []Endpoint      // oldest first
	Clients   []ClientSummary // the most recently used or approved first
	WasOnline bool            // a tunnel was turned on before, and "go online" turns it on again
}

// A ClientSummary is one connected app.
type ClientSummary struct {
	Grant, Name, Endpoint string    // Endpoint is its display name
	LastUsed              time.Time // zero if never
}
