package trial

import (
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/key2oauth/key2oauth/shim/internal/endpoint"
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
		v.Outcome, v.Words = Busy, fmt.Sprintf("%s says it gets too many requests, so the key could not be checked.%s Wait a minute and try again.", host, said)
	case x.status >= 500:
		v.Outcome, v.Words = Busy, fmt.Sprintf("%s has a problem on its side (it answered %d), so the key could not be checked.%s Try again later.", host, x.status, said)
	case msg.html:
		v.Outcome, v.Words = NotMCP, fmt.Sprintf("%s answered with a web page, not as an MCP server. Check the address: often only the end is missing, for example /mcp.", host)
	case x.method == "tools/list" && msg.code == methodNotFound:
		v.Outcome = OK
	case x.odd != "":
		v.Outcome, v.Words = Odd, fmt.Sprintf("%s is an MCP server, but most apps will not understand it: %s. Contact the people who run it.", host, x.odd)
	case listed && msg.rpc:
		v.Outcome, v.Words = Busy, fmt.Sprintf("%s is an MCP server but could not list its tools.%s Try again later.", host, said)
	case x.rpc:
		v.Outcome, v.Words = Odd, fmt.Sprintf("%s is an MCP server, but did not let an app connect.%s Check the address against the server's documentation.", host, said)
	case x.status == http.StatusNotFound:
		v.Outcome, v.Words = NotMCP, fmt.Sprintf("There is no MCP server at this address: %s answered 404, \"not found\". Check the address: often only the end is missing, for example /mcp.", host)
	default:
		v.Outcome, v.Words = NotMCP, fmt.Sprintf("%s answered, but not as an MCP server does.%s Check the address against the server's documentation.", host, said)
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
		return Rejected, fmt.Sprintf("%s asks for an API key.%s", host, said)
	case x.status == http.StatusUnauthorized:
		return Rejected, fmt.Sprintf("%s rejected the key.%s Check that you copied the whole key, that it is meant for this server, and that it has not expired.", host, said)
	case x.status == http.StatusForbidden && (msg.html || upstream.BarsPlace(msg.text)):
		return Barred, fmt.Sprintf("%s refused the request, and not the key: it answered 403, \"forbidden\".%s It may allow only certain computers or addresses. Look that up in its settings or documentation.", host, said)
	case x.status == http.StatusForbidden:
		return Rejected, fmt.Sprintf("%s refused the key: it answered 403, \"forbidden\".%s The key may be wrong, or it may lack permissions that this server needs.", host, said)
	case !msg.html && upstream.MentionsKey(msg.text):
		return Rejected, fmt.Sprintf("%s did not accept the key.%s Check that you copied the whole key and that it has not expired.", host, said)
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
	if _, coding := errors.AsType[*upstream.CodingError](err); coding || errors.Is(err, errTooLong) {
		return NotMCP
	}
	return Unreachable
}

// explain is like upstream.Explain, and also knows the errors of a trial.
func explain(err error) string {
	if errors.Is(err, errTooLong) {
		return "The server's answer is far longer than an MCP server's would be. Check the server's address."
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
		return fmt.Sprintf("The key works: %s answered.", nameOf(v, t))
	case 1:
		return fmt.Sprintf("The key works: %s offers 1 tool.", nameOf(v, t))
	}
	return fmt.Sprintf("The key works: %s offers %d tools.", nameOf(v, t), v.Tools)
}

func keylessWords(v Verdict, t *upstream.Target) string {
	words := fmt.Sprintf("%s answers without a key as well, so the key could not be checked. If calls fail later, replace the key.", nameOf(v, t))
	if t.URL.RawQuery != "" {
		words += " (What stands after the ? in the address may be a key already.)"
	}
	return words
}

func worksKeyless(v Verdict, t *upstream.Target) string {
	return fmt.Sprintf("%s answers without a key.", nameOf(v, t))
}

func anyKeyWords(v Verdict, t *upstream.Target) string {
	return fmt.Sprintf("%s accepted the key, but it accepts a wrong one as well, so this proves nothing. If calls fail later, replace the key.", nameOf(v, t))
}

func unseenWords(v Verdict, t *upstream.Target) string {
	return fmt.Sprintf("%s accepted the key, but gave no clear answer to a wrong one, so it is not proven that the key was checked. If calls fail later, replace the key.", nameOf(v, t))
}

func headerWords(h endpoint.Header) string {
	if h.Prefix == "" {
		return fmt.Sprintf(" It wants the bare key in the header %s.", h.Name)
	}
	return fmt.Sprintf(" It wants the key in the header %s, after \"%s\".", h.Name, strings.TrimSpace(h.Prefix))
}
