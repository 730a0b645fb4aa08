package httpx

import "net/http"

// WriteFile answers with a file for the user to save. name must not need
// quoting.
func WriteFile(w http.ResponseWriter, name, contentType string, b []byte) error {
	h := w.Header()
	h.Set("Content-Type", contentType)
	h.Set("Content-Disposition", `attachment; filename="`+name+`"`)
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	_, err := w.Write(b)
	return err
}
