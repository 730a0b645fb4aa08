package proxy

import "slices"

// maxListed is how many messages of one body are listed. A batch must not push
// everything else out of the log.
const maxListed = 100

// A messageList names the messages of a body, in their order. When there are too
// many, calls of tools stay, above all those of a tool that is not listed yet:
// what an app made a server do must not hide behind what does nothing. The first
// message always stays, because the request's headers are about that one.
type messageList struct {
	all []messageName

	// Of a full list: how often each call is in it. Counted once it is full.
	calls  map[messageName]int
	others int // messages that call no tool, besides the first one
	again  int // calls that are listed before, besides the first one
}

// add lists a message.
func (l *messageList) add(m messageName) {
	if len(l.all) < maxListed {
		l.all = append(l.all, m)
		return
	}
	if l.calls == nil {
		l.count()
	}
	switch fresh := l.calls[m] == 0; {
	case m.method != methodCall:
	case l.others > 0:
		l.others--
		l.replace(m, func(x messageName) bool { return x.method != methodCall })
		if !fresh {
			l.again++
		}
	case fresh && l.again > 0:
		l.again--
		l.replace(m, func(x messageName) bool { return x.method == methodCall && l.calls[x] > 1 })
	}
}

func (l *messageList) count() {
	l.calls = make(map[messageName]int)
	for i, m := range l.all {
		switch {
		case m.method == methodCall:
			if l.calls[m]++; l.calls[m] > 1 {
				l.again++
			}
		case i > 0:
			l.others++
		}
	}
}

// replace takes the last message but the first one that matches off the list,
// and lists m.
func (l *messageList) replace(m messageName, match func(messageName) bool) {
	for i := len(l.all) - 1; i > 0; i-- {
		if x := l.all[i]; match(x) {
			if x.method == methodCall {
				l.calls[x]--
			}
			l.all = append(slices.Delete(l.all, i, i+1), m)
			l.calls[m]++
			return
		}
	}
}

// A listing is what the log says of the messages of a body.
type listing struct {
	all       []messageName // of two messages or more
	more      int           // messages besides
	moreCalls int           // and how many of these call a tool
	found     bool          // the first one was not looked for in vain: an answer has no method
	malformed bool          // the body is no JSON-RPC message and no batch of them
}

// inOne reports whether a message has begun and not ended. If the body is over,
// it broke off.
func (s *scan) inOne() bool { return s.depth > 0 && s.stack[s.depth-1] != inBatch }

// firstName names the first message of the body, or the only one.
func (s *scan) firstName() messageName {
	switch {
	case s.ended > 1:
		return s.list.all[0]
	case s.ended == 1 && s.inOne():
		return s.one
	}
	return s.msg.name()
}

// messages lists the messages of the body.
func (s *scan) messages() listing {
	open := s.inOne()
	l := listing{found: s.ended > 0 || open, malformed: s.nested}
	if s.ended+count(open) < 2 {
		l.found = l.found && (s.msg.method != "" || s.msg.answer)
		l.malformed = l.malformed || !l.found && s.seen > 0
		return l
	}
	list := messageList{all: slices.Clone(s.list.all)}
	if s.ended == 1 {
		list.add(s.one)
	}
	calls := s.calls
	if open {
		m := s.msg.name()
		list.add(m)
		calls += count(m.method == methodCall)
	}
	l.all = list.all
	for _, m := range l.all {
		calls -= count(m.method == methodCall)
	}
	l.more, l.moreCalls = s.ended+count(open)-len(l.all), calls
	return l
}

func count(is bool) int {
	if is {
		return 1
	}
	return 0
}
