package e2e

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/key2oauth/key2oauth/e2e/testenv"
	"github.com/key2oauth/key2oauth/shim/shimtest"
	"github.com/key2oauth/key2oauth/tunnel/tunneltest"
)

// fromHeader tells the tunnels of these tests the address that a request comes
// from. The tunnels remove it.
const fromHeader = "Test-From"

func takeFrom(r *http.Request) string {
	defer r.Header.Del(fromHeader)
	return r.Header.Get(fromHeader)
}

// fromAddr sends all requests from one address.
type fromAddr struct {
	addr string
	base http.RoundTripper
}

func (f fromAddr) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set(fromHeader, f.addr)
	return f.base.RoundTrip(r)
}

// TestStrangersThroughTunnel floods the public side from the whole world. The
// flood may cost only bounded memory and disk. It must not disturb a signed-in
// client, even one that shares an address with the flood.
func TestStrangersThroughTunnel(t *testing.T) {
	testenv.Slow(t)
	t.Parallel()
	w := newWorld(t, tunneltest.Config{ClientAddr: takeFrom})
	a := startIn(t, w)
	a.waitOnline()
	up := shimtest.NewUpstream(t, shimtest.Options{Stateless: true, JSON: true})
	u := signedIn(t, a, a.url(a.addEndpoint("Linear", up.URL, "")), up.Key())
	const home = "198.51.100.9"
	u.http = &http.Client{Transport: fromAddr{home, w.Client(true).Transport}}
	f := &horde{t: t, w: w, endpoint: u.Resource, home: home, client: u.ID}

	calm := median(u, 100)
	// Bounded storage is full after the first flood.
	f.send(8000)
	disk := settle(t, a).Size
	full := residentKB(t, a)
	f.send(16_000)
	moreDisk := settle(t, a).Size
	more := residentKB(t, a)
	t.Logf("resident after 8,000 requests of strangers %d kB, after 24,000 %d kB; data folder %d and %d bytes", full, more, disk, moreDisk)
	if more > full+48<<10 {
		t.Errorf("16,000 more requests of strangers took %d kB more", more-full)
	}
	// The program saves its meter every now and then.
	if moreDisk > disk+64<<10 {
		t.Errorf("the data folder grew from %d to %d bytes", disk, moreDisk)
	}

	stop := f.start()
	busy := median(u, 300)
	flooded := stop()
	t.Logf("a call takes %v in calm and %v in a flood of %d requests a second (%v)", calm, busy, flooded, f.answers())
	if busy > 20*calm+100*time.Millisecond {
		t.Errorf("a call takes %v in a flood, %v without", busy, calm)
	}
	for _, status := range []int{http.StatusTooManyRequests, http.StatusUnauthorized, http.StatusCreated, http.StatusOK} {
		if f.count[status].Load() == 0 {
			t.Errorf("no stranger was answered %d, so the flood was another", status)
		}
	}

	for range 100 { // from the client's address
		f.one(home, 0)
		f.one(home, 1)
	}
	if got := f.one(home, 0); got != http.StatusTooManyRequests {
		t.Errorf("a flooding address that registers = %d, want 429", got)
	}
	u.mustCall("from a flooding address")
	form := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {u.Refresh}, "client_id": {u.ID}}
	resp, err := u.http.PostForm(publicOrigin+"/token", form)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Errorf("a refresh from a flooding address = %d, want 200", resp.StatusCode)
	}
	if n := len(a.grants()); n != 1 {
		t.Errorf("there are %d grants, want 1", n)
	}
}

// median is the median duration of n calls. All must work.
func median(u *user, n int) time.Duration {
	u.t.Helper()
	took := make([]time.Duration, n)
	for i := range took {
		begin := time.Now()
		u.mustCall("among strangers")
		took[i] = time.Since(begin)
	}
	slices.Sort(took)
	return took[n/2].Round(10 * time.Microsecond)
}

// A horde is many strangers.
type horde struct {
	t        testing.TB
	w        *world
	endpoint string
	home     string
	client   string // another client's id
	count    [600]atomic.Int64
	once     sync.Once
	http     *http.Client
}

// send sends n requests, 16 at a time, from as many addresses.
func (f *horde) send(n int) {
	var left atomic.Int64
	left.Store(int64(n))
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			for left.Add(-1) >= 0 {
				f.one(f.addr(), rand.N(5))
			}
		})
	}
	wg.Wait()
}

// start sends until stop is called. stop returns the requests per second.
func (f *horde) start() (stop func() int) {
	var over atomic.Bool
	var n atomic.Int64
	var wg sync.WaitGroup
	begin := time.Now()
	for range 8 {
		wg.Go(func() {
			for !over.Load() {
				f.one(f.addr(), rand.N(5))
				n.Add(1)
			}
		})
	}
	return func() int {
		over.Store(true)
		wg.Wait()
		return int(float64(n.Load()) / time.Since(begin).Seconds())
	}
}

// addr is a random address: one of a few that send a lot, or one of millions.
func (f *horde) addr() string {
	if rand.N(4) == 0 {
		return fmt.Sprintf("203.0.113.%d", rand.N(4))
	}
	return fmt.Sprintf("%d.%d.%d.%d", 11+rand.N(100), rand.N(256), rand.N(256), rand.N(256))
}

// one sends a request of one kind, and returns the status.
func (f *horde) one(from string, kind int) int {
	f.once.Do(func() { f.http = f.w.Client(true); f.http.CheckRedirect = noRedirect })
	method, target, body, contentType := "POST", publicOrigin, "", "application/json"
	switch kind {
	case 0:
		target += "/register"
		body = fmt.Sprintf(`{"client_name":"Stranger %d %s","redirect_uris":["https://stranger.example/%d"],"token_endpoint_auth_method":"none"}`, rand.Uint64(), strings.Repeat("x", 200), rand.Uint64())
	case 1:
		method = "GET"
		v := url.Values{
			"response_type": {"code"}, "client_id": {f.client}, "redirect_uri": {"http://127.0.0.1:1/callback"},
			"state": {fmt.Sprint(rand.Uint64())}, "code_challenge_method": {"S256"},
			"code_challenge": {"E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"}, "resource": {f.endpoint},
		}
		target += "/authorize?" + v.Encode()
	case 2:
		target += "/token"
		contentType = "application/x-www-form-urlencoded"
		body = url.Values{"grant_type": {"refresh_token"}, "refresh_token": {fmt.Sprintf("k2o_rt_%x", rand.Uint64())}, "client_id": {f.client}}.Encode()
	case 3:
		target = f.endpoint
		body = ping
	case 4:
		target = f.endpoint
		body = strings.Repeat("x", 10_000)
	}
	req, err := http.NewRequest(method, target, bytes.NewReader([]byte(body)))
	if err != nil {
		f.t.Error(err)
		return 0
	}
	req.Header.Set("Content-Type", contentType)
	req.Header.Set(fromHeader, from)
	if kind == 3 {
		req.Header.Set("Authorization", fmt.Sprintf("Bearer k2o_at_%x", rand.Uint64()))
	}
	resp, err := f.http.Do(req)
	if err != nil {
		f.t.Error(err)
		return 0
	}
	defer resp.Body.Close()
	io.Copy(io.Discard, resp.Body)
	f.count[resp.StatusCode].Add(1)
	return resp.StatusCode
}

func noRedirect(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// answers lists how many responses had each status.
func (f *horde) answers() string {
	var all []string
	for status := range f.count {
		if n := f.count[status].Load(); n > 0 {
			all = append(all, fmt.Sprintf("%d: %d", status, n))
		}
	}
	return strings.Join(all, ", ")
}

var resident = regexp.MustCompile(`(?m)^VmRSS:\s+(\d+) kB$`)

// residentKB is the memory of the program, or 0 where the system does not
// report it.
func residentKB(t testing.TB, a *app) int {
	t.Helper()
	if runtime.GOOS != "linux" {
		return 0
	}
	m := resident.FindStringSubmatch(readFile(t, fmt.Sprintf("/proc/%d/status", a.cmd.Process.Pid)))
	if m == nil {
		t.Fatal("the system does not say how much memory the program takes")
	}
	n, err := strconv.Atoi(m[1])
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// A folder is the content of the data folder, less the log, which grows at the
// level of these tests and is bounded by itself.
type folder struct {
	Size   int
	Digest [32]byte
}

// settle waits until delayed writes are done, and returns the content then. As
// long as there is something to write, writes are a second apart.
func settle(t *testing.T, a *app) folder {
	t.Helper()
	look := func() (f folder) {
		names, err := filepath.Glob(filepath.Join(a.dir, "*"))
		if err != nil {
			t.Fatal(err)
		}
		h := sha256.New()
		for _, name := range names {
			if strings.HasPrefix(filepath.Base(name), "key2oauth.log") {
				continue
			}
			text := readFile(t, name)
			f.Size += len(text)
			fmt.Fprintln(h, name, len(text))
			io.WriteString(h, text)
		}
		h.Sum(f.Digest[:0])
		return f
	}
	f, since := look(), time.Now()
	for deadline := time.Now().Add(patience); time.Since(since) < 3*time.Second; time.Sleep(100 * time.Millisecond) {
		if now := look(); now != f {
			f, since = now, time.Now()
		}
		if time.Now().After(deadline) {
			t.Fatal("the data folder does not come to rest")
		}
	}
	return f
}
