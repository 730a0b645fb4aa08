package display

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

const (
	family   = "\U0001F468\u200d\U0001F469\u200d\U0001F467\u200d\U0001F466"
	kiss     = "\U0001F469\U0001F3FB\u200d\u2764\ufe0f\u200d\U0001F48B\u200d\U0001F469\U0001F3FD"
	scotland = "\U0001F3F4\U000E0067\U000E0062\U000E0073\U000E0063\U000E0074\U000E007F"
	persian  = "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645" // mikhaham: "I want"
	hindi    = "\u0915\u094d\u200d\u0937"                         // ksha with a half form
	sinhala  = "\u0dc1\u0dca\u200d\u0dbb\u0dd3"                   // sri
	kannada  = "\u0cb0\u0ccd\u200c\u0c95"                         // an explicit virama
)

func TestText(t *testing.T) {
	whole := []struct{ name, in string }{
		{"empty", ""},
		{"plain", "Claude Code (v2) <b>&amp;</b>"},
		{"accents", "caf\u00e9 cafe\u0301 \u00dcber"},
		{"scripts", "\u65e5\u672c\u8a9e \u0440\u0443\u0441 \u05e9\u05dc\u05d5\u05dd \ud55c\uad6d\uc5b4 \u0e44\u0e17\u0e22\u0e4c"},
		{"parts of Hangul", "\u1112\u1161\u11ab"},
		{"Burmese", "\u1019\u103c\u1014\u103a\u1019\u102c"},
		{"Persian ZWNJ", persian},
		{"ZWNJ after a vowel mark", "\u0645\u06cc\u0650\u200c\u062e"},
		{"Hindi ZWJ", hindi},
		{"Sinhala ZWJ", sinhala},
		{"Kannada ZWNJ", kannada},
		{"emoji of several", family + " " + kiss},
		{"pirate flag", "\U0001F3F4\u200d\u2620\ufe0f"},
		{"rainbow flag", "\U0001F3F3\ufe0f\u200d\U0001F308"},
		{"eye in a bubble", "\U0001F441\ufe0f\u200d\U0001F5E8\ufe0f"},
		{"programmer with a skin tone", "\U0001F469\U0001F3FD\u200d\U0001F4BB"},
		{"emoji style", "I \u2764\ufe0f MCP \u00a9\ufe0f"},
		{"keycaps", "1\ufe0f\u20e3 #\ufe0f\u20e3 *\u20e3"},
		{"flag of a country", "\U0001F1EB\U0001F1F7"},
		{"flag of a region", scotland},
		{"emoji newer than the tables", "\U0001FAE9"},
		{"three marks", "Z\u0300\u0301\u0302"},
	}
	for _, tt := range whole {
		t.Run(tt.name, func(t *testing.T) {
			if got := Text(tt.in, 80); got != tt.in {
				t.Errorf("Text(%q): got %q, want it whole", tt.in, got)
			}
		})
	}

	changed := []struct{ name, in, want string }{
		{"controls", "a\x00b\x1b[31mc\x7fd\u009b", "ab[31mcd"},
		{"white space", "  a \n\t b\u00a0 c\u2003\u3000d\u0085e\r\n", "a b c d e"},
		{"line separators", "a\u2028b\u2029c", "a b c"},
		{"overrides", "evil\u202egnp.exe", "evilgnp.exe"},
		{"embeddings", "a\u202ab\u202bc\u202cd\u202de", "abcde"},
		{"isolates", "a\u2066b\u2067c\u2068d\u2069e", "abcde"},
		{"marks of direction", "a\u200eb\u200fc\u061cd", "abcd"},
		{"zero-width spaces", "cl\u200bau\ufeffde\u2060.ai\u180e\u00ad", "claude.ai"},
		{"invisible operators", "a\u2061b\u2062c\u2063d\u2064e", "abcde"},
		{"private use", "a\ue000b\U000f0000c\U0010fffdd", "abcd"},
		{"Hangul fillers", "a\u3164b\u115fc\u1160d\uffa0e", "abcde"},
		{"other blanks", "a\u2800b\u034fc\u17b4d\ufffce\U0001d159f", "abcdef"},
		{"interlinear notes", "a\ufff9b\ufffac\ufffbd", "abcd"},
		{"not characters", "a\ufffeb\ufdd0c\U0001ffffd", "abcd"},
		{"not assigned", "a\u0378b\U000e0fffc", "abc"},
		{"broken UTF-8", "a\xffb\xc3", "ab"},
		{"surrogates", "a\xed\xa0\x80b", "ab"},
		{"replacement character", "a\ufffdb", "ab"},
		{"nothing visible", "\u202e\u200b\x00 \u3164\u200d\ufe0f\u0301", ""},

		{"tower of marks", "Z\u0300\u0301\u0302\u0303\u0304!", "Z\u0300\u0301\u0302!"},
		{"tower of enclosing marks", "Z\u20dd\u20dd\u20dd\u20dd", "Z\u20dd\u20dd\u20dd"},
		{"row of spacing marks", "\u0915" + strings.Repeat("\u093e", 40), "\u0915" + strings.Repeat("\u093e", 15)},
		{"mark without a letter", "\u0301a \u0302b", "a b"},
		{"mark after what is removed", "a\u202e\u0301", "a\u0301"},

		{"ZWJ between letters", "clau\u200dde", "claude"},
		{"ZWNJ between letters", "clau\u200cde", "claude"},
		{"ZWNJ between letters that never join", "\u0627\u200c\u0644", "\u0627\u0644"},
		{"ZWNJ at the end", "\u0645\u06cc\u200c", "\u0645\u06cc"},
		{"ZWNJ at a space", "\u0645\u06cc\u200c \u062e", "\u0645\u06cc \u062e"},
		{"two ZWNJ", "\u0645\u06cc\u200c\u200c\u062e", "\u0645\u06cc\u200c\u062e"},
		{"two ZWJ", "\u0915\u094d\u200d\u200d\u0937", hindi},
		{"ZWJ after one emoji", "\U0001F468\u200dx", "\U0001F468x"},
		{"ZWJ at the end", "\U0001F468\u200d", "\U0001F468"},
		{"ZWJ before an emoji", "x\u200d\U0001F468", "x\U0001F468"},
		{"ZWJ around a space", "\U0001F468\u200d \u200d\U0001F468", "\U0001F468 \U0001F468"},
		{"emoji style on a letter", "a\ufe0fb", "ab"},
		{"emoji style on a digit", "1\ufe0f2", "12"},
		{"two emoji styles", "\u2764\ufe0f\ufe0f", "\u2764\ufe0f"},
		{"other selectors", "\u2764\ufe0e a\U000e0100 \u1820\u180b", "\u2764 a \u1820"},
		{"tags", "a\U000e0041\U000e0042\U000e007f", "a"},
		{"tags that are no flag", "\U0001F3F4\U000E0075\U000E0073\U000E007F", "\U0001F3F4"},
		{"flag with a tag too much", scotland + "\U000e0041", scotland},
	}
	for _, tt := range changed {
		t.Run(tt.name, func(t *testing.T) {
			if got := Text(tt.in, 80); got != tt.want {
				t.Errorf("Text(%q): got %q, want %q", tt.in, got, tt.want)
			}
		})
	}
}

func TestTextLimit(t *testing.T) {
	// A person sees each of these as one character.
	for _, c := range []string{
		"x", "\u00e9", "e\u0301", "\u754c", "\u1112\u1161\u11ab", "\ud55c\u11a8", "\u0e01\u0e33", hindi, sinhala[:len("\u0dc1\u0dca\u200d")],
		"\u0928\u093f", family, kiss, scotland, "\U0001F1EB\U0001F1F7", "\u2764\ufe0f", "1\ufe0f\u20e3", "\U0001F44D\U0001F3FD",
	} {
		if got, want := Text(strings.Repeat(c, 7), 7), strings.Repeat(c, 7); got != want {
			t.Errorf("seven of %q, at most 7: got %q", c, got)
		}
		want := strings.TrimRight(strings.Repeat(c, 6), "\u200d") + "\u2026"
		if got := Text(strings.Repeat(c, 8), 7); got != want {
			t.Errorf("eight of %q, at most 7: got %q, want %q", c, got, want)
		}
	}
	for _, tt := range []struct {
		in    string
		limit int
		want  string
	}{
		{"word word", 6, "word\u2026"},
		{"word  word", 9, "word word"},
		{"ab", 1, "\u2026"},
		{"a", 1, "a"},
		{"a", 0, ""},
		{"a", -1, ""},
		{persian, 3, "\u0645\u06cc\u2026"},
		{strings.Repeat("x", 10000), NoLimit, strings.Repeat("x", 10000)},
		{strings.Repeat("\u00e9", 10000), NoLimit, strings.Repeat("\u00e9", 10000)},
	} {
		if got := Text(tt.in, tt.limit); got != tt.want {
			t.Errorf("Text(%q, %d): got %q, want %q", tt.in, tt.limit, got, tt.want)
		}
	}
	// A character that never ends is cut off as well.
	for _, c := range []string{"\U0001F468\u200d", "\u0915\u094d", "\u0915\u093e\u0301", "\u1100"} {
		if got := Text("a"+strings.Repeat(c, 1000), 20); utf8.RuneCountInString(got) > 20*maxRunes || len(got) < 20 {
			t.Errorf("%q, endless: got %d bytes for 20 characters: %q", c, len(got), got)
		}
	}
}

func TestBounded(t *testing.T) {
	for _, tt := range []struct {
		in          string
		limit, size int
		want        string
	}{
		{"Claude", 40, 40, "Claude"},
		{"Claude", 4, 40, "Cla\u2026"},
		{"Claude", 40, 5, "Cl\u2026"},
		{family + family + family, 40, 30, family + "\u2026"},
		{family + family, 40, 5, "\u2026"},
		{"Claude", 40, 2, ""},
		{"Claude", 0, 0, ""},
	} {
		if got := Bounded(tt.in, tt.limit, tt.size); got != tt.want {
			t.Errorf("Bounded(%q, %d, %d): got %q, want %q", tt.in, tt.limit, tt.size, got, tt.want)
		}
	}
}

func TestTextAllocations(t *testing.T) {
	if n := testing.AllocsPerRun(100, func() { Text("Claude Code (claude-code/2.1)", 40) }); n != 0 {
		t.Errorf("Text of plain ASCII within the limit allocates %v times", n)
	}
}

func FuzzText(f *testing.F) {
	for _, s := range []string{
		"Claude", "  a \n\u2028b", "\x1b]0;title\x07", "evil\u202egnp.exe", "Z\u0300\u0301\u0302\u0303\u0304", "\xff\xed\xa0\x80",
		persian, hindi, sinhala, kannada, family, kiss, scotland, "1\ufe0f\u20e3\U0001F1EB\U0001F1F7\U0001F1EB",
		strings.Repeat("\U0001F468\u200d", 30), strings.Repeat("\u0915\u094d", 30), "\u3164\ue000\U000e0041\u2800",
		"\u0645\u200c\u0650\u062e", strings.Repeat("\u1100", 40),
	} {
		f.Add(s, 80)
		f.Add(s, 3)
	}
	f.Fuzz(func(t *testing.T, s string, limit int) {
		got := Text(s, limit)
		if !utf8.ValidString(got) {
			t.Errorf("Text(%q, %d): %q is not UTF-8", s, limit, got)
		}
		if again := Text(got, limit); again != got {
			t.Errorf("Text(%q, %d): got %q, and of that %q", s, limit, got, again)
		}
		if n := utf8.RuneCountInString(got); limit < 1000 && n > max(limit, 0)*(maxRunes+6) { // allows for the tags of a flag
			t.Errorf("Text(%q, %d): got %d runes", s, limit, n)
		}
		if got != strings.TrimSpace(got) || strings.Contains(got, "  ") {
			t.Errorf("Text(%q, %d): %q has blanks too many", s, limit, got)
		}
		marks := 0
		all := []rune(got)
		at := func(i int) rune {
			if i < 0 || i >= len(all) {
				return ' '
			}
			return all[i]
		}
		for i, r := range all {
			if marks++; !unicode.In(r, unicode.Mn, unicode.Me) || r == emojiStyle {
				marks = 0
			}
			switch {
			case marks > maxMarks:
				t.Errorf("Text(%q, %d): got %q with %d marks", s, limit, got, marks)
			case unicode.Is(unicode.M, r) && at(i-1) == ' ':
				t.Errorf("Text(%q, %d): got %q with a mark on nothing", s, limit, got)
			case r == zwj:
				if !unicode.Is(virama, at(i-1)) && !unicode.Is(pictographic, at(i+1)) {
					t.Errorf("Text(%q, %d): got %q with ZWJ out of context", s, limit, got)
				}
			case r == zwnj:
				if !unicode.Is(virama, at(i-1)) && !unicode.In(at(i+1), rightJoining, dualJoining) {
					t.Errorf("Text(%q, %d): got %q with ZWNJ out of context", s, limit, got)
				}
			case r == emojiStyle:
				if !unicode.Is(pictographic, at(i-1)) && at(i+1) != keycap {
					t.Errorf("Text(%q, %d): got %q with an emoji style out of context", s, limit, got)
				}
			case 0xe0020 <= r && r <= 0xe007f: // a tag of a flag
				if !strings.Contains(got, string(blackFlag)) {
					t.Errorf("Text(%q, %d): got %q with tags out of context", s, limit, got)
				}
			case r != ' ' && unicode.IsSpace(r), !unicode.IsPrint(r) && !unicode.Is(pictographic, r),
				unicode.In(r, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector), r == utf8.RuneError, r == blankDots:
				t.Errorf("Text(%q, %d): got %q, which holds %U", s, limit, got, r)
			}
		}
	})
}

func BenchmarkText(b *testing.B) {
	for name, s := range map[string]string{"plain": "Claude Code", "accent": "Caf\u00e9 Code", "emoji": "Ada " + family} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for range b.N {
				Text(s, 40)
			}
		})
	}
}
