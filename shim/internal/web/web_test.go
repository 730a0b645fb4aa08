package web

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func render(p Page) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	Render(w, http.StatusOK, p)
	return w
}

func TestEveryStateRenders(t *testing.T) {
	for _, s := range states() {
		t.Run(s.name, func(t *testing.T) {
			w := render(s.page)
			if w.Code != http.StatusOK {
				t.Fatalf("got status %d, want 200", w.Code)
			}
			body := w.Body.String()
			if !strings.HasSuffix(strings.TrimSpace(body), "</html>") {
				t.Errorf("page ends early: %q", body[max(0, len(body)-80):])
			}
			if strings.Contains(body, "ZgotmplZ") && !strings.Contains(s.name, "hostile") {
				t.Error("html/template refused a value of an ordinary page")
			}
		})
	}
}
