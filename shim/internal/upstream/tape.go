package upstream

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
)

// maxRecord is how much of a body is kept to be sent again.
const maxRecord = 1 << 20

var (
	errBodyGone  = errors.New("the request body is too long to be sent twice")
	errBodyMoved = errors.New("the request body is being sent again")
)

// A repeater returns a request's body again, from its beginning.
type repeater interface {
	again() (io.ReadCloser, error)
	release()
}

// A memory is a body that is in memory as a whole.
type memory []byte

func (m memory) again() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(m)), nil }

func (memory) release() {}

// A tape records a request body while it passes, to send it again when the
// upstream answers with a redirect. If the redirect came early, the tape reads
// the rest from its source. The body is never held back.
//
// The transport may keep reading after the response has come, and closes the
// body when it is done. So only the newest reader of a tape counts, and the
// source is closed as soon as no reader can need it.
type tape struct {
	mu    sync.Mutex // held while the source is read
	src   io.ReadCloser
	buf   []byte
	total int64 // read from src
	err   error // from src; io.EOF in the end

	current atomic.Pointer[tapeReader]
	final   atomic.Bool // the body will not be sent again
	ended   atomic.Bool // src was read to its end
	closed  atomic.Bool
	first   tapeReader
}

// Tapes are pooled by length; otherwise each call would leave one as garbage.
var (
	shortTapes = sync.Pool{New: func() any { return new([64 << 10]byte) }}
	longTapes  = sync.Pool{New: func() any { return new([maxRecord]byte) }}
)

// newRecord returns an empty record with room for n bytes, at most maxRecord.
func newRecord(n int) []byte {
	if n <= 64<<10 {
		return shortTapes.Get().(*[64 << 10]byte)[:0]
	}
	return longTapes.Get().(*[maxRecord]byte)[:0]
}

// freeRecord returns a record that will not be read again to its pool.
func freeRecord(buf []byte) {
	switch cap(buf) {
	case 64 << 10:
		shortTapes.Put((*[64 << 10]byte)(buf[:64<<10]))
	case maxRecord:
		longTapes.Put((*[maxRecord]byte)(buf[:maxRecord]))
	}
}

// record puts a tape in place of req's body. It returns nil if there is no body.
func record(req *http.Request) *tape {
	if req.Body == nil || req.Body == http.NoBody {
		return nil
	}
	t := &tape{src: req.Body}
	if n := req.ContentLength; n > 0 {
		t.buf = newRecord(int(min(n, maxRecord)))
	}
	t.first.t = t
	t.current.Store(&t.first)
	req.Body = &t.first
	// The transport asks for the body again when an idle connection turns out
	// to be closed before anything was sent.
	req.GetBody = t.again
	return t
}

// again returns the body from its beginning. Older readers end.
func (t *tape) again() (io.ReadCloser, error) {
	if t == nil {
		return http.NoBody, nil
	}
	if t.final.Load() {
		return nil, errBodyGone
	}
	r := &tapeReader{t: t}
	t.current.Store(r)
	// Wait for a reader that is in the middle of a read: it records what it gets.
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.total > int64(len(t.buf)) {
		r.closed.Store(true) // it is never returned
		return nil, errBodyGone
	}
	return r, nil
}

// release marks the request as over, except for the transport's last reads:
// recording stops, and the source is closed when the reader is.
func (t *tape) release() {
	if t == nil {
		return
	}
	t.final.Store(true)
	r := t.current.Load()
	if r.closed.Load() || t.ended.Load() {
		t.closeSource()
	}
	// Event streams stay open for hours, and their request with them.
	if t.mu.TryLock() {
		if r.off == t.total {
			freeRecord(t.buf)
			t.buf = nil
		}
		t.mu.Unlock()
	}
}

func (t *tape) closeSource() {
	if t.closed.CompareAndSwap(false, true) {
		t.src.Close()
	}
}

type tapeReader struct {
	t      *tape
	off    int64
	closed atomic.Bool
}

func (r *tapeReader) Read(p []byte) (int, error) {
	t := r.t
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case t.current.Load() != r:
		return 0, errBodyMoved
	case r.closed.Load():
		return 0, http.ErrBodyReadAfterClose
	case r.off < t.total:
		if int64(len(t.buf)) < t.total {
			return 0, errBodyGone
		}
		n := copy(p, t.buf[r.off:])
		r.off += int64(n)
		return n, nil
	case t.err != nil:
		return 0, t.err
	}
	n, err := t.src.Read(p)
	// A record with a part missing is useless.
	if keep := !t.final.Load() && t.total == int64(len(t.buf)) && t.total+int64(n) <= maxRecord; keep {
		t.buf = append(t.buf, p[:n]...)
	} else {
		freeRecord(t.buf)
		t.buf = nil
	}
	t.total += int64(n)
	r.off += int64(n)
	if err != nil {
		t.err = err
		t.ended.Store(true)
	}
	return n, err
}

// Close ends this reader. The source stays open while a redirect may still need
// the rest of it.
func (r *tapeReader) Close() error {
	r.closed.Store(true)
	if t := r.t; t.final.Load() && t.current.Load() == r {
		t.closeSource()
	}
	return nil
}
