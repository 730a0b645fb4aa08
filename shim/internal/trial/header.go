package trial

import (
	"context"
	"net/http"
	"regexp"
	"strings"

	"github.com/key2oauth/key2oauth/shim/internal/endpoint"
	"github.com/key2oauth/key2oauth/shim/internal/upstream"
)

// A hint is what a refusal says about the header that the upstream wants.
type hint struct {
	ours  bool   // it read the one that we used
	other string // it names another one
}

var (
	// A name is a header's if it begins with X-, or if the word header stands
	// beside it.
	xHeader     = regexp.MustCompile(`(?i)\bx(-[a-z0-9]+)+\b`)
	otherHeader = regexp.MustCompile(`(?i)\b([a-z0-9]+(?:[-_][a-z0-9]+)+)\b['"\x60]*\s+header\b|\bheader['"\x60:\s]+([a-z0-9]+(?:[-_][a-z0-9]+)+)\b`)
	bearer      = regexp.MustCompile(`(?i)\bbearer\b|\bauthorization\b['"\x60]*\s*(header|:)|\bheader['"\x60:\s]+authorization\b`)
	quoted      = regexp.MustCompile(`"[^"]*"`)
)

// readHint reads a refusal to a key that was sent in the default header. A
// challenge "Bearer" alone says nothing: upstreams that take OAuth as well
// always send it. With an error it says that the token was read (RFC 6750,
// Section 3.1).
func readHint(x answer) hint {
	var h hint
	challenge := strings.Join(x.header.Values("Www-Authenticate"), ", ")
	text := string(x.text())
	if parseMessage(x.media, x.excerpt).html {
		text = ""
	}
	h.ours = strings.Contains(challenge, "error=") || bearer.MatchString(text)
	for _, s := range []string{text, quoted.ReplaceAllString(challenge, "")} {
		for _, name := range xHeader.FindAllString(s, -1) {
			h.name(name)
		}
		for _, m := range otherHeader.FindAllStringSubmatch(s, -1) {
			h.name(m[1] + m[2])
		}
	}
	if h.ours {
		h.other = ""
	}
	return h
}

// name takes in the first name that a key may be sent in.
func (h *hint) name(name string) {
	low := strings.ToLower(name)
	if h.other != "" || strings.HasPrefix(low, "x-request") || strings.HasPrefix(low, "x-mcp") || strings.HasPrefix(low, "x-ratelimit") {
		return
	}
	if ours, err := endpoint.ParseHeader(name, ""); err == nil && !strings.EqualFold(ours.Name, endpoint.DefaultHeader.Name) {
		h.other = ours.Name
	}
}

// TryHeaders is like Try, but finds out in which header the upstream wants the
// key, where the owner chose none and the key is refused in the default one:
// in the header that the refusal names, else in others. A wrong key costs as
// few failed sign-ins as can be: one where the refusal says that the key was
// read, and at most three. Verdict.Header is the header that worked, else t's.
func (s *Tester) TryHeaders(ctx context.Context, t upstream.Target, others []endpoint.Header) Verdict {
	ctx, cancel := context.WithTimeout(ctx, s.limit())
	defer cancel()
	first := s.try(ctx, t)
	if first.Outcome != Rejected || t.Header != endpoint.DefaultHeader || t.Key.IsZero() || len(others) == 0 || first.wants.ours {
		return first
	}
	for _, group := range alternatives(first.wants.other, others) {
		if ctx.Err() != nil || len(group) > 1 && !s.takesOne(ctx, t, group) {
			continue
		}
		for _, h := range group {
			// An upstream that needs no key ignores the header that it does not
			// know. That is not the one it wants.
			v := s.try(ctx, upstream.Target{URL: t.URL, Header: h, Key: t.Key})
			if v.Outcome == OK || v.Outcome == Unproven {
				v.Words += headerWords(h)
				return v
			}
		}
	}
	return first
}

// alternatives are the headers to try after the default one, at most two groups
// of them. Those of a group go in one request, since an upstream ignores a
// header that it does not know. named is the header that the refusal names.
func alternatives(named string, others []endpoint.Header) [][]endpoint.Header {
	var alone, twins []endpoint.Header
	for _, h := range others {
		switch {
		case named != "" && strings.EqualFold(h.Name, named):
			return [][]endpoint.Header{{h}}
		case h == endpoint.DefaultHeader:
		case strings.EqualFold(h.Name, endpoint.DefaultHeader.Name):
			alone = append(alone, h)
		default:
			twins = append(twins, h)
		}
	}
	if named != "" {
		return [][]endpoint.Header{{{Name: named}}}
	}
	groups := [][]endpoint.Header{twins}
	for _, h := range alone[:min(len(alone), 1)] {
		groups = append(groups, []endpoint.Header{h})
	}
	return groups
}

// takesOne reports whether the upstream takes the key in one of several
// headers, by sending it in all of them at once.
func (s *Tester) takesOne(ctx context.Context, t upstream.Target, all []endpoint.Header) bool {
	k := s.talk(&upstream.Target{URL: t.URL, Header: all[0], Key: t.Key, Twins: all[1:]}, new(turns))
	defer k.close(ctx)
	x := k.begin(ctx)
	if x.good() {
		x, _ = k.list(ctx)
	}
	return k.verdict(x, true).Outcome == OK || x.status == http.StatusTooManyRequests
}
