package nanos

import (
	"testing"
	"time"
)

func TestRoundTrip(t *testing.T) {
	for _, want := range []time.Time{{}, time.Unix(0, 1), time.Date(2026, 11, 29, 12, 0, 0, 123456789, time.UTC)} {
		got := Time(Of(want))
		if !got.Equal(want) || got.IsZero() != want.IsZero() || got.Location() != time.UTC {
			t.Errorf("%v comes back as %v", want, got)
		}
	}
	if Of(time.Time{}) != 0 {
		t.Errorf("the zero time is %d", Of(time.Time{}))
	}
}
