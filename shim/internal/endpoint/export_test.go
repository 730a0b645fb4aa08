package endpoint

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const exported = `{"format":"key2oauth endpoints 1","endpoints":[{"slug":"k3v9x2m7q4ab","display_name":"Linear","upstream_url":"https://mcp.linear.app/mcp","auth_header_name":"Authorization","auth_header_prefix":"Bearer "}]}`

func TestParseExport(t *testing.T) {
	entry := func(slug, name, u, header string) string {
		return `{"slug":"` + slug + `","display_name":"` + name + `","upstream_url":"` + u + `","auth_header_name":"` + header + `"}`
	}
	file := func(entries ...string) string {
		return `{"format":"key2oauth endpoints 1","endpoints":[` + strings.Join(entries, ",") + `]}`
	}
	good := entry("k3v9x2m7q4ab", "Linear", "https://mcp.linear.app/mcp", "X-API-Key")
	for _, tt := range []struct {
		name, file, want string // expected in the error, or the number of endpoints
	}{
		{"none", file(), ""},
		{"one", file(good), "Linear"},
		{"mark of an editor", "\ufeff" + file(good) + "\r\n", "Linear"},
		{"fields of a later version", strings.Replace(file(good), `{"slug"`, `{"color":"red","slug"`, 1), "Linear"},
		{"a query is dropped", file(entry("k3v9x2m7q4ab", "Linear", "https://a.example/mcp?key=1", "")), "Linear"},
		{"empty", "", TextNotExported},
		{"not JSON", "endpoints:", TextNotExported},
		{"a list", "[]", TextNotExported},
		{"another JSON", `{"mcpServers":{}}`, TextNotExported},
		{"newer", strings.Replace(file(good), "endpoints 1", "endpoints 2", 1), TextExportNewer},
		{"two documents", file() + file(), TextExportLong},
		{"slug", file(good, entry("K3V9X2M7Q4AB", "Notes", "https://a.example/mcp", "")), fmt.Sprintf(TextExportEntry, 2, "Notes", "")},
		{"slug of a path", file(entry("../../../abc", "x", "https://a.example/mcp", "")), "slug"},
		{"twice the same slug", file(good, good), TextExportTwice},
		{"scheme", file(entry("k3v9x2m7q4ab", "x", "ftp://a.example/", "")), fmt.Sprintf(TextExportEntry, 1, "x", "")},
		{"link-local", file(entry("k3v9x2m7q4ab", "x", "http://169.254.169.254/", "")), fmt.Sprintf(TextExportEntry, 1, "x", "")},
		{"header", file(entry("k3v9x2m7q4ab", "x", "https://a.example/", "Host")), fmt.Sprintf(TextExportEntry, 1, "x", "")},
		{"name", file(entry("k3v9x2m7q4ab", strings.Repeat("x", 81), "https://a.example/", "")), "longer"},
		{"too many", file(strings.Split(strings.Repeat(good+"\n", MaxEndpoints+1)[:(len(good)+1)*(MaxEndpoints+1)-1], "\n")...), fmt.Sprintf(TextExportMany, MaxEndpoints)},
		{"too large", file(good) + strings.Repeat(" ", MaxExport), TextExportLarge},
	} {
		t.Run(tt.name, func(t *testing.T) {
			all, err := ParseExport([]byte(tt.file))
			got := ""
			switch {
			case err != nil:
				got = err.Error()
			case len(all) > 0:
				got = all[0].Name
			}
			if !strings.Contains(got, tt.want) || (err != nil) != (tt.want != "" && tt.want != "Linear") {
				t.Errorf("ParseExport = %v, %v, want %q", all, err, tt.want)
			}
			for _, e := range all {
				if strings.Contains(e.BaseURL, "?") {
					t.Errorf("the query is still in %q", e.BaseURL)
				}
			}
		})
	}
}

// FuzzParseExport: a parsed export can be written and read again, and it
// follows the rules for typed values.
func FuzzParseExport(f *testing.F) {
	f.Add([]byte(exported))
	f.Add([]byte(strings.Replace(exported, "/mcp", "/mcp?key=sk-1", 1)))
	f.Add([]byte(strings.Replace(exported, "Bearer ", "", 1)))
	f.Add([]byte(`{"format":"key2oauth endpoints 1","endpoints":[{},null]}`))
	f.Add([]byte(`{"format":"key2oauth endpoints 9"}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		all, err := ParseExport(b)
		if err != nil {
			if len(all) > 0 || len(err.Error()) > 2000 {
				t.Errorf("%d endpoints with the error %q", len(all), err)
			}
			return
		}
		for _, e := range all {
			u, _, err := ParseUpstream(e.BaseURL)
			if err != nil || u.RawQuery != "" || !IsSlug(e.Slug) || e.Name == "" {
				t.Errorf("accepted %+v (%v)", e, err)
			}
		}
		again, err := json.Marshal(NewExport(all))
		if err != nil {
			t.Fatal(err)
		}
		got, err := ParseExport(again)
		if err != nil {
			t.Fatalf("%s cannot be read again: %v", again, err)
		}
		if diff := cmp.Diff(all, got); diff != "" {
			t.Errorf("written and read again (-want +got):\n%s", diff)
		}
	})
}
