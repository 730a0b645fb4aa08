package httpx

import (
	"net/http"
	"strconv"
	"strings"
)

// ForPerson reports whether a request wants its answer as a page: it is a
// browser's navigation, or its Accept names HTML and nothing that programs
// read. A script of a page gets what programs get, with any Accept header.
func ForPerson(r *http.Request) bool {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		return false
	}
	if mode := r.Header.Get("Sec-Fetch-Mode"); mode != "" {
		return mode == "navigate"
	}
	page := false
	for entry := range strings.SplitSeq(strings.Join(r.Header["Accept"], ","), ",") {
		kind, params, _ := strings.Cut(entry, ";")
		switch strings.ToLower(strings.TrimSpace(kind)) {
		case "text/html":
			page = page || !refused(params)
		case "application/json", "text/event-stream":
			return false
		}
	}
	return page
}

// refused reports whether the parameters of a media range say that it is not
// acceptable: RFC 9110, Section 12.4.2.
func refused(params string) bool {
	for p := range strings.SplitSeq(params, ";") {
		name, value, _ := strings.Cut(strings.TrimSpace(p), "=")
		if strings.EqualFold(name, "q") {
			q, err := strconv.ParseFloat(value, 64)
			return err == nil && q == 0
		}
	}
	return false
}
