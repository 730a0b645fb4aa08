package proxy

import (
	"bytes"
	"encoding/binary"
)

// scanWindow is where in a request body the ids lie that are answered when the
// key is dead.
const scanWindow = 64 << 10

// maxValue bounds the raw length of a method, a tool's name and a version that
// are kept.
const maxValue = 1 << 10

// maxKey bounds the raw length of an object key that is compared. The longest
// key of interest has 39 characters, each at most six bytes when escaped.
const maxKey = 256

// A scan finds the method, tool, id and protocol version of JSON-RPC messages in
// the bytes of a request body while they pass. It is fed in pieces of any size,
// and keeps only those values. It reads to the end, also past what would be the
// end of valid JSON: which message an upstream takes from such a body is not
// known, so none may hide behind another. It does not validate: in invalid JSON
// it may find anything.
type scan struct {
	seen  int // bytes fed, at most scanWindow
	state scanState
	skip  int // depth inside a container that is skipped

	stack [4]place
	depth int

	key   bool  // the next string is a key of the innermost object
	field field // whose value comes next

	keep  bool // the current token goes into buf
	buf   []byte
	small [48]byte

	msg     message
	idSpace [24]byte
	batched bool
	inner   int    // depth inside a batch within the batch, which JSON-RPC has not
	nested  bool   // there was one
	batch   []byte // of a batch: one entry per message, see endMessage
	first   message
	one     messageName // the one that ended first, once another began
	late    bool        // something begins or ends past scanWindow
	ended   int         // messages that are whole
	calls   int         // of them, those that call a tool
	list    messageList // of two or more messages
}

// A messageName is what the log says of a message.
type messageName struct {
	method, tool string
	odd          bool // it can be read in two ways
}

// A message is what is known of one JSON-RPC message.
type message struct {
	method  string
	tool    string // params.name
	version string // params._meta["io.modelcontextprotocol/protocolVersion"]
	id      []byte // a JSON number or string as sent; nil if none
	answer  bool   // it has a result or an error: it is a response
	// odd: servers may read it in two ways. Some ignore the case of keys, and
	// some take the first of two.
	odd  bool
	have [versionField + 1]bool // keys that came
}

// name returns what the log says of m.
func (m *message) name() messageName {
	n := messageName{m.method, m.tool, m.odd}
	if n.method != methodCall {
		n.tool = ""
	}
	return n
}

type scanState uint8

const (
	between   scanState = iota // tokens
	inString                   // after the opening quote
	inEscape                   // after a backslash
	inLiteral                  // a number, true, false or null
)

// A place is a container whose fields are read.
type place uint8

const (
	inBatch place = iota
	inMessage
	inParams
	inMeta
)

// A field is a key that is read, inside its place.
type field uint8

const (
	noField field = iota
	idField
	methodField
	paramsField
	answerField
	toolField
	metaField
	versionField
)

// write feeds the next bytes of the body.
func (s *scan) write(p []byte) {
	if inside := scanWindow - s.seen; len(p) > inside {
		s.feed(p[:inside])
		s.seen = scanWindow
		s.late = s.late || s.depth > 0
		p = p[inside:]
		s.feed(p)
		return
	}
	s.feed(p)
	s.seen += len(p)
}

func (s *scan) feed(p []byte) {
	for i := 0; i < len(p); {
		c := p[i]
		switch s.state {
		case between:
			i++
			s.token(c)
		case inString:
			if !s.keep {
				i += s.passString(p[i:])
				continue
			}
			end := i + insideString(p[i:])
			s.take(p[i:end])
			if i = end; i == len(p) {
				break
			}
			if p[i] == '"' {
				s.state = between
				s.endString()
			} else {
				s.state = inEscape
				s.take(p[i : i+1])
			}
			i++
		case inEscape:
			s.state = inString
			s.take(p[i : i+1])
			i++
		case inLiteral:
			if delimits(c) {
				s.state = between
				s.endLiteral()
				continue // c is a token of its own
			}
			s.take(p[i : i+1])
			i++
		}
	}
}

// passString skips the inside of a string that is not kept, and returns how many
// bytes of p belong to it. It does so in one go, because texts of many lines are
// full of escapes.
func (s *scan) passString(p []byte) int {
	for i := 0; i < len(p); {
		i += insideString(p[i:])
		switch {
		case i == len(p):
		case p[i] == '"':
			s.state = between
			s.endString()
			return i + 1
		case i+1 == len(p):
			s.state = inEscape
			return i + 1
		default:
			i += 2
		}
	}
	return len(p)
}

// insideString returns how many bytes at the beginning of p neither end the
// string nor begin an escape. It looks at a few first: in a string of escapes, a
// search for the quote would otherwise go through everything each time.
func insideString(p []byte) int {
	n := 0
	for ; n < min(len(p), 32); n++ {
		if p[n] == '"' || p[n] == '\\' {
			return n
		}
	}
	for size := 256; n < len(p); size = min(2*size, 4<<10) {
		part := p[n:min(n+size, len(p))]
		end := bytes.IndexByte(part, '"')
		if end >= 0 {
			part = part[:end]
		}
		if esc := bytes.IndexByte(part, '\\'); esc >= 0 {
			return n + esc
		}
		n += len(part)
		if end >= 0 {
			break
		}
	}
	return n
}

// over reports whether the rest of the body makes no difference to an answer of
// ours.
func (s *scan) over() bool { return s.seen >= scanWindow || s.ended > 0 && s.depth == 0 }

func (s *scan) take(p []byte) {
	switch {
	case !s.keep:
		return
	case s.key && len(s.buf)+len(p) > maxKey, s.field == idField && s.seen >= scanWindow:
		s.keep = false // too long for a key of interest
		return
	case !s.key && s.field != idField:
		p = p[:min(len(p), maxValue-min(len(s.buf), maxValue))]
	}
	s.buf = append(s.buf, p...)
}

func delimits(c byte) bool {
	switch c {
	case ',', ']', '}', ':', '"', '[', '{', ' ', '\t', '\r', '\n':
		return true
	}
	return false
}

// token handles one byte between strings and literals.
func (s *scan) token(c byte) {
	switch c {
	case ' ', '\t', '\r', '\n':
	case '{', '[':
		s.open(c)
	case '}', ']':
		s.close()
	case ',':
		if s.skip == 0 && s.depth > 0 {
			s.field = noField
			s.key = s.stack[s.depth-1] != inBatch
		}
	case ':':
		s.key = false
	case '"':
		s.state = inString
		s.begin()
	default:
		s.state = inLiteral
		s.begin()
		s.keep = s.keep && s.field == idField && (c == '-' || '0' <= c && c <= '9')
		s.take([]byte{c})
	}
}

// begin decides whether to keep the scalar that starts here.
func (s *scan) begin() {
	s.buf = s.small[:0]
	s.keep = false
	if s.skip > 0 || s.depth == 0 {
		return
	}
	if s.key {
		s.keep = true
		return
	}
	switch s.field {
	case idField:
		s.keep = s.seen < scanWindow
	case methodField, toolField, versionField:
		s.keep = true
	}
}

func (s *scan) open(c byte) {
	if s.skip > 0 {
		s.skip++
		return
	}
	f := s.field
	s.reset(f)
	switch {
	case s.depth == 0 && c == '[':
		s.batched = true
		s.push(inBatch)
	case c == '[' && s.stack[s.depth-1] == inBatch:
		// Some servers flatten it.
		s.inner++
		s.nested = true
	case c == '{' && (s.depth == 0 || s.stack[s.depth-1] == inBatch):
		if s.ended == 1 {
			s.one = s.msg.name()
		}
		s.msg = message{}
		s.push(inMessage)
	case c == '{' && f == paramsField:
		s.push(inParams)
	case c == '{' && f == metaField:
		s.push(inMeta)
	default:
		s.skip = 1
	}
}

func (s *scan) push(p place) {
	s.stack[s.depth] = p
	s.depth++
	s.field = noField
	s.key = p != inBatch
}

func (s *scan) close() {
	if s.skip > 0 {
		s.skip--
		return
	}
	if s.depth == 0 {
		return // no JSON
	}
	if s.inner > 0 && s.stack[s.depth-1] == inBatch {
		s.inner--
		return
	}
	s.depth--
	if s.stack[s.depth] == inMessage {
		s.endMessage()
	}
	s.key, s.field = false, noField
}

// reset drops an earlier value of the same key: the last one counts, as in
// encoding/json.
func (s *scan) reset(f field) {
	switch f {
	case idField:
		s.msg.id = nil
	case methodField:
		s.msg.method = ""
	case paramsField:
		s.msg.tool, s.msg.version = "", ""
	case toolField:
		s.msg.tool = ""
	case metaField, versionField:
		s.msg.version = ""
	case answerField:
		s.msg.answer = true
	}
}

func (s *scan) endString() {
	if s.skip > 0 || s.depth == 0 {
		return
	}
	if s.key {
		s.field = noField
		if s.keep {
			s.field = s.meant(unescape(s.buf))
		}
		return
	}
	s.reset(s.field)
	if !s.keep {
		return
	}
	switch s.field {
	case idField:
		s.setID('"')
	case methodField:
		s.msg.method = methodString(plain(s.buf))
	case toolField:
		s.msg.tool = string(plain(s.buf))
	case versionField:
		s.msg.version = versionString(unescape(s.buf))
	}
}

func (s *scan) endLiteral() {
	if s.skip > 0 || s.depth == 0 || s.key {
		return
	}
	s.reset(s.field)
	if s.keep && s.field == idField {
		s.setID(0)
	}
}

// setID keeps buf as the id, in quotes if quote is one.
func (s *scan) setID(quote byte) {
	id := s.idSpace[:0]
	if s.batched {
		id = nil // endMessage copies it; the first message keeps its own
	}
	if quote != 0 {
		id = append(id, quote)
	}
	id = append(id, s.buf...)
	if quote != 0 {
		id = append(id, quote)
	}
	s.msg.id = id
}

// Flags of an entry in scan.batch.
const (
	entryCall   = 1 << iota // tools/call
	entryModern             // of protocol 2026-07-28 or later
)

// endMessage lists a message, and appends what repairRPC needs of one in a
// batch: flags, the length of the id, the id. An entry is shorter than its
// message.
func (s *scan) endMessage() {
	s.ended++
	s.calls += count(s.msg.method == methodCall)
	if s.ended == 2 {
		s.list.add(s.one)
	}
	if s.ended > 1 {
		s.list.add(s.msg.name())
	}
	if !s.batched || s.inner > 0 {
		return
	}
	if s.first.method == "" {
		s.first = s.msg
	}
	if s.msg.id == nil || s.msg.answer || s.seen >= scanWindow {
		return
	}
	var flags byte
	if s.msg.method == methodCall {
		flags |= entryCall
	}
	if modern(s.msg.version) {
		flags |= entryModern
	}
	s.batch = append(s.batch, flags)
	s.batch = binary.BigEndian.AppendUint16(s.batch, uint16(len(s.msg.id)))
	s.batch = append(s.batch, s.msg.id...)
}

// meant returns the field that a key stands for, and notes where servers may
// not agree about that.
func (s *scan) meant(key []byte) field {
	place := s.stack[s.depth-1]
	f := fieldOf(place, key)
	folded := false
	if f == noField && !lower(key) {
		f = foldedField(place, key)
		folded = f != noField
	}
	switch f {
	case methodField, paramsField, toolField:
		s.msg.odd = s.msg.odd || folded || s.msg.have[f]
		if folded && s.msg.have[f] {
			return noField
		}
		s.msg.have[f] = true
	}
	return f
}
