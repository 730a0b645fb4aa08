package main

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/key2oauth/key2oauth/shim/shimtest"
	"github.com/key2oauth/key2oauth/shim/shimtest/fill"
)

// A sizeRow is the cost of the idle program.
type sizeRow struct {
	BinaryMB float64       `json:"binary_mb"`
	ReadyMS  float64       `json:"ready_ms"` // from the start of the process to its ready line
	Resident []residentRow `json:"resident"`
}

// A residentRow is the memory of an idle program.
type residentRow struct {
	With   string  `json:"with"`
	MB     float64 `json:"mb"`
	AnonMB float64 `json:"anon_mb"` // the part that is not mapped from files
}

// startRuns is how often a start is repeated.
const startRuns = 7

func (b *bench) size() error {
	ready, p, err := b.starts(filepath.Join(b.dir, "size"))
	if err != nil {
		return err
	}
	p.stop()
	b.r.Size.ReadyMS = ready
	for _, f := range []form{
		{name: "serve"}, {"tray", true, false}, {"serve and tunnel", false, true}, {"tray and tunnel", true, true},
	} {
		p, end, err := b.startForm(filepath.Join(b.dir, "size-"+f.name), f)
		if err != nil {
			return fmt.Errorf("%s: %w", f.name, err)
		}
		time.Sleep(10 * time.Second)
		all, anon := p.memory()
		end()
		b.r.Size.Resident = append(b.r.Size.Resident, residentRow{f.name, float64(all) / 1e3, float64(anon) / 1e3})
	}
	return nil
}

// starts returns how long a start takes, in ms, and the last one's process.
func (b *bench) starts(dir string) (float64, *process, error) {
	var (
		times []float64
		last  *process
	)
	for range startRuns {
		if last != nil {
			last.stop()
		}
		p, err := b.startOurs(dir)
		if err != nil {
			return 0, nil, err
		}
		last = p
		times = append(times, millis(p.ready))
	}
	return median(times), last, nil
}

func millis(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// login measures the program's part of a login: from the browser's first
// request to the first token, with the form answered immediately.
func (b *bench) login() error {
	p, err := b.startOurs(filepath.Join(b.dir, "login"))
	if err != nil {
		return err
	}
	defer p.stop()
	_, mcp, err := p.addEndpoint("Login", b.upstream.origin+"/mcp")
	if err != nil {
		return err
	}
	var times []float64
	for range 10 {
		took, err := timedLogin(p.origin, mcp)
		if err != nil {
			return err
		}
		times = append(times, millis(took))
	}
	b.r.LoginMS = median(times)
	return nil
}

func timedLogin(origin, resource string) (took time.Duration, err error) {
	t := new(asTest)
	defer t.catch(&err)
	c := shimtest.NewOAuthClient(t, origin, "http://127.0.0.1:9/callback")
	c.Resource = resource
	browser := shimtest.NewBrowser(t, origin)
	begin := time.Now()
	c.Connect(browser, apiKey)
	return time.Since(begin), nil
}

// A scaleRow is the cost at one size of the state.
type scaleRow struct {
	Of        string  `json:"of"`
	N         int     `json:"n"`
	ReadyMS   float64 `json:"ready_ms"`
	MemoryMB  float64 `json:"memory_mb"`  // resident, two seconds after the start
	CallUS    float64 `json:"call_us"`    // p50 of a call of 300 bytes on one connection
	CallCPU   float64 `json:"call_cpu"`   // µs
	RefreshMS float64 `json:"refresh_ms"` // p50
	SyncMS    float64 `json:"sync_ms"`    // p50 of the two writes that a refresh waits for
	FileMB    float64 `json:"file_mb"`    // of the state file
}

func (b *bench) grants() error {
	for _, n := range []int{1, 1000, 100_000} {
		dir := filepath.Join(b.dir, fmt.Sprintf("grants-%d", n))
		err := b.scale("grants", n, dir, func(p *process) error {
			p.stop()
			return b.fillGrants(dir, n)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// fillGrants fills a data folder in memory, where transactions do not wait,
// and copies it back.
func (b *bench) fillGrants(dir string, n int) error {
	memory, err := os.MkdirTemp("/dev/shm", "k2o-bench-")
	if err != nil {
		if memory, err = os.MkdirTemp("", "k2o-bench-"); err != nil {
			return err
		}
	}
	defer os.RemoveAll(memory)
	work := filepath.Join(memory, "data")
	if err := os.CopyFS(work, os.DirFS(dir)); err != nil {
		return err
	}
	if err := fill.Grants(work, n); err != nil {
		return err
	}
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	if err := os.CopyFS(dir, os.DirFS(work)); err != nil {
		return err
	}
	return exec.Command("chmod", "-R", "go=", dir).Run() // CopyFS adds permissions up to the umask
}

func (b *bench) endpoints() error {
	for _, n := range []int{1, 1000} {
		dir := filepath.Join(b.dir, fmt.Sprintf("endpoints-%d", n))
		err := b.scale("endpoints", n, dir, func(p *process) error {
			defer p.stop()
			for i := range n - 1 {
				if _, _, err := p.addEndpoint(fmt.Sprintf("Server %d", i), b.upstream.origin+"/mcp"); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// scale measures a state after grow has enlarged it and stopped the program.
func (b *bench) scale(of string, n int, dir string, grow func(*process) error) error {
	p, err := b.startOurs(dir)
	if err != nil {
		return err
	}
	_, mcp, err := p.addEndpoint("Scale", b.upstream.origin+"/mcp")
	if err != nil {
		return err
	}
	if _, err := connect(p.origin, mcp); err != nil {
		return err
	}
	if err := grow(p); err != nil {
		return err
	}
	row := scaleRow{Of: of, N: n}
	if row.ReadyMS, p, err = b.starts(dir); err != nil {
		return err
	}
	defer p.stop()
	time.Sleep(2 * time.Second)
	all, _ := p.memory()
	row.MemoryMB = float64(all) / 1e3

	// The port has changed, and with it the issuer, so log in again.
	_, path, _ := strings.Cut(strings.TrimPrefix(mcp, "http://"), "/")
	c, err := connect(p.origin, p.origin+"/"+path)
	if err != nil {
		return err
	}
	s := &subject{name: "key2oauth", addr: p.addr(), path: "/" + path, token: c.Access, proc: p}
	var calls, cpu []float64
	for range 5 {
		got, err := b.load(s, 1, smallSize)
		if err != nil {
			return err
		}
		calls, cpu = append(calls, got.P50), append(cpu, got.CPU)
	}
	row.CallUS, row.CallCPU = median(calls), median(cpu)
	if row.RefreshMS, row.SyncMS, err = refreshes(c, dir); err != nil {
		return err
	}
	if info, err := os.Stat(filepath.Join(dir, "state.db")); err == nil {
		row.FileMB = float64(info.Size()) / 1e6
	}
	b.r.Scale = append(b.r.Scale, row)
	return nil
}

// refreshes measures refreshes, each next to two synced writes, which are what
// a transaction of the state file consists of.
func refreshes(c *shimtest.OAuthClient, dir string) (refresh, sync float64, err error) {
	t := new(asTest)
	defer t.catch(&err)
	f, err := os.Create(filepath.Join(dir, "bench.sync"))
	if err != nil {
		return 0, 0, err
	}
	defer os.Remove(f.Name())
	defer f.Close()
	page := make([]byte, 4<<10)
	var took, synced []float64
	for range 40 {
		begin := time.Now()
		if status, body := c.DoRefresh(c.Refresh); status != http.StatusOK {
			return 0, 0, fmt.Errorf("a refresh was answered with %d %v", status, body)
		}
		took = append(took, millis(time.Since(begin)))
		begin = time.Now()
		for i := range 2 {
			for j := range 6 {
				if _, err := f.WriteAt(page, int64((i*6+j)*len(page))); err != nil {
					return 0, 0, err
				}
			}
			if err := f.Sync(); err != nil {
				return 0, 0, err
			}
		}
		synced = append(synced, millis(time.Since(begin)))
	}
	return median(took), median(synced), nil
}

// An idleRow is the cost of a minute in which nothing happens.
type idleRow struct {
	Seconds float64 `json:"seconds"`
	CPU     float64 `json:"cpu_percent"`
	With    string  `json:"with"`
}

// idle observes the program for a minute, with an icon, an open tunnel, one
// client logged in, one of its streams open, and a dashboard that listens for
// changes.
func (b *bench) idle() error {
	p, end, err := b.startForm(filepath.Join(b.dir, "idle"), form{"tray and tunnel", true, true})
	if err != nil {
		return err
	}
	defer end()
	s, err := b.signIn(p, "Idle")
	if err != nil {
		return err
	}
	streams, err := openStreams(s, 1, "0")
	if err != nil {
		return err
	}
	defer closeAll(streams)
	token, err := os.ReadFile(filepath.Join(p.dataDir(), "admin-token"))
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(b.ctx, http.MethodGet, p.origin+"/api/events", nil)
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+strings.TrimSpace(string(token)))
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if _, err := bufio.NewReader(resp.Body).ReadString('\n'); err != nil {
		return err
	}
	go io.Copy(io.Discard, resp.Body)
	time.Sleep(15 * time.Second)
	begin, before := time.Now(), p.cpu()
	time.Sleep(time.Minute)
	took, spent := time.Since(begin), p.cpu()-before
	b.r.Idle = &idleRow{Seconds: took.Seconds(), CPU: 100 * spent.Seconds() / took.Seconds(), With: "tray, tunnel, dashboard, one client with a stream"}
	return nil
}
