package proxy

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// The log says what the upstream was asked to do, no matter what the headers say
// and where in the body it stands.
func TestNames(t *testing.T) {
	const del = `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"delete_repository","arguments":{}}}`
	const ping = `{"jsonrpc":"2.0","id":2,"method":"ping"}`
	pad := strings.Repeat(" ", 2*scanWindow)
	long := strings.Repeat("x", 2*scanWindow)
	call := MessageName{"tools/call", "delete_repository"}
	header := func(method, name string) []string { return []string{"Mcp-Method", method, "Mcp-Name", name} }
	for _, tt := range []struct {
		name, body string
		header     []string
		want       []MessageName
		note       string
	}{
		{"plain", del, nil, []MessageName{call}, ""},
		{"headers agree", del, header("tools/call", "delete_repository"), []MessageName{call}, ""},
		{"headers agree, encoded", del, header("tools/call", "=?base64?ZGVsZXRlX3JlcG9zaXRvcnk=?="), []MessageName{call}, ""},
		{"another method in the header", del, []string{"Mcp-Method", "ping"}, []MessageName{call}, NoteDiffers},
		{"another tool in the header", del, header("tools/call", "echo"), []MessageName{call}, NoteDiffers},
		{"empty header", del, []string{"Mcp-Method", ""}, []MessageName{call}, NoteDiffers},
		{"two headers", del, []string{"Mcp-Method", "tools/call", "Mcp-Method", "ping"}, []MessageName{call}, NoteDiffers},
		{"a method's name is no tool", ping, header("ping", "x"), []MessageName{{"ping", ""}}, ""},
		{"name of a prompt", `{"id":1,"method":"prompts/get","params":{"name":"p"}}`, header("prompts/get", "p"), []MessageName{{"prompts/get", ""}}, ""},

		{"only in headers", `{"id":1}`, header("tools/call", "echo"), []MessageName{{"tools/call", "echo"}}, NoteHeaders},
		{"tool only in a header", `{"id":1,"method":"tools/call"}`, header("tools/call", "echo"), []MessageName{{"tools/call", "echo"}}, NoteHeaders},
		{"no JSON", "\x1f\x8b", header("ping", ""), []MessageName{{"ping", ""}}, NoteHeaders},
		{"answer", `{"id":1,"result":{}}`, nil, []MessageName{{"POST", ""}}, ""},
		{"answer with a header", `{"id":1,"result":{}}`, header("ping", ""), []MessageName{{"POST", ""}}, NoteDiffers},

		{"space before", pad + del, header("ping", ""), []MessageName{call}, NoteDiffers},
		{"padding before the method", `{"id":1,"x":"` + long + `","method":"tools/call","params":{"name":"delete_repository"}}`, header("ping", ""), []MessageName{call}, NoteDiffers},
		{"padding before the tool", `{"method":"tools/call","params":{"arguments":{"x":"` + long + `"},"name":"delete_repository"}}`, nil, []MessageName{call}, ""},
		{"padding of brackets", `{"x":` + strings.Repeat("[", scanWindow) + strings.Repeat("]", scanWindow) + `,"method":"tools/call","params":{"name":"delete_repository"}}`, nil, []MessageName{call}, ""},
		{"a byte order mark", "\xef\xbb\xbf" + del, nil, []MessageName{call}, ""},
		{"a long name", `{"method":"tools/call","params":{"name":"` + long + `"}}`, nil, []MessageName{{"tools/call", long[:maxWord]}}, ""},
		{"a long name of escapes", `{"method":"tools/call","params":{"name":"` + strings.Repeat(`\u0078`, scanWindow) + `"}}`, nil, []MessageName{{"tools/call", long[:maxWord]}}, ""},
		{"a broken name", `{"method":"tools/call","params":{"name":"delete\qrepository"}}`, nil, []MessageName{{"tools/call", `delete\qrepository`}}, ""},

		{"second document", ping + del, nil, []MessageName{{"ping", ""}, call}, ""},
		{"second document in a line", ping + "\n" + del, header("ping", ""), []MessageName{{"ping", ""}, call}, ""},
		{"second document far behind", ping + pad + del, nil, []MessageName{{"ping", ""}, call}, ""},
		{"second document after brackets", ping + "}]" + del, nil, []MessageName{{"ping", ""}, call}, ""},
		{"batch", "[" + ping + "," + del + "]", nil, []MessageName{{"ping", ""}, call}, ""},
		{"batch and header", "[" + ping + "," + del + "]", header("ping", ""), []MessageName{{"ping", ""}, call}, ""},
		{"batch with an answer first", `[{"id":1,"result":{}},` + del + "]", nil, []MessageName{{"POST", ""}, call}, ""},
		{"batch with padding", "[" + ping + "," + pad + del + "]", nil, []MessageName{{"ping", ""}, call}, ""},
		{"batch that breaks off", "[" + ping + "," + strings.TrimSuffix(del, "}"), nil, []MessageName{{"ping", ""}, call}, ""},

		{"batch in a batch", "[[" + del + "]]", nil, []MessageName{call}, NoteMalformed},
		{"batch deep in a batch", "[" + ping + ",[[" + del + "],3]]", header("ping", ""), []MessageName{{"ping", ""}, call}, NoteMalformed},
		{"message after a batch in a batch", "[[],[" + ping + "]," + del + "]", nil, []MessageName{{"ping", ""}, call}, NoteMalformed},
		{"empty batch", "[]", nil, []MessageName{{"POST", ""}}, NoteMalformed},
		{"batch of no messages", `[1,"tools/call"]`, nil, []MessageName{{"POST", ""}}, NoteMalformed},
		{"no message", `{"id":1}`, nil, []MessageName{{"POST", ""}}, NoteMalformed},
		{"no JSON and no header", "tools/call", nil, []MessageName{{"POST", ""}}, NoteMalformed},
		{"batch in a batch, and only headers", "[[]]", header("ping", ""), []MessageName{{"ping", ""}}, NoteHeaders},
		{"nothing", "", nil, []MessageName{{"POST", ""}}, ""},

		{"two methods", `{"method":"tools/call","params":{"name":"delete_repository"},"method":"ping"}`, nil, []MessageName{{"ping", ""}}, NoteOdd},
		{"two tools", `{"method":"tools/call","params":{"name":"echo","name":"delete_repository"}}`, nil, []MessageName{call}, NoteOdd},
		{"two params", `{"method":"tools/call","params":{"name":"echo"},"params":{"name":"delete_repository"}}`, nil, []MessageName{call}, NoteOdd},
		{"keys in other case", `{"Method":"tools/call","PARAMS":{"naME":"delete_repository"}}`, header("ping", ""), []MessageName{call}, NoteDiffers},
		{"keys in other case, no headers", `{"Method":"tools/call","param\u017f":{"name":"delete_repository"}}`, nil, []MessageName{call}, NoteOdd},
		{"keys in both cases", `{"method":"tools/call","Method":"ping","params":{"name":"delete_repository","Name":"echo"}}`, nil, []MessageName{call}, NoteOdd},
		{"odd in a batch", "[" + ping + `,{"Method":"tools/call","params":{"name":"delete_repository"}}]`, nil, []MessageName{{"ping", ""}, call}, NoteOdd},
	} {
		for _, chunked := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, chunked %v", tt.name, chunked), func(t *testing.T) {
				o := newOrigin(t, nil)
				b := newBench(t, o.URL+"/mcp")
				r := b.request(t, "POST", "", tt.body, tt.header...)
				if chunked {
					r.Body, r.ContentLength = io.NopCloser(strings.NewReader(tt.body)), -1
				}
				b.do(t, r)
				out := b.last(t, 1)
				got := append([]MessageName{{out.Method, out.Tool}}, out.Rest...)
				if !slices.Equal(got, tt.want) || out.Note != tt.note || out.Untold != 0 {
					t.Errorf("got %q with note %q and %d untold, want %q with note %q", got, out.Note, out.Untold, tt.want, tt.note)
				}
				if _, body, _ := o.got(); string(body) != tt.body {
					t.Errorf("the upstream got another body of %d bytes", len(body))
				}
			})
		}
	}
}

// A batch cannot push everything else out of the log.
func TestNamesOfALongBatch(t *testing.T) {
	o := newOrigin(t, nil)
	b := newBench(t, o.URL+"/mcp")
	b.post(t, "["+strings.Repeat(`{"method":"ping"},`, 5000)+`{"method":"ping"}]`)
	if out := b.last(t, 1); len(out.Rest) != maxListed-1 || out.Untold != 5001-maxListed {
		t.Errorf("got %d more messages and %d untold, want %d and %d", len(out.Rest), out.Untold, maxListed-1, 5001-maxListed)
	}
}

// What a batch makes the upstream do does not hide behind many messages that do
// nothing, or behind many calls of another tool.
func TestNamesOfCallsInALongBatch(t *testing.T) {
	call := func(tool string) string { return `{"method":"tools/call","params":{"name":"` + tool + `"}},` }
	const ping = `{"method":"ping"},`
	var each strings.Builder
	for i := range maxListed + 5 {
		each.WriteString(call(fmt.Sprint("t", i)))
	}
	for _, tt := range []struct {
		name, body string
		listed     int // calls
		hidden     int // calls
	}{
		{"after pings", strings.Repeat(ping, maxListed) + call("delete"), 1, 0},
		{"among pings", strings.Repeat(ping, maxListed) + call("delete") + strings.Repeat(ping, maxListed), 1, 0},
		{"after calls of another tool", strings.Repeat(call("echo"), 2*maxListed) + call("delete"), maxListed, maxListed + 1},
		{"after pings and calls of another tool", strings.Repeat(ping, maxListed) + strings.Repeat(call("echo"), 2*maxListed) + call("delete"), maxListed - 1, maxListed + 2},
		{"after as many calls as are listed", strings.Repeat(call("echo"), maxListed-2) + ping + ping + call("delete"), maxListed - 1, 0},
		{"before many other tools", call("delete") + each.String(), maxListed, 6},
		{"broken off", strings.Repeat(ping, maxListed) + strings.TrimSuffix(call("delete"), "},"), 1, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := newOrigin(t, nil)
			b := newBench(t, o.URL+"/mcp")
			b.post(t, "["+strings.TrimSuffix(tt.body, ",")+"]")
			out := b.last(t, 1)
			all := append([]MessageName{{out.Method, out.Tool}}, out.Rest...)
			calls := 0
			for _, m := range all {
				if m.Method == "tools/call" {
					calls++
				}
			}
			if !slices.Contains(all, MessageName{"tools/call", "delete"}) || len(all) != maxListed || calls != tt.listed {
				t.Errorf("got %d of %d messages that call a tool, want %d of %d with the delete", calls, len(all), tt.listed, maxListed)
			}
			if total := strings.Count(tt.body, `"method"`); out.Untold != total-maxListed || out.UntoldCalls != tt.hidden {
				t.Errorf("got %d untold with %d calls, want %d with %d", out.Untold, out.UntoldCalls, total-maxListed, tt.hidden)
			}
		})
	}
}

// Headers of requests without a body name nothing.
func TestNamesWithoutBody(t *testing.T) {
	for _, method := range []string{http.MethodGet, http.MethodDelete, http.MethodHead} {
		o := newOrigin(t, nil)
		b := newBench(t, o.URL+"/mcp")
		b.do(t, b.request(t, method, "", "", "Mcp-Method", "tools/call", "Mcp-Name", "x"))
		if out := b.last(t, 1); out.Method != method || out.Tool != "" {
			t.Errorf("%s is told as %q %q", method, out.Method, out.Tool)
		}
	}
}
