package adminapi

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"

	"github.com/key2oauth/key2oauth/shim/internal/httpx"
)

// readJSON decodes a request body. Unknown fields are errors, so that a
// misspelled field is not ignored in silence.
func readJSON(r *http.Request, v any) error {
	if t, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || t != "application/json" {
		return httpx.New(http.StatusUnsupportedMediaType, "send JSON, with Content-Type: application/json")
	}
	d := json.NewDecoder(r.Body)
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return badJSON(err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return httpx.New(http.StatusBadRequest, "there is something after the JSON object")
	}
	return nil
}

// badJSON says what is wrong without repeating the body, which may contain a
// key.
func badJSON(err error) error {
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return httpx.New(http.StatusRequestEntityTooLarge, "the request is too long")
	}
	if t, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return httpx.New(http.StatusBadRequest, fmt.Sprintf("the field %q must be a %s", t.Field, t.Type))
	}
	if f, ok := strings.CutPrefix(err.Error(), "json: unknown field "); ok {
		return httpx.New(http.StatusBadRequest, "there is no field "+f)
	}
	return httpx.New(http.StatusBadRequest, "the request is not a JSON object")
}
