package calls

import (
	"net/http"

	"github.com/key2oauth/key2oauth/shim/internal/httpx"
)

// What the person behind an app reads. Pages have words of their own; no page
// is on the way of a call.
const (
	textUntold      = "%d more messages of this batch"
	textUntoldCalls = "%d more messages of this batch, %d of which call a tool"
	textInternal    = "Something went wrong inside Key2OAuth. See its log for details."
)

var errNoEndpoint = &httpx.Error{Status: http.StatusNotFound, Code: "not_found", Msg: "There is nothing at this address."}
