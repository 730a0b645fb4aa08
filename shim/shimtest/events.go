package shimtest

import "strings"

// An Event is what an EventSource dispatches. Retry times are events here too,
// for comparisons.
type Event struct{ Name, Data, ID, Retry string }

// Events parses a whole event stream exactly by WHATWG HTML, Section 9.2.6.
// Data without a final blank line is not an event.
func Events(stream string) (events []Event) {
	stream = strings.TrimPrefix(stream, "\xEF\xBB\xBF")
	stream = strings.ReplaceAll(strings.ReplaceAll(stream, "\r\n", "\n"), "\r", "\n")
	lines := strings.Split(stream, "\n")
	var name, id string
	var data strings.Builder
	for _, line := range lines[:len(lines)-1] { // a line without an end is dropped
		if line == "" {
			if data.Len() > 0 {
				events = append(events, Event{Name: name, Data: strings.TrimSuffix(data.String(), "\n"), ID: id})
			}
			name = ""
			data.Reset()
			continue
		}
		key, value, _ := strings.Cut(line, ":")
		value = strings.TrimPrefix(value, " ")
		switch key {
		case "event":
			name = value
		case "data":
			data.WriteString(value + "\n")
		case "id":
			if !strings.Contains(value, "\x00") {
				id = value
			}
		case "retry":
			events = append(events, Event{Retry: "=" + value})
		}
	}
	return events
}
