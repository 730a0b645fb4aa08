package oauth

import (
	"encoding/base64"
	"errors"
	"slices"
	"time"
)

// A Branch is a chain of refresh tokens of a grant. A chain forks where a token
// is used again: its answer was lost, a client has two back ends or two
// processes, or someone else has the token. Only a branch that continues after
// the overlap is in use; see Grant.InTwoPlaces.
type Branch struct {
	Tip     Digest    `json:"tip"` // the newest token; zero for the chain that others forked from
	Forked  time.Time `json:"forked,omitzero"`
	Settled time.Time `json:"settled,omitzero"` // the overlap of that fork is over
	Last    time.Time `json:"last,omitzero"`    // a token of the branch was last used then
	Expires time.Time `json:"expires,omitzero"` // its newest token does
}

const (
	maxBranches = 8
	maxOwnUsed  = 16
)

// branched records that the token old was replaced by fresh, which expires
// then. fork says that it had been replaced before; window is the overlap that
// allowed it.
func (g *Grant) branched(old, fresh Digest, fork bool, window time.Duration, now, expires time.Time) (changed bool) {
	if !fork && len(g.Branches) == 0 {
		return false
	}
	bs := slices.Clone(g.Branches)
	if len(bs) == 0 {
		bs = []Branch{{Last: now, Expires: expires}}
	}
	if fork {
		bs = append(bs, Branch{Tip: fresh, Forked: now, Settled: now.Add(window), Last: now, Expires: expires})
	} else {
		i := max(0, slices.IndexFunc(bs, func(b Branch) bool { return b.Tip == old && b.Tip != Digest{} }))
		if i > 0 {
			bs[i].Tip = fresh
		}
		bs[i].Last, bs[i].Expires = now, expires
	}
	// The first stands for all tokens that are in no other branch.
	for i := len(bs) - 1; i > 0; i-- {
		if !now.Before(bs[i].Expires) {
			bs = slices.Delete(bs, i, i+1)
		}
	}
	for len(bs) > maxBranches {
		oldest := 1
		for i := range bs[1:] {
			if bs[i+1].Last.Before(bs[oldest].Last) {
				oldest = i + 1
			}
		}
		bs = slices.Delete(bs, oldest, oldest+1)
	}
	g.Branches = bs
	g.InTwoPlaces = g.twoPlaces(now)
	return true
}

// twoPlaces returns since when two branches have been in use: both were used
// after the overlap of the fork that separates them. It returns the zero time
// if that is not so.
func (g *Grant) twoPlaces(now time.Time) (since time.Time) {
	for i, a := range g.Branches {
		for _, b := range g.Branches[i+1:] {
			// Where one of the two was forked from the other, the later fork
			// is the one between them; where not, it is at least not before.
			fork := a
			if b.Forked.After(a.Forked) {
				fork = b
			}
			if !now.Before(a.Expires) || !now.Before(b.Expires) || !a.Last.After(fork.Settled) || !b.Last.After(fork.Settled) {
				continue
			}
			if since.IsZero() || fork.Forked.Before(since) {
				since = fork.Forked
			}
		}
	}
	return since
}

// ownUsed records that the kernel showed the first use of a refresh token to
// come from our own OS user.
func (g *Grant) ownUsed(d Digest) {
	g.OwnUsed = append(slices.Clone(g.OwnUsed), d)
	g.OwnUsed = g.OwnUsed[max(0, len(g.OwnUsed)-maxOwnUsed):]
}

// overlap is how long a replaced refresh token may be used after its
// successor's first use. A second process of an app may come late with the token
// that it has in memory. Where the kernel shows that both uses came from our own
// OS user, a thief there would be that user already; on the internet less has
// to do.
func (g *Grant) overlap(d Digest, own bool) time.Duration {
	if own && slices.Contains(g.OwnUsed, d) {
		return ownOverlap
	}
	return refreshOverlap
}

// MarshalText implements encoding.TextMarshaler.
func (d Digest) MarshalText() ([]byte, error) {
	return base64.RawURLEncoding.AppendEncode(nil, d[:]), nil
}

// UnmarshalText implements encoding.TextUnmarshaler.
func (d *Digest) UnmarshalText(text []byte) error {
	b, err := base64.RawURLEncoding.DecodeString(string(text))
	if err != nil || len(b) != len(d) {
		return errors.New("not a digest")
	}
	copy(d[:], b)
	return nil
}
