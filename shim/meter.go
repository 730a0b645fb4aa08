package shim

import (
	"context"
	"encoding/json"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// A meter counts what goes through the public side in a month, since the
// services that carry it have limits by the month. It is saved now and then:
// a crash loses the last seconds.
type meter struct {
	requests, bytes atomic.Int64 // since the last save

	mu    sync.Mutex
	saved usage
	dirty bool // not saved yet
}

// usage is what was used in a month, as it is kept.
type usage struct {
	Month    string `json:"month"` // 2026-11, in UTC
	Requests int64  `json:"requests"`
	Bytes    int64  `json:"bytes"`
}

const (
	settingMeter = "public usage"
	meterEvery   = 30 * time.Second
)

// count counts requests. Bytes are counted where they are written.
func (m *meter) count(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		m.requests.Add(1)
		next.ServeHTTP(w, r)
	})
}

// add moves what was counted into the month of now.
func (m *meter) add(now time.Time) usage {
	m.mu.Lock()
	defer m.mu.Unlock()
	month := now.UTC().Format("2006-01")
	if m.saved.Month != month {
		m.dirty = m.dirty || m.saved.Month != ""
		m.saved = usage{Month: month}
	}
	requests, bytes := m.requests.Swap(0), m.bytes.Swap(0)
	m.dirty = m.dirty || requests > 0 || bytes > 0
	m.saved.Requests += requests
	m.saved.Bytes += bytes
	return m.saved
}

// take is add for who saves what it returns. It is not ok if that was saved
// before.
func (m *meter) take(now time.Time) (u usage, ok bool) {
	u = m.add(now)
	m.mu.Lock()
	defer m.mu.Unlock()
	ok, m.dirty = m.dirty, false
	return u, ok
}

// runMeter saves what the meter counts until ctx ends.
func (s *Shim) runMeter(ctx context.Context) {
	t := time.NewTicker(meterEvery)
	defer t.Stop()
	for {
		select {
		case <-t.C:
			s.saveMeter()
		case <-ctx.Done():
			s.saveMeter()
			return
		}
	}
}

func (s *Shim) loadMeter() {
	if b, ok := s.vault.Setting(settingMeter); ok {
		var u usage
		if json.Unmarshal(b, &u) == nil { // else it is counted anew
			s.meter.saved = u
		}
	}
}

func (s *Shim) saveMeter() {
	u, changed := s.meter.take(time.Now())
	if !changed {
		return
	}
	b, err := json.Marshal(u)
	if err == nil {
		err = s.vault.SetSetting(settingMeter, b)
	}
	if err != nil {
		s.log.Warn("the use of the tunnel was not saved", "err", err)
	}
	s.noticeUsage()
}
