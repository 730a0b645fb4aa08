package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"
)

// roleVariable names the role that a process of this program plays.
const roleVariable = "K2O_BENCH_ROLE"

var roles = map[string]func() error{"upstream": serveUpstream, "bare": serveBare}

// apiKey is the upstream's key.
const apiKey = "sk-bench-0123456789abcdef0123456789abcdef"

// Headers that tell the upstream what to do. They pass through every subject.
const (
	headerSize   = "Bench-Size"   // size of the answer, in bytes
	headerEvents = "Bench-Events" // events per second
)

// smallSize is the default size of an answer.
const smallSize = 300

// listenAndSay listens on a free port and prints it for the parent.
func listenAndSay() (net.Listener, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	_, err = fmt.Printf("ready local=http://%s\n", ln.Addr())
	return ln, err
}

// serveBare is the reference: a ReverseProxy that injects the key and does
// nothing else, with as many idle connections as there are clients.
func serveBare() error {
	target, err := url.Parse(os.Getenv("K2O_BENCH_UPSTREAM"))
	if err != nil {
		return err
	}
	ln, err := listenAndSay()
	if err != nil {
		return err
	}
	return http.Serve(ln, &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			r.Out.Header.Set("Authorization", "Bearer "+apiKey)
		},
		Transport: &http.Transport{
			MaxIdleConns: 0, MaxIdleConnsPerHost: 20_000, IdleConnTimeout: 90 * time.Second, DisableCompression: true,
		},
		BufferPool: new(bufferPool),
	})
}

// A bufferPool saves the bare proxy 32 kB of garbage per call.
type bufferPool struct{ p sync.Pool }

func (b *bufferPool) Get() []byte {
	if buf, ok := b.p.Get().(*[32 << 10]byte); ok {
		return buf[:]
	}
	return make([]byte, 32<<10)
}

func (b *bufferPool) Put(buf []byte) { b.p.Put((*[32 << 10]byte)(buf)) }

// serveUpstream is an upstream that costs as little as possible, to leave the
// cores to what is measured. It answers tools/call with a fixed text, and
// enough of the rest of MCP for trying a key.
func serveUpstream() error {
	ln, err := listenAndSay()
	if err != nil {
		return err
	}
	for {
		c, err := ln.Accept()
		if err != nil {
			return err
		}
		go func() {
			defer c.Close()
			u := &upstreamConn{c: c, in: bufio.NewReaderSize(c, 4<<10)}
			for u.serve() == nil {
			}
		}()
	}
}

// An upstreamConn is one connection to the upstream.
type upstreamConn struct {
	c      net.Conn
	in     *bufio.Reader
	post   bool
	key    bool
	length int64
	chunks bool
	size   int
	events string
}

// serve serves one request.
func (u *upstreamConn) serve() error {
	if err := u.readHead(); err != nil {
		return err
	}
	if !u.key {
		u.discard()
		return u.answer(http.StatusUnauthorized, "application/json", []byte(`{"error":"unauthorized"}`))
	}
	if !u.post {
		return u.stream()
	}
	peeked, _ := u.in.Peek(int(min(u.length, 200)))
	if u.chunks || bytes.Contains(peeked, []byte(`"tools/call"`)) {
		if err := u.discard(); err != nil {
			return err
		}
		_, err := u.c.Write(answerOf(u.size))
		return err
	}
	body := make([]byte, u.length)
	if _, err := io.ReadFull(u.in, body); err != nil {
		return err
	}
	return u.rpc(body)
}

func (u *upstreamConn) readHead() error {
	u.key, u.length, u.chunks, u.size, u.events = false, 0, false, smallSize, "0"
	line, err := u.in.ReadSlice('\n')
	if err != nil {
		return err
	}
	u.post = bytes.HasPrefix(line, []byte("POST "))
	for {
		line, err := u.in.ReadSlice('\n')
		if err != nil {
			return err
		}
		name, value, ok := bytes.Cut(bytes.TrimSpace(line), []byte(":"))
		if !ok {
			return nil // the blank line
		}
		value = bytes.TrimSpace(value)
		switch strings.ToLower(string(name)) {
		case "authorization":
			u.key = string(value) == "Bearer "+apiKey
		case "content-length":
			u.length, err = strconv.ParseInt(string(value), 10, 64)
		case "transfer-encoding":
			u.chunks = true
		case "bench-size":
			u.size, err = strconv.Atoi(string(value))
		case "bench-events":
			u.events = string(value)
		}
		if err != nil {
			return err
		}
	}
}

func (u *upstreamConn) discard() error {
	if u.chunks {
		_, err := io.Copy(io.Discard, httputil.NewChunkedReader(u.in))
		if err == nil {
			_, err = u.in.ReadSlice('\n') // after the last chunk
		}
		return err
	}
	_, err := io.CopyN(io.Discard, u.in, u.length)
	return err
}

var answers sync.Map // size -> []byte

// answerOf returns a whole answer of about that size.
func answerOf(size int) []byte {
	if b, ok := answers.Load(size); ok {
		return b.([]byte)
	}
	const head, tail = `{"jsonrpc":"2.0","id":7,"result":{"content":[{"type":"text","text":"`, `"}]}}`
	body := head + strings.Repeat("x", max(0, size-len(head)-len(tail))) + tail
	b := []byte("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: " + strconv.Itoa(len(body)) +
		"\r\nDate: Thu, 01 Jan 2026 00:00:00 GMT\r\n\r\n" + body)
	answers.Store(size, b)
	return b
}

func (u *upstreamConn) answer(status int, kind string, body []byte) error {
	_, err := fmt.Fprintf(u.c, "HTTP/1.1 %d %s\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n%s",
		status, http.StatusText(status), kind, len(body), body)
	return err
}

// rpc answers the requests of a key trial.
func (u *upstreamConn) rpc(body []byte) error {
	var in struct {
		ID     json.RawMessage
		Method string
	}
	if err := json.Unmarshal(body, &in); err != nil {
		return u.answer(http.StatusBadRequest, "text/plain", []byte("no JSON"))
	}
	var result string
	switch in.Method {
	case "initialize":
		result = `"result":{"protocolVersion":"2025-11-25","capabilities":{"tools":{}},"serverInfo":{"name":"bench","version":"1"}}`
	case "tools/list":
		result = `"result":{"tools":[{"name":"echo","inputSchema":{"type":"object"}}]}`
	default:
		result = `"error":{"code":-32601,"message":"unknown method"}`
	}
	if in.ID == nil {
		return u.answer(http.StatusAccepted, "text/plain", nil)
	}
	return u.answer(http.StatusOK, "application/json", fmt.Appendf(nil, `{"jsonrpc":"2.0","id":%s,%s}`, in.ID, result))
}

// errStream ends the connection of a finished stream.
var errStream = errors.New("the stream is over")

// stream sends events, each with its send time.
func (u *upstreamConn) stream() error {
	_, err := io.WriteString(u.c, "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
	if err != nil {
		return err
	}
	rate, err := strconv.Atoi(u.events)
	if err != nil {
		return err
	}
	if rate == 0 {
		io.Copy(io.Discard, u.in) // until the client disconnects
		return errStream
	}
	for {
		time.Sleep(time.Second / time.Duration(rate))
		event := fmt.Sprintf("id: 1\ndata: {\"jsonrpc\":\"2.0\",\"sent\":%d}\n\n", time.Now().UnixNano())
		if _, err := fmt.Fprintf(u.c, "%x\r\n%s\r\n", len(event), event); err != nil {
			return err
		}
	}
}
