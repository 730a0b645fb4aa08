package endpoint

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"strings"
	"testing"
)

const canary = "sk-canary-7f3b19"

// holder keeps a Secret where fmt cannot call its methods.
type holder struct {
	name   string
	secret Secret
	inner  struct{ s *Secret }
	list   []Secret
	byName map[string]Secret
}

func newHolder() holder {
	s := NewSecret(canary)
	h := holder{name: "n", secret: s, list: []Secret{s}, byName: map[string]Secret{"k": s}}
	h.inner.s = &s
	return h
}

func TestSecretIsNeverPrinted(t *testing.T) {
	s, h := NewSecret(canary), newHolder()
	hex := fmt.Sprintf("%x", canary)
	values := map[string]any{
		"value": s, "pointer": &s, "struct": h, "pointer to struct": &h, "slice": []Secret{s}, "array": [1]Secret{s},
		"map": map[string]Secret{"k": s}, "map key": map[Secret]int{s: 1}, "interface": []any{s, &s}, "error": errors.Join(fmt.Errorf("x %v", s)),
		"zero": Secret{},
	}
	flags := []string{"", "+", "#", "-", " ", "0", "10", ".3", "+#10.3"}
	for name, v := range values {
		for verb := rune('A'); verb <= 'z'; verb++ {
			for _, flag := range flags {
				format := "%" + flag + string(verb)
				got := fmt.Sprintf(format, v)
				if low := strings.ToLower(got); strings.Contains(low, canary[3:9]) || strings.Contains(low, hex[:12]) {
					t.Errorf("%s of %s printed %q", format, name, got)
				}
			}
		}
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		if got := fmt.Sprintf(verb, s); got != redacted {
			t.Errorf("%s printed %q, want %q", verb, got, redacted)
		}
	}
}

func TestSecretIsNeverLogged(t *testing.T) {
	var out bytes.Buffer
	s, h := NewSecret(canary), newHolder()
	for _, l := range []*slog.Logger{
		slog.New(slog.NewJSONHandler(&out, nil)),
		slog.New(slog.NewTextHandler(&out, nil)),
	} {
		l.With("with", s).Info("m", "value", s, "pointer", &s, "struct", h, "group", slog.GroupValue(slog.Any("s", s)), "list", []Secret{s}, "any", any(&h))
	}
	log.New(&out, "", 0).Println(s, &s, h, []any{s})
	if !strings.Contains(out.String(), redacted) {
		t.Errorf("the log does not say that something was left out: %s", out.String())
	}
	if strings.Contains(out.String(), canary) {
		t.Errorf("the log holds the secret: %s", out.String())
	}
}

func TestSecretIsNeverMarshalled(t *testing.T) {
	s := NewSecret(canary)
	type exported struct{ S Secret }
	for name, v := range map[string]any{"value": s, "pointer": &s, "field": exported{s}, "list": []Secret{s}, "map": map[string]Secret{"a": s}, "key": map[Secret]int{s: 1}} {
		if b, err := json.Marshal(v); err == nil || strings.Contains(err.Error(), canary) {
			t.Errorf("json of %s gave %s, %v; want an error without the secret", name, b, err)
		}
	}
	if b, err := xml.Marshal(exported{s}); err == nil {
		t.Errorf("xml gave %s, want an error", b)
	}
	// Every encoder leaves an unexported field out.
	//lint:ignore SA9005 the test is that nothing is encoded
	if b, err := json.Marshal(newHolder()); err != nil || strings.Contains(string(b), canary) {
		t.Errorf("json of a struct with an unexported secret gave %s, %v", b, err)
	}
}

func TestSecretReveal(t *testing.T) {
	if got := NewSecret(canary).Reveal(); got != canary {
		t.Errorf("Reveal() = %q, want %q", got, canary)
	}
	var zero Secret
	if zero.Reveal() != "" || !zero.IsZero() || !NewSecret("").IsZero() || NewSecret("x").IsZero() {
		t.Error("the zero Secret must be the empty one")
	}
}
