package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/key2oauth/key2oauth/e2e/testenv"
)

// An otherServer is a server that others made, and what it can do. Where it cannot
// do a thing, a field says why instead.
type otherServer struct {
	name      string
	command   func(t *testing.T, addr string) *exec.Cmd
	path      string // of its MCP endpoint
	transport string // "sse" is the one of revision 2024-11-05; the other is ""
	revision  string

	// What it wants for its own check of the key. Without a header, the front
	// checks the key for it.
	header, prefix string

	call        scriptStep
	progress    scriptStep
	sampling    scriptStep
	elicitation scriptStep

	noSampling, noElicitation, noProgress, noResume string

	// racing says that the last progress and the last log of a call can be lost on
	// their way through the server, when the answer overtakes them.
	racing bool

	// live says that a resumed stream also gets what the server sends later.
	// Others only replay.
	live bool

	// lost is what a session gets that the server has forgotten: directly, and
	// through the program. 0 means that it is not refused.
	lost, lostThrough int
}

// A scriptStep is one step of e2e/clients/scripted.mjs.
type scriptStep struct {
	Do       string         `json:"do"`
	Name     string         `json:"name,omitempty"`
	Tool     string         `json:"tool,omitempty"`
	Args     map[string]any `json:"args,omitempty"`
	Progress bool           `json:"progress,omitempty"`
	What     string         `json:"what,omitempty"`
}

func (s scriptStep) named(do, name string) scriptStep { s.Do, s.Name = do, name; return s }

// Tools of the official everything server, which some of the others run.
var (
	everythingEcho     = scriptStep{Tool: "echo", Args: map[string]any{"message": "“quotes” – and ümlauts"}}
	everythingLong     = scriptStep{Tool: "trigger-long-running-operation", Args: map[string]any{"duration": 0.8, "steps": 4}, Progress: true}
	everythingSampling = scriptStep{Tool: "trigger-sampling-request", Args: map[string]any{"prompt": "what?", "maxTokens": 10}}
	everythingElicits  = scriptStep{Tool: "trigger-elicitation-request"}
)

var otherServers = []otherServer{
	{
		name: "everything", path: "/mcp", revision: "2025-11-25",
		command: func(t *testing.T, addr string) *exec.Cmd {
			cmd := npmCommand(t, "mcp-server-everything", "streamableHttp")
			cmd.Env = append(cmd.Env, "PORT="+portOf(t, addr))
			return cmd
		},
		call: everythingEcho, progress: everythingLong, sampling: everythingSampling, elicitation: everythingElicits,
		lost: http.StatusBadRequest, lostThrough: http.StatusBadRequest,
	},
	{
		name: "everything by SSE", path: "/sse", transport: "sse", revision: "2024-11-05",
		command: func(t *testing.T, addr string) *exec.Cmd {
			cmd := npmCommand(t, "mcp-server-everything", "sse")
			cmd.Env = append(cmd.Env, "PORT="+portOf(t, addr))
			return cmd
		},
		call: everythingEcho, progress: everythingLong, sampling: everythingSampling, elicitation: everythingElicits,
		noResume: "the stream is the session in this transport",
	},
	{
		name: "mcp-proxy", path: "/mcp", revision: "2025-06-18", header: "X-API-Key",
		command: func(t *testing.T, addr string) *exec.Cmd {
			return npmCommand(t, "mcp-proxy", "--host", "127.0.0.1", "--port", portOf(t, addr), "--apiKey", apiKey,
				"--", "mcp-server-everything", "stdio")
		},
		call: everythingEcho, progress: everythingLong, racing: true, live: true,
		noSampling:    "it offers the server behind it no capabilities of its clients",
		noElicitation: "it offers the server behind it no capabilities of its clients",
		lost:          http.StatusNotFound, lostThrough: http.StatusNotFound,
	},
	{
		name: "fastmcp", path: "/mcp", revision: "2025-11-25", header: "Authorization", prefix: "Bearer ",
		command: func(t *testing.T, addr string) *exec.Cmd {
			return npmCommand(t, "node", "clients/fastmcp-server.mjs", portOf(t, addr), apiKey)
		},
		call: scriptStep{Tool: "text"}, progress: scriptStep{Tool: "progress", Progress: true}, elicitation: scriptStep{Tool: "elicit"},
		noSampling: "its tools have no way to ask for it", live: true,
		lost: http.StatusUnauthorized, lostThrough: http.StatusNotFound,
	},
	{
		name: "supergateway", path: "/mcp", revision: "2025-11-25",
		command: func(t *testing.T, addr string) *exec.Cmd {
			return npmCommand(t, "supergateway", "--stdio", "mcp-server-everything stdio", "--outputTransport", "streamableHttp",
				"--stateful", "--port", portOf(t, addr))
		},
		call: everythingEcho, progress: everythingLong, sampling: everythingSampling, elicitation: everythingElicits,
		noResume: "its events have no ids",
		lost:     http.StatusNotFound, lostThrough: http.StatusNotFound,
	},
	{
		name: "Notion", path: "/mcp", revision: "2025-11-25", header: "Authorization", prefix: "Bearer ",
		command: func(t *testing.T, addr string) *exec.Cmd {
			cmd := npmCommand(t, "notion-mcp-server", "--transport", "http", "--port", portOf(t, addr), "--auth-token", apiKey)
			cmd.Env = append(cmd.Env, "NOTION_TOKEN=", "BASE_URL="+notionAPI(t),
				`OPENAPI_MCP_HEADERS={"Authorization":"Bearer ntn_e2e","Notion-Version":"2025-09-03"}`)
			return cmd
		},
		call:          scriptStep{Tool: "API-get-self"},
		noProgress:    "its calls are single requests to Notion's API",
		noSampling:    "its tools ask for nothing",
		noElicitation: "its tools ask for nothing",
		noResume:      "its events have no ids",
		lost:          http.StatusBadRequest, lostThrough: http.StatusBadRequest,
	},
	{
		name: "mcp-go", path: "/mcp", revision: "2025-11-25",
		command: func(t *testing.T, addr string) *exec.Cmd {
			cmd := exec.Command(built(t, buildMCPGo))
			cmd.Env = append(os.Environ(), "CONFORMANCE_ADDR="+addr)
			return cmd
		},
		call:        scriptStep{Tool: "test_simple_text"},
		progress:    scriptStep{Tool: "test_tool_with_progress", Progress: true},
		sampling:    scriptStep{Tool: "test_sampling", Args: map[string]any{"prompt": "what?"}},
		elicitation: scriptStep{Tool: "test_elicitation", Args: map[string]any{"message": "who?"}},
		noResume:    "its events have no ids",
		racing:      true,
		// It takes every session for one of its own.
	},
	{
		name: "go-sdk, stateless", path: "/", revision: "2026-07-28",
		command: func(t *testing.T, addr string) *exec.Cmd {
			return exec.Command(built(t, buildEverything), "-http", addr, "-stateless=true")
		},
		call:        scriptStep{Tool: "test_simple_text"},
		progress:    scriptStep{Tool: "test_tool_with_progress", Progress: true},
		sampling:    scriptStep{Tool: "test_input_required_result_sampling"},
		elicitation: scriptStep{Tool: "test_input_required_result_elicitation"},
		noResume:    "this revision has no resumption",
	},
	{
		name: "mcp-proxy, stateless", path: "/mcp", revision: "2026-07-28", header: "X-API-Key",
		command: func(t *testing.T, addr string) *exec.Cmd {
			return npmCommand(t, "mcp-proxy", "--host", "127.0.0.1", "--port", portOf(t, addr), "--apiKey", apiKey, "--stateless",
				"--", "mcp-server-everything", "stdio")
		},
		call: everythingEcho, progress: everythingLong, racing: true,
		noSampling:    "it offers the server behind it no capabilities of its clients",
		noElicitation: "it offers the server behind it no capabilities of its clients",
		noResume:      "this revision has no resumption",
	},
}

// notionAPI stands in for the API that Notion's server calls.
func notionAPI(t *testing.T) string {
	t.Helper()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"object":"user","type":"bot","name":"“e2e”","path":%q}`, r.URL.Path)
	}))
	t.Cleanup(srv.Close)
	return srv.URL
}

// TestM01M06ServersOfOthers runs one script of the official client twice against
// each server: directly and through the program. Both must see the same
// messages, also when the stream is cut, the program is killed, or the server
// is started again in the middle.
func TestM01M06ServersOfOthers(t *testing.T) {
	testenv.Slow(t)
	npmBin(t)
	t.Parallel()
	for _, s := range otherServers {
		t.Run("M01 "+s.name, func(t *testing.T) {
			t.Parallel()
			s.check(t)
			r := startOther(t, s)
			direct := r.play(t, r.front.URL+s.path, map[string]string{r.front.header: r.front.value}, r.front.cut)
			if got, want := r.front.ids.Load(), s.noResume == ""; got != want {
				t.Errorf("events have ids: %v; the table says that streams resume: %v", got, want)
			}

			a := startApp(t)
			e := a.addHeaderEndpoint(s.name, r.front.URL+s.path, r.front.header, strings.TrimSuffix(r.front.value, apiKey))
			token := signIn(t, a, e)
			r.front.mustNotSee(token)
			through := r.play(t, e.Local, map[string]string{"Authorization": "Bearer " + token}, a.restart)

			s.mustShow(t, direct)
			if got := direct.outcome(); got != s.lost {
				t.Errorf("directly, a forgotten session is answered with %d, want %d", got, s.lost)
			}
			if got := through.outcome(); got != s.lostThrough {
				t.Errorf("through the program, a forgotten session is answered with %d, want %d", got, s.lostThrough)
			}
			if d := cmp.Diff(direct.topics(s.racing), through.topics(s.racing)); d != "" {
				t.Errorf("the messages differ (-direct +through):\n%s", d)
			}
			r.front.check(t)
			if got := a.credentialStates(e); len(got) != 1 || got[0] != "ok" {
				t.Errorf("the keys are %q afterwards, want one that is ok", got)
			}
		})
	}
}

// addHeaderEndpoint adds a server that takes its key in a header, without a key.
func (a *app) addHeaderEndpoint(name, upstream, header, prefix string) endpointInfo {
	a.t.Helper()
	var e endpointInfo
	a.api("POST", "/api/slugs", map[string]string{
		"upstream_url": upstream, "display_name": name, "auth_header_name": header, "auth_header_prefix": prefix,
	}, &e)
	return e
}

// credentialStates returns the states of the keys of a server.
func (a *app) credentialStates(e endpointInfo) (states []string) {
	a.t.Helper()
	var now struct{ Credentials []struct{ State string } }
	a.api("GET", "/api/slugs/"+e.Slug, nil, &now)
	for _, c := range now.Credentials {
		states = append(states, c.State)
	}
	return states
}

// check holds the table to saying what a server can do or why it cannot.
func (s otherServer) check(t *testing.T) {
	t.Helper()
	for _, c := range []struct {
		what string
		can  bool
		not  string
	}{
		{"sampling", s.sampling.Tool != "", s.noSampling},
		{"elicitation", s.elicitation.Tool != "", s.noElicitation},
		{"progress", s.progress.Tool != "", s.noProgress},
	} {
		if c.can == (c.not != "") {
			t.Fatalf("the table must say either how %s shows %s or why it does not", s.name, c.what)
		}
	}
}

// mustShow fails unless what the table says was really seen.
func (s otherServer) mustShow(t *testing.T, tr transcript) {
	t.Helper()
	for _, want := range []struct {
		method string
		times  int
		can    bool
	}{
		{"tools/call", 3, true},
		{"sampling/createMessage", 1, s.sampling.Tool != ""},
		{"elicitation/create", 1, s.elicitation.Tool != ""},
		{"notifications/progress", 2, s.progress.Tool != ""},
	} {
		if n := tr.count(want.method); want.can && n < want.times || !want.can && n != 0 {
			t.Errorf("%s was seen %d times; the table says can=%v", want.method, n, want.can)
		}
	}
}

// A runningServer is a server behind its front.
type runningServer struct {
	otherServer
	front *front
	addr  string
	stop  func()
}

func startOther(t *testing.T, s otherServer) *runningServer {
	t.Helper()
	r := &runningServer{otherServer: s, addr: freeAddr(t)}
	r.start(t)
	r.front = newFront(t, "http://"+r.addr, s.header, s.prefix)
	return r
}

func (r *runningServer) start(t *testing.T) {
	t.Helper()
	r.stop = startServer(t, r.command(t, r.addr), r.addr)
}

// steps is the script. Where streams resume, the middle is in the middle of a
// call, else between two calls.
func (r *runningServer) steps() []scriptStep {
	steps := []scriptStep{{Do: "list"}, {Do: "rest"}, r.call.named("call", "call")}
	for _, s := range []scriptStep{
		r.sampling.named("call", "sampling"), r.elicitation.named("call", "elicitation"), r.progress.named("call", "progress"),
	} {
		if s.Tool != "" {
			steps = append(steps, s)
		}
	}
	if r.noResume == "" && r.progress.Tool != "" {
		steps = append(steps, scriptStep{Do: "wait", What: "cut"}, r.progress.named("call", "resume"),
			scriptStep{Do: "wait", What: "break"}, r.progress.named("call", "resume after a restart"))
	} else {
		steps = append(steps, scriptStep{Do: "wait", What: "restart"})
	}
	if r.transport == "sse" {
		anew := r.call.named("anew", "anew")
		return append(steps, anew, scriptStep{Do: "wait", What: "server"}, anew)
	}
	return append(steps, r.call.named("call", "then"), scriptStep{Do: "wait", What: "server"}, r.call.named("again", "again"))
}

// play runs the script with the server at url. restart breaks the connections
// between the client and us: it starts the program again if there is one.
func (r *runningServer) play(t *testing.T, url string, headers map[string]string, restart func()) transcript {
	t.Helper()
	recording := filepath.Join(t.TempDir(), "recording")
	plan, err := json.Marshal(map[string]any{
		"url": url, "headers": headers, "transport": r.transport, "revision": r.revision, "steps": r.steps(),
	})
	if err != nil {
		t.Fatal(err)
	}
	s := startScript(t, nil, "scripted.mjs", string(plan), recording)
	for {
		switch line := s.next(); {
		case line.Waiting == "cut":
			r.inTheMiddle(t, s, r.front.cut)
		case line.Waiting == "break":
			r.inTheMiddle(t, s, restart)
		case line.Waiting == "restart":
			restart()
			s.goOn()
		case line.Waiting == "server":
			r.stop()
			r.start(t)
			s.goOn()
		case line.Done != nil:
			return readTranscript(t, recording)
		}
	}
}

// inTheMiddle lets the client call, and breaks when two events of progress have
// passed. A server that only replays may end the call first.
func (r *runningServer) inTheMiddle(t *testing.T, s *script, breaks func()) {
	t.Helper()
	before := r.front.resumed.Load()
	h := r.front.haltAfter(2, r.live)
	s.goOn()
	h.wait(t)
	breaks()
	eventually(t, patience, "the stream is resumed", func() bool { return r.front.resumed.Load() > before })
}
