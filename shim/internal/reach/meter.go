package reach

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// A Meter counts what goes through the public side in a month, since the
// services that carry it have monthly limits. It is saved now and then: a crash
// loses the last seconds.
type Meter struct {
	requests, bytes atomic.Int64 // since the last save

	// awaited says that the next request is news, and came is told of it, with its
	// Host. A self-test's own is none.
	awaited atomic.Bool
	came    func(host string)

	mu    sync.Mutex // its own, because every request may have to take it
	month usage
	dirty bool // not saved yet
}

// usage is what was used in a month, as it is kept.
type usage struct {
	Month    string `json:"month"` // 2026-11, in UTC
	Requests int64  `json:"requests"`
	Bytes    int64  `json:"bytes"`
}

// selfTests is where self-tests look.
const selfTests = "/.well-known/key2oauth/"

const (
	settingMeter = "public usage"
	meterEvery   = 30 * time.Second
)

// Count counts requests. Bytes are counted where they are written.
func (m *Meter) Count(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		m.requests.Add(1)
		if m.awaited.Load() && !strings.HasPrefix(r.URL.Path, selfTests) && m.awaited.CompareAndSwap(true, false) {
			go m.came(r.Host)
		}
		next.ServeHTTP(w, r)
	})
}

// Wrote counts bytes that were sent.
func (m *Meter) Wrote(n int) { m.bytes.Add(int64(n)) }

// add moves what was counted into the month of now, and returns that month.
func (m *Meter) add(now time.Time) usage {
	m.mu.Lock()
	defer m.mu.Unlock()
	month := now.UTC().Format("2006-01")
	if m.month.Month != month {
		m.dirty = m.dirty || m.month.Month != ""
		m.month = usage{Month: month}
	}
	requests, bytes := m.requests.Swap(0), m.bytes.Swap(0)
	m.dirty = m.dirty || requests > 0 || bytes > 0
	m.month.Requests += requests
	m.month.Bytes += bytes
	return m.month
}

// take is like add, for the saver. ok is false if nothing changed since the
// last take.
func (m *Meter) take(now time.Time) (u usage, ok bool) {
	u = m.add(now)
	m.mu.Lock()
	defer m.mu.Unlock()
	ok, m.dirty = m.dirty, false
	return u, ok
}

// runMeter saves what the meter counts until ctx ends.
func (r *Reach) runMeter(ctx context.Context) {
	t := time.NewTicker(meterEvery)
	defer t.Stop()
	for {
		select {
		case <-t.C:
			r.saveMeter()
		case <-ctx.Done():
			r.saveMeter()
			return
		}
	}
}

func (r *Reach) loadMeter() {
	if b, ok := r.c.Vault.Setting(settingMeter); ok {
		var u usage
		if json.Unmarshal(b, &u) == nil { // else the count begins at zero
			r.Meter.month = u
		}
	}
}

func (r *Reach) saveMeter() {
	u, changed := r.Meter.take(time.Now())
	if !changed {
		return
	}
	b, err := json.Marshal(u)
	if err == nil {
		err = r.c.Vault.SetSetting(settingMeter, b)
	}
	if err != nil {
		r.c.Log.Warn("the use of the tunnel was not saved", "err", err)
	}
	r.noticeUsage()
}
