package upstream

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"testing"
	"testing/iotest"
)

func newTape(t *testing.T, body io.Reader, length int64) (*tape, io.ReadCloser) {
	t.Helper()
	req, err := http.NewRequest("POST", "http://h/", io.NopCloser(body))
	if err != nil {
		t.Fatal(err)
	}
	req.ContentLength = length
	return record(req), req.Body
}

func TestTape(t *testing.T) {
	t.Run("again from the middle", func(t *testing.T) {
		tp, old := newTape(t, bytes.NewReader([]byte("hello world")), -1)
		io.ReadFull(old, make([]byte, 5))
		next, err := tp.again()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := old.Read(make([]byte, 1)); !errors.Is(err, errBodyMoved) {
			t.Errorf("the old reader gave %v, want %v", err, errBodyMoved)
		}
		old.Close() // late, as the transport does
		if b, err := io.ReadAll(next); string(b) != "hello world" || err != nil {
			t.Errorf("got %q, %v", b, err)
		}
	})
	t.Run("error of the source comes again", func(t *testing.T) {
		broken := errors.New("broken")
		tp, old := newTape(t, io.MultiReader(bytes.NewReader([]byte("ab")), iotest.ErrReader(broken)), -1)
		io.ReadAll(old)
		next, err := tp.again()
		if err != nil {
			t.Fatal(err)
		}
		if b, err := io.ReadAll(next); string(b) != "ab" || !errors.Is(err, broken) {
			t.Errorf("got %q, %v; want ab, %v", b, err, broken)
		}
	})
	t.Run("released", func(t *testing.T) {
		tp, body := newTape(t, bytes.NewReader([]byte("abcdef")), 6)
		io.ReadFull(body, make([]byte, 3))
		tp.release()
		if _, err := tp.again(); !errors.Is(err, errBodyGone) {
			t.Errorf("got %v, want %v", err, errBodyGone)
		}
		if b, err := io.ReadAll(body); string(b) != "def" || err != nil || tp.buf != nil {
			t.Errorf("the rest is %q, %v, with %d bytes kept; want def and none kept", b, err, len(tp.buf))
		}
	})
	t.Run("too long", func(t *testing.T) {
		tp, body := newTape(t, bytes.NewReader(make([]byte, maxRecord+1)), -1)
		io.Copy(io.Discard, body)
		if _, err := tp.again(); !errors.Is(err, errBodyGone) || tp.buf != nil {
			t.Errorf("got %v with %d bytes kept, want %v and none", err, len(tp.buf), errBodyGone)
		}
	})
	t.Run("no body", func(t *testing.T) {
		req, _ := http.NewRequest("GET", "http://h/", nil)
		if tp := record(req); tp != nil || req.Body != nil {
			t.Errorf("got %v, body %v; want neither", tp, req.Body)
		}
	})
}

// FuzzTape: a body that has to be sent again arrives complete, no matter how
// much of it was read before.
func FuzzTape(f *testing.F) {
	f.Add([]byte("hello"), uint16(2), uint16(4))
	f.Fuzz(func(t *testing.T, body []byte, first, second uint16) {
		tp, r := newTape(t, bytes.NewReader(body), -1)
		for _, n := range []uint16{first, second} {
			got, err := io.ReadAll(io.LimitReader(r, int64(n)))
			if err != nil || !bytes.HasPrefix(body, got) {
				t.Fatalf("got %q, %v of %q", got, err, body)
			}
			r.Close()
			if r, err = tp.again(); err != nil {
				t.Fatal(err)
			}
		}
		if got, err := io.ReadAll(r); !bytes.Equal(got, body) || err != nil {
			t.Errorf("got %q, %v; want %q", got, err, body)
		}
	})
}
