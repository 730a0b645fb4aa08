package web

var (
	stepsOfTen = []StepRow{
		{Step: "found", Time: "14:12:01", Count: 4}, {Step: "register", Time: "14:12:02", Count: 2}, {Step: "authorize", Time: "14:12:04"},
		{Step: "waiting", Time: "14:12:20"}, {Step: "consent", Time: "14:12:31"}, {Step: "key", Why: "rejected", Time: "14:12:40"},
		{Step: "key", Time: "14:13:02"}, {Step: "approve", Time: "14:13:02"}, {Step: "exchange", Time: "14:13:03"},
		{Step: "call", Why: "upstream", Status: 403, Time: "14:13:05"},
	}
	connected = AttemptRow{
		Client: "Claude", Server: "Linear", Via: "ngrok", Age: "today", State: "done", Words: "It works.",
		Steps: append(stepsOfTen[:9:9], StepRow{Step: "call", Time: "14:13:04", Count: 3}, StepRow{Step: "tool", Time: "14:13:09"}),
	}
	hostileAttempt = AttemptRow{hostile, hostile, hostile, hostile, hostile, hostile, hostile, hostile, []StepRow{{hostile, hostile, 7, hostile, 2}}}
)

func checkStates() []state {
	stopped := []AttemptRow{
		{Client: "Claude", Server: "Linear", Via: "ngrok", Age: "2 minutes ago", State: "stopped", Whose: "client", Steps: stepsOfTen[:9],
			Words: "Claude has its access, and has never used it. All that could be done here is done.",
			Next:  "In Claude, switch the connector off and on, or start a new conversation. If nothing comes then, the fault is with the makers of Claude."},
		{Client: "Cursor", Server: name40, Via: "local", Age: "just now", State: "going", Words: "It waits for your answer.", Steps: stepsOfTen[:5]},
		{Client: "python-httpx", Via: "external", Age: "3 hours ago", State: "stopped", Whose: "upstream", Steps: stepsOfTen,
			Words: "The server refuses what python-httpx asks, although the key is good.",
			Next:  "Look at the server's website whether the key may do this, and whether it blocks calls from your network."},
	}
	well := []FindingGroup{
		{Name: "computer", Rows: []FindingRow{{What: "Key2OAuth", State: "ok", Words: "Version 1.0.0."}, {What: "Disk", State: "ok", Words: "73 GB are free."}}},
		{Name: "local", Rows: []FindingRow{{What: "Registers an app", State: "ok", MS: 2}, {What: "Stream", State: "ok", MS: 4}}},
		{Name: "public", Rows: []FindingRow{{What: "Way from the internet", State: "ok", MS: 212, Words: "It leads to this computer (name 12 ms, connection 44 ms, encryption 61 ms)."},
			{What: "Sign-in page", State: "warn", Whose: "ngrok", MS: 88, Words: "ngrok shows a page of its own before the sign-in page. Apps do not see it, only your browser does.",
				Next: "When you connect an app, press Visit Site on that page."}}},
	}
	ill := append(well[:2:2], FindingGroup{Name: "public", Rows: []FindingRow{
		{What: "Tunnel", State: "failed", Whose: "yours", Words: "ngrok does not accept this authtoken. It was mistyped, or it was reset in your ngrok account.",
			Next: "Copy the authtoken from your ngrok dashboard and paste it here again.", Link: "https://dashboard.ngrok.com/get-started/your-authtoken"},
	}}, FindingGroup{Name: "servers", Rows: []FindingRow{
		{What: name40 + ", key 1", State: "failed", Whose: "upstream", MS: 20004, Words: "finance.internal.example.com did not answer within 20 seconds.", Next: "Look whether the server works and whether its address is right."},
		{What: "Linear, key 1", State: "ok", MS: 412, Words: "mcp.linear.app accepts the key. It offers 23 tools."},
		{What: "Notes", State: "skipped", Words: "No key is saved, so it was not tried."},
	}})
	running := []FindingGroup{well[0], {Name: "local", Rows: []FindingRow{{What: "Registers an app", State: "ok", MS: 2}, {What: "Stream", State: "running"}}}}
	long := "This computer\n  ok      Key2OAuth\n          Version 1.0.0, on linux/amd64.\nYour servers\n  FAILED  " + name40 + ", key 1 (20004 ms): the server's\n          finance.internal.example.com did not answer within 20 seconds.\n          What to do: Look whether the server works and whether its address is right.\n"
	form := func(action string) string { return token + action }
	return []state{
		{"check-empty", Check{Version: "1.0.0", Token: form}},
		{"check-running", Check{Version: "1.0.0", Token: form, Running: true, Findings: running}},
		{"check-well", Check{Version: "1.0.0", Token: form, Age: "just now", Findings: well, Text: long}},
		{"check-ill", Check{Version: "1.0.0", Token: form, Age: "2 minutes ago", Findings: ill, Text: long, Attempts: stopped}},
		{"check-hostile", Check{Version: hostile, Age: hostile, Text: hostile, Findings: []FindingGroup{{hostile, []FindingRow{{hostile, hostile, hostile, hostile, hostile, "javascript:alert(1)", -1}}}}, Attempts: []AttemptRow{hostileAttempt}}},
		{"check-zero", Check{}},
	}
}
