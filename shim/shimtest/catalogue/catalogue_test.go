package catalogue

import "testing"

func TestCause(t *testing.T) {
	words, next := Cause("approve", "Claude")
	if other, _ := Cause("approve", "Cursor"); words == "" || next == "" || words == other {
		t.Errorf("got %q and %q", words, next)
	}
}
