package adminapi

import (
	"encoding/json"
	"net/http"
)

// A listWriter answers with an object of one list, item by item, so that a long
// list is never in memory as a whole.
type listWriter struct {
	w     http.ResponseWriter
	name  string // of the list
	begun bool
}

// begin writes what comes before the first item.
func (l *listWriter) begin() error {
	if l.begun {
		return nil
	}
	l.begun = true
	h := l.w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store")
	l.w.WriteHeader(http.StatusOK)
	_, err := l.w.Write([]byte(`{"` + l.name + `":[`))
	return err
}

func (l *listWriter) add(item any) error {
	b, err := json.Marshal(item)
	if err != nil {
		return err
	}
	if l.begun {
		b = append([]byte{','}, b...)
	} else if err := l.begin(); err != nil {
		return err
	}
	_, err = l.w.Write(b)
	return err
}

// end writes what comes after the last item, or cuts the answer off if the list
// could not be read to its end: it must not look whole.
func (l *listWriter) end(err error) error {
	if err != nil && l.begun {
		panic(http.ErrAbortHandler)
	}
	if err == nil {
		err = l.begin()
	}
	if err == nil {
		_, err = l.w.Write([]byte("]}\n"))
	}
	return err
}
