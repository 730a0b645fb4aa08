package endpoint

import (
	"net/url"
	"slices"
	"strings"
	"testing"
)

func TestKeysInPath(t *testing.T) {
	for path, want := range map[string][2]string{ // without ids, and with them; "" is none
		"/":                                   {},
		"/mcp":                                {},
		"/s/Ab3dEf6hIj9kLm2nOp5qRs8t/mcp":     {"Ab3dEf6hIj9kLm2nOp5qRs8t", "Ab3dEf6hIj9kLm2nOp5qRs8t"},
		"/s/ab3dgf6hij9klm2nop5qrs8t":         {"ab3dgf6hij9klm2nop5qrs8t", "ab3dgf6hij9klm2nop5qrs8t"},
		"/sk-live-0123456789abcdefghij/":      {"sk-live-0123456789abcdefghij", "sk-live-0123456789abcdefghij"},
		"/s/c2VjcmV0LWtleS0wMTIzNDU2Nzg5/sse": {"c2VjcmV0LWtleS0wMTIzNDU2Nzg5", "c2VjcmV0LWtleS0wMTIzNDU2Nzg5"},
		"/s/c2VjcmV0LWtleS0wMTIzNA==/mcp":     {"c2VjcmV0LWtleS0wMTIzNA==", "c2VjcmV0LWtleS0wMTIzNA=="},
		"/bot123456:ABC-DEF1234ghIkl-zyx57W2v1u123ew11/mcp":    {"bot123456:ABC-DEF1234ghIkl-zyx57W2v1u123ew11", "bot123456:ABC-DEF1234ghIkl-zyx57W2v1u123ew11"},
		"/s/a%2Fb0c1d2e3f4g5h6i7j8k9/mcp":                      {"a%2Fb0c1d2e3f4g5h6i7j8k9", "a%2Fb0c1d2e3f4g5h6i7j8k9"},
		"/mcp;api_key=Ab3dEf6hIj9kLm2nOp":                      {"Ab3dEf6hIj9kLm2nOp", "Ab3dEf6hIj9kLm2nOp"},
		"/aBcDeFgHiJkLmNoPqRsT":                                {"aBcDeFgHiJkLmNoPqRsT", "aBcDeFgHiJkLmNoPqRsT"},
		"/p/550e8400-e29b-41d4-a716-446655440000/mcp":          {"", "550e8400-e29b-41d4-a716-446655440000"},
		"/token/550e8400-e29b-41d4-a716-446655440000/mcp":      {"550e8400-e29b-41d4-a716-446655440000", "550e8400-e29b-41d4-a716-446655440000"},
		"/p/64f1c2ab34de56f7890abcd1/mcp":                      {"", "64f1c2ab34de56f7890abcd1"},
		"/p/01ARZ3NDEKTSV4RRFFQ69G5FAV/mcp":                    {"", "01ARZ3NDEKTSV4RRFFQ69G5FAV"},
		"/streamable-http-model-context-protocol/mcp":          {},
		"/modelcontextprotocol/ModelContextProtocolServer":     {},
		"/releases/2025-11-25/preview-v2/server2026/mcp":       {},
		"/v1/projects/my-first-project-12345678/mcp":           {},
		"/databases/ANALYTICS_PRODUCTION_2/schemas/PUBLIC":     {},
		"/%E6%96%87%E6%A1%A3%E6%9C%8D%E5%8A%A1%E5%99%A8%E4%B8": {},
		"/s/Ab3dEf6hIj9kLm2":                                   {},
	} {
		for i, ids := range []bool{false, true} {
			got := KeysInPath(path, ids)
			if strings.Join(got, " ") != want[i] {
				t.Errorf("%s, ids %v: got %q, want %q", path, ids, got, want[i])
			}
		}
	}
}

// TestShownURL: what looks like a key is shown nowhere, and the rest as it is.
func TestShownURL(t *testing.T) {
	const key = "Ab3dEf6hIj9kLm2nOp5qRs8t"
	for _, tt := range []struct {
		base  string
		query bool
		want  string
	}{
		{"https://h.example/mcp", false, "https://h.example/mcp"},
		{"https://h.example/mcp", true, "https://h.example/mcp?…"},
		{"https://h.example:8443/s/" + key + "/mcp", false, "https://h.example:8443/s/…/mcp"},
		{"https://h.example/" + key + "/" + key, true, "https://h.example/…/…?…"},
		{"http://[fd00::1]:80/" + key, false, "http://[fd00::1]:80/…"},
		{"https://h.example/a%20b/s/%E2%80%A6/mcp", true, "https://h.example/a%20b/s/…/mcp?…"},
	} {
		e := Endpoint{BaseURL: tt.base, HasQuery: tt.query}
		if got := e.ShownURL(); got != tt.want {
			t.Errorf("%s is shown as %s, want %s", tt.base, got, tt.want)
		}
		if got, want := e.HidesPath(), strings.Contains(tt.base, key) || strings.Contains(tt.base, "%E2"); got != want {
			t.Errorf("%s: HidesPath is %v, want %v", tt.base, got, want)
		}
	}
}

// TestExportOfPathKey: a key in the path is not in the file, and what is read
// from it says that a part of the address is missing.
func TestExportOfPathKey(t *testing.T) {
	const key = "Ab3dEf6hIj9kLm2nOp5qRs8t"
	e := Endpoint{Slug: "k3v9x2m7q4ab", Name: "Notes", BaseURL: "https://h.example/s/" + key + "/mcp", Header: DefaultHeader}
	x := NewExport([]Endpoint{e})
	if got := x.Endpoints[0]; got.UpstreamURL != "https://h.example/s/…/mcp" || !got.QueryLeftOut {
		t.Errorf("exported %+v", got)
	}
	in, err := x.Endpoints[0].parse()
	if err != nil {
		t.Fatal(err)
	}
	if in.ShownURL() != "https://h.example/s/…/mcp?…" || !in.HasQuery {
		t.Errorf("read as %q, with the query %v", in.BaseURL, in.HasQuery)
	}
	again, err := NewExport([]Endpoint{in}).Endpoints[0].parse()
	if err != nil || again.BaseURL != in.BaseURL {
		t.Errorf("read again as %q, %v; want %q", again.BaseURL, err, in.BaseURL)
	}
}

// TestHiddenIsNoAddress: what stands for a hidden part cannot be typed, or the
// key would be sent to an address that the owner did not mean.
func TestHiddenIsNoAddress(t *testing.T) {
	for _, s := range []string{"https://h.example/s/…/mcp", "https://h.example/s/%e2%80%a6/mcp", "https://h.example/mcp?…"} {
		if u, _, err := ParseUpstream(s); err == nil {
			t.Errorf("%s was read as %s", s, u)
		}
	}
}

// FuzzKeysInPath: a key is a part of the path, and an address is shown without
// one.
func FuzzKeysInPath(f *testing.F) {
	f.Add("/s/Ab3dEf6hIj9kLm2nOp5qRs8t/mcp")
	f.Add("/mcp;key=c2VjcmV0LWtleS0wMTIzNA==;a=b")
	f.Add("/%E2%80%A6/550e8400-e29b-41d4-a716-446655440000")
	f.Fuzz(func(t *testing.T, path string) {
		u := url.URL{Scheme: "https", Host: "h.example", Path: "/" + path}
		all := KeysInPath(u.EscapedPath(), true)
		for _, key := range KeysInPath(u.EscapedPath(), false) {
			if !slices.Contains(all, key) {
				t.Errorf("%q counts only without ids", key)
			}
		}
		e := Endpoint{BaseURL: u.String()}
		for _, key := range all {
			if !strings.Contains(u.EscapedPath(), key) {
				t.Errorf("%q is not in %q", key, u.EscapedPath())
			}
			if strings.Contains(e.ShownURL(), key) {
				t.Errorf("%q is shown as %q", u.String(), e.ShownURL())
			}
		}
	})
}
