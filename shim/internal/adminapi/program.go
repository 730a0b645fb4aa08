package adminapi

import (
	"encoding/json"
	"io"
	"net/http"

	"github.com/key2oauth/key2oauth/shim/api"
	"github.com/key2oauth/key2oauth/shim/internal/httpx"
	"github.com/key2oauth/key2oauth/shim/internal/reach"
	"github.com/key2oauth/key2oauth/shim/internal/web"
	"github.com/key2oauth/key2oauth/tunnel"
)

func (a *API) settings(w http.ResponseWriter, r *http.Request) error {
	return httpx.WriteJSON(w, http.StatusOK, a.cfg.Control.Settings())
}

func (a *API) patchSettings(w http.ResponseWriter, r *http.Request) error {
	var c api.SettingsChange
	if err := readJSON(r, &c); err != nil {
		return err
	}
	if err := a.cfg.Control.ChangeSettings(c); err != nil {
		return err
	}
	return httpx.WriteJSON(w, http.StatusOK, a.cfg.Control.Settings())
}

// timeline lists the attempts that have not come to a tool yet, or the attempt
// of one grant.
func (a *API) timeline(w http.ResponseWriter, r *http.Request) error {
	grant := r.URL.Query().Get("grant")
	if grant == "" {
		return httpx.WriteJSON(w, http.StatusOK, api.Timeline{Timeline: a.cfg.Timeline.Reports()})
	}
	all := []api.Attempt{}
	attempt, ok, err := a.cfg.Timeline.OfGrant(grant)
	if err != nil {
		return a.cfg.Control.Explain(err)
	}
	if ok {
		all = append(all, attempt)
	}
	return httpx.WriteJSON(w, http.StatusOK, api.Timeline{Timeline: all})
}

// examine runs an examination and streams the report as it grows: one JSON
// object per line. The last one has an end.
func (a *API) examine(w http.ResponseWriter, r *http.Request) error {
	a.cfg.Examinations.Begin()
	h := w.Header()
	h.Set("Content-Type", "application/x-ndjson")
	h.Set("Cache-Control", "no-store")
	c := http.NewResponseController(w)
	for {
		report, more := a.cfg.Examinations.Report()
		b, err := json.Marshal(report)
		if err != nil {
			return err
		}
		if _, err := io.WriteString(w, string(b)+"\n"); err != nil || c.Flush() != nil {
			return nil
		}
		if report.Ended != nil {
			return nil
		}
		select {
		case <-more:
		case <-r.Context().Done():
			return nil
		}
	}
}

// report returns the last report.
func (a *API) report(w http.ResponseWriter, _ *http.Request) error {
	report, _ := a.cfg.Examinations.Report()
	if report == nil {
		return httpx.New(http.StatusNotFound, "nothing has been checked yet; POST to this path checks everything")
	}
	return httpx.WriteJSON(w, http.StatusOK, report)
}

// deleteEverything is for commands. A page asks the owner to type a word first.
func (a *API) deleteEverything(w http.ResponseWriter, r *http.Request) error {
	left, err := a.cfg.Control.DeleteEverything()
	if err != nil {
		return &httpx.Error{Status: http.StatusInternalServerError, Msg: web.TextNotAllDeleted, Err: err}
	}
	if left == nil {
		left = []string{}
	}
	return httpx.WriteJSON(w, http.StatusOK, api.Deletion{Left: left})
}

// putTunnel turns a tunnel on or off.
func (a *API) putTunnel(w http.ResponseWriter, r *http.Request) error {
	var in api.TunnelChange
	if err := readJSON(r, &in); err != nil {
		return err
	}
	st, err := a.cfg.Reach.Set(r.Context(), tunnel.Wish{
		Provider: in.Provider, URL: in.URL, Preset: in.Preset, Authtoken: reach.ReadAuthtoken(in.Authtoken),
	})
	if err != nil {
		return err
	}
	return httpx.WriteJSON(w, http.StatusOK, st)
}

// testTunnel goes out to the internet and back in.
func (a *API) testTunnel(w http.ResponseWriter, r *http.Request) error {
	words, ok, err := a.cfg.Reach.Test(r.Context())
	if err != nil {
		return err
	}
	return httpx.WriteJSON(w, http.StatusOK, api.TunnelTest{OK: ok, Words: words})
}
