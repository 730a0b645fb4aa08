package catalogue

import "testing"

func TestFits(t *testing.T) {
	for _, tt := range []struct {
		sentence, text string
		want           bool
	}{
		{"Only %d MB are free.", "Only 12 MB are free.", true},
		{"Only %d MB are free.", "Only MB are free.", false},
		{"Only %d MB are free.", "Only 12 MB are free!", false},
		{"%s uses %s.", "Claude uses Linear.", true},
		{"It is so.", "It is so.", true},
		{"It is so.", "It is so. Really.", false},
	} {
		if got := Fits(tt.sentence, tt.text); got != tt.want {
			t.Errorf("Fits(%q, %q) = %v, want %v", tt.sentence, tt.text, got, tt.want)
		}
	}
}

func TestCause(t *testing.T) {
	words, next := Cause("approve", "Claude")
	if other, _ := Cause("approve", "Cursor"); words == "" || next == "" || words == other {
		t.Errorf("got %q and %q", words, next)
	}
}
