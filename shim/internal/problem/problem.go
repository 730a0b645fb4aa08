// Package problem holds errors that a person reads. Where a Go error is a
// fragment that callers wrap, a problem is one or more whole sentences: what is
// wrong and what to do about it. A Sentence is such a text as an error; a Field
// also names the form field that has to be changed.
package problem

import (
	"errors"
	"net/http"
	"strings"

	"github.com/key2oauth/key2oauth/shim/internal/httpx"
)

// A Sentence is an error whose text is made of whole sentences for a person.
type Sentence string

func (s Sentence) Error() string { return string(s) }

// A Field is a mistake in one field of a form.
type Field struct {
	Name     string // name of the form field, empty if the error is about none
	CanForce bool   // the owner may save it anyway
	Err      *httpx.Error
}

func (f *Field) Error() string { return f.Err.Error() }

// Unwrap returns the error as it is answered over HTTP.
func (f *Field) Unwrap() error { return f.Err }

// Invalid returns err as a mistake in a form field, answered with 400.
func Invalid(field string, err error) *Field {
	return InField(field, http.StatusBadRequest, Text(err))
}

// InField returns a mistake in a form field. Words are whole sentences.
func InField(field string, status int, words string) *Field {
	return &Field{Name: field, Err: httpx.New(status, words)}
}

// FieldOf finds the field that an error is about, and the status to show the
// form with. ok is false for an error that the person in front of the form
// cannot fix, which is for the log.
func FieldOf(err error) (f *Field, status int, ok bool) {
	if f, ok := errors.AsType[*Field](err); ok {
		return f, http.StatusUnprocessableEntity, true
	}
	if e, ok := errors.AsType[*httpx.Error](err); ok {
		return &Field{Err: e}, e.Status, true
	}
	return nil, 0, false
}

// Text turns an error into a sentence that can stand alone on a page.
func Text(err error) string {
	msg := err.Error()
	if msg == "" {
		return msg
	}
	msg = strings.ToUpper(msg[:1]) + msg[1:]
	if !strings.ContainsAny(msg[len(msg)-1:], ".!?)") {
		msg += "."
	}
	return msg
}

// Join puts two sentences next to each other. Either may be empty.
func Join(a, b string) string { return strings.TrimSpace(a + " " + b) }

// Unavailable answers 503 with words, and asks the client to try again in half
// a minute. err is for the log and may be nil.
func Unavailable(words string, err error) *httpx.Error {
	return &httpx.Error{Status: http.StatusServiceUnavailable, Msg: words, Header: http.Header{"Retry-After": {"30"}}, Err: err}
}
