package httpx

import "net/http"

// CloseChunked ends the connection after the answer to a request in chunks. If
// such a request also has a Content-Length, a proxy on the way may have read
// another request than we did (RFC 9112, Section 6.1, which asks for this).
// net/http hides that there was one, so the connection ends after all of them:
// few clients send chunks.
func CloseChunked(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if len(r.TransferEncoding) > 0 {
			w.Header()["Connection"] = valueClose
		}
		h.ServeHTTP(w, r)
	})
}

var valueClose = []string{"close"}
