package tunneltest

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"io"
	"net"
	"strings"
	"testing"

	"golang.ngrok.com/muxado/v2"
)

// For any request of an agent, the edge assigns a bare host of the account, or
// refuses with a code.
func FuzzBind(f *testing.F) {
	f.Add([]byte(`{"Id":"","Proto":"https","Opts":{"URL":"https://` + DefaultDomain + `"},"Extra":{}}`))
	f.Add([]byte(`{"Proto":"https","Opts":{"URL":"https://user@Host:443/p?q#f"}}`))
	f.Add([]byte(`{"Proto":"tcp","Opts":null}`))
	e := Start(f, Config{Accounts: map[string]Account{goodToken: {Domains: []string{"second.example"}}}})
	s := &session{edge: e, token: goodToken, account: e.account(goodToken)}
	f.Fuzz(func(t *testing.T, b []byte) {
		var req bindRequest
		if readMessage(bytes.NewReader(b), &req) != nil {
			return
		}
		res := s.bind(&req)
		host, ok := strings.CutPrefix(res.URL, "https://")
		switch {
		case res.Error != "" && !strings.Contains(res.Error, "ERR_NGROK_"):
			t.Errorf("refused without a code: %q", res.Error)
		case res.Error == "" && (!ok || host != DefaultDomain && host != "second.example"):
			t.Errorf("got the host %q", res.URL)
		}
	})
}

// No bytes of an unauthenticated agent put a host online or stop the edge.
func FuzzSession(f *testing.F) {
	// One stream: the type in a frame with SYN, the message in another.
	stream := func(typ uint32, message string) []byte {
		var b []byte
		frame := func(flags byte, body []byte) {
			b = append(b, 0, byte(len(body)>>8), byte(len(body)), 1<<4|flags, 0, 0, 0, 3)
			b = append(b, body...)
		}
		frame(2, binary.BigEndian.AppendUint32(nil, typ))
		frame(0, []byte(message))
		return b
	}
	f.Add(stream(0, `{"Version":["3"],"Extra":{"Authtoken":"2bad_authtoken_of_fuzz"}}`))
	f.Add(stream(1, `{"Proto":"https","Opts":{}}`))
	f.Add(stream(2, `{"Id":"b"}`))
	f.Add(stream(8, `{}`))
	f.Add(stream(0xFFFFFFFF, "beat"))
	e := Start(f, Config{Accounts: map[string]Account{goodToken: {}}})
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		f.Fatal(err)
	}
	defer ln.Close()
	f.Fuzz(func(t *testing.T, b []byte) {
		if bytes.Contains(b, []byte(goodToken)) {
			return
		}
		there, err := net.Dial("tcp", ln.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer there.Close()
		here, err := ln.Accept()
		if err != nil {
			t.Fatal(err)
		}
		s := &session{edge: e, conn: e.line.Conn(here), ended: make(chan struct{})}
		s.mux = muxado.Server(s.conn, nil)
		done := make(chan struct{})
		go func() {
			defer close(done)
			defer s.end()
			for {
				stream, err := s.mux.AcceptStream()
				if err != nil {
					return
				}
				go s.serve(stream)
			}
		}()
		go func() {
			there.Write(b)
			there.(*net.TCPConn).CloseWrite()
		}()
		io.Copy(io.Discard, there) // the edge's answer is ignored
		<-done
		if hosts := e.Hosts(); len(hosts) != 0 {
			t.Errorf("%q are online", hosts)
		}
	})
}

// The header of a proxy stream is read back as the agent reads it.
func FuzzProxyHeader(f *testing.F) {
	f.Add("b1", "127.0.0.1:80")
	f.Fuzz(func(t *testing.T, id, addr string) {
		want := proxyHeader{ID: strings.ToValidUTF8(id, ""), ClientAddr: strings.ToValidUTF8(addr, ""), Proto: "https"}
		b, err := want.encode()
		if err != nil {
			t.Fatal(err)
		}
		if n := binary.LittleEndian.Uint64(b); n != uint64(len(b)-8) {
			t.Fatalf("got a length of %d, want %d", n, len(b)-8)
		}
		var got proxyHeader
		if err := json.Unmarshal(b[8:], &got); err != nil || got != want {
			t.Errorf("got %+v, %v, want %+v", got, err, want)
		}
	})
}
