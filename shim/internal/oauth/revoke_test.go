package oauth

import (
	"net/http"
	"reflect"
	"strings"
	"testing"
)

func TestT17Revoke(t *testing.T) {
	revoke := func(t *testing.T, c *session, client, token string, more ...string) {
		t.Helper()
		w := c.f.form(c.s, "/revoke", append([]string{"client_id", client, "token", token}, more...)...)
		if w.Code != http.StatusOK || w.Body.Len() != 0 || w.Header().Get("Cache-Control") != "no-store" {
			t.Errorf("got %d %q, want 200 and nothing", w.Code, w.Body)
		}
	}
	closed := func(a *Access) bool {
		select {
		case <-a.Done():
			return true
		default:
			return false
		}
	}
	hold := func(t *testing.T, c *session, token string) *Access {
		t.Helper()
		a, err := c.f.tokens.Verify(token)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(a.Release)
		return a
	}
	t.Run("an access token goes alone", func(t *testing.T) {
		f := newFixture(t)
		c := f.connect(f.pub)
		second, _ := c.mustRenew(c.refresh)
		gone, stays := hold(t, c, c.access), hold(t, c, second)
		revoke(t, c, c.client, c.access, "token_type_hint", "refresh_token")
		if !closed(gone) || closed(stays) {
			t.Errorf("streams cut: %v and %v, want true and false", closed(gone), closed(stays))
		}
		c.wantCall(c.access, http.StatusUnauthorized)
		c.wantCall(second, http.StatusOK)
		c.mustRenew(c.refresh)
		revoke(t, c, c.client, c.access)
	})
	for _, which := range []string{"newest", "replaced"} {
		t.Run("a refresh token takes its grant along, "+which, func(t *testing.T) {
			f := newFixture(t)
			c, other := f.connect(f.pub), f.connect(f.pub)
			second, newest := c.mustRenew(c.refresh)
			a, b := hold(t, c, c.access), hold(t, c, second)
			token := newest
			if which == "replaced" {
				token = c.refresh
			}
			revoke(t, c, c.client, token)
			if !closed(a) || !closed(b) {
				t.Error("a stream was not cut")
			}
			c.wantCall(c.access, http.StatusUnauthorized)
			c.wantCall(second, http.StatusUnauthorized)
			wantError(t, c.renew(newest), http.StatusBadRequest, "invalid_grant")
			other.wantCall(other.access, http.StatusOK)
			revoke(t, c, c.client, token)
		})
	}
	t.Run("unknown and foreign tokens change nothing", func(t *testing.T) {
		f := newFixture(t)
		c := f.connect(f.pub)
		foreign := f.client("https://other.example/")
		grants, tokens := f.store.dump()
		for _, token := range []string{c.access, c.refresh} {
			revoke(t, c, foreign, token)
		}
		for _, token := range []string{"x", "k2o_rt_x." + strings.Repeat("x", 43), c.access[:len(c.access)-1] + "_", "k2o_ac_x." + strings.Repeat("x", 43)} {
			revoke(t, c, c.client, token)
		}
		far := &session{f, f.loc, c.client, "", ""}
		revoke(t, far, c.client, c.refresh) // another issuer's
		if g, ts := f.store.dump(); !reflect.DeepEqual(g, grants) || !reflect.DeepEqual(ts, tokens) {
			t.Error("something has changed")
		}
		c.wantCall(c.access, http.StatusOK)
		wantError(t, f.form(f.pub, "/revoke", "client_id", c.client), http.StatusBadRequest, "invalid_request")
		wantError(t, f.form(f.pub, "/revoke", "client_id", c.client, "token", "a", "token", "b"), http.StatusBadRequest, "invalid_request")
	})
}
