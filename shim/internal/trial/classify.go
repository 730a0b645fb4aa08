package trial

import (
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/key2oauth/key2oauth/shim/internal/coding"
	"github.com/key2oauth/key2oauth/shim/internal/endpoint"
	"github.com/key2oauth/key2oauth/shim/internal/refusal"
	"github.com/key2oauth/key2oauth/shim/internal/safedial"
	"github.com/key2oauth/key2oauth/shim/internal/upstream"
)

// verdict judges an answer to the first request, or to the list of tools.
func (k *talk) verdict(x answer, listed bool) Verdict {
	v := Verdict{Status: x.status, Server: k.server, Header: k.target.Header, LegacySSE: k.events != nil}
	host := k.target.URL.Host
	if e, ok := errors.AsType[*upstream.ElsewhereError](x.err); ok {
		v.Status, v.Outcome, v.Words = 0, Refused, k.target.Guard().Words(e.Explain(host))
		return v
	}
	if x.err != nil {
		v.Outcome, v.Fault, v.Words = failure(x.err), upstream.FaultOf(x.err), k.target.Guard().Words(explain(x.err))
		return v
	}
	if x.good() {
		v.Outcome = OK
		return v
	}
	msg := k.message(x)
	said := msg.quote()
	v.Outcome, v.Words = k.refusal(x, msg)
	switch {
	case v.Outcome == Rejected:
		v.wants = readHint(x)
	case v.Outcome != "":
	case x.status == http.StatusTooManyRequests:
		v.Outcome, v.Words = Busy, fmt.Sprintf(TextTooMany, host, said)
	case x.status >= 500:
		v.Outcome, v.Words = Busy, fmt.Sprintf(TextProblem, host, x.status, said)
	case msg.html:
		v.Outcome, v.Words = NotMCP, fmt.Sprintf(TextPage, host)
	case x.method == "tools/list" && msg.code == methodNotFound:
		v.Outcome = OK
	case x.odd != "":
		v.Outcome, v.Words = Odd, fmt.Sprintf(TextOdd, host, printable(x.odd, k.target, maxMessage))
	case listed && msg.rpc:
		v.Outcome, v.Words = Busy, fmt.Sprintf(TextNoList, host, said)
	case x.rpc:
		v.Outcome, v.Words = Odd, fmt.Sprintf(TextNoConnect, host, said)
	case x.status == http.StatusNotFound:
		v.Outcome, v.Words = NotMCP, fmt.Sprintf(TextNothing, host)
	default:
		v.Outcome, v.Words = NotMCP, fmt.Sprintf(TextNotMCP, host, said)
	}
	return v
}

// refusal judges an answer that says no to who asks; "" if it says something
// else.
func (k *talk) refusal(x answer, msg message) (Outcome, string) {
	host, said := k.target.URL.Host, msg.quote()
	switch {
	case x.status == http.StatusTooManyRequests, x.status >= 500:
	case x.status == http.StatusUnauthorized && k.target.Key.IsZero():
		return Rejected, fmt.Sprintf(TextAsks, host, said)
	case x.status == http.StatusUnauthorized:
		return Rejected, fmt.Sprintf(TextRejected, host, said)
	case x.status == http.StatusForbidden && (msg.html || refusal.BarsPlace(msg.text)):
		return Barred, fmt.Sprintf(TextBarred, host, said)
	case x.status == http.StatusForbidden:
		return Rejected, fmt.Sprintf(TextForbidden, host, said)
	case !msg.html && refusal.MentionsKey(msg.text):
		return Rejected, fmt.Sprintf(TextNotAccepted, host, said)
	}
	return "", ""
}

// failure returns the Outcome for an error of the connection.
func failure(err error) Outcome {
	if _, ok := errors.AsType[*upstream.RedirectError](err); ok {
		return Redirect
	}
	if _, ok := errors.AsType[*safedial.RefusedError](err); ok {
		return Refused
	}
	if _, ok := errors.AsType[*coding.Error](err); ok || errors.Is(err, errTooLong) || upstream.Broken(err) {
		return NotMCP
	}
	return Unreachable
}

// explain is like upstream.Explain, and also knows the errors of a trial.
func explain(err error) string {
	if errors.Is(err, errTooLong) {
		return TextTooLong
	}
	return upstream.Explain(err)
}

const methodNotFound = -32601 // JSON-RPC 2.0, Section 5.1

func nameOf(v Verdict, t *upstream.Target) string {
	if v.Server != "" {
		return v.Server
	}
	return t.URL.Host
}

func okWords(v Verdict, t *upstream.Target) string {
	switch v.Tools {
	case 0:
		return fmt.Sprintf(TextWorks, nameOf(v, t))
	case 1:
		return fmt.Sprintf(TextWorksOne, nameOf(v, t))
	}
	return fmt.Sprintf(TextWorksMany, nameOf(v, t), v.Tools)
}

func keylessWords(v Verdict, t *upstream.Target) string {
	words := fmt.Sprintf(TextKeyless, nameOf(v, t))
	if t.URL.RawQuery != "" {
		words += TextQuery
	}
	return words
}

func worksKeyless(v Verdict, t *upstream.Target) string {
	return fmt.Sprintf(TextOpen, nameOf(v, t))
}

func anyKeyWords(v Verdict, t *upstream.Target) string {
	return fmt.Sprintf(TextAnyKey, nameOf(v, t))
}

func unseenWords(v Verdict, t *upstream.Target) string {
	return fmt.Sprintf(TextUnseen, nameOf(v, t))
}

func headerWords(h endpoint.Header) string {
	if h.Prefix == "" {
		return fmt.Sprintf(TextHeaderAlone, h.Name)
	}
	return fmt.Sprintf(TextHeaderAfter, h.Name, strings.TrimSpace(h.Prefix))
}
