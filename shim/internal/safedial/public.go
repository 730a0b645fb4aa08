package safedial

import "net/netip"

// special holds the blocks of RFC 6890 and its registries that are not globally
// reachable, in addition to those that forbidden refuses.
var special = prefixes(
	"0.0.0.0/8",       // RFC 791, Section 3.2
	"10.0.0.0/8",      // RFC 1918
	"100.64.0.0/10",   // RFC 6598
	"127.0.0.0/8",     // RFC 1122, Section 3.2.1.3
	"169.254.0.0/16",  // RFC 3927
	"172.16.0.0/12",   // RFC 1918
	"192.0.0.0/24",    // RFC 6890, Section 2.1
	"192.0.2.0/24",    // RFC 5737
	"192.88.99.0/24",  // RFC 7526
	"192.168.0.0/16",  // RFC 1918
	"198.18.0.0/15",   // RFC 2544
	"198.51.100.0/24", // RFC 5737
	"203.0.113.0/24",  // RFC 5737
	"224.0.0.0/4",     // RFC 1112
	"240.0.0.0/4",     // RFC 1112, Section 4
	"2001::/23",       // RFC 2928
	"2001:db8::/32",   // RFC 3849
	"3fff::/20",       // RFC 9637
)

// global is the block of public IPv6 addresses (RFC 4291, Section 2.4). The rest
// is local, reserved, or carries an IPv4 address.
var global = netip.MustParsePrefix("2000::/3")

func prefixes(all ...string) []netip.Prefix {
	ps := make([]netip.Prefix, len(all))
	for i, s := range all {
		ps[i] = netip.MustParsePrefix(s)
	}
	return ps
}

// isPublic reports whether addr is globally reachable. An address that carries
// an IPv4 address is judged by that one.
func isPublic(addr netip.Addr) bool {
	addr = addr.Unmap().WithZone("")
	if forbidden(addr) != "" {
		return false
	}
	v4, carries := embedded(addr)
	if carries && !isPublic(v4) {
		return false
	}
	for _, p := range special {
		// Teredo lies inside 2001::/23; 6to4 is not a special block.
		if p.Contains(addr) && !(carries && teredo.Contains(addr)) {
			return false
		}
	}
	return addr.Is4() || global.Contains(addr) || carries && nat64.Contains(addr)
}
