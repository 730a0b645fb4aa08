package tunneltest

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"

	"golang.ngrok.com/muxado/v2"
)

// Every stream of a session begins with one of these: four bytes, big endian.
const (
	typeAuth       muxado.StreamType = 0
	typeBind       muxado.StreamType = 1
	typeUnbind     muxado.StreamType = 2
	typeProxy      muxado.StreamType = 3
	typeRestart    muxado.StreamType = 4
	typeStop       muxado.StreamType = 5
	typeUpdate     muxado.StreamType = 6
	typeSrvInfo    muxado.StreamType = 8
	typeStopTunnel muxado.StreamType = 9
	typeHeartbeat  muxado.StreamType = 0xFFFFFFFF
)

// maxMessage bounds one message of an agent. The SDK's are below 4 kB.
const maxMessage = 1 << 20

// authRequest is the first message of a session, with only the fields that the
// edge uses.
type authRequest struct {
	Version  []string
	ClientID string `json:"ClientId"`
	Extra    struct {
		Authtoken string
		Cookie    string
		UserAgent string
		Metadata  string

		HeartbeatInterval  int64
		HeartbeatTolerance int64
	}
}

type authResponse struct {
	Version  string
	ClientID string `json:"ClientId"`
	Error    string
	Extra    authResponseExtra
}

type authResponseExtra struct {
	Version        string
	Region         string
	Cookie         string
	AccountName    string
	PlanName       string
	Banner         string
	AgentSessionID string
}

type bindRequest struct {
	ID         string `json:"Id"`
	Proto      string
	ForwardsTo string
	Opts       map[string]any
	Extra      struct {
		Token          string
		PoolingEnabled bool
	}
}

type bindResponse struct {
	ID    string `json:"Id"`
	URL   string
	Proto string
	Opts  map[string]any
	Error string
	Extra bindResponseExtra
}

type bindResponseExtra struct {
	Token    string
	TunnelID string
}

type unbindRequest struct {
	ID string `json:"Id"`
}

// outcome is the answer to a request that can only succeed or fail.
type outcome struct{ Error string }

type stopTunnel struct {
	ID        string `json:"Id"`
	Message   string
	ErrorCode string
}

// proxyHeader opens a proxy stream, before the bytes of the client.
type proxyHeader struct {
	ID             string `json:"Id"`
	ClientAddr     string
	Proto          string
	EdgeType       string
	PassthroughTLS bool
}

// encode returns the header in its wire format. Its length is little endian,
// unlike everything else in the protocol.
func (h proxyHeader) encode() ([]byte, error) {
	b, err := json.Marshal(h)
	if err != nil {
		return nil, err
	}
	return append(binary.LittleEndian.AppendUint64(nil, uint64(len(b))), b...), nil
}

// readType reads the type of a stream.
func readType(r io.Reader) (muxado.StreamType, error) {
	var b [4]byte
	if _, err := io.ReadFull(r, b[:]); err != nil {
		return 0, err
	}
	return muxado.StreamType(binary.BigEndian.Uint32(b[:])), nil
}

// readMessage decodes one message into v. It does not wait for the end of the
// stream, which the agent leaves open for the answer.
func readMessage(r io.Reader, v any) error {
	lr := &io.LimitedReader{R: r, N: maxMessage}
	err := json.NewDecoder(lr).Decode(v)
	if err != nil && lr.N == 0 {
		return fmt.Errorf("message of over %d bytes", maxMessage)
	}
	return err
}

func writeMessage(w io.Writer, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	_, err = w.Write(append(b, '\n'))
	return err
}

// A Refusal is an ngrok error that an agent or a client sees.
type Refusal struct {
	Code string // for example "ERR_NGROK_334"
	Text string
}

// Error returns what is sent on the wire: the SDK finds the code in the text.
func (r *Refusal) Error() string { return r.Text + "\n\n" + r.Code + "\n" }

func refuse(code, format string, args ...any) *Refusal {
	return &Refusal{Code: "ERR_NGROK_" + code, Text: fmt.Sprintf(format, args...)}
}

// askedHost returns the host that a bind requests, "" if none.
func (b *bindRequest) askedHost() (string, error) {
	if b.Proto != "https" {
		return "", refuse("9036", "This edge has endpoints for https only, not for %q.", b.Proto)
	}
	s, _ := b.Opts["URL"].(string)
	if s == "" {
		return "", nil
	}
	u, err := url.Parse(s)
	switch {
	case err != nil || u.Scheme != "https" || u.Hostname() == "":
		return "", refuse("9036", "The URL %q is not valid.", s)
	case u.Port() != "" && u.Port() != "443":
		return "", refuse("9037", "The URL %q must not have a port.", s)
	case u.Path != "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil:
		return "", refuse("9038", "The URL %q must not have a path.", s)
	}
	return strings.ToLower(u.Hostname()), nil
}

// refusal returns err as a Refusal, or nil.
func refusal(err error) *Refusal {
	r, _ := errors.AsType[*Refusal](err)
	return r
}
