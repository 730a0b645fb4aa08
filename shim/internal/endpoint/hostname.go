package endpoint

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
)

// HostName is what people call a server by its host, port or not: what somebody
// registered, without what stands in front of it. Of mcp.linear.app that is
// linear.app. An address, and a name of this network, stay as they are. The whole
// Public Suffix List would be half a megabyte for a name that the owner can
// change, so the common cases have to do.
func HostName(hostport string) string {
	host, _, err := net.SplitHostPort(hostport)
	if err != nil {
		host = hostport
	}
	if _, err := netip.ParseAddr(strings.Trim(host, "[]")); err == nil {
		return hostport
	}
	labels := strings.Split(strings.TrimSuffix(strings.ToLower(host), "."), ".")
	if len(labels) < 2 || slices.Contains(labels, "") || slices.Contains(networks, labels[len(labels)-1]) {
		return hostport
	}
	n := 2
	for _, s := range shared {
		if strings.HasSuffix("."+strings.Join(labels, "."), "."+s) {
			n = strings.Count(s, ".") + 2
		}
	}
	if last := labels[len(labels)-1]; n == 2 && len(last) == 2 && slices.Contains(seconds, labels[len(labels)-2]) {
		n = 3
	}
	return strings.Join(labels[max(0, len(labels)-n):], ".")
}

// networks are the last labels of names that cannot be registered.
var networks = []string{"localhost", "local", "lan", "internal", "home", "arpa"}

// seconds are the labels below which names are registered in some countries.
var seconds = []string{"ac", "co", "com", "edu", "gob", "gov", "net", "ne", "or", "org"}

// shared are hosts whose customers each get a name below them.
var shared = []string{
	"workers.dev", "pages.dev", "vercel.app", "netlify.app", "onrender.com", "fly.dev", "a.run.app", "herokuapp.com", "azurewebsites.net",
	"github.io", "up.railway.app", "deno.dev", "ts.net", "ngrok.app", "ngrok.dev", "ngrok-free.app", "ngrok-free.dev", "trycloudflare.com",
}

// FreeName is a name that none of all has yet. The owner chose none, and two
// accounts at one place call themselves the same.
func FreeName(name string, all []Endpoint) string {
	free := name
	for i := 2; slices.ContainsFunc(all, func(e Endpoint) bool { return e.Name == free }); i++ {
		number := fmt.Sprintf(" %d", i)
		r := []rune(name)
		free = string(r[:min(len(r), MaxName-len(number))]) + number
	}
	return free
}
