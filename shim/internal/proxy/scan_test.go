package proxy

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
)

func TestScan(t *testing.T) {
	tests := []struct {
		name, body                string
		method, tool, version, id string
		answer                    bool
	}{
		{name: "call", body: `{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"echo","arguments":{"name":"no","id":8}}}`,
			method: "tools/call", tool: "echo", id: `7`},
		{name: "id last", body: `{"method":"tools/list","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","x":[{"id":1}]}},"jsonrpc":"2.0","id":"a\"b"}`,
			method: "tools/list", version: "2026-07-28", id: `"a\"b"`},
		{name: "spaced", body: " {\n\t\"id\" : -1.5e3 ,\r\n \"method\" : \"ping\" } ", method: "ping", id: `-1.5e3`},
		{name: "notification", body: `{"jsonrpc":"2.0","method":"notifications/initialized"}`, method: "notifications/initialized"},
		{name: "null id", body: `{"id":null,"method":"ping"}`, method: "ping"},
		{name: "object id", body: `{"id":{"id":5},"method":"ping"}`, method: "ping"},
		{name: "last of equal keys", body: `{"id":1,"method":"a","id":2,"method":"ping"}`, method: "ping", id: `2`},
		{name: "escaped keys", body: `{"\u0069d":3,"m\u0065thod":"p\u0069ng"}`, method: "ping", id: `3`},
		{name: "answer", body: `{"jsonrpc":"2.0","id":4,"result":{"method":"no"}}`, id: `4`, answer: true},
		{name: "deep", body: `{"params":{"a":[[[{"b":{"method":"no"}}]]],"name":"x"},"method":"prompts/get","id":"q"}`, method: "prompts/get", tool: "x", id: `"q"`},
		{name: "name is no string", body: `{"params":{"name":{"name":"x"}},"method":"tools/call","id":1}`, method: "tools/call", id: `1`},
		{name: "braces in strings", body: `{"params":{"x":"}]\"{"},"method":"ping","id":1}`, method: "ping", id: `1`},
		{name: "first of a batch", body: `[{"id":1,"method":"ping"},{"id":2,"method":"tools/call","params":{"name":"b"}}]`, method: "ping", id: `1`},
		{name: "no JSON", body: `key=value&id=1`},
		{name: "closing first", body: `}}}}]]]]`},
		{name: "empty", body: ``},
		{name: "long key", body: `{"` + strings.Repeat("x", 300) + `":1,"id":1}`, id: `1`},
	}
	for _, tt := range tests {
		for _, step := range []int{1, 2, 3, 7, len(tt.body) + 1} {
			s := scanAll([]byte(tt.body), step)
			m := s.message()
			if m.method != tt.method || m.tool != tt.tool || m.version != tt.version || string(m.id) != tt.id || m.answer != tt.answer {
				t.Errorf("%s in steps of %d: got %q %q %q id %s answer %v, want %q %q %q id %s answer %v", tt.name, step,
					m.method, m.tool, m.version, m.id, m.answer, tt.method, tt.tool, tt.version, tt.id, tt.answer)
			}
		}
	}
}

func TestScanWindow(t *testing.T) {
	pad := strings.Repeat("x", scanWindow)
	s := scanAll([]byte(`{"method":"tools/call","params":{"name":"echo","arguments":{"a":"`+pad+`"}},"id":1}`), 4096)
	if m := s.message(); m.method != "tools/call" || m.tool != "echo" || m.id != nil {
		t.Errorf("got %q %q id %s, want the method and tool before the window's end and no id after it", m.method, m.tool, m.id)
	}
	if !s.over() || s.seen != scanWindow {
		t.Errorf("got over %v after %d bytes, want the scan over after %d", s.over(), s.seen, scanWindow)
	}
	more := []byte(pad)
	if n := testing.AllocsPerRun(10, func() { s.write(more) }); n != 0 {
		t.Errorf("got %v allocations past the window, want none", n)
	}
}

func scanAll(body []byte, step int) *scan {
	s := new(scan)
	for len(body) > 0 {
		n := min(step, len(body))
		s.write(body[:n])
		body = body[n:]
	}
	return s
}

// FuzzScan: for a valid JSON-RPC object inside the window, the scan finds what
// encoding/json finds, no matter how the bytes are split. For anything else it
// ends without a panic and never keeps more than the window.
func FuzzScan(f *testing.F) {
	for _, seed := range []string{
		`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}}`,
		`[{"id":1,"method":"a"},{"id":"2"},{"method":"b"}]`,
		`{"id":"\u00e9\\","method":"\ud83d\ude00"}`, `{"params":null,"params":{"name":"x"},"id":0}`, `[[{"id":1}]]`, `"{`, `{"id"::1}`,
	} {
		f.Add([]byte(seed), uint8(3))
	}
	f.Fuzz(func(t *testing.T, body []byte, step uint8) {
		s := scanAll(body, int(step)+1)
		if n := len(s.batch) + len(s.msg.id) + len(s.msg.method) + len(s.msg.tool); n > 4*scanWindow {
			t.Fatalf("kept %d bytes", n)
		}
		whole := scanAll(body, len(body)+1)
		if got, want := s.message(), whole.message(); got.method != want.method || !bytes.Equal(got.id, want.id) {
			t.Fatalf("split: got %q id %s, whole: %q id %s", got.method, got.id, want.method, want.id)
		}
		if len(body) >= scanWindow {
			return
		}
		var object map[string]json.RawMessage
		if json.Unmarshal(body, &object) != nil || object == nil {
			return
		}
		m := s.message()
		if s.ended != 1 || s.msg.odd {
			return // keys that differ in case only, or come twice, or a second object
		}
		var method string
		json.Unmarshal(object["method"], &method)
		if m.method != method {
			t.Errorf("method: got %q, want %q", m.method, method)
		}
		var id string
		if raw := object["id"]; len(raw) > 0 && (raw[0] == '"' || raw[0] == '-' || '0' <= raw[0] && raw[0] <= '9') {
			id = string(raw)
		}
		if string(m.id) != id {
			t.Errorf("id: got %s, want %s", m.id, id)
		}
		var params map[string]json.RawMessage
		json.Unmarshal(object["params"], &params)
		var tool string
		json.Unmarshal(params["name"], &tool)
		if m.tool != tool {
			t.Errorf("tool: got %q, want %q", m.tool, tool)
		}
	})
}

func BenchmarkScan(b *testing.B) {
	const head, tail = `{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"echo","arguments":{"text":"`, `"}}}`
	for _, tt := range []struct{ name, text string }{
		{"short", "hello there, this is a text"},
		{"64kB", strings.Repeat("x", 60<<10)},
		{"64kB-of-code", strings.Repeat(`\tif err != nil {\n\t\treturn \"\", err\n\t}\n`, 1<<10)},
	} {
		body := []byte(head + tt.text + tail)
		b.Run(tt.name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(body)))
			for b.Loop() {
				var s scan
				s.write(body)
			}
		})
	}
}

// message returns the message of the body, or the first one of a batch that
// has a method.
func (s *scan) message() message {
	if s.batched {
		return s.first
	}
	return s.msg
}
