package doctor

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/key2oauth/key2oauth/shim/api"
	"github.com/key2oauth/key2oauth/shim/internal/endpoint"
	"github.com/key2oauth/key2oauth/shim/internal/safedial"
	"github.com/key2oauth/key2oauth/shim/internal/trial"
	"github.com/key2oauth/key2oauth/shim/internal/upstream"
)

// A street has many servers at one address, each with keys.
type street struct {
	url     string
	servers int
	keys    int
}

func (s street) Endpoints() (all []endpoint.Endpoint) {
	for i := range s.servers {
		all = append(all, endpoint.Endpoint{Slug: fmt.Sprint("server", i), Name: fmt.Sprint("Server ", i), Header: endpoint.DefaultHeader})
	}
	return all
}

func (s street) Credentials(slug string) (all []endpoint.Credential) {
	for i := range s.keys {
		all = append(all, endpoint.Credential{ID: fmt.Sprintf("%s-key%d", slug, i), Label: fmt.Sprint("key ", i)})
	}
	return all
}

func (s street) Key(id string) (endpoint.Secret, error) {
	return endpoint.NewSecret("sk-0123456789abcdef-" + id), nil
}

func (s street) KeyTrouble(string, string) endpoint.Trouble { return endpoint.NoTrouble }

func (s street) UpstreamURL(slug string) (*url.URL, error) { return url.Parse(s.url + "/" + slug) }

// examine tries the keys of a street, and returns what was found.
func (s street) examine(t *testing.T, keysTime time.Duration) (found map[string]api.Finding) {
	t.Helper()
	client := upstream.New(new(safedial.Guard))
	found = make(map[string]api.Finding)
	var mu sync.Mutex
	r := &round{&Doctor{
		Servers: s, Keys: &trial.Tester{Client: client}, Upstream: client, KeysTime: keysTime,
		Status: func() api.Status { return api.Status{Keychain: api.Keychain{State: api.KeychainFile}} },
	}, t.Context(), func(f api.Finding) {
		mu.Lock()
		defer mu.Unlock()
		found[strings.TrimPrefix(f.ID, api.GroupServers+".")] = f
	}}
	r.servers()
	return found
}

// TestKeysSideBySide: slow servers are examined beside each other, a bounded
// number of them, and each of them with one key at a time.
func TestKeysSideBySide(t *testing.T) {
	var mu sync.Mutex
	inside := make(map[string][]string) // by server, the keys of the requests that wait
	most, mixed := 0, false
	full := make(chan struct{}) // closed once as many as possible have come
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		server, key := r.URL.Path, r.Header.Get("Authorization")
		mu.Lock()
		inside[server] = append(inside[server], key)
		for _, other := range inside[server] {
			mixed = mixed || strings.Contains(other, "-key") && strings.Contains(key, "-key") && other != key
		}
		if most = max(most, len(inside)); most == atOnce {
			select {
			case <-full:
			default:
				close(full)
			}
		}
		mu.Unlock()
		<-full
		w.WriteHeader(http.StatusUnauthorized)
		mu.Lock()
		defer mu.Unlock()
		i := slices.Index(inside[server], key)
		if inside[server] = slices.Delete(inside[server], i, i+1); len(inside[server]) == 0 {
			delete(inside, server)
		}
	}))
	defer srv.Close()
	found := street{srv.URL, 3 * atOnce, 2}.examine(t, time.Minute)
	if most != atOnce || mixed {
		t.Errorf("%d servers were examined at a time, want %d; one with two keys at a time: %v", most, atOnce, mixed)
	}
	failed := 0
	for _, f := range found {
		if f.State == api.FindingFailed {
			failed++
		}
	}
	if want := 3 * atOnce * 2; failed != want {
		t.Errorf("%d keys were found to be wrong, want all %d", failed, want)
	}
}

// TestKeysInTime: servers that do not answer do not hold the examination up.
// What there was no time for is said, and blames no server.
func TestKeysInTime(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	srv := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-ctx.Done():
		case <-r.Context().Done():
		}
	}))
	defer srv.Close()
	defer cancel()
	s := street{srv.URL, 3 * atOnce, 2}
	found := s.examine(t, 200*time.Millisecond)
	skipped := 0
	for id, f := range found {
		switch {
		case id == "left":
		case f.State == api.FindingSkipped && f.Words == TextNoTime && f.Whose == "":
			skipped++
		default:
			t.Errorf("%s is %s: %s", id, f.State, f.Words)
		}
	}
	want := fmt.Sprintf(TextLeft, s.servers*s.keys-skipped)
	if left := found["left"]; skipped == 0 || left.State != api.FindingWarn || left.Words != want {
		t.Errorf("%d keys were given up, and the rest is said to be %q, want %q", skipped, left.Words, want)
	}
}

// TestComputerWarnings: what the computer or the build lacks is said, and only
// then.
func TestComputerWarnings(t *testing.T) {
	for _, tt := range []struct {
		name, note string
		checks     bool
		want       map[string]string // the words of findings that warn
	}{
		{"all is well", "", true, map[string]string{}},
		{"an old runtime", "older than go1.99", true, map[string]string{"version": fmt.Sprintf(TextRuntime, "older than go1.99")}},
		{"users that cannot be told apart", "", false, map[string]string{"users": TextUsers}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := make(map[string]string)
			r := &round{&Doctor{
				RuntimeNote: tt.note, Save: func() error { return nil }, Free: func(string) (int64, error) { return lowDisk, nil },
				Status: func() api.Status {
					return api.Status{SameUserCheck: tt.checks, Keychain: api.Keychain{State: api.KeychainReady}}
				},
			}, t.Context(), func(f api.Finding) {
				if f.State == api.FindingWarn {
					got[strings.TrimPrefix(f.ID, api.GroupComputer+".")] = f.Words
				}
			}}
			r.computer()
			if len(got) != len(tt.want) {
				t.Errorf("it warns of %v, want %v", got, tt.want)
			}
			for id, words := range tt.want {
				if !strings.Contains(got[id], words) {
					t.Errorf("%s says %q, want %q", id, got[id], words)
				}
			}
		})
	}
}
