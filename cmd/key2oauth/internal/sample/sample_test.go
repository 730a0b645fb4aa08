package sample

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// keyed is an http.RoundTripper that sends an API key.
type keyed string

func (k keyed) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+string(k))
	return http.DefaultTransport.RoundTrip(r)
}

func connectSample(t *testing.T, url, key string) (*mcp.ClientSession, error) {
	c := mcp.NewClient(&mcp.Implementation{Name: "test", Version: "1"}, nil)
	return c.Connect(t.Context(), &mcp.StreamableClientTransport{Endpoint: url, HTTPClient: &http.Client{Transport: keyed(key)}}, nil)
}

// People try the sample server first, so its tools must work.
func TestSample(t *testing.T) {
	srv := httptest.NewServer(RequireKey("demo_key", Server("test")))
	defer srv.Close()
	if _, err := connectSample(t, srv.URL, "demo_other"); err == nil {
		t.Error("the sample server takes any key")
	}
	s, err := connectSample(t, srv.URL, "demo_key")
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()

	for _, tt := range []struct {
		tool, args string
		want       string // "error" means an error for the model; "" means that any answer will do
	}{
		{"roll_dice", `{"dice":3,"sides":2}`, ""},
		{"roll_dice", `{"dice":101}`, "error"},
		{"roll_dice", `{"sides":1}`, "error"},
		{"convert_units", `{"value":100,"from":"C","to":"F"}`, `{"unit":"F","value":212}`},
		{"convert_units", `{"value":1,"from":"mi","to":"km"}`, `{"unit":"km","value":1.609344}`},
		{"convert_units", `{"value":1,"from":"mi","to":"kg"}`, "error"},
		{"list_notes", `{}`, `{"notes":[]}`},
		{"add_note", `{"text":"tea at four"}`, `{"notes":["tea at four"]}`},
		{"add_note", `{"text":""}`, "error"},
		{"list_notes", `{}`, `{"notes":["tea at four"]}`},
	} {
		res, err := s.CallTool(t.Context(), &mcp.CallToolParams{Name: tt.tool, Arguments: json.RawMessage(tt.args)})
		if err != nil {
			t.Errorf("%s(%s): %v", tt.tool, tt.args, err)
			continue
		}
		if res.IsError != (tt.want == "error") {
			t.Errorf("%s(%s): got error %t, %v", tt.tool, tt.args, res.IsError, res.Content)
			continue
		}
		got, err := json.Marshal(res.StructuredContent)
		if err != nil {
			t.Fatal(err)
		}
		if tt.want != "" && tt.want != "error" && string(got) != tt.want {
			t.Errorf("%s(%s): got %s, want %s", tt.tool, tt.args, got, tt.want)
		}
	}
}

func TestRollDice(t *testing.T) {
	for range 200 {
		_, out, err := rollDice(t.Context(), nil, diceIn{Dice: 2})
		if err != nil {
			t.Fatal(err)
		}
		if len(out.Rolls) != 2 || out.Sum != out.Rolls[0]+out.Rolls[1] || min(out.Rolls[0], out.Rolls[1]) < 1 || max(out.Rolls[0], out.Rolls[1]) > 6 {
			t.Fatalf("two dice: got %+v", out)
		}
	}
}
