package trial

// What a person reads of a verdict, apart from the words of package upstream.
// The first %s is the server's host or name, and one within a sentence's end is
// TextSaid, or nothing.
const (
	TextSaid = " It said: \"%s\"."

	// The key was taken.
	TextWorks       = "The key works: %s answered."
	TextWorksOne    = "The key works: %s offers 1 tool."
	TextWorksMany   = "The key works: %s offers %d tools."
	TextKeyless     = "%s answers without a key as well, so the key could not be checked. If calls fail later, replace the key."
	TextQuery       = " (What stands after the ? in the address may be a key already.)"
	TextOpen        = "%s answers without a key."
	TextAnyKey      = "%s accepted the key, but it accepts a wrong one as well, so this proves nothing. If calls fail later, replace the key."
	TextUnseen      = "%s accepted the key, but gave no clear answer to a wrong one, so it is not proven that the key was checked. If calls fail later, replace the key."
	TextHeaderAlone = " It wants the bare key in the header %s."
	TextHeaderAfter = " It wants the key in the header %s, after \"%s\"."

	// It was not.
	TextAsks        = "%s asks for an API key.%s"
	TextRejected    = "%s rejected the key.%s Check that you copied the whole key, that it is meant for this server, and that it has not expired."
	TextForbidden   = "%s refused the key: it answered 403, \"forbidden\".%s The key may be wrong, or it may lack permissions that this server needs."
	TextNotAccepted = "%s did not accept the key.%s Check that you copied the whole key and that it has not expired."
	TextBarred      = "%s refused the request, and not the key: it answered 403, \"forbidden\".%s It may allow only certain computers or addresses. Look that up in its settings or documentation."

	// Nothing is known of the key.
	TextTooMany   = "%s says it gets too many requests, so the key could not be checked.%s Wait a minute and try again."
	TextProblem   = "%s has a problem on its side (it answered %d), so the key could not be checked.%s Try again later."
	TextNoList    = "%s is an MCP server but could not list its tools.%s Try again later."
	TextNoConnect = "%s is an MCP server, but did not let an app connect.%s Check the address against the server's documentation."
	TextOdd       = "%s is an MCP server, but most apps will not understand it: %s. Contact the people who run it."
	TextPage      = "%s answered with a web page, not as an MCP server. Check the address: often only the end is missing, for example /mcp."
	TextNothing   = "There is no MCP server at this address: %s answered 404, \"not found\". Check the address: often only the end is missing, for example /mcp."
	TextNotMCP    = "%s answered, but not as an MCP server does.%s Check the address against the server's documentation."
	TextTooLong   = "The server's answer is far longer than an MCP server's would be. Check the server's address."
)

// What is odd about a server, within TextOdd.
const (
	oddRevision = "it speaks a version of MCP that apps do not know (%q)"
	oddMedia    = "its answers are labeled %q instead of application/json"
	oddID       = "its answer names another request than the one it answers"
	oddEmpty    = "its answer is empty"
	oddTools    = "its list of tools is not a list"
)
