package apps

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"net/url"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/key2oauth/key2oauth/e2e/testenv"
)

const (
	local  = "http://127.0.0.1:7450/k3v9x2m7q4ab/mcp"
	public = "https://calm-heron-42.ngrok-free.dev/k3v9x2m7q4ab/mcp"
)

// target has a name that every language would read as its own.
var target = Target{Name: SafeName(awkward, nil), Title: awkward, Local: local, Public: public}

const awkward = "Finance & \"Planning\" $(id) `x` **b** <i> % ' \u202e+ (EU)"

// places is where an app may run.
func places(a App) []Place {
	switch a.Where {
	case Either:
		return []Place{Computer, Internet}
	case Nowhere:
		return []Place{Nowhere}
	}
	return []Place{a.Where}
}

// TestRows holds the form of the table.
func TestRows(t *testing.T) {
	ids := make(map[string]bool)
	for _, a := range All() {
		t.Run(a.ID, func(t *testing.T) {
			if ids[a.ID] || !regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`).MatchString(a.ID) {
				t.Errorf("id %q is taken or no word", a.ID)
			}
			ids[a.ID] = true
			if a.Name == "" || len([]rune(a.Mark)) != 1 || a.Color < 1 || a.Color > 6 {
				t.Errorf("name %q, mark %q, color %d: want a name, a character and 1 to 6", a.Name, a.Mark, a.Color)
			}
			if !slices.Contains([]Place{Computer, Internet, Either, Nowhere}, a.Where) {
				t.Errorf("where is %q", a.Where)
			}
			if !slices.Contains([]Confidence{Read, Reported}, a.Confidence) {
				t.Errorf("confidence is %q", a.Confidence)
			}
			if day, err := time.Parse(time.DateOnly, a.Date); err != nil || day.After(time.Now()) {
				t.Errorf("date is %q, want a day that has been: %v", a.Date, err)
			}
			if a.Source == "" {
				t.Error("it has no source")
			}
			if len(a.Steps) == 0 || a.Last == "" {
				t.Errorf("it has %d steps and ends with %q, want both", len(a.Steps), a.Last)
			}
			for _, s := range append([]string{a.Last}, a.Notes...) {
				checkText(t, s)
			}
			for _, s := range a.Steps {
				checkStep(t, a, s)
			}
		})
	}
	if len(ids) < 18 {
		t.Errorf("there are %d rows", len(ids))
	}
}

func checkText(t *testing.T, s string) {
	t.Helper()
	if s == "" || !strings.ContainsAny(s[len(s)-1:], ".:") {
		t.Errorf("%q is no sentence", s)
	}
	if strings.Count(s, "**")%2 != 0 || strings.Count(s, "`")%2 != 0 {
		t.Errorf("%q has a mark without its end", s)
	}
	if rest := regexp.MustCompile(`\{(name|title)\}`).ReplaceAllString(s, ""); strings.ContainsAny(rest, "{}") {
		t.Errorf("%q has a placeholder that sentences do not have", s)
	}
}

func checkStep(t *testing.T, a App, s Step) {
	t.Helper()
	checkText(t, s.Text)
	n := 0
	for _, has := range []bool{s.Shell != "", s.JSON != nil, s.TOML != "", s.YAML != "", s.Copy != "", s.Link != ""} {
		if has {
			n++
		}
	}
	if n > 1 {
		t.Errorf("%q has %d things to copy or to open, want at most 1", s.Text, n)
	}
	if (s.Link != "") != (s.Button != "") {
		t.Errorf("%q: link %q with button %q", s.Text, s.Link, s.Button)
	}
	// A name in a sentence or a title would be read by a shell.
	if strings.Contains(s.Shell, "{title}") {
		t.Errorf("%q has a title in a command", s.Shell)
	}
	for _, file := range []string{s.TOML, s.YAML} {
		if strings.Contains(file, "{address}") && !strings.Contains(file, `"{address}"`) {
			t.Errorf("%q has the address without quotation marks", file)
		}
	}
	if strings.Contains(s.Link+s.Shell, "{entry") && a.Entry == nil {
		t.Errorf("%q wants an entry, which the row lacks", s.Text)
	}
	if s.ByHand != nil {
		if s.ByHand.ByHand != nil {
			t.Errorf("%q has another way of another way", s.Text)
		}
		checkStep(t, a, *s.ByHand)
	}
}

// TestNoPlaceholderIsLeft fills in every row, and looks for the address of the
// wrong side.
func TestNoPlaceholderIsLeft(t *testing.T) {
	for _, a := range All() {
		for _, at := range places(a) {
			t.Run(a.ID+" "+string(at), func(t *testing.T) {
				g, ok := a.Guide(target, at)
				if !ok {
					t.Fatal("it has no steps")
				}
				b, err := json.Marshal(g)
				if err != nil {
					t.Fatal(err)
				}
				if m := regexp.MustCompile(`\{(name|title|address|entry|entry64)\}`).FindString(string(b)); m != "" {
					t.Errorf("%s is left", m)
				}
				wrong, right := "127.0.0.1:7450", "calm-heron"
				if at == Computer {
					wrong, right = right, wrong
				}
				var everything strings.Builder
				for _, s := range g.Steps {
					for ; ; s = *s.ByHand {
						link, err := url.QueryUnescape(s.Link)
						if err != nil {
							t.Errorf("%s: %v", s.Link, err)
						}
						everything.WriteString(s.Copy + link + unbase64(t, s.Link) + "\n")
						if s.ByHand == nil {
							break
						}
					}
				}
				if at == Nowhere {
					return
				}
				if strings.Contains(everything.String(), wrong) {
					t.Errorf("it gives the address of the other side:\n%s", everything.String())
				}
				if !strings.Contains(everything.String(), right) {
					t.Errorf("it never gives the address:\n%s", everything.String())
				}
			})
		}
	}
}

// unbase64 returns the decoded config of a link, if it has one.
func unbase64(t *testing.T, link string) string {
	t.Helper()
	u, err := url.Parse(link)
	if err != nil {
		t.Fatal(err)
	}
	config, err := base64.StdEncoding.DecodeString(u.Query().Get("config"))
	if err != nil {
		t.Errorf("%s: %v", link, err)
	}
	return string(config)
}

// TestOtherSide: an app is never told of an address that it cannot reach.
func TestOtherSide(t *testing.T) {
	offline := target
	offline.Public = ""
	for _, a := range All() {
		if _, ok := a.Guide(offline, Internet); ok {
			t.Errorf("%s: has steps for the internet without an address there", a.ID)
		}
		if _, ok := a.Guide(target, Computer); ok != (a.Where == Computer || a.Where == Either) {
			t.Errorf("%s: has steps for this computer: %t", a.ID, ok)
		}
	}
}

// TestShells has a shell read every command.
func TestShells(t *testing.T) {
	sh := testenv.Need(t, "sh")
	for _, a := range All() {
		for _, s := range flat(a.Steps) {
			for line := range strings.SplitSeq(s.Shell, "\n") {
				checkShell(t, sh, a, line)
			}
		}
	}
}

func checkShell(t *testing.T, sh string, a App, line string) {
	t.Helper()
	if line == "" {
		return
	}
	f := filler{name: target.Name, title: target.Title, address: local + "/a'b$(id)`x`"}
	f.entry = f.json(a.Entry, compact)
	command := f.shell(line)
	out, err := exec.Command(sh, "-c", `for w in `+command+`; do printf '%s\0' "$w"; done`).Output()
	if err != nil {
		t.Errorf("%s: %s: %v", a.ID, command, err)
		return
	}
	got := strings.Split(strings.TrimSuffix(string(out), "\x00"), "\x00")
	var want []string
	for w := range strings.FieldsSeq(line) {
		want = append(want, strings.NewReplacer("{name}", f.name, "{address}", f.address, "{entry}", f.entry).Replace(w))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s: a shell reads %s (-want +got):\n%s", a.ID, command, diff)
	}
}

// flat lists steps and the other ways of them.
func flat(steps []Step) (all []Step) {
	for _, s := range steps {
		all = append(all, s)
		if s.ByHand != nil {
			all = append(all, *s.ByHand)
		}
	}
	return all
}

// TestFiles parses what is pasted into files.
func TestFiles(t *testing.T) {
	f := filler{name: target.Name, title: target.Title, address: "http://127.0.0.1:7450/a\"b\\c&\u2028/mcp"}
	tested := make(map[string]int)
	for _, a := range All() {
		for _, s := range flat(a.Steps) {
			if s.JSON != nil {
				tested["json"]++
				var got any
				text := f.json(s.JSON, indented)
				if err := json.Unmarshal([]byte(text), &got); err != nil {
					t.Errorf("%s: %s: %v", a.ID, text, err)
				}
				if !holds(got, f.address) {
					t.Errorf("%s: %s does not hold the address", a.ID, text)
				}
			}
			for kind, text := range map[string]string{"toml": s.TOML, "yaml": s.YAML} {
				if text == "" {
					continue
				}
				tested[kind]++
				text := f.quoted(text)
				found := false
				// Strings of both that are in quotation marks are written as those of JSON.
				for _, quoted := range regexp.MustCompile(`"(?:[^"\\]|\\.)*"`).FindAllString(text, -1) {
					var value string
					if err := json.Unmarshal([]byte(quoted), &value); err != nil {
						t.Errorf("%s: %s: %v", a.ID, quoted, err)
					}
					found = found || value == f.address
				}
				if !found {
					t.Errorf("%s: the address is not in\n%s", a.ID, text)
				}
			}
		}
	}
	for _, kind := range []string{"json", "toml", "yaml"} {
		if tested[kind] == 0 {
			t.Errorf("no row has %s", kind)
		}
	}
}

// holds reports whether a decoded JSON value has the string s in it.
func holds(v any, s string) bool {
	switch v := v.(type) {
	case string:
		return v == s
	case []any:
		return slices.ContainsFunc(v, func(v any) bool { return holds(v, s) })
	case map[string]any:
		for _, v := range v {
			if holds(v, s) {
				return true
			}
		}
	}
	return false
}

// TestLinks reads each link as the app that it is made for does.
func TestLinks(t *testing.T) {
	link := func(id string, at Place) *url.URL {
		t.Helper()
		a, ok := Find(id)
		if !ok {
			t.Fatalf("no app %s", id)
		}
		g, _ := a.Guide(target, at)
		u, err := url.Parse(g.Steps[0].Link)
		if err != nil || strings.Contains(u.RawQuery, "+") {
			t.Fatalf("%s: %v", g.Steps[0].Link, err)
		}
		return u
	}
	for _, id := range []string{"claude", "claude-desktop"} {
		u := link(id, Internet)
		want := url.Values{"modal": {"add-custom-connector"}, "connectorName": {strings.ReplaceAll(awkward, "\u202e", "")}, "connectorUrl": {public}}
		if diff := cmp.Diff(want, u.Query()); diff != "" || u.Host != "claude.ai" || u.Path != "/customize/connectors" {
			t.Errorf("%s (-want +got):\n%s", u, diff)
		}
	}
	for id, prefix := range map[string]string{"cursor": "cursor://anysphere.cursor-deeplink/mcp/install?", "lm-studio": "lmstudio://add_mcp?"} {
		u := link(id, Computer)
		if got, want := unbase64(t, u.String()), `{"url":"`+local+`"}`; got != want || !strings.HasPrefix(u.String(), prefix) || u.Query().Get("name") != target.Name {
			t.Errorf("%s: config %s, want %s", u, got, want)
		}
	}
	entry, err := url.PathUnescape(strings.TrimPrefix(link("vscode", Computer).String(), "vscode:mcp/install?"))
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]string
	if err := json.Unmarshal([]byte(entry), &got); err != nil {
		t.Fatalf("%s: %v", entry, err)
	}
	if diff := cmp.Diff(map[string]string{"name": target.Name, "type": "http", "url": local}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestSafeName(t *testing.T) {
	for _, tt := range []struct {
		title string
		taken string
		want  string
	}{
		{"Linear", "", "linear"},
		{"Linear", "linear", "linear-2"},
		{"LINEAR!", "linear linear-2", "linear-3"},
		{"Quarterly Finance & Planning Server (EU)", "", "quarterly-finance-planning-server-eu"},
		{"$(rm -rf ~)", "", "rm-rf"},
		{"--scope", "", "scope"},
		{"\u65e5\u672c", "", "my-server"},
		{"", "my-server", "my-server-2"},
		{strings.Repeat("a ", 100), "", strings.TrimSuffix(strings.Repeat("a-", 20), "-")},
	} {
		taken := make(map[string]bool)
		for word := range strings.FieldsSeq(tt.taken) {
			taken[word] = true
		}
		if got := SafeName(tt.title, taken); got != tt.want {
			t.Errorf("SafeName(%q, %q) = %q, want %q", tt.title, tt.taken, got, tt.want)
		}
	}
}

func TestMayBe(t *testing.T) {
	for _, tt := range []struct {
		id, name string
		want     bool
	}{
		{"claude-code", "Claude Code", true}, {"claude-code", "claude code (linear)", true},
		{"claude-code", "Claude", false}, {"claude", "Claude Code", false}, {"claude", "Claude", true}, {"claude-desktop", "Claude", true},
		{"claude-code", "", true}, {"claude-code", "Claudette", true}, {"claude-code", "some library", true},
		{"cursor", "Visual Studio Code", false}, {"vscode", "Visual Studio Code", true},
		{"chatgpt-desktop", "Codex", true}, {"codex", "Codex", true}, {"other", "Codex", false}, {"other", "My own", true},
	} {
		a, _ := Find(tt.id)
		if got := a.MayBe(tt.name); got != tt.want {
			t.Errorf("%s may be %q: got %t, want %t", tt.id, tt.name, got, tt.want)
		}
	}
}

// TestMarksInNames: what an owner calls a server is no markup.
func TestMarksInNames(t *testing.T) {
	l := filler{name: "n", title: "a **b** `c`"}.line("In {title}, press **{title}**, then type `x {name}`.")
	want := Line{{"In a **b** `c`, press ", Plain}, {"a **b** `c`", Shown}, {", then type ", Plain}, {"x n", Typed}, {".", Plain}}
	if diff := cmp.Diff(want, l); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestParse: a mistake in the file is found when the program is built and
// tested, and not by a reader.
func TestParse(t *testing.T) {
	for _, bad := range []string{``, `{"apps":[{"idd":"x"}]}`, `{"apps":[{"id":"x","steps":[{"texts":"y"}]}]}`} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s was taken", bad)
				}
			}()
			parse([]byte(bad))
		}()
	}
	if !bytes.Contains(file, []byte(`"about"`)) {
		t.Error("the file does not say what it is")
	}
}
