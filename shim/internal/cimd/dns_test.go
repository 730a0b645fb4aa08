package cimd

import (
	"context"
	"encoding/binary"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
)

// A nameServer answers DNS questions over UDP. Each question for a name moves
// on to its next address; the last one stays.
type nameServer struct {
	conn net.PacketConn

	mu    sync.Mutex
	names map[string][]netip.Addr
	asked map[string]int
}

func newNameServer(t *testing.T, names map[string][]string) *nameServer {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &nameServer{conn: conn, names: make(map[string][]netip.Addr), asked: make(map[string]int)}
	for name, addrs := range names {
		for _, a := range addrs {
			s.names[name] = append(s.names[name], netip.MustParseAddr(a))
		}
	}
	done := make(chan struct{})
	go func() { defer close(done); s.serve() }()
	t.Cleanup(func() { conn.Close(); <-done })
	return s
}

// resolver asks only this server.
func (s *nameServer) resolver() *net.Resolver {
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "udp", s.conn.LocalAddr().String())
	}}
}

const typeA, typeAAAA = 1, 28

func (s *nameServer) serve() {
	buf := make([]byte, 1500)
	for {
		n, from, err := s.conn.ReadFrom(buf)
		if err != nil {
			return
		}
		if answer := s.answer(buf[:n]); answer != nil {
			s.conn.WriteTo(answer, from)
		}
	}
}

// answer follows RFC 1035, Section 4.1. A question has one name.
func (s *nameServer) answer(q []byte) []byte {
	if len(q) < 12 {
		return nil
	}
	var labels []string
	i := 12
	for i < len(q) && q[i] != 0 {
		labels = append(labels, string(q[i+1:i+1+int(q[i])]))
		i += 1 + int(q[i])
	}
	kind := binary.BigEndian.Uint16(q[i+1:])
	end := i + 5
	addr, ok := s.next(strings.ToLower(strings.Join(labels, ".")), kind)

	a := append([]byte(nil), q[:end]...)
	binary.BigEndian.PutUint16(a[2:], 0x8180)
	binary.BigEndian.PutUint16(a[10:], 0)
	if !ok {
		return a
	}
	binary.BigEndian.PutUint16(a[6:], 1)
	a = append(a, 0xc0, 12, byte(kind>>8), byte(kind), 0, 1, 0, 0, 0, 0)
	data := addr.AsSlice()
	return append(append(a, 0, byte(len(data))), data...)
}

func (s *nameServer) next(name string, kind uint16) (netip.Addr, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	addrs := s.names[name]
	if len(addrs) == 0 {
		return netip.Addr{}, false
	}
	addr := addrs[min(s.asked[name], len(addrs)-1)]
	if (kind != typeA || !addr.Is4()) && (kind != typeAAAA || addr.Is4()) {
		return netip.Addr{}, false
	}
	s.asked[name]++
	return addr, true
}
