package origin

import (
	"net/http"

	"github.com/key2oauth/key2oauth/shim/internal/httpx"
)

// What the person behind an app reads. Pages have words of their own; no page
// is on the way of a call.
var (
	errWrongHost     = &httpx.Error{Status: http.StatusMisdirectedRequest, Code: "wrong Host", Msg: "Key2OAuth does not serve this address."}
	errForeignOrigin = &httpx.Error{Status: http.StatusForbidden, Code: "foreign Origin", Msg: "Other sites' pages may not use this address."}
	errNothingHere   = &httpx.Error{Status: http.StatusNotFound, Code: "not_found", Msg: "There is nothing at this address."}
)
