package upstream

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
)

// maxRecord is how much of a body is kept for a repetition.
const maxRecord = 1 << 20

var (
	errBodyGone  = errors.New("the request body is too long to be sent twice")
	errBodyMoved = errors.New("the request body is being sent elsewhere")
)

// A repeater gives a request's body again.
type repeater interface {
	again() (io.ReadCloser, error)
	release()
}

// A memory is a body that is at hand as a whole.
type memory []byte

func (m memory) again() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(m)), nil }

func (memory) release() {}

// A tape records a request body while it passes, so that it can be sent again
// when the upstream answers with a redirect, and reads the rest of it when the
// redirect came early. The body is never held back.
//
// The transport may go on reading after the response has come and closes the
// body when it is done with it, so a tape has one reader that counts, the
// newest, and closes its source as soon as nobody can need it any more.
type tape struct {
	mu    sync.Mutex // held while the source is read; one request only
	src   io.ReadCloser
	buf   []byte
	total int64 // read from src
	err   error // from src; io.EOF in the end

	current atomic.Pointer[tapeReader]
	final   atomic.Bool // no repetition will be asked for
	ended   atomic.Bool // src has given everything
	closed  atomic.Bool
	first   tapeReader
}

// Tapes are used again, by their length: each call would otherwise leave one
// behind.
var (
	shortTapes = sync.Pool{New: func() any { return new([64 << 10]byte) }}
	longTapes  = sync.Pool{New: func() any { return new([maxRecord]byte) }}
)

// blank returns an empty tape with room for n bytes, at most maxRecord.
func blank(n int) []byte {
	if n <= 64<<10 {
		return shortTapes.Get().(*[64 << 10]byte)[:0]
	}
	return longTapes.Get().(*[maxRecord]byte)[:0]
}

// reel takes back a tape that nobody will read.
func reel(buf []byte) {
	switch cap(buf) {
	case 64 << 10:
		shortTapes.Put((*[64 << 10]byte)(buf[:64<<10]))
	case maxRecord:
		longTapes.Put((*[maxRecord]byte)(buf[:maxRecord]))
	}
}

// record puts a tape into req's body. It returns nil if there is none.
func record(req *http.Request) *tape {
	if req.Body == nil || req.Body == http.NoBody {
		return nil
	}
	t := &tape{src: req.Body}
	if n := req.ContentLength; n > 0 {
		t.buf = blank(int(min(n, maxRecord)))
	}
	t.first.t = t
	t.current.Store(&t.first)
	req.Body = &t.first
	// The transport asks for the body anew when a connection that had been
	// idle turns out to be closed before anything was sent.
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
	// A reader that is in the middle of a read leaves what it gets on the
	// tape; this lock waits for it.
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.total > int64(len(t.buf)) {
		r.closed.Store(true) // nobody will
		return nil, errBodyGone
	}
	return r, nil
}

// release says that the request is over but for the transport's last reads:
// nothing more is recorded, and the source is closed when the reader is.
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
			reel(t.buf)
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
	// What was recorded is worth nothing once a part is missing.
	if keep := !t.final.Load() && t.total == int64(len(t.buf)) && t.total+int64(n) <= maxRecord; keep {
		t.buf = append(t.buf, p[:n]...)
	} else {
		reel(t.buf)
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

// Close ends this reader. The source stays open while a redirect may still
// ask for the rest of it.
func (r *tapeReader) Close() error {
	r.closed.Store(true)
	if t := r.t; t.final.Load() && t.current.Load() == r {
		t.closeSource()
	}
	return nil
}

// decode undoes a compression that nobody asked for: we send
// "Accept-Encoding: identity", yet some upstreams compress whatever comes.
func decode(resp *http.Response) {
	var open func(io.Reader) (io.ReadCloser, error)
	switch strings.ToLower(resp.Header.Get("Content-Encoding")) {
	case "gzip", "x-gzip":
		open = func(r io.Reader) (io.ReadCloser, error) { return gzip.NewReader(r) }
	case "deflate":
		open = zlib.NewReader // RFC 9110, Section 8.4.1.2
	default:
		return
	}
	if resp.Body == http.NoBody || resp.ContentLength == 0 {
		return
	}
	resp.Body = &decoder{src: resp.Body, open: open}
	resp.Header.Del("Content-Encoding")
	resp.Header.Del("Content-Length")
	resp.ContentLength, resp.Uncompressed = -1, true
}

// A decoder reads nothing before it is asked to: the header of a compressed
// event stream may come long after the response's.
type decoder struct {
	src  io.ReadCloser
	open func(io.Reader) (io.ReadCloser, error)
	r    io.ReadCloser
	err  error
}

func (d *decoder) Read(p []byte) (int, error) {
	if d.r == nil && d.err == nil {
		d.r, d.err = d.open(d.src)
	}
	if d.err != nil {
		return 0, d.err
	}
	return d.r.Read(p)
}

func (d *decoder) Close() error { return d.src.Close() }
