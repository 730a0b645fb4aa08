package guard

import (
	"encoding/binary"
	"math/bits"
)

// A finder finds many texts at once. Each of them is so long that of any four
// bytes at every stride-th place some lie near its beginning, wherever it
// stands. So only these are looked at, and for most of them a bit in a table
// says that they belong to no form.
type finder struct {
	forms             []string // sorted
	shortest, longest int
	stride            int
	maybe             filter
	heads             []uint16 // hash -> index of an entry, plus 1
	shift             int
	entries           []entry
}

const (
	gramLength = 4
	filterBits = 1 << 16
	// maxStride bounds the entries. A longer stride saves nothing that can be
	// measured.
	maxStride  = 64
	maxEntries = 1 << 16
)

// An entry is a place near the beginning of some forms that begin alike.
type entry struct {
	gram     uint32
	from, to uint32 // the forms
	offset   uint16 // of gram in them
	next     uint16 // index of an entry with the same head, plus 1
}

// A filter has a bit for the hash of each gram.
type filter [filterBits / 64]uint64

func (f *filter) add(gram uint32) {
	h := hash(gram)
	f[h>>22] |= 1 << (h >> 16 & 63)
}

func (f *filter) has(gram uint32) bool {
	h := hash(gram)
	return f[h>>22]>>(h>>16&63)&1 != 0
}

// A span is a part of a text.
type span struct{ from, to int }

func (f *finder) init(forms []string) {
	f.forms = forms
	f.shortest, f.longest = len(forms[0]), 0
	for _, form := range forms {
		f.shortest, f.longest = min(f.shortest, len(form)), max(f.longest, len(form))
	}
	// A form that begins right after one place that is looked at, at worst, has
	// its first stride bytes and the gram that begins with the last of them.
	f.stride = min(f.shortest-gramLength+1, maxStride)
	var groups []span // of forms that begin alike
	for i, form := range forms {
		if i == 0 || form[:f.beginning()] != forms[i-1][:f.beginning()] {
			groups = append(groups, span{i, i})
		}
		groups[len(groups)-1].to = i + 1
	}
	for len(groups)*f.stride >= maxEntries && f.stride > 1 {
		f.stride /= 2
	}
	f.shift = 32 - bits.Len(uint(len(groups)*f.stride))
	f.heads = make([]uint16, 1<<(32-f.shift))
	f.entries = make([]entry, 0, len(groups)*f.stride)
	for _, g := range groups {
		for at := range f.stride {
			gram := binary.LittleEndian.Uint32([]byte(forms[g.from][at : at+gramLength]))
			h := hash(gram)
			f.maybe.add(gram)
			head := &f.heads[h>>f.shift]
			f.entries = append(f.entries, entry{gram, uint32(g.from), uint32(g.to), uint16(at), *head})
			*head = uint16(len(f.entries))
		}
	}
}

// beginning is how much of a form the places cover that are looked at.
func (f *finder) beginning() int { return f.stride + gramLength - 1 }

// hash spreads a gram over 32 bits, the upper ones best (Knuth, The Art of
// Computer Programming, Section 6.4).
func hash(gram uint32) uint32 { return gram * 2654435769 }

// find appends where in p a form stands. The spans may overlap, and are in no
// order.
func (f *finder) find(spans []span, p []byte) []span {
	for at := 0; at+gramLength <= len(p); at += f.stride {
		gram := binary.LittleEndian.Uint32(p[at:])
		if f.maybe.has(gram) {
			spans = f.look(spans, p, at, gram)
		}
	}
	return spans
}

// look appends the forms in p that have their part of gram at this place.
func (f *finder) look(spans []span, p []byte, at int, gram uint32) []span {
	for i := f.heads[hash(gram)>>f.shift]; i != 0; i = f.entries[i-1].next {
		e := &f.entries[i-1]
		from := at - int(e.offset)
		if e.gram != gram || from < 0 {
			continue
		}
		for _, form := range f.forms[e.from:e.to] {
			if to := from + len(form); to <= len(p) && string(p[from:to]) == form {
				spans = append(spans, span{from, to})
			}
		}
	}
	return spans
}
