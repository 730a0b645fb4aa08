// Package sample is an MCP server that needs an API key, to try Key2OAuth with.
package sample

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// RequireKey is the only authorization of the sample server: an API key, as on
// most MCP servers.
func RequireKey(key string, next http.Handler) http.Handler {
	want := sha256.Sum256([]byte("Bearer " + key))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got := sha256.Sum256([]byte(r.Header.Get("Authorization")))
		if subtle.ConstantTimeCompare(got[:], want[:]) != 1 {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusUnauthorized)
			fmt.Fprintln(w, `{"error":"wrong API key"}`)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// Server is an MCP server with a few tools. version is its own.
func Server(version string) http.Handler {
	s := mcp.NewServer(&mcp.Implementation{Name: "key2oauth-demo", Title: "Key2OAuth demo", Version: version}, nil)
	mcp.AddTool(s, &mcp.Tool{Name: "roll_dice", Description: "Roll dice and tell each result and the sum."}, rollDice)
	mcp.AddTool(s, &mcp.Tool{Name: "convert_units", Description: "Convert between km and mi, kg and lb, C and F, l and gal (US)."}, convertUnits)
	n := &notes{}
	mcp.AddTool(s, &mcp.Tool{Name: "add_note", Description: "Keep a short note until the demo ends."}, n.add)
	mcp.AddTool(s, &mcp.Tool{Name: "list_notes", Description: "List the notes, oldest first."}, n.list)
	return mcp.NewStreamableHTTPHandler(func(*http.Request) *mcp.Server { return s }, nil)
}

type diceIn struct {
	Dice  int `json:"dice,omitempty" jsonschema:"how many dice, 1 to 100; 1 if left out"`
	Sides int `json:"sides,omitempty" jsonschema:"how many sides each has, 2 to 1000; 6 if left out"`
}

type diceOut struct {
	Rolls []int `json:"rolls"`
	Sum   int   `json:"sum"`
}

func rollDice(_ context.Context, _ *mcp.CallToolRequest, in diceIn) (*mcp.CallToolResult, diceOut, error) {
	if in.Dice == 0 {
		in.Dice = 1
	}
	if in.Sides == 0 {
		in.Sides = 6
	}
	if in.Dice < 1 || in.Dice > 100 || in.Sides < 2 || in.Sides > 1000 {
		return nil, diceOut{}, errors.New("want 1 to 100 dice with 2 to 1000 sides")
	}
	var out diceOut
	for range in.Dice {
		roll := rand.IntN(in.Sides) + 1
		out.Rolls = append(out.Rolls, roll)
		out.Sum += roll
	}
	return nil, out, nil
}

type unitsIn struct {
	Value float64 `json:"value" jsonschema:"the number to convert"`
	From  string  `json:"from" jsonschema:"km, mi, kg, lb, C, F, l or gal"`
	To    string  `json:"to" jsonschema:"the other unit of the pair"`
}

type unitsOut struct {
	Value float64 `json:"value"`
	Unit  string  `json:"unit"`
}

// units maps "from to" to the factor and the summand of the conversion.
var units = map[string][2]float64{
	"km mi": {1 / 1.609344, 0}, "mi km": {1.609344, 0},
	"kg lb": {1 / 0.45359237, 0}, "lb kg": {0.45359237, 0},
	"c f": {1.8, 32}, "f c": {1 / 1.8, -32 / 1.8},
	"l gal": {1 / 3.785411784, 0}, "gal l": {3.785411784, 0},
}

func convertUnits(_ context.Context, _ *mcp.CallToolRequest, in unitsIn) (*mcp.CallToolResult, unitsOut, error) {
	u, ok := units[strings.ToLower(in.From+" "+in.To)]
	if !ok {
		return nil, unitsOut{}, fmt.Errorf("cannot convert %q to %q; the pairs are km and mi, kg and lb, C and F, l and gal", in.From, in.To)
	}
	return nil, unitsOut{Value: in.Value*u[0] + u[1], Unit: in.To}, nil
}

// notes are kept in memory. Every client of the demo sees the same ones.
type notes struct {
	mu  sync.Mutex
	all []string
}

type noteIn struct {
	Text string `json:"text" jsonschema:"the note, at most 500 characters"`
}

type notesOut struct {
	Notes []string `json:"notes"`
}

func (n *notes) add(_ context.Context, _ *mcp.CallToolRequest, in noteIn) (*mcp.CallToolResult, notesOut, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if in.Text == "" || len(in.Text) > 500 {
		return nil, notesOut{}, errors.New("want 1 to 500 characters")
	}
	if len(n.all) == 100 {
		return nil, notesOut{}, errors.New("the demo keeps 100 notes, and has them")
	}
	n.all = append(n.all, in.Text)
	return nil, notesOut{append([]string{}, n.all...)}, nil
}

func (n *notes) list(context.Context, *mcp.CallToolRequest, struct{}) (*mcp.CallToolResult, notesOut, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return nil, notesOut{append([]string{}, n.all...)}, nil
}
