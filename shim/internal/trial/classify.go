package trial

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"

	"github.com/key2oauth/key2oauth/shim/internal/endpoint"
	"github.com/key2oauth/key2oauth/shim/internal/safedial"
	"github.com/key2oauth/key2oauth/shim/internal/upstream"
)

// classify turns a failed trial into a Verdict. The last answer decides.
func (rec *recorder) classify(ctx context.Context, err error) Verdict {
	host := rec.target.URL.Host
	if e, ok := errors.AsType[*upstream.ElsewhereError](err); ok {
		return Verdict{Outcome: Refused, Words: rec.target.Guard().Words(e.Explain(host))}
	}
	x := rec.last()
	// When the context ends it closes the connection, so that may be the error.
	if (x.err == nil || errors.Is(x.err, net.ErrClosed)) && ctx.Err() != nil {
		x.err = ctx.Err()
	}
	if x.err != nil {
		return Verdict{Outcome: failure(x.err), Fault: upstream.FaultOf(x.err), Status: x.status, Words: rec.target.Guard().Words(explain(x.err))}
	}
	msg := rec.message(x)
	v := Verdict{Status: x.status}
	switch {
	case x.status == http.StatusUnauthorized && rec.target.Key.IsZero():
		v.Outcome, v.Words = Rejected, fmt.Sprintf("%s asks for an API key.%s", host, msg.quote())
	case x.status == http.StatusUnauthorized:
		v.Outcome, v.Words = Rejected, fmt.Sprintf("%s rejected the key.%s Check that you copied the whole key, that it is meant for this server, and that it has not expired.", host, msg.quote())
	case x.status == http.StatusForbidden:
		v.Outcome, v.Words = Rejected, fmt.Sprintf("%s refused the key: it answered 403, \"forbidden\".%s The key may be wrong, or it may lack permissions that this server needs.", host, msg.quote())
	case x.status == http.StatusTooManyRequests:
		v.Outcome, v.Words = Busy, fmt.Sprintf("%s says it gets too many requests, so the key could not be checked.%s Wait a minute and try again.", host, msg.quote())
	case x.status >= 500:
		v.Outcome, v.Words = Busy, fmt.Sprintf("%s has a problem on its side (it answered %d), so the key could not be checked.%s Try again later.", host, x.status, msg.quote())
	case msg.html:
		v.Outcome, v.Words = NotMCP, fmt.Sprintf("%s answered with a web page, not as an MCP server. Check the address: often only the end is missing, for example /mcp.", host)
	case upstream.MentionsKey(msg.text):
		v.Outcome, v.Words = Rejected, fmt.Sprintf("%s did not accept the key.%s Check that you copied the whole key and that it has not expired.", host, msg.quote())
	case x.rpc == "tools/list" && msg.code == methodNotFound:
		v.Outcome = OK
	case x.rpc == "tools/list" && msg.rpc:
		v.Outcome, v.Words = Busy, fmt.Sprintf("%s is an MCP server but could not list its tools.%s Try again later.", host, msg.quote())
	case x.status == http.StatusNotFound:
		v.Outcome, v.Words = NotMCP, fmt.Sprintf("There is no MCP server at this address: %s answered 404, \"not found\". Check the address: often only the end is missing, for example /mcp.", host)
	default:
		v.Outcome, v.Words = NotMCP, fmt.Sprintf("%s answered, but not as an MCP server does.%s Check the address against the server's documentation.", host, msg.quote())
	}
	return v
}

// failure returns the Outcome for an error of the connection.
func failure(err error) Outcome {
	if _, ok := errors.AsType[*upstream.RedirectError](err); ok {
		return Redirect
	}
	if _, ok := errors.AsType[*safedial.Refused](err); ok {
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

func headerWords(h endpoint.Header) string {
	if h.Prefix == "" {
		return fmt.Sprintf(" It wants the bare key in the header %s.", h.Name)
	}
	return fmt.Sprintf(" It wants the key in the header %s, after \"%s\".", h.Name, strings.TrimSpace(h.Prefix))
}
