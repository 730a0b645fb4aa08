package trial

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/key2oauth/key2oauth/shim/internal/upstream"
)

// A talk is one conversation with an upstream, held the way the official client
// holds it but for two things: it keeps status and words of every answer, and
// it takes all that client takes. Its first request is initialize, which
// every upstream of the older era answers: a wrong key is refused there, and so
// costs one failed sign-in. Upstreams of the newer era alone refuse initialize
// for what it is, and are then asked by server/discover.
type talk struct {
	client  *upstream.Client
	target  *upstream.Target
	closing time.Duration // for ending the session
	turns   *turns

	modern   bool   // without a session, by revision 2026-07-28
	events   *feed  // of revision 2024-11-05; nil for others
	session  string // its id, if there is one
	revision string // that was agreed on
	server   string // the upstream's own title or name
	hasTools bool
	lastID   int
}

// revisions are those that the official client takes from an upstream that
// answers initialize.
var revisions = []string{"2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05", "2024-10-07"}

// begin makes the first request and finds out how the upstream speaks. The
// answer is that to the request that decided.
func (k *talk) begin(ctx context.Context) answer {
	x := k.request(ctx, "initialize", initializeParams)
	if x.good() {
		return k.initialized(ctx, x)
	}
	if x.err != nil || x.refuses() || !x.rpc && !slices.Contains([]int{400, 404, 405}, x.status) {
		return x
	}
	// Upstreams of the newer era alone do not know initialize, and say so in a
	// JSON-RPC error, with a status of 400 or 404.
	if x.rpc || x.status == http.StatusBadRequest {
		k.modern = true
		d := k.request(ctx, "server/discover", map[string]any{})
		if d.good() {
			k.learn(d)
			return d
		}
		if k.modern = false; d.refuses() || ctx.Err() != nil {
			return d
		}
	}
	if x.status/100 == 4 {
		if l, is := k.beginLegacy(ctx); is {
			return l
		}
	}
	return x
}

// initialized takes in the answer to initialize. An upstream that opened no
// session may speak the newer era too, in which later probes then ask.
func (k *talk) initialized(ctx context.Context, x answer) answer {
	k.session = x.header.Get("Mcp-Session-Id")
	k.learn(x)
	if !slices.Contains(revisions, k.revision) {
		x.odd = fmt.Sprintf(oddRevision, printable(k.revision, k.target, 20))
		return x
	}
	if k.events != nil || k.session != "" {
		return x
	}
	// Some upstreams never answer a method that they do not know.
	some := ctx
	if deadline, ok := ctx.Deadline(); ok {
		var cancel context.CancelFunc
		some, cancel = context.WithTimeout(ctx, time.Until(deadline)/4)
		defer cancel()
	}
	k.modern = true
	if d := k.request(some, "server/discover", map[string]any{}); d.good() {
		k.learn(d)
		return x
	}
	k.modern = false
	return x
}

// learn takes in what a first answer says about the upstream.
func (k *talk) learn(x answer) {
	var r struct {
		ProtocolVersion string
		ServerInfo      struct{ Name, Title any }
		Capabilities    struct{ Tools any }
		Meta            map[string]json.RawMessage `json:"_meta"`
	}
	_ = json.Unmarshal(x.result, &r) // what does not fit stays empty
	if info, ok := r.Meta["io.modelcontextprotocol/serverInfo"]; ok && r.ServerInfo.Name == nil {
		_ = json.Unmarshal(info, &r.ServerInfo)
	}
	for _, given := range []any{r.ServerInfo.Title, r.ServerInfo.Name} {
		if name, _ := given.(string); strings.TrimSpace(name) != "" {
			k.server = printable(name, k.target, maxServer)
			break
		}
	}
	k.hasTools = k.hasTools || r.Capabilities.Tools != nil
	if k.modern {
		k.client.SetRevision(k.target, upstream.Modern)
	} else {
		k.revision = r.ProtocolVersion
	}
}

// list lists the tools, on up to 20 pages, as apps do first of all.
func (k *talk) list(ctx context.Context) (x answer, tools int) {
	if !k.modern {
		if x = k.notify(ctx, "notifications/initialized"); x.err != nil || x.status/100 != 2 {
			return x, 0
		}
	}
	x = answer{status: http.StatusOK, result: json.RawMessage("{}")}
	if !k.hasTools {
		return x, 0
	}
	params := map[string]any{}
	for range 20 {
		if x = k.request(ctx, "tools/list", params); !x.good() {
			return x, tools
		}
		// Each tool is counted, even an odd one: clients leave out the
		// one that they do not understand.
		var page struct {
			Tools      []json.RawMessage
			NextCursor any
		}
		if json.Unmarshal(x.result, &page) != nil {
			x.odd = oddTools
			return x, tools
		}
		tools += len(page.Tools)
		cursor, _ := page.NextCursor.(string)
		if cursor == "" {
			break
		}
		params = map[string]any{"cursor": cursor}
	}
	return x, tools
}

// close ends what the conversation has opened. It is a courtesy, so errors are
// ignored.
func (k *talk) close(ctx context.Context) {
	if k.events != nil {
		k.events.close()
		return
	}
	if k.session == "" {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), k.closing)
	defer cancel()
	if resp, err := k.send(ctx, http.MethodDelete, k.endpoint(), nil, "", nil); err == nil {
		resp.Body.Close()
	}
}

// clientInfo is who we say that we are.
var clientInfo = map[string]any{"name": "key2oauth", "version": "1"}

var initializeParams = map[string]any{
	"protocolVersion": upstream.Legacy, "capabilities": map[string]any{}, "clientInfo": clientInfo,
}

// request sends a request and waits for its answer. An upstream that wants to
// be asked less often is asked again, when it says.
func (k *talk) request(ctx context.Context, method string, params map[string]any) answer {
	k.lastID++
	id := k.lastID
	return k.patiently(ctx, func() answer { return k.exchange(ctx, method, id, params) })
}

func (k *talk) notify(ctx context.Context, method string) answer {
	return k.patiently(ctx, func() answer { return k.exchange(ctx, method, 0, nil) })
}

// turns make the conversations of one trial take turns once the upstream has
// wanted to be asked less often. Otherwise they would take away from each other
// what it allows.
type turns struct {
	mu   sync.Mutex
	take atomic.Bool
}

func (k *talk) patiently(ctx context.Context, ask func() answer) answer {
	mine := k.turns.take.Load()
	if mine {
		k.turns.mu.Lock()
		defer k.turns.mu.Unlock()
	}
	x := ask()
	pause, ok := x.pause()
	if !ok {
		return x
	}
	if k.turns.take.Store(true); !mine {
		k.turns.mu.Lock()
		defer k.turns.mu.Unlock()
	}
	if waitFor(ctx, pause) {
		return ask()
	}
	return x
}

// exchange sends a message of JSON-RPC. The id 0 makes it a notification.
func (k *talk) exchange(ctx context.Context, method string, id int, params map[string]any) answer {
	if k.modern {
		params = withMeta(params)
	}
	msg := map[string]any{"jsonrpc": "2.0", "method": method}
	if id != 0 {
		msg["id"] = id
	}
	if params != nil {
		msg["params"] = params
	}
	body, err := json.Marshal(msg)
	if err != nil {
		return answer{method: method, err: err}
	}
	if k.events != nil {
		return k.exchangeLegacy(ctx, method, id, body)
	}
	x := answer{method: method}
	resp, err := k.send(ctx, http.MethodPost, k.endpoint(), body, method, func(h http.Header) {
		h.Set("Accept", "application/json, text/event-stream")
	})
	if err != nil {
		x.err = whyNot(ctx, err)
		return x
	}
	defer resp.Body.Close()
	x.read(ctx, resp, id)
	return x
}

// withMeta adds what every request of the newer era says about its client.
func withMeta(params map[string]any) map[string]any {
	all := map[string]any{"_meta": map[string]any{
		"io.modelcontextprotocol/protocolVersion":    upstream.Modern,
		"io.modelcontextprotocol/clientInfo":         clientInfo,
		"io.modelcontextprotocol/clientCapabilities": map[string]any{},
	}}
	for name, v := range params {
		all[name] = v
	}
	return all
}

// send sends an HTTP request with the key, as calls of apps are sent.
func (k *talk) send(ctx context.Context, httpMethod, to string, body []byte, rpc string, more func(http.Header)) (*http.Response, error) {
	req, err := http.NewRequestWithContext(upstream.WithTarget(ctx, k.target), httpMethod, to, strings.NewReader(string(body)))
	if err != nil {
		return nil, err
	}
	h := req.Header
	h.Set("User-Agent", upstream.UserAgent)
	if len(body) > 0 {
		h.Set("Content-Type", "application/json")
	} else {
		req.Body = http.NoBody
	}
	switch {
	case k.modern:
		h.Set("Mcp-Protocol-Version", upstream.Modern)
		h.Set("Mcp-Method", rpc)
	case k.revision != "" && k.events == nil:
		h.Set("Mcp-Protocol-Version", k.revision)
	}
	if k.session != "" {
		h.Set("Mcp-Session-Id", k.session)
	}
	if more != nil {
		more(h)
	}
	return k.client.Send(req)
}

// endpoint is the target's URL without its query, which Send adds.
func (k *talk) endpoint() string {
	u := *k.target.URL
	u.RawQuery, u.ForceQuery = "", false
	return u.String()
}
