package problem

import (
	"errors"
	"fmt"
	"net/http"
	"testing"

	"github.com/key2oauth/key2oauth/shim/internal/httpx"
)

func TestText(t *testing.T) {
	for in, want := range map[string]string{
		"":                    "",
		"the URL has no host": "The URL has no host.",
		"Is it running?":      "Is it running?",
		"already whole.":      "Already whole.",
		"see (the manual)":    "See (the manual)",
	} {
		if got := Text(errors.New(in)); got != want {
			t.Errorf("Text(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestFieldOf(t *testing.T) {
	field := Invalid("api_key", errors.New("the key is empty"))
	tests := []struct {
		name   string
		err    error
		field  string
		words  string
		status int
		ok     bool
	}{
		{"a field", field, "api_key", "The key is empty.", http.StatusUnprocessableEntity, true},
		{"a wrapped field", fmt.Errorf("adding: %w", field), "api_key", "The key is empty.", http.StatusUnprocessableEntity, true},
		{"an answer", httpx.New(http.StatusNotFound, "gone"), "", "gone", http.StatusNotFound, true},
		{"an internal error", errors.New("disk"), "", "", 0, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f, status, ok := FieldOf(tt.err)
			if ok != tt.ok || status != tt.status {
				t.Fatalf("FieldOf = %v, %d, %v; want %d, %v", f, status, ok, tt.status, tt.ok)
			}
			if ok && (f.Name != tt.field || f.Err.Msg != tt.words) {
				t.Errorf("FieldOf = %q, %q; want %q, %q", f.Name, f.Err.Msg, tt.field, tt.words)
			}
		})
	}
}

func TestJoin(t *testing.T) {
	for _, tt := range []struct{ a, b, want string }{{"", "", ""}, {"A.", "", "A."}, {"", "B.", "B."}, {"A.", "B.", "A. B."}} {
		if got := Join(tt.a, tt.b); got != tt.want {
			t.Errorf("Join(%q, %q) = %q, want %q", tt.a, tt.b, got, tt.want)
		}
	}
}
