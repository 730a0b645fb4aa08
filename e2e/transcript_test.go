package e2e

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
)

// A transcript is what e2e/clients/scripted.mjs recorded, in order.
type transcript []entry

type entry struct {
	Step    string
	From    string // client, server or outcome
	Message map[string]any
}

func readTranscript(t *testing.T, name string) (tr transcript) {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(bytes.NewReader(b))
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var e entry
		d := json.NewDecoder(bytes.NewReader(lines.Bytes()))
		d.UseNumber()
		if err := d.Decode(&e); err != nil {
			t.Fatal(err)
		}
		tr = append(tr, e)
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	return tr
}

// outcome is the status that a forgotten session got, or 0 if it was not
// refused.
func (tr transcript) outcome() (status int) {
	for _, e := range tr {
		if e.From == "outcome" {
			if n, ok := e.Message["status"]; ok {
				fmt.Sscan(fmt.Sprint(n), &status)
				if status == 0 {
					status = -1 // it has no number
				}
			}
		}
	}
	return status
}

// count says how often a method was used, in requests, notifications and
// requests for input.
func (tr transcript) count(method string) (n int) {
	for _, e := range tr {
		if e.Message["method"] == method {
			n++
		} else if result, ok := e.Message["result"].(map[string]any); ok {
			asked, _ := result["inputRequests"].(map[string]any)
			for _, a := range asked {
				if a, ok := a.(map[string]any); ok && a["method"] == method {
					n++
				}
			}
		}
	}
	return n
}

// topics are the messages by what they belong to: a request with its progress
// and its answer, or a kind of notification. Streams race each other, so the
// order holds within a topic only. Ids and what differs between two runs have
// placeholders. racing leaves out what an answer can overtake: logs, and the
// progress of a call that is complete.
func (tr transcript) topics(racing bool) map[string][]string {
	topics := make(map[string][]string)
	names := map[string]map[string]string{"client": {}, "server": {}} // of requests, by who sent them and by id
	count := make(map[string]int)
	for _, e := range tr {
		if e.From == "outcome" {
			continue
		}
		other := map[string]string{"client": "server", "server": "client"}[e.From]
		method, _ := e.Message["method"].(string)
		id, hasID := e.Message["id"]
		topic := e.Step + ": " + e.From + " " + method
		switch {
		case hasID && method != "":
			count[topic]++
			topic = fmt.Sprintf("%s #%d", topic, count[topic])
			names[e.From][key(id)] = topic
			e.Message["id"] = "{id}"
		case hasID:
			topic = names[other][key(id)]
			e.Message["id"] = "{id}"
		case method == "notifications/progress":
			params, _ := e.Message["params"].(map[string]any)
			topic = names[other][key(params["progressToken"])]
			params["progressToken"] = "{token}"
			if racing && params["progress"] == params["total"] {
				continue
			}
		case method == "notifications/message" && racing:
			continue
		}
		if meta := metaOf(e.Message); meta["progressToken"] != nil {
			meta["progressToken"] = "{token}"
		}
		if whenever(topic) {
			continue
		}
		b, err := json.Marshal(e.Message) // sorts the names
		if err != nil {
			panic(err)
		}
		topics[topic] = append(topics[topic], e.From+" "+differs.ReplaceAllString(string(b), "{different}"))
	}
	return topics
}

func key(id any) string { b, _ := json.Marshal(id); return string(b) }

func metaOf(message map[string]any) map[string]any {
	params, _ := message["params"].(map[string]any)
	meta, _ := params["_meta"].(map[string]any)
	return meta
}

// whenever reports whether messages of a topic come at any time or not at all,
// as the stream that they take may not be open yet.
func whenever(topic string) bool {
	return strings.HasSuffix(topic, "/list_changed") || strings.Contains(topic, "server ping")
}

// differs matches ids of sessions and times.
var differs = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z`)
