package shim

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"
	"time"

	"github.com/key2oauth/key2oauth/shim/api"
	"github.com/key2oauth/key2oauth/shim/internal/control"
	"github.com/key2oauth/key2oauth/shim/internal/httpx"
)

func showAPIError(w http.ResponseWriter, _ *http.Request, e *httpx.Error) {
	httpx.WriteJSON(w, e.Status, api.Error{Error: e.Msg})
}

// readJSON decodes a request body. Fields that we do not know are refused: a
// misspelt one would otherwise be lost in silence.
func readJSON(r *http.Request, v any) error {
	if t, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || t != "application/json" {
		return httpx.New(http.StatusUnsupportedMediaType, "send JSON, with Content-Type: application/json")
	}
	d := json.NewDecoder(r.Body)
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return badJSON(err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return httpx.New(http.StatusBadRequest, "there is something after the JSON object")
	}
	return nil
}

// badJSON says what is wrong without repeating what was sent: the body may
// hold a key.
func badJSON(err error) error {
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return httpx.New(http.StatusRequestEntityTooLarge, "the request is too long")
	}
	if t, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return httpx.New(http.StatusBadRequest, fmt.Sprintf("%q has the wrong type: want a %s", t.Field, t.Type))
	}
	if f, ok := strings.CutPrefix(err.Error(), "json: unknown field "); ok {
		return httpx.New(http.StatusBadRequest, "there is no field "+f)
	}
	return httpx.New(http.StatusBadRequest, "the request is not a JSON object")
}

func (s *Shim) apiCreate(w http.ResponseWriter, r *http.Request) error {
	var in api.NewEndpoint
	if err := readJSON(r, &in); err != nil {
		return err
	}
	e, note, err := s.control.Create(r.Context(), in)
	if err != nil {
		return err
	}
	o := s.control.Server(e)
	return httpx.WriteJSON(w, http.StatusCreated, api.CreatedEndpoint{
		Slug: o.Slug, MCPEndpoint: o.MCPEndpoint, LocalMCPEndpoint: o.LocalMCPEndpoint, DisplayName: o.DisplayName, Note: note,
	})
}

func (s *Shim) apiList(w http.ResponseWriter, r *http.Request) error {
	return httpx.WriteJSON(w, http.StatusOK, api.Endpoints{Slugs: s.control.Servers()})
}

func (s *Shim) writeSlug(w http.ResponseWriter, slug, note string) error {
	e, ok := s.vault.Endpoint(slug)
	if !ok {
		return control.ErrNoServer
	}
	o := s.control.Server(e)
	o.Note = note
	return httpx.WriteJSON(w, http.StatusOK, o)
}

func (s *Shim) apiGet(w http.ResponseWriter, r *http.Request) error {
	return s.writeSlug(w, r.PathValue("slug"), "")
}

func (s *Shim) apiPatch(w http.ResponseWriter, r *http.Request) error {
	var in api.EndpointChange
	if err := readJSON(r, &in); err != nil {
		return err
	}
	note, err := s.control.Edit(r.PathValue("slug"), in)
	if err != nil {
		return err
	}
	return s.writeSlug(w, r.PathValue("slug"), note)
}

func (s *Shim) apiDelete(w http.ResponseWriter, r *http.Request) error {
	if err := s.control.Remove(r.PathValue("slug")); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (s *Shim) apiPutKey(w http.ResponseWriter, r *http.Request) error {
	var in api.KeyChange
	if err := readJSON(r, &in); err != nil {
		return err
	}
	slug := r.PathValue("slug")
	if in.Credential == "" {
		keys := s.control.OwnerKeys(slug)
		if len(keys) > 1 {
			several := api.SeveralKeys{Error: "this endpoint has several keys; say which one to replace with \"credential\""}
			for _, c := range keys {
				several.Credentials = append(several.Credentials, api.Credential{ID: c.ID, Label: c.Label, State: string(c.State)})
			}
			return httpx.WriteJSON(w, http.StatusConflict, several)
		}
		if len(keys) == 1 {
			in.Credential = keys[0].ID
		}
	}
	if _, err := s.control.ReplaceKey(r.Context(), slug, in.Credential, in.Key, in.Force); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (s *Shim) apiGrants(w http.ResponseWriter, r *http.Request) error {
	grants, err := s.control.Grants()
	if err != nil {
		return err
	}
	all := []api.Grant{}
	for _, g := range grants {
		all = append(all, g.Grant)
	}
	return httpx.WriteJSON(w, http.StatusOK, api.Grants{Grants: all})
}

func (s *Shim) apiRevoke(w http.ResponseWriter, r *http.Request) error {
	if err := s.control.Disconnect(r.PathValue("id")); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (s *Shim) apiStatus(w http.ResponseWriter, r *http.Request) error {
	return httpx.WriteJSON(w, http.StatusOK, s.Status())
}

// apiEvents streams the status, now and whenever it changes, and calls as they
// end.
func (s *Shim) apiEvents(w http.ResponseWriter, r *http.Request) error {
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
	changed, more := s.changes.Wait()
	calls := s.activity.End()
	for fresh := true; ; {
		if fresh {
			id := s.changes.ID()
			b, err := json.Marshal(s.Status())
			if err != nil {
				return err
			}
			if !send("event: status\nid: "+id+"\ndata: "+string(b)+"\n\n") || !more {
				return nil
			}
		}
		var called <-chan struct{}
		var ok bool
		if calls, called, ok = s.sendCalls(calls, send); !ok {
			return nil
		}
		select {
		case <-called:
			time.Sleep(atMostEvery)
			fresh = false
		case <-changed:
			// Several changes at once are one. What changes from here on is
			// waited for next.
			time.Sleep(atMostEvery)
			changed, more = s.changes.Wait()
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

func (s *Shim) apiPause(paused bool) httpx.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) error {
		if err := s.control.SetPaused(paused); err != nil {
			return s.control.Explain(err)
		}
		return httpx.WriteJSON(w, http.StatusOK, s.Status())
	}
}

// apiQuit ends the program once calls have finished, as Ctrl-C does.
func (s *Shim) apiQuit(w http.ResponseWriter, _ *http.Request) error {
	s.control.Quit()
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// apiOpen hands out an owner's link. A page has no use for one: only the admin
// token is good here.
func (s *Shim) apiOpen(w http.ResponseWriter, r *http.Request) error {
	return httpx.WriteJSON(w, http.StatusCreated, api.OwnerLink{Link: s.OwnerLink("/")})
}
