package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http/httputil"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

var (
	concurrencies = []int{1, 16, 64}
	bodySizes     = []int{smallSize, 64 << 10, 4 << 20}
)

// A sample is one measurement of calls.
type sample struct {
	PerSecond float64 `json:"per_second"`
	P50       float64 `json:"p50_us"`
	P99       float64 `json:"p99_us"`
	CPU       float64 `json:"cpu_us"` // of the subject, per call
	Broken    float64 `json:"broken"` // calls whose connection was closed before the answer
}

// calls measures calls at each concurrency and size. Subjects alternate, so
// other load on the machine affects all of them.
func (b *bench) calls() error {
	subjects, err := b.subjects()
	if err != nil {
		return err
	}
	subjects = b.chosen(subjects)
	sizes := b.o.sizes
	if b.o.short {
		sizes = sizes[:1]
	}
	samples := make(map[callKey][]sample)
	for rep := range b.o.reps {
		for _, size := range sizes {
			for _, conns := range b.o.conns {
				for i := range subjects {
					s := subjects[(i+rep)%len(subjects)] // each subject is first sometimes
					got, err := b.load(s, conns, size)
					if err != nil {
						return fmt.Errorf("%s: %w", s.name, err)
					}
					k := callKey{s.name, size, conns}
					samples[k] = append(samples[k], got)
				}
			}
		}
		if err := b.ctx.Err(); err != nil {
			return err
		}
	}
	for _, s := range subjects {
		if s.name != "direct" {
			s.proc.stop()
		}
		for _, size := range sizes {
			for _, conns := range b.o.conns {
				b.r.addCalls(callKey{s.name, size, conns}, samples)
			}
		}
	}
	b.r.addGuard(samples)
	return nil
}

// chosen returns the selected subjects.
func (b *bench) chosen(all []*subject) []*subject {
	return slices.DeleteFunc(all, func(s *subject) bool { return s.name != "bare" && !b.chose(s.name) })
}

func (b *bench) chose(subject string) bool {
	return slices.Contains(strings.Split(b.o.subjects, ","), subject)
}

type callKey struct {
	subject string
	size    int
	conns   int
}

// load sends calls over a number of connections for a while. A call's body is
// as long as its answer.
func (b *bench) load(s *subject, conns, size int) (sample, error) {
	request := s.request(size)
	var clients []*client
	for range conns {
		c, err := dial(s.addr)
		if err != nil {
			return sample{}, err
		}
		defer c.Close()
		clients = append(clients, c)
	}
	var (
		all  sync.WaitGroup
		mu   sync.Mutex
		fail error
	)
	length := b.o.time
	if size >= 1<<20 {
		length *= 5 // many calls that share two cores take longer
	}
	warm := time.Now().Add(length / 5)
	end := warm.Add(length)
	for _, c := range clients {
		all.Go(func() {
			if err := c.run(request, warm, end); err != nil {
				mu.Lock()
				fail = err
				mu.Unlock()
			}
		})
	}
	time.Sleep(time.Until(warm))
	begin, before := time.Now(), s.proc.cpu()
	time.Sleep(time.Until(end))
	cpu, took := s.proc.cpu()-before, time.Since(begin)
	all.Wait()
	if fail != nil {
		return sample{}, fail
	}
	var times []time.Duration
	broken := 0
	for _, c := range clients {
		broken += c.broken
		times = append(times, c.times...)
	}
	if len(times) == 0 {
		return sample{}, fmt.Errorf("no call of %d bytes at %d connections was over within %s", size, conns, length)
	}
	slices.Sort(times)
	return sample{
		PerSecond: float64(len(times)) / took.Seconds(),
		P50:       micros(times[len(times)/2]),
		P99:       micros(times[len(times)*99/100]),
		CPU:       micros(cpu) / float64(len(times)),
		Broken:    float64(broken),
	}, nil
}

func micros(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }

// request is an MCP client's tool call.
func (s *subject) request(size int) []byte {
	const head, tail = `{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"echo","arguments":{"text":"`, `"}}}`
	body := head + strings.Repeat("x", max(0, size-len(head)-len(tail))) + tail
	return []byte("POST " + s.path + " HTTP/1.1\r\nHost: " + s.addr + "\r\nAuthorization: Bearer " + s.token + "\r\n" +
		"Content-Type: application/json\r\nAccept: application/json, text/event-stream\r\nUser-Agent: bench/1\r\n" +
		"Mcp-Protocol-Version: 2025-11-25\r\n" + headerSize + ": " + strconv.Itoa(size) + "\r\n" +
		"Content-Length: " + strconv.Itoa(len(body)) + "\r\n\r\n" + body)
}

// A client is one connection of a cheap HTTP client: net/http's would cost
// more than what is measured.
type client struct {
	net.Conn
	in    *bufio.Reader
	times []time.Duration

	broken int
}

func dial(addr string) (*client, error) {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		return nil, err
	}
	return &client{Conn: c, in: bufio.NewReaderSize(c, 4<<10)}, nil
}

func (c *client) dialAgain() error {
	again, err := dial(c.RemoteAddr().String())
	if err != nil {
		return err
	}
	c.Close()
	c.Conn, c.in = again.Conn, again.in
	return nil
}

// run sends calls one after the other until end, and records how long those
// that ended after warm took.
func (c *client) run(request []byte, warm, end time.Time) error {
	for begin := time.Now(); begin.Before(end); {
		switch err := c.call(request); {
		case errors.Is(err, io.EOF), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
			// ReverseProxy sometimes loses a call with a long body: see
			// README.md.
			c.broken++
			if err := c.dialAgain(); err != nil {
				return err
			}
			begin = time.Now()
			continue
		case err != nil:
			return err
		}
		now := time.Now()
		if now.After(warm) && now.Before(end) {
			c.times = append(c.times, now.Sub(begin))
		}
		begin = now
	}
	return nil
}

// call sends a request and reads the answer, which must be successful. A long
// request is sent while the answer is read, since the answer may start early.
func (c *client) call(request []byte) error {
	sent := make(chan error, 1)
	if len(request) > 32<<10 {
		go func() { _, err := c.Write(request); sent <- err }()
	} else {
		_, err := c.Write(request)
		sent <- err
	}
	length, err := c.head()
	if err == nil && length >= 0 {
		_, err = c.in.Discard(int(length))
	} else if err == nil {
		_, err = io.Copy(io.Discard, httputil.NewChunkedReader(c.in))
		if err == nil {
			_, err = c.in.ReadSlice('\n')
		}
	}
	if err != nil {
		return err
	}
	return <-sent
}

// head reads the head of an answer and returns the length of its body, -1 if
// it comes in chunks.
func (c *client) head() (length int64, err error) {
	line, err := c.in.ReadSlice('\n')
	if err != nil {
		return 0, err
	}
	if !bytes.HasPrefix(line, []byte("HTTP/1.1 200 ")) {
		return 0, fmt.Errorf("the answer is %q", bytes.TrimSpace(line))
	}
	for {
		line, err := c.in.ReadSlice('\n')
		if err != nil {
			return 0, err
		}
		if line = bytes.TrimSpace(line); len(line) == 0 {
			return length, nil
		}
		name, value, _ := bytes.Cut(line, []byte(":"))
		switch {
		case bytes.EqualFold(name, []byte("Content-Length")):
			if length, err = strconv.ParseInt(string(bytes.TrimSpace(value)), 10, 64); err != nil {
				return 0, err
			}
		case bytes.EqualFold(name, []byte("Transfer-Encoding")):
			length = -1
		}
	}
}
