// Package shim lets OAuth-only MCP clients use MCP servers that know only API
// keys. It is an OAuth 2.1 authorization server and a streaming reverse proxy
// on the user's own computer, with pages for its owner. This package opens the
// rooms below it, connects them and serves the two sides; it has no handler of
// its own.
//
// # Rooms
//
//	who acts      owner (links, sessions, same origin, same user), control (all that
//	              the owner can do), mover (everything to another computer; movepages),
//	              standing (how things stand, for all who show it), pulse (what each
//	              server last answered), dashboard (as pages), servers (the pages of
//	              each), shell (what surrounds pages), connect (an app, step by step),
//	              samples (a server to try it with), adminapi (as JSON)
//	signing in    origin (one issuer as the world sees it), signin (a request until
//	              someone answers it), oauth, cimd
//	a call        calls (from token to upstream), proxy, guard (keys in answers),
//	              upstream, refusal (of keys, in answers), coding (compressed answers),
//	              idle (connections), wire, trial, decoy (wrong keys)
//	the outside   reach (how the internet reaches us), doctor, selfcheck, timeline,
//	              activity
//	state         vault (all of it as one), sealed (endpoints and keys), stored
//	              (their records), settings, ledger (grants and tokens), keychain
//	              (the master key), ring (the system's keychain), statefile (one
//	              bbolt file), records (what is in it), parcel (the file that moves
//	              it all to another computer), dbpages, datadir, atomicfile
//	small         api, web (looks and words), apps (how each app is connected),
//	              endpoint (what an owner may add), formkeys (keys of forms),
//	              roll (who is connected), nanos (times as numbers), httpx,
//	              sse, safedial, problem, limits, changes, display, release
//	              (whether there is a newer one)
//
// Arrows point down only, and a test in e2e holds each room to the list of what
// it may import. On the way of a call there is no page, no tunnel and no
// consent code.
//
// # Three ways through the rooms
//
// A tool call: a listener, origin (host, page origin, slug), calls (token, pause
// switch, key), proxy (headers in, stream out), upstream (the key goes on, the
// address is checked at dial). The answer passes guard on its way back. As it
// ends: activity, timeline and the state of the key.
//
// A pasted key: the consent form comes to signin, through owner's checks. It asks
// control to try the key, which is trial's, over the same upstream client; then
// sealed seals it, oauth makes the grant and ledger keeps it, and signin hands the
// code to one browser.
//
// A change of the status: vault, reach, calls, signin or control tell changes,
// which carries nothing; the tray, the home page's script and the API's event
// stream wake up and read Status again.
//
// # Origins
//
// The loopback side (served by ServeLocal) has consent, the owner's pages, the
// admin API, and for clients on this computer the same routes that a
// public origin has. Each origin is its own issuer, and a token is good only on
// the origin and the endpoint that it was issued for. The owner's routes are not
// part of a public origin's handler, so no header can reach them there. The name
// of a public origin comes from the owner and from the tunnel, never from a
// request.
//
// # Consent across the tunnel
//
// A sign-in that begins on a public origin is answered on the loopback side. The
// public page leads there by a link, for a browser on this computer, and by a
// button that asks the owner, for every other. The code is handed to one
// browser: the one that posted the consent form or, after the button, the one
// whose cookie began the request and whose number the owner typed.
//
// # Who may do what
//
// The admin token is a file that only the owner's OS user can read; a program
// that holds it may do everything that the API offers. A browser is the owner's
// after it redeemed a one-time link. Its cookie unlocks what a GET shows. Every
// change also needs a form token, bound to the cookie and to the form, and proof
// that the request came from our own page. All of it must come from a process of
// the owner's OS user, which the kernel is asked about once per connection.
//
// Any program of that user may answer a consent page by pasting a key that the
// upstream accepts, because having the key means being allowed to use it. Such a
// key belongs to that one grant. Saved keys are the owner's.
//
// # Lifetimes
//
//	owner's link           30 s, once
//	owner's session        12 h without use, 30 d at most
//	authorization request  15 min, once, in memory
//	number on a screen     as long as its request; a wrong one ends it
//	code                   5 min, once
//	access token           24 h
//	refresh token          90 d, sliding; replaced at each use
//	replaced refresh token 60 min after its successor's first use, 24 h on this computer
//	client's document      5 min to 24 h, as its host says; 7 d if it is gone
//
// # State
//
// One bbolt file. What a client is told is on disk before it is told. See package
// sealed for what is sealed and how. Activity is the exception: calls are written
// once a second, so a crash or a full disk may lose the last ones, and no call
// ever waits for the disk.
//
// # Standards
//
// Package oauth has the table of RFC sections. Package cimd says when client
// documents are fetched, and from where. Package proxy lists which headers pass,
// and what happens to an upstream's 401.
//
// # Not here
//
// The tray, and how ngrok is spoken to. Token introspection (the resource server
// is in this process), OpenID Connect, client management (RFC 7592), DPoP.
package shim
