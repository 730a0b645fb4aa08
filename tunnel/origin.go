package tunnel

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

// ParseOrigin returns the public origin that s names, with its host in lower
// case and without port 443. It must be https and have nothing after the host.
func ParseOrigin(s string) (string, error) {
	s = strings.TrimSpace(s)
	u, err := url.Parse(s)
	if err != nil {
		return "", fmt.Errorf("the public URL is not a URL; write it as https://mcp.example.com")
	}
	host := strings.ToLower(u.Hostname())
	port := u.Port()
	switch {
	case u.Scheme != "https":
		return "", errors.New("the public URL must begin with https://")
	case u.User != nil:
		return "", errors.New("the public URL must not have a user name")
	case u.Path != "" && u.Path != "/" || u.RawPath != "":
		return "", errors.New("the public URL must not have a path")
	case u.RawQuery != "" || u.ForceQuery:
		return "", errors.New("the public URL must not have a query")
	case u.Fragment != "" || strings.Contains(s, "#"):
		return "", errors.New("the public URL must not have a fragment")
	case !isHost(host):
		return "", fmt.Errorf("the public URL has no valid host name")
	case strings.HasSuffix(u.Host, ":"):
		return "", errors.New("the public URL has a colon but no port")
	}
	if n, err := strconv.Atoi(port); port != "" && (err != nil || n < 1 || n > 65535) {
		return "", errors.New("the public URL has a port that does not exist")
	}
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	if port != "" && port != "443" {
		host += ":" + port
	}
	return "https://" + host, nil
}

// isHost reports whether host can be that of an origin.
func isHost(host string) bool {
	if a, err := netip.ParseAddr(host); err == nil {
		return a.Zone() == ""
	}
	if host == "" || len(host) > 253 {
		return false
	}
	for label := range strings.SplitSeq(host, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
		for _, c := range label {
			if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' && c != '_' {
				return false
			}
		}
	}
	return true
}
