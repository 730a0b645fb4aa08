package api

import (
	"encoding/json"
	"os"
	"testing"
	"time"
)

// TestGolden compares the API's answers with those from before it had its own
// types. Other people's programs read these bytes.
func TestGolden(t *testing.T) {
	at := time.Date(2026, 11, 29, 12, 0, 0, 123456789, time.UTC)
	later := at.Add(time.Hour)
	public, listener, level, login := "https://example.com", "http://127.0.0.1:7451", LogInfo, true
	attempts := []Attempt{{
		ID: 7, Client: "Claude", App: "claude.ai", Agent: "node", Via: "ngrok", Host: "claude.ai", Slug: "0123456789ab", Grant: "g1", Began: at, Last: later,
		Events: []Event{{Step: "found", Time: at}, {Step: "call", Why: "upstream", Status: 502, Time: at, Last: later, Count: 3}}, Over: true, Endpoint: "Notes",
		Diagnosis: Diagnosis{State: AttemptStopped, Stopped: "tool", Cause: "call 502", Whose: WhoseUpstream, Words: "W & <b>.", Next: "N."},
	}, {ID: 1, Via: "local", Began: at, Last: at, Events: []Event{}, Diagnosis: Diagnosis{State: AttemptDone, Words: "It works."}}}
	tunnel := TunnelStatus{
		Provider: TunnelNgrok, State: TunnelOnline, Words: "W", Next: "N", Link: "L", Code: "ERR_NGROK_1", Whose: WhoseNgrok, Account: "a", Plan: "p", Region: "eu", Since: &at, Test: "T", Senders: "S", Proven: true,
		Usage: &TunnelUsage{Month: "2026-11", Requests: 1, Bytes: 2, MaxRequests: 3, MaxBytes: 4, Warning: "W"}, Stranded: []string{"Claude"},
	}
	server := Endpoint{
		Slug: "0123456789ab", UpstreamURL: "https://a.example/mcp?…", DisplayName: "Notes", AuthHeaderName: "Authorization", AuthHeaderPrefix: "Bearer ", MCPEndpoint: "m", LocalMCPEndpoint: "l", State: EndpointUnreachable,
		Credentials: []Credential{{ID: "c1", Label: "key 1", State: CredentialOK, For: ForOwner, Unwatched: UnwatchedShort}}, Created: at, LastUsed: &later, Struck: 3, Note: "N",
	}
	got, err := json.MarshalIndent(map[string]any{
		"status": Status{
			Version: "1", LocalOrigin: "http://127.0.0.1:7450", PublicOrigin: &public, PublicListener: &listener, Tunnel: tunnel,
			Internet: Internet{State: InternetUnreachable, Words: "W", Why: "Y", Next: "N", Link: "L"},
			Concerns: []Concern{{Kind: ConcernRejected, Level: LevelError, Slug: "s", ID: "i", Words: "W", Next: "N", Button: "B", Path: "/p", Do: "/d", Damage: "k"}, {}},
			Keychain: Keychain{Mode: ModeOS, State: KeychainMemory, Words: "W", CanKeep: true}, Disk: DiskStatus{State: DiskFull, Words: "W", Next: "N"},
			Paused: true, SameUserCheck: true, Endpoints: 1, Rejected: 2, Grants: 3, Struck: 4,
			Pending:  []PendingRequest{{URL: "u", ClientName: "c", App: "a", RedirectHost: "h", ReturnsTo: "r", Slug: "s", Created: at, Asked: true}, {Created: at}},
			Attempts: attempts,
		},
		"status-zero":  Status{},
		"tunnel-zero":  TunnelStatus{Usage: &TunnelUsage{}},
		"servers":      Endpoints{[]Endpoint{server, {Credentials: []Credential{}, Created: at}}},
		"server":       server,
		"several-keys": SeveralKeys{Error: "E", Credentials: []Credential{{ID: "c1", Label: "key 1", State: CredentialUnverified}}},
		"created":      CreatedEndpoint{"s", "m", "l", "d", "n"},
		"grants": Grants{[]Grant{
			{ID: "g1", Slug: "s", ClientID: "ci", ClientName: "cn", App: "an", RedirectHost: "rh", ReturnsTo: "rt", Origin: "o", Credential: "c", Created: at, LastUsed: &later, InTwoPlaces: &at}, {Created: at},
		}},
		"settings":      Settings{AccessTTL: 3600, LogLevel: &level, Login: &login, UseProxy: &login, DataDir: "d"},
		"settings-zero": Settings{},
		"activity": Activity{[]Call{
			{Time: at, Slug: "s", Grant: "g", Client: "c", App: "a", Method: "tools/call", Tool: "t", Status: 200, MS: 5, Struck: 2}, {Time: at},
		}},
		"timeline": Timeline{attempts},
		"report": Report{Version: "1", Began: at, Ended: &later, OK: true, Findings: []Finding{
			{ID: "i", Group: GroupComputer, What: "w", State: FindingFailed, Whose: WhoseYours, Words: "W", Next: "N", Link: "L", MS: 3}, {},
		}},
		"report-zero": Report{},
		"imported":    ImportResult{[]Endpoint{server}, []string{"s"}},
		"error":       Error{Error: "E <b>"},
		"link":        OwnerLink{"http://127.0.0.1:7450/open?ticket=t&next=/"},
		"deleted":     Deletion{[]string{"a"}},
		"test":        TunnelTest{true, "W"},
	}, "", "\t")
	if err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile("testdata/golden.json")
	if err != nil {
		t.Fatal(err)
	}
	if string(got)+"\n" != string(want) {
		t.Errorf("the API's JSON has changed; it is now\n%s", got)
	}
}
