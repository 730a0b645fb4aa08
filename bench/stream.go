package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/http/httputil"
	"os"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// A streamRow has a subject's measurements with event streams.
type streamRow struct {
	Subject  string          `json:"subject"`
	Delays   map[int]float64 `json:"delay_p50_us"`    // delay of an event, by number of streams
	Delays99 map[int]float64 `json:"delay_p99_us"`    //
	IdleKB   map[int]float64 `json:"idle_kb"`         // memory for each silent stream, by number of streams
	Busy     float64         `json:"events_s"`        // events received per second on 1,000 streams, of 20,000 sent
	BusyCPU  float64         `json:"cpu_us_by_event"` //
}

// streamRuns is how often each measurement of streams is repeated. Memory is
// measured once, since a process does not return all of it.
const streamRuns = 3

func (b *bench) streams() error {
	subjects, err := b.newSubjects("streams")
	if err != nil {
		return err
	}
	rows := make([]streamRow, len(subjects))
	for i, s := range subjects {
		rows[i] = streamRow{Subject: s.name, Delays: map[int]float64{}, Delays99: map[int]float64{}, IdleKB: map[int]float64{}}
	}
	for _, n := range concurrencies {
		p50, p99 := make([][]float64, len(subjects)), make([][]float64, len(subjects))
		for range streamRuns {
			for i, s := range subjects {
				d, err := b.delays(s, n)
				if err != nil {
					return fmt.Errorf("%s: %w", s.name, err)
				}
				p50[i] = append(p50[i], micros(d[len(d)/2]))
				p99[i] = append(p99[i], micros(d[len(d)*99/100]))
			}
		}
		for i := range subjects {
			rows[i].Delays[n], rows[i].Delays99[n] = median(p50[i]), median(p99[i])
		}
	}
	for i, s := range subjects {
		for _, n := range []int{1000, mostStreams()} {
			kb, err := b.idleStreams(s, n)
			if err != nil {
				return fmt.Errorf("%s: %w", s.name, err)
			}
			rows[i].IdleKB[n] = kb
		}
	}
	busy, cpu := make([][]float64, len(subjects)), make([][]float64, len(subjects))
	for range streamRuns {
		for i, s := range subjects {
			perSecond, each, err := b.busyStreams(s, 1000)
			if err != nil {
				return fmt.Errorf("%s: %w", s.name, err)
			}
			busy[i], cpu[i] = append(busy[i], perSecond), append(cpu[i], each)
		}
	}
	for i, s := range subjects {
		rows[i].Busy, rows[i].BusyCPU = median(busy[i]), median(cpu[i])
		if s.name != "direct" {
			s.proc.stop()
		}
	}
	b.r.Streams = rows
	return nil
}

// mostStreams is 10,000, or as many as a proxy can have two connections for.
func mostStreams() int {
	return int(min(10_000, (fileLimit()-100)/2))
}

// openStreams opens streams whose upstream sends that many events per second.
func openStreams(s *subject, n int, events string) (streams []*client, err error) {
	request := []byte("GET " + s.path + " HTTP/1.1\r\nHost: " + s.addr + "\r\nAuthorization: Bearer " + s.token + "\r\n" +
		"Accept: text/event-stream\r\n" + headerEvents + ": " + events + "\r\n\r\n")
	streams = make([]*client, n)
	fails := make(chan error, openers)
	for first := range openers {
		go func() {
			var err error
			for i := first; i < n && err == nil; i += openers {
				streams[i], err = openStream(s, request)
			}
			fails <- err
		}()
	}
	for range openers {
		err = errors.Join(err, <-fails)
	}
	if err != nil {
		closeAll(streams)
	}
	return streams, err
}

// openers is how many streams are opened concurrently.
const openers = 16

func openStream(s *subject, request []byte) (*client, error) {
	conn, err := net.Dial("tcp", s.addr)
	if err != nil {
		return nil, err
	}
	c := &client{Conn: conn, in: bufio.NewReaderSize(conn, 1<<10)}
	if _, err := c.Write(request); err != nil {
		return c, err
	}
	if length, err := c.head(); err != nil || length >= 0 {
		return c, fmt.Errorf("no stream: length %d, %v", length, err)
	}
	return c, nil
}

func closeAll(streams []*client) {
	for _, c := range streams {
		if c != nil {
			c.Close()
		}
	}
}

// delays returns the delays of events, shortest first.
func (b *bench) delays(s *subject, n int) ([]time.Duration, error) {
	streams, err := openStreams(s, n, "50")
	if err != nil {
		return nil, err
	}
	var (
		mu  sync.Mutex
		all []time.Duration
		run sync.WaitGroup
	)
	for _, c := range streams {
		run.Go(func() {
			lines := bufio.NewReaderSize(httputil.NewChunkedReader(c.in), 1<<10)
			for {
				line, err := lines.ReadSlice('\n')
				if err != nil {
					return // closed below
				}
				_, rest, ok := bytes.Cut(line, []byte(`"sent":`))
				if !ok {
					continue
				}
				sent, _ := strconv.ParseInt(string(bytes.TrimRight(rest, "}\n")), 10, 64)
				d := time.Duration(time.Now().UnixNano() - sent)
				mu.Lock()
				all = append(all, d)
				mu.Unlock()
			}
		})
	}
	time.Sleep(2 * b.o.time)
	closeAll(streams)
	run.Wait()
	if len(all) == 0 {
		return nil, fmt.Errorf("no event came on %d streams", n)
	}
	slices.Sort(all)
	return all, nil
}

// idleStreams returns the memory of a silent stream, in kB.
func (b *bench) idleStreams(s *subject, n int) (float64, error) {
	time.Sleep(time.Second)
	before, _ := s.proc.memory()
	streams, err := openStreams(s, n, "0")
	if err != nil {
		return 0, err
	}
	defer closeAll(streams)
	time.Sleep(3 * time.Second)
	after, _ := s.proc.memory()
	return float64(after-before) / float64(n), nil
}

// busyStreams returns how many events per second arrive, of twenty sent on
// each stream, and the cost of each.
func (b *bench) busyStreams(s *subject, n int) (perSecond, cpu float64, err error) {
	streams, err := openStreams(s, n, "20")
	if err != nil {
		return 0, 0, err
	}
	var (
		count atomic.Int64
		run   sync.WaitGroup
	)
	for _, c := range streams {
		run.Go(func() {
			buf := make([]byte, 4<<10)
			body := httputil.NewChunkedReader(c.in)
			for {
				k, err := body.Read(buf)
				count.Add(int64(bytes.Count(buf[:k], []byte("id: 1\n"))))
				if err != nil {
					return
				}
			}
		})
	}
	time.Sleep(b.o.time)
	begin, events, before := time.Now(), count.Load(), s.proc.cpu()
	time.Sleep(2 * b.o.time)
	got, spent, took := count.Load()-events, s.proc.cpu()-before, time.Since(begin)
	closeAll(streams)
	run.Wait()
	if got == 0 {
		return 0, 0, fmt.Errorf("no event came on %d streams", n)
	}
	return float64(got) / took.Seconds(), micros(spent) / float64(got), nil
}

// newSubjects starts everything again, in its own folders, for the memory of a
// process that has served nothing yet.
func (b *bench) newSubjects(folder string) ([]*subject, error) {
	dir := b.dir
	b.dir += "/" + folder
	defer func() { b.dir = dir }()
	if err := os.Mkdir(b.dir, 0o700); err != nil {
		return nil, err
	}
	return b.subjects()
}
