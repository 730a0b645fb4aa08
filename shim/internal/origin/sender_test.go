package origin

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/key2oauth/key2oauth/shim/internal/limits"
)

const (
	claimed = "192.0.2.254"
	home    = "198.51.100.7"
	alice   = "203.0.113.1"
	bob     = "2001:db8:5::1"
)

// A habit is what a tunnel does to the headers of a request from an address.
type habit func(h http.Header, from string)

func set(name string) habit { return func(h http.Header, from string) { h.Set(name, from) } }

func appendTo(name string) habit {
	return func(h http.Header, from string) { h.Set(name, strings.Join(append(h.Values(name), from), ", ")) }
}

// habits are those of real proxies, and of some that would deceive us. In apart
// ones the senders can be told apart without the owner's word.
var habits = []struct {
	name  string
	do    habit
	apart bool
}{
	{"replaces it, as Caddy and Tailscale", set("X-Forwarded-For"), true},
	{"appends to it, as nginx and Cloudflare", appendTo("X-Forwarded-For"), true},
	{"adds another one, as HAProxy", func(h http.Header, from string) { h.Add("X-Forwarded-For", from) }, true},
	{"adds another one in front", func(h http.Header, from string) {
		h["X-Forwarded-For"] = append([]string{from}, h["X-Forwarded-For"]...)
	}, false},
	{"appends with a port, as Azure", func(h http.Header, from string) {
		appendTo("X-Forwarded-For")(h, netip.AddrPortFrom(netip.MustParseAddr(from), 4711).String())
	}, true},
	{"appends to the first of several", func(h http.Header, from string) {
		if all := h["X-Forwarded-For"]; len(all) > 0 {
			all[0] += ", " + from
		} else {
			h.Set("X-Forwarded-For", from)
		}
	}, true},
	{"another header alone, as nginx often", func(h http.Header, from string) { h.Del("X-Forwarded-For"); h.Set("X-Real-Ip", from) }, true},
	{"passes all on", func(http.Header, string) {}, false},
	{"drops it", func(h http.Header, _ string) { h.Del("X-Forwarded-For"); h.Del("X-Real-Ip") }, false},
	{"believes who says it", func(h http.Header, from string) {
		if h.Get("X-Forwarded-For") == "" {
			h.Set("X-Forwarded-For", from)
		}
	}, false},
	{"puts itself in front", func(h http.Header, from string) {
		h.Set("X-Forwarded-For", strings.Join(append([]string{from}, h.Values("X-Forwarded-For")...), ", "))
	}, false},
	{"a chain on this computer", func(h http.Header, from string) { appendTo("X-Forwarded-For")(h, from+", 127.0.0.1") }, false},
	{"a chain in a container", func(h http.Header, from string) { appendTo("X-Forwarded-For")(h, from+", 172.17.0.1") }, false},
	{"a chain in a tailnet", func(h http.Header, from string) { appendTo("X-Forwarded-For")(h, from+", 100.64.0.9") }, false},
	{"no address", func(h http.Header, _ string) { appendTo("X-Forwarded-For")(h, "unknown") }, false},
}

// selfTest learns the habit of a tunnel as a real self-test does, which comes
// from the owner's home.
func selfTest(o *Origin, do habit) {
	h := http.Header{"X-Forwarded-For": {claimed}, "X-Real-Ip": {claimed}}
	do(h, home)
	o.learn(h, netip.MustParseAddr(claimed))
	o.asked.Store(true)
}

// claims are what strangers write into the headers by which tunnels name their
// clients, to be taken for others.
var claims = []http.Header{
	{},
	{"X-Forwarded-For": {alice}},
	{"X-Forwarded-For": {alice, alice}},
	{"X-Forwarded-For": {alice + ","}},
	{"X-Forwarded-For": {"", alice}},
	{"X-Real-Ip": {alice, alice}},
	{"Cf-Connecting-Ip": {alice}, "X-Real-Ip": {alice}, "X-Forwarded-For": {alice}},
}

// TestLearnSenders: no matter what a tunnel does, no one can take the place of
// another sender, and those that can be told apart are.
func TestLearnSenders(t *testing.T) {
	for _, tt := range habits {
		t.Run(tt.name, func(t *testing.T) {
			o := tunneled("")
			selfTest(o, tt.do)
			if o.Mixed() == tt.apart {
				t.Errorf("the senders are mixed: %v, want %v", o.Mixed(), !tt.apart)
			}
			from := func(claim http.Header, addr string) string {
				h := make(http.Header)
				for k, v := range claim {
					h[k] = slices.Clone(v)
				}
				tt.do(h, addr)
				return o.From(&http.Request{Header: h})
			}
			if want := sender(netip.MustParseAddr(alice)); tt.apart && from(nil, alice) != want {
				t.Errorf("%s is %q, want %q", alice, from(nil, alice), want)
			}
			for _, claim := range claims {
				if got := from(claim, bob); got != from(nil, bob) && got != limits.Unknown {
					t.Errorf("with %v, %s is %q", claim, bob, got)
				}
			}
		})
	}
}

// TestPresetOnTrial: the owner's preset counts until a self-test shows that
// the tunnel does not keep to it.
func TestPresetOnTrial(t *testing.T) {
	cloudflare := func(h http.Header, from string) {
		set("Cf-Connecting-Ip")(h, from)
		appendTo("X-Forwarded-For")(h, from)
	}
	for _, tt := range []struct {
		name, preset string
		do           habit
		want         string // the header that counts
	}{
		{"right", "X-Forwarded-For", set("X-Forwarded-For"), "X-Forwarded-For"},
		{"right, in several lines", "X-Forwarded-For", func(h http.Header, from string) { h.Add("X-Forwarded-For", from) }, "X-Forwarded-For"},
		{"right, through the router's inside", "X-Forwarded-For", func(h http.Header, _ string) { h.Set("X-Forwarded-For", "192.168.1.2") }, "X-Forwarded-For"},
		{"right, another header", "Cf-Connecting-Ip", cloudflare, "Cf-Connecting-Ip"},
		{"the tunnel is another", "Cf-Connecting-Ip", set("X-Forwarded-For"), "X-Forwarded-For"},
		{"the tunnel passes on what strangers write", "X-Forwarded-For", func(http.Header, string) {}, ""},
		{"the tunnel says nothing", "Cf-Connecting-Ip", func(h http.Header, _ string) { clear(h) }, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := tunneled(tt.preset)
			if o.asked.Store(true); o.Mixed() {
				t.Error("the preset does not count before a self-test")
			}
			selfTest(o, tt.do)
			if got := o.sign.Load().header; got != tt.want {
				t.Errorf("the header that counts is %q, want %q", got, tt.want)
			}
			if o.Mixed() != (tt.want == "") {
				t.Errorf("the senders are mixed: %v", o.Mixed())
			}
		})
	}
}

// TestNothingLearned: a self-test that claims nothing proves nothing, and
// before any request came, nothing is said.
func TestNothingLearned(t *testing.T) {
	o := tunneled("")
	o.learn(http.Header{"X-Forwarded-For": {home}}, netip.Addr{})
	if got := o.sign.Load().header; got != "" {
		t.Errorf("without a claim, %s was learned", got)
	}
	if o.Mixed() {
		t.Error("before any request came, the senders are said to be mixed")
	}
}

// FuzzLearn: a self-test may get anything; no sign counts that a stranger
// could have written.
func FuzzLearn(f *testing.F) {
	f.Add(claimed, home, claimed)
	f.Add(claimed+", "+home, "", "")
	f.Add("::ffff:"+claimed, claimed+":80", "["+home+"]:1")
	f.Fuzz(func(t *testing.T, first, second, realIP string) {
		h := http.Header{"X-Forwarded-For": {first, second}, "X-Real-Ip": {realIP}}
		if second == "" {
			h.Set("X-Forwarded-For", first)
		}
		o := tunneled("")
		o.learn(h, netip.MustParseAddr(claimed))
		s := *o.sign.Load()
		if s.header == "" {
			return
		}
		addr, ok := s.addr(h)
		if !ok || addr.Unmap().String() == claimed || !isPublic(addr) || len(h[s.header]) != 1 && h[s.header][0] != claimed {
			t.Errorf("%q: learned %+v, which says %v", h, s, addr)
		}
	})
}
