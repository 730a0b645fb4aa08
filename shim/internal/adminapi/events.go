package adminapi

import (
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/key2oauth/key2oauth/shim/api"
	"github.com/key2oauth/key2oauth/shim/internal/activity"
	"github.com/key2oauth/key2oauth/shim/internal/httpx"
)

// events streams the status, now and after each change, and each call as it
// ends.
func (a *API) events(w http.ResponseWriter, r *http.Request) error {
	const atMostEvery = 200 * time.Millisecond
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	c := http.NewResponseController(w)
	send := func(event string) bool {
		_, err := io.WriteString(w, event)
		return err == nil && c.Flush() == nil
	}
	alive := time.NewTicker(20 * time.Second)
	defer alive.Stop()
	changed, more := a.cfg.Changes.Wait()
	calls := a.cfg.Activity.End()
	for fresh := true; ; {
		if fresh {
			id := a.cfg.Changes.ID()
			b, err := json.Marshal(a.cfg.Status())
			if err != nil {
				return err
			}
			if !send("event: status\nid: "+id+"\ndata: "+string(b)+"\n\n") || !more {
				return nil
			}
		}
		var called <-chan struct{}
		var ok bool
		if calls, called, ok = a.sendCalls(calls, send); !ok {
			return nil
		}
		select {
		case <-called:
			time.Sleep(atMostEvery)
			fresh = false
		case <-changed:
			// Several changes at once count as one. The next wait covers
			// everything from here on.
			time.Sleep(atMostEvery)
			changed, more = a.cfg.Changes.Wait()
			fresh = true
		case <-alive.C:
			fresh = false
			if !send(":\n\n") {
				return nil
			}
		case <-r.Context().Done():
			return nil
		}
	}
}

// How many calls the API lists by default, and at most.
const (
	defaultCalls = 100
	maxCalls     = 1000
)

func (a *API) activity(w http.ResponseWriter, r *http.Request) error {
	in := r.URL.Query()
	q := activity.Query{Slug: in.Get("slug"), Grant: in.Get("grant"), Limit: defaultCalls}
	if v := in.Get("limit"); v != "" {
		n, err := strconv.Atoi(v)
		if err != nil || n < 1 || n > maxCalls {
			return httpx.New(http.StatusBadRequest, "limit must be a number from 1 to "+strconv.Itoa(maxCalls)+"; use before to get older calls")
		}
		q.Limit = n
	}
	if v := in.Get("before"); v != "" {
		t, err := time.Parse(time.RFC3339Nano, v)
		if err != nil {
			return httpx.New(http.StatusBadRequest, "before must be a time, such as 2026-01-31T12:00:00Z")
		}
		q.Before = t
	}
	calls, _ := a.cfg.Activity.Query(q)
	all := make([]api.Call, 0, len(calls))
	for _, c := range calls {
		all = append(all, api.Call(c))
	}
	return httpx.WriteJSON(w, http.StatusOK, api.Activity{Activity: all})
}

// sendCalls sends the calls since end as events. It returns the new end, and a
// channel that is closed when there are more.
func (a *API) sendCalls(end uint64, send func(event string) bool) (next uint64, more <-chan struct{}, ok bool) {
	calls, next, more := a.cfg.Activity.Since(end)
	if len(calls) == 0 {
		return next, more, true
	}
	var b strings.Builder
	for _, c := range calls {
		object, err := json.Marshal(api.Call(c))
		if err != nil {
			return next, more, false
		}
		b.WriteString("event: activity\ndata: ")
		b.Write(object)
		b.WriteString("\n\n")
	}
	return next, more, send(b.String())
}
