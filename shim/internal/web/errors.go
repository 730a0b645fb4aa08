package web

import (
	"net/http"

	"github.com/key2oauth/key2oauth/shim/internal/httpx"
)

// ShowError shows an error to a person, on the loopback side or on a public
// origin.
func ShowError(w http.ResponseWriter, _ *http.Request, public bool, e *httpx.Error) {
	Render(w, e.Status, ErrorPage{Public: public, Status: e.Status, Title: TitleFor(e.Status), Words: e.Msg})
}
