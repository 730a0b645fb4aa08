// Package oauth is the authorization server. Clients use it to learn that they
// must sign in, to register, to ask for approval, and to get, refresh and
// revoke tokens. It also checks those tokens on every call.
//
// It knows nothing about upstreams, API keys or tunnels. It stores its state in
// a Store. The caller decides who approves a Request that Authorize returned,
// and calls Approve or Deny.
//
// # Origins
//
// There is one Server for each origin that clients may use, and each origin is
// its own issuer. Every URL that a Server writes derives from its Issuer, never
// from a header of the request. A token is valid only on the origin and for the
// endpoint it was issued for.
//
// # Lifetimes
//
//	authorization request    15 minutes, in memory, used once
//	authorization code       5 minutes, used once; a replay ends the grant
//	access token             24 hours; stays valid when a newer one is issued
//	refresh token            90 days from when it was issued
//	replaced refresh token   until 60 minutes after its successor's first use, 24
//	                         hours if both uses came from our own OS user;
//	                         reuse after that ends the grant
//	client id                forever: it contains the registration
//
// Every consent creates its own grant. A token is a prefix that secret scanners
// find, the id of its grant, and 256 random bits; the Store holds only its
// SHA-256.
//
// # Where the standards are implemented
//
//	OAuth 2.1 draft, Section 4.3.1      rotation                             token.go
//	Client ID Metadata Document, 00     clients with a URL for an id         document.go, package cimd
//	RFC 6749, Section 2.3               client authentication                clientauth.go
//	RFC 6749, Sections 3.1, 4.1.1       authorization request                authorize.go
//	RFC 6749, Sections 4.1.2, 4.1.2.1   authorization answer and errors      approve.go, authorize.go
//	RFC 6749, Sections 4.1.3, 5, 6      token endpoint                       token.go
//	RFC 6750, Sections 2.1, 3           bearer token and challenge           challenge.go
//	RFC 7009                            revocation                           revoke.go
//	RFC 7591, Sections 2, 3             dynamic registration                 register.go
//	RFC 7591, Appendix A.5.2            self-contained client ids            clients.go
//	RFC 7636, Section 4.6               PKCE, S256 only                      token.go
//	RFC 8252, Sections 7.1, 7.3, 8.6    redirect URIs of native apps         redirect.go
//	RFC 8414, Section 3                 server metadata                      metadata.go
//	RFC 8707, Section 2                 resource indicators                  resource.go
//	RFC 9207, Section 2                 iss in every answer                  approve.go, authorize.go
//	RFC 9700, Sections 4.11, 4.14       no open redirector, token reuse      authorize.go, token.go
//	RFC 9728, Sections 3, 5.1           protected resource metadata          metadata.go, challenge.go
//
// Not implemented: the implicit and password grants, plain PKCE, introspection
// (the resource server is in this process), client management (RFC 7592),
// signed requests (RFC 9101), OpenID Connect.
package oauth
