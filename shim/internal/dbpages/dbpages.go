// Package dbpages checks the pages of a bbolt file before bbolt follows them.
package dbpages

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"slices"
)

// bbolt trusts its file: a page that points back to its parent makes it loop
// forever, and a wrong count makes it take all memory. So all pages are checked
// before bbolt follows them. The layout is bbolt's, in the byte order of the
// machine, and has not changed since its first version.
const (
	pageHeader  = 16 // id 8, flags 2, count 2, overflow 4
	elementSize = 16 // of branch: pos 4, ksize 4, page 8; of leaf: flags 4, pos 4, ksize 4, vsize 4
	metaSize    = 64

	pageBranch   = 0x01
	pageLeaf     = 0x02
	pageFreelist = 0x10

	leafBucket   = 0x01 // flag of a leaf element whose value is a bucket
	bucketHeader = 16   // of that value: root page 8, sequence 8; an inline page follows if the root is 0

	metaMagic   = 0xED0CDAED
	metaVersion = 2
	noFreelist  = ^uint64(0)
)

var ne = binary.NativeEndian

// A pageCheck walks all pages of a file.
type pageCheck struct {
	r        io.ReaderAt
	pageSize int
	high     uint64 // pages from here on are not in use
	seen     []bool
	todo     []uint64
	buf      []byte              // what was read last
	at       int64               // from where
	bounds   map[uint64]keyRange // of the pages to do; nil if the order of keys is not looked at
	disorder bool                // keys are not in their order, so bbolt may not find some
}

// A keyRange is where the keys of a page lie: from low on and before high. nil
// is no bound.
type keyRange struct{ low, high []byte }

// SmallFile is the size up to which the order of keys is looked at before a file
// is used.
const SmallFile = 1 << 20

// readAhead is how much is read at once.
const readAhead = 256 << 10

// Check reports an error unless every page of a database file is reached
// at most once, is what it says it is, and holds only what lies within it.
func Check(r io.ReaderAt, size int64, pageSize int) error {
	// In a large file the order of the keys would take as long as all the rest.
	// There, Scrub of statefile looks at it, while the file is in use: bbolt does
	// not depend on it.
	c := &pageCheck{r: r, pageSize: pageSize}
	if size <= SmallFile {
		c.bounds = make(map[uint64]keyRange)
	}
	root, free, err := c.meta()
	if err != nil {
		return err
	}
	if c.high > uint64(size)/uint64(pageSize) {
		return fmt.Errorf("%w: it is cut off", ErrDamaged)
	}
	c.seen = make([]bool, c.high)
	// Going level by level and in the order of the file needs few reads.
	for level := []uint64{root}; len(level) > 0; level, c.todo = c.todo, nil {
		slices.Sort(level)
		for _, id := range level {
			page, err := c.read(id)
			if err != nil {
				return err
			}
			if !c.node(page, false) {
				return damagedPage(id)
			}
			if c.bounds != nil {
				c.checkOrder(page, c.bounds[id])
			}
		}
	}
	if free != noFreelist {
		page, err := c.read(free)
		if err != nil {
			return err
		}
		if !c.freelist(page) {
			return damagedPage(free)
		}
	}
	if c.disorder {
		return ErrDisorder
	}
	return nil
}

var (
	// ErrDamaged says that something in the file cannot be read.
	ErrDamaged = errors.New("damaged")
	// ErrDisorder says that keys of an otherwise sound file are not in their order.
	ErrDisorder = errors.New("keys are out of order")
)

func damagedPage(id uint64) error { return fmt.Errorf("%w: page %d", ErrDamaged, id) }

// meta reads the newest of the two meta pages that is sound, as bbolt does.
func (c *pageCheck) meta() (root, free uint64, err error) {
	found, newest := false, uint64(0)
	for n := range 2 {
		b := make([]byte, metaSize)
		if _, err := c.r.ReadAt(b, int64(n*c.pageSize+pageHeader)); err != nil {
			continue
		}
		sum := fnv.New64a()
		sum.Write(b[:56])
		if ne.Uint32(b) != metaMagic || ne.Uint32(b[4:]) != metaVersion || sum.Sum64() != ne.Uint64(b[56:]) {
			continue
		}
		if txid := ne.Uint64(b[48:]); !found || txid > newest {
			found, newest = true, txid
			root, free, c.high = ne.Uint64(b[16:]), ne.Uint64(b[32:]), ne.Uint64(b[40:])
		}
	}
	if !found {
		return 0, 0, fmt.Errorf("%w: neither of its first pages is sound", ErrDamaged)
	}
	return root, free, nil
}

// read reads a page with its overflow, which must not have been read before.
func (c *pageCheck) read(id uint64) ([]byte, error) {
	if id < 2 || id >= c.high {
		return nil, damagedPage(id)
	}
	at := int64(id) * int64(c.pageSize)
	page, err := c.readAt(at, c.pageSize)
	if err != nil {
		return nil, err
	}
	more := uint64(ne.Uint32(page[12:]))
	if ne.Uint64(page) != id || more >= c.high-id {
		return nil, damagedPage(id)
	}
	for i := id; i <= id+more; i++ {
		if c.seen[i] {
			return nil, damagedPage(id)
		}
		c.seen[i] = true
	}
	if more > 0 {
		return c.readAt(at, int(more+1)*c.pageSize)
	}
	return page, nil
}

// readAt returns n bytes of the file, which are good until the next call.
func (c *pageCheck) readAt(at int64, n int) ([]byte, error) {
	if at < c.at || at+int64(n) > c.at+int64(len(c.buf)) {
		size := max(n, readAhead)
		if cap(c.buf) < size {
			c.buf = make([]byte, size)
		}
		got, err := c.r.ReadAt(c.buf[:size], at)
		if got < n {
			c.buf = c.buf[:0]
			return nil, err
		}
		c.buf, c.at = c.buf[:got], at
	}
	return c.buf[at-c.at:][:n], nil
}

// node checks a branch or leaf page and notes the pages that it points to. A
// page that is kept inline, in the value of its bucket, points to none.
func (c *pageCheck) node(page []byte, inline bool) bool {
	flags, count := ne.Uint16(page[8:]), int(ne.Uint16(page[10:]))
	if pageHeader+count*elementSize > len(page) {
		return false
	}
	for i := range count {
		at := pageHeader + i*elementSize
		e := page[at : at+elementSize]
		switch flags {
		case pageBranch:
			if !within(page, at, ne.Uint32(e), ne.Uint32(e[4:]), 0) {
				return false
			}
			c.todo = append(c.todo, ne.Uint64(e[8:]))
		case pageLeaf:
			pos, ksize, vsize := ne.Uint32(e[4:]), ne.Uint32(e[8:]), ne.Uint32(e[12:])
			if !within(page, at, pos, ksize, vsize) {
				return false
			}
			if ne.Uint32(e)&leafBucket != 0 {
				start := at + int(pos) + int(ksize)
				if inline || !c.bucket(page[start:start+int(vsize)]) {
					return false
				}
			}
		}
	}
	return flags == pageLeaf || flags == pageBranch && count > 0
}

// checkOrder looks at the order of the keys of a page that node accepted, and
// says where those of the pages below it have to lie.
func (c *pageCheck) checkOrder(page []byte, in keyRange) {
	flags, count := ne.Uint16(page[8:]), int(ne.Uint16(page[10:]))
	before, child := in.low, uint64(0)
	for i := range count {
		at := pageHeader + i*elementSize
		e := page[at : at+elementSize]
		var key []byte
		if flags == pageBranch {
			key = page[at+int(ne.Uint32(e)):][:ne.Uint32(e[4:])]
			low := in.low // bbolt looks in the first for what is less, too
			if i > 0 {
				low = bytes.Clone(key)
				c.bounds[child] = keyRange{c.bounds[child].low, low}
			}
			child = ne.Uint64(e[8:])
			c.bounds[child] = keyRange{low, in.high}
		} else {
			pos, ksize, vsize := int(ne.Uint32(e[4:])), int(ne.Uint32(e[8:])), int(ne.Uint32(e[12:]))
			key = page[at+pos:][:ksize]
			if value := page[at+pos+ksize:][:vsize]; ne.Uint32(e)&leafBucket != 0 && ne.Uint64(value) == 0 {
				c.checkOrder(value[bucketHeader:], keyRange{})
			}
		}
		if order := bytes.Compare(before, key); order > 0 || order == 0 && i > 0 {
			c.disorder = true
		}
		before = key
	}
	if in.high != nil && count > 0 && bytes.Compare(before, in.high) >= 0 {
		c.disorder = true
	}
}

// within reports whether key and value of the element at offset at lie between
// the elements and the end of the page.
func within(page []byte, at int, pos, ksize, vsize uint32) bool {
	return pos >= elementSize && int64(at)+int64(pos)+int64(ksize)+int64(vsize) <= int64(len(page))
}

// bucket checks the value that describes a bucket.
func (c *pageCheck) bucket(value []byte) bool {
	if len(value) < bucketHeader {
		return false
	}
	if root := ne.Uint64(value); root != 0 {
		c.todo = append(c.todo, root)
		return true
	}
	inline := value[bucketHeader:]
	return len(inline) >= pageHeader && ne.Uint16(inline[8:]) == pageLeaf && c.node(inline, true)
}

// freelist checks that what is listed as free exists and is free.
func (c *pageCheck) freelist(page []byte) bool {
	count, ids := uint64(ne.Uint16(page[10:])), page[pageHeader:]
	if count == 0xFFFF {
		count, ids = ne.Uint64(ids), ids[8:]
	}
	if ne.Uint16(page[8:]) != pageFreelist || count > uint64(len(ids)/8) {
		return false
	}
	for i := range count {
		id := ne.Uint64(ids[8*i:])
		if id < 2 || id >= c.high || c.seen[id] {
			return false
		}
		c.seen[id] = true
	}
	return true
}
