// Package shim lets OAuth-only MCP clients use MCP servers that know only API
// keys. It is an OAuth 2.1 authorization server and a streaming reverse proxy
// on the user's own machine, and the pages of its owner.
//
// # Origins
//
// The loopback side (Local, served by ServeLocal) has everything: consent,
// the owner's home page, the admin API, and for clients on this machine the
// same routes that a public origin has. Those routes are one handler per
// origin. Each origin is an issuer of its own, and a token is good only on the
// origin and the endpoint that it was issued for. What is for the owner is not
// part of a public origin's handler at all, so no header can reach it there.
//
// A public origin is served on the listener of a tunnel. Its name
// comes from what the owner configured and from the tunnel, never from a
// request.
//
// # Consent across the tunnel
//
// A sign-in that begins on a public origin is answered on the loopback side. The
// public page has two ways there: a link, for a browser on this machine; and a
// button that has the owner asked, for every other. The code is handed to one
// browser: the one that posted the consent form, or, after the button, the one
// whose cookie began the request and whose number the owner typed. See visit.
//
// # Who may do what
//
// A program with the admin token, which is a file that only the owner's user
// can read, may do everything that the API offers. A browser is the owner's
// after it redeemed a one-time link. Its cookie unlocks what a GET shows;
// everything that changes something also needs a form token, bound to the
// cookie and to the form, and proof that the request came from our own page.
// All of it must come from a process of the owner's OS user, which the kernel
// is asked for once per connection.
//
// Anybody of that user may answer a consent page by pasting a key that the
// upstream accepts: to have the key is to be allowed to use it. Such a key
// belongs to that one grant. Saved keys are the owner's.
//
// # Lifetimes
//
//	owner's link           30 s, once
//	owner's session        30 d
//	authorization request  15 min, once, in memory
//	number on a screen     as long as its request; one wrong one ends it
//	code                   5 min, once
//	access token           24 h
//	refresh token          90 d, sliding; replaced at each use
//	replaced refresh token until 5 min after its successor's first use
//	client's document      5 min to 24 h, as its host says; 7 d if it is gone
//
// # State
//
// One bbolt file. What a client was told is on disk before it was told. See
// package vault for what is sealed and how. Activity is the exception: calls are
// written once a second, so a crash or a full disk may lose the last ones, and
// no call ever waits for it.
//
// # Standards
//
// Package oauth has the table of RFC sections. Package cimd says when and from
// where documents of clients are fetched. Package proxy lists which headers pass
// and what is done with an upstream's 401.
//
// # Not here
//
// Tray and tunnel, which are packages of their own and know nothing of this
// one's inside. Token introspection (the resource server is in this process),
// OpenID Connect, client management (RFC 7592), DPoP.
package shim
