package guard

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html"
	"html/template"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
)

const (
	plainKey = "sk-test-0123456789abcdefghijkl"
	oddKey   = `a"b\c/d<e>f&g'h+i=j%k~l?m n`
)

var bearer = Field{Value: plainKey, Prefix: "Bearer "}

// struck is what a text becomes: every byte of every place where a form stands
// is replaced. It is written without any of the finder's means.
func struck(g *Guard, text string) string {
	hit := make([]bool, len(text))
	for from := range len(text) {
		for _, t := range g.escapes.texts {
			n, done := reads(text[from:], t.form)
			if done == len(t.form) || from+n == len(text) && !t.whole && 4*done >= 3*len(t.form) {
				for j := range n {
					hit[from+j] = true
				}
			}
		}
	}
	for _, form := range g.forms {
		for at := 0; ; at++ {
			i := strings.Index(text[at:], form)
			if i < 0 {
				break
			}
			at += i
			for j := range len(form) {
				hit[at+j] = true
			}
		}
	}
	out := []byte(text)
	for i := range out {
		if hit[i] {
			out[i] = g.star
		}
	}
	return string(out)
}

// reads returns how many characters of a form a text begins with, each as it is
// or escaped, and how long these are in the text.
func reads(text, form string) (length, done int) {
next:
	for ; done < len(form); done++ {
		c, rest := form[done], text[length:]
		if rest == "" {
			break
		}
		if c == rest[0] && c != '\\' && c != '%' {
			length++
			continue
		}
		if rest[0] != '\\' && rest[0] != '%' {
			break
		}
		hex := fmt.Sprintf("%02x", c)
		var ways []string
		if c == '\\' {
			ways = []string{`\\\\`}
			if !strings.HasPrefix(rest, `\\u00`) || strings.HasPrefix(rest, `\\\`) || len(rest) < 7 || !isUnicode([]byte(rest[2:])) {
				ways = append(ways, `\\`)
			}
		}
		if c < 128 {
			ways = append(ways, `\u00`+hex, `\\u00`+hex)
		}
		ways = append(ways, "%"+hex)
		if c == '/' || c == '"' {
			ways = append(ways, `\`+string(c), `\\`+string(c), `\\\`+string(c))
		}
		for _, way := range ways {
			digits := 0
			if strings.HasSuffix(way, hex) {
				digits = 2
			}
			n := len(way) - digits
			if len(rest) >= len(way) && rest[:n] == way[:n] && strings.EqualFold(rest[n:len(way)], way[n:]) {
				length += len(way)
				continue next
			}
		}
		if rest[0] != c {
			break
		}
		length++
	}
	return length, done
}

// whole strikes a text in one piece.
func whole(g *Guard, text string) (string, int) {
	b := []byte(text)
	n := g.Bytes(b)
	return string(b), n
}

func TestForms(t *testing.T) {
	b64 := base64.StdEncoding.EncodeToString
	marshal := func(v any) string {
		b, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	dotnet := strings.NewReplacer(`"`, `\u0022`, `\`, `\\`, "&", `\u0026`, "'", `\u0027`, "+", `\u002B`, "<", `\u003C`, ">", `\u003E`, "`", `\u0060`)
	php := strings.NewReplacer(`"`, `\"`, `\`, `\\`, "/", `\/`)
	gson := strings.NewReplacer(`"`, `\"`, `\`, `\\`, "<", `\u003c`, ">", `\u003e`, "&", `\u0026`, "'", `\u0027`, "=", `\u003d`)
	browser := strings.NewReplacer("+", "%20")
	page := func(text string) string {
		var b strings.Builder
		if err := template.Must(template.New("").Parse("{{.}}")).Execute(&b, text); err != nil {
			t.Fatal(err)
		}
		return b.String()
	}
	for _, key := range []string{plainKey, oddKey, "dGhpcy9pcythK2tleT8+Pz8+Pj8/Pg==", strings.Repeat("0123456789abcdef", 100)} {
		g := New(Field{Value: key, Prefix: "Bearer "})
		for name, text := range map[string]string{
			"as it is":                   key,
			"in a header":                "Authorization: Bearer " + key,
			"Go's JSON":                  marshal(map[string]string{"error": "no key " + key}),
			"Go's JSON twice":            marshal(marshal([]string{key})),
			"PHP's JSON":                 php.Replace(key),
			"PHP's JSON twice":           php.Replace(php.Replace(key)),
			"Gson":                       gson.Replace(key),
			".NET's JSON":                dotnet.Replace(key),
			".NET's JSON twice":          dotnet.Replace(dotnet.Replace(key)),
			"PHP's JSON in Go's":         marshal(php.Replace(key)),
			"a query":                    "/mcp?api_key=" + url.QueryEscape(key),
			"encodeURIComponent":         browser.Replace(url.QueryEscape(key)),
			"lower-case percent":         strings.ToLower(url.QueryEscape(key)),
			"a segment of a path":        url.PathEscape(key),
			"a path":                     (&url.URL{Path: "/" + key}).EscapedPath(),
			"a query in JSON":            marshal("https://h.example/?k=" + url.QueryEscape(key) + "&x"),
			"a page":                     html.EscapeString(key),
			"a page of Python":           strings.NewReplacer("&#34;", "&quot;", "&#39;", "&#x27;").Replace(html.EscapeString("Bearer " + key)),
			"a page of html/template":    page(key),
			"a page of .NET":             strings.NewReplacer("&#34;", "&quot;", "&#39;", "&#x27;", "&#43;", "&#x2B;").Replace(page(key)),
			"a page in JSON":             marshal("<pre>" + html.EscapeString(key) + "</pre>"),
			"html/template in JSON":      marshal("<pre>" + page(key) + "</pre>"),
			"a page in .NET's JSON":      dotnet.Replace(html.EscapeString(key)),
			"a page in JSON twice":       marshal(marshal(html.EscapeString(key))),
			"base64":                     b64([]byte(key)),
			"base64 without padding":     base64.RawStdEncoding.EncodeToString([]byte(key)),
			"base64 for URLs":            base64.URLEncoding.EncodeToString([]byte(key)),
			"base64 in JSON":             marshal(b64([]byte(key))),
			"base64 in PHP's JSON":       php.Replace(b64([]byte(key))),
			"base64 in .NET's JSON":      dotnet.Replace(b64([]byte(key))),
			"base64 in a query":          url.QueryEscape(b64([]byte(key))),
			"password of an empty user":  b64([]byte(":" + key)),
			"password of a short user":   b64([]byte("a:" + key)),
			"password of a longer user":  b64([]byte("ab:" + key)),
			"user without a password":    b64([]byte(key + ":")),
			"user with a password":       b64([]byte(key + ":x")),
			"inside of a longer text":    b64([]byte("{\"authorization\":\"Bearer " + key + "\"}")),
			"base64 of Basic in a query": url.QueryEscape("Basic " + b64([]byte("me:"+key))),
		} {
			if strings.ContainsAny(key, upperLetters) && strings.HasPrefix(name, "lower-case") {
				continue
			}
			got, n := whole(g, "{before "+text+" after}")
			want := struck(g, "{before "+text+" after}")
			if n < 1 || got != want || !strings.HasPrefix(got, "{before ") || !strings.HasSuffix(got, " after}") {
				t.Errorf("%s: %.60q became %.80q with %d struck, want %.80q", name, text, got, n, want)
			}
			// What may stay is the key's first or last character in part.
			if rest := strings.Trim(text, string(g.star)); len(strings.ReplaceAll(got, string(g.star), "")) > len("{before  after}")+len(text)-16 {
				t.Errorf("%s: of %.60q there remains %.60q", name, text, rest)
			}
		}
	}
}

const upperLetters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"

// TestBasic has keys that are user:password in base64.
func TestBasic(t *testing.T) {
	alone := New(Field{Value: base64.StdEncoding.EncodeToString([]byte("sk_live_0123456789:")), Prefix: "Basic "})
	if got, _ := whole(alone, "no sk_live_0123456789!"); got != "no "+strings.Repeat("*", 18)+"!" {
		t.Errorf("a user without a password: got %q", got)
	}
	pair := "a-long-user-name:ATATT3xFfGF0aBcDeFgH1234"
	key := base64.StdEncoding.EncodeToString([]byte(pair))
	g := New(Field{Value: key, Prefix: "Basic "})
	for text, want := range map[string]string{
		"Authorization: Basic " + key:          "Authorization: " + strings.Repeat("*", len("Basic ")+len(key)),
		`{"token":"ATATT3xFfGF0aBcDeFgH1234"}`: `{"token":"` + strings.Repeat("*", 24) + `"}`,
		"hello a-long-user-name":               "hello a-long-user-name",
		`["a-long-user-name","ATATT3xFfGF0"]`:  `["a-long-user-name","ATATT3xFfGF0"]`,
	} {
		if got, _ := whole(g, text); got != want {
			t.Errorf("%q became %q, want %q", text, got, want)
		}
	}
}

func TestWatch(t *testing.T) {
	for secret, want := range map[string]Verdict{
		"":                               TooShort,
		"0123456789abcde":                TooShort,
		"0123456789abcdef":               Watched,
		"me@company.example":             Guessable,
		"first.last+x@mail.Company.com":  Guessable,
		"company.atlassian.net":          Guessable,
		"https://company.example":        Guessable,
		"https://company.example:8443/":  Guessable,
		"https://h.example/s/Ab3dEf6h":   Watched,
		"localhost.example:8080":         Guessable,
		"192.168.100.200:8443":           Guessable,
		"2001:db8::1234:5678":            Guessable,
		"1234567890123456":               Guessable,
		"+49 (30) 1234567890":            Guessable,
		"2026-11-29 12:00:00":            Guessable,
		"-1234567890.12345":              Guessable,
		"0123456789abcdef\n":             Guessable,
		"d41d8cd9-8f00-b204-e980-9800ff": Watched,
		"SG.abcdefghijkl.mnopqrstuvwx12": Watched,
		"eyJhbGciOiJI.eyJzdWIiOiIx.SflK": Watched,
		"user:s3cret-password-of-it":     Watched,
		"sk_live_" + plainKey:            Watched,
	} {
		if got := Watch(secret); got != want {
			t.Errorf("%q: got %q, want %q", secret, got, want)
		}
	}
	if g := New(Field{Value: "0123456789abcde"}, Field{Value: "me@company.example"}); g != nil {
		t.Error("got a guard for what is not watched")
	}
}

// TestNilGuard: nothing is held or changed.
func TestNilGuard(t *testing.T) {
	var g *Guard
	s := Stream{Guard: g}
	if n := s.Next([]byte("text"), 0, false); n != 4 || g.Hold() != 0 {
		t.Errorf("%d bytes can go, %d are held; want 4 and none", n, g.Hold())
	}
	if got := g.Words("words"); got != "words" {
		t.Errorf("got %q", got)
	}
	if n := g.Header(http.Header{"X": {"y"}}); n != 0 {
		t.Errorf("struck %d", n)
	}
}

func TestSeveralSecrets(t *testing.T) {
	g := New(Field{Value: "application-key-0123", Prefix: ""}, Field{Value: "0123456789abcdef01"}, Field{Value: "short"})
	got, n := whole(g, "short application-key-0123456789abcdef01 end")
	if want := "short " + strings.Repeat("*", 34) + " end"; got != want || n != 1 {
		t.Errorf("got %q with %d struck, want %q and 1", got, n, want)
	}
}

// TestStarsInKeys: what stands beside a struck key and its stars together must
// not read like another one.
func TestStarsInKeys(t *testing.T) {
	key := "a" + strings.Repeat("*", 16)
	g := New(Field{Value: key})
	if got, _ := whole(g, "a"+key); strings.Contains(got, key) {
		t.Errorf("got %q, which contains the key", got)
	}
}

func TestHeader(t *testing.T) {
	g := New(bearer)
	shared := []string{"Bearer " + plainKey}
	h := http.Header{
		"Content-Type":                           {"application/json"},
		"X-Request-Id":                           {"r-" + plainKey, "r-1"},
		"X-Long":                                 {strings.Repeat("x", 600) + url.QueryEscape("?"+plainKey)},
		"Mcp-Echo":                               shared,
		"X-Sk-Test-0123":                         {"y"},
		http.CanonicalHeaderKey("X-" + plainKey): {"1"},
	}
	n := g.Header(h)
	want := http.Header{
		"Content-Type":   {"application/json"},
		"X-Request-Id":   {"r-" + strings.Repeat("*", len(plainKey)), "r-1"},
		"X-Long":         {strings.Repeat("x", 600) + "%3F" + strings.Repeat("*", len(plainKey))},
		"Mcp-Echo":       {strings.Repeat("*", len(shared[0]))},
		"X-Sk-Test-0123": {"y"},
	}
	if fmt.Sprint(h) != fmt.Sprint(want) || n != 4 {
		t.Errorf("got %v with %d struck, want %v and 4", h, n, want)
	}
	if shared[0] != "Bearer "+plainKey {
		t.Error("a slice of values that others may share was changed")
	}
}

// TestEvents: an event that has ended goes at once and whole, with any ends of
// lines; of one that has not, the same number of bytes stays.
func TestEvents(t *testing.T) {
	g := New(bearer)
	long := "data: " + strings.Repeat("x", 2*g.Hold())
	for _, tt := range []struct {
		name   string
		chunks []string
		want   []string // what goes after each; "" is nothing
	}{
		{"LF", []string{"data: x\n\n"}, []string{"data: x\n\n"}},
		{"CRLF", []string{"data: x\r\n\r\n"}, []string{"data: x\r\n\r\n"}},
		{"CR", []string{"data: x\r\r"}, []string{"data: x\r\r"}},
		{"CRLF in two", []string{"data: x\r\n\r", "\n"}, []string{"data: x\r\n\r", "\n"}},
		{"LF of another line", []string{"data: x\r", "\n"}, []string{"", ""}},
		{"blank line in two", []string{"data: x\n", "\n"}, []string{"", "data: x\n\n"}},
		{"comment", []string{": ping\n\n"}, []string{": ping\n\n"}},
		{"two and a beginning", []string{"data: x\n\ndata: y\n\ndata: z"}, []string{"data: x\n\ndata: y\n\n"}},
		{"long", []string{long}, []string{long[:len(long)-g.Hold()]}},
		{"key", []string{"data: " + plainKey + "\n\n"}, []string{"data: " + strings.Repeat("*", len(plainKey)) + "\n\n"}},
		{"key in two", []string{"data: " + plainKey[:20], plainKey[20:] + "\n", "\n"},
			[]string{"", "", "data: " + strings.Repeat("*", len(plainKey)) + "\n\n"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := Stream{Guard: g, Events: true}
			for i, chunk := range tt.chunks {
				var out bytes.Buffer
				if err := s.Write(&out, []byte(chunk)); err != nil || out.String() != tt.want[i] {
					t.Errorf("after chunk %d: got %q, %v; want %q", i, out.String(), err, tt.want[i])
				}
			}
		})
	}
}

// TestPrefixesLookAlike compares what an app can see, the sizes of the writes
// and which chunk each follows, for echoed guesses that begin like the key and
// for others of their length, however they are cut.
func TestPrefixesLookAlike(t *testing.T) {
	g := New(bearer)
	other := strings.Repeat("Z", len(plainKey))
	texts := func(guess string) []string {
		return []string{
			"unknown key " + guess, "unknown key " + guess + ".", guess,
			`{"error":"bad token ` + guess + `"}`, "data: " + guess + "\n\n", "data: " + guess + "\ndata: x\n\ndata: " + guess,
			base64.StdEncoding.EncodeToString([]byte("user:" + guess)), url.QueryEscape("?" + guess),
		}
	}
	for _, events := range []bool{false, true} {
		for size := 1; size <= 60; size++ {
			for length := range len(plainKey) {
				right, wrong := texts(plainKey[:length]), texts(other[:length])
				for i := range right {
					_, _, a := inPieces(g, right[i], size, events)
					_, _, b := inPieces(g, wrong[i], size, events)
					if !slices.Equal(a, b) {
						t.Fatalf("in chunks of %d, %q is written in %v, %q in %v", size, right[i], a, wrong[i], b)
					}
				}
			}
		}
	}
}

// TestNoGarbage: an answer without a secret costs no memory.
func TestNoGarbage(t *testing.T) {
	g := New(bearer)
	body := bytes.Repeat([]byte(`{"text":"hello, world: `+"sk-test-0123"+`"},`), 300)
	header := http.Header{"Content-Type": {"application/json"}, "X-Request-Id": {"0123456789-0123456789-0123456789"},
		"Access-Control-Expose-Headers-That-Are-Long": {"*"}}
	if n := testing.AllocsPerRun(100, func() {
		s := Stream{Guard: g}
		ready := s.Next(body, 0, false)
		s.Next(body[ready:], len(body)-ready, true)
		g.Header(header)
	}); n != 0 {
		t.Errorf("%v allocations, want none", n)
	}
}

func BenchmarkNext(b *testing.B) {
	for name, text := range map[string]string{
		"plain":   `{"type":"text","text":"The quick brown fox jumps over the lazy dog. sk-live, 98, ok: true, id 7b1c"},` + "\n",
		"escaped": `{"type":"text","text":"{\"name\":\"The quick brown fox\",\n\"url\":\"https:\/\/h.example\/a%20b\",\"html\":\"\u003cp\u003e\"}"},` + "\n",
	} {
		for _, size := range []int{300, 64 << 10} {
			for length, g := range map[string]*Guard{
				"16":  New(Field{Value: "0123456789abcdef", Prefix: "Bearer "}),
				"25":  New(Field{Value: "sk-live-0123456789abcdefg", Prefix: "Bearer "}),
				"48":  New(Field{Value: "sk-" + strings.Repeat("0123456789abcde", 3), Prefix: "Bearer "}),
				"odd": New(Field{Value: oddKey, Prefix: "Bearer "}),
			} {
				body := bytes.Repeat([]byte(text), size/len(text)+1)[:size]
				b.Run(fmt.Sprintf("%s/%dB/key %s", name, size, length), func(b *testing.B) {
					b.SetBytes(int64(size))
					for b.Loop() {
						s := Stream{Guard: g}
						s.Next(body, 0, true)
					}
				})
			}
		}
	}
}

func BenchmarkNew(b *testing.B) {
	for b.Loop() {
		New(bearer)
	}
}
