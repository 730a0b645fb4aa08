package wire

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"strconv"
)

// writeRequest writes a request that Fits. http.Request.Write would do the same,
// but sorts and copies the header. Fits has checked every name and value; the
// fields that frame a request are written only here.
func writeRequest(w *bufio.Writer, req *http.Request) error {
	w.WriteString(req.Method)
	w.WriteByte(' ')
	w.WriteString(req.URL.RequestURI())
	w.WriteString(" HTTP/1.1\r\nHost: ")
	host := req.Host
	if host == "" {
		host = req.URL.Host
	}
	w.WriteString(host)
	w.WriteString("\r\n")
	for name, values := range req.Header {
		if name == "User-Agent" && len(values) == 1 && values[0] == "" {
			continue // net/http's convention for no User-Agent
		}
		for _, v := range values {
			w.WriteString(name)
			w.WriteString(": ")
			w.WriteString(v)
			w.WriteString("\r\n")
		}
	}
	if req.ContentLength > 0 || req.Method == http.MethodPost {
		w.WriteString("Content-Length: ")
		w.Write(strconv.AppendInt(w.AvailableBuffer(), req.ContentLength, 10))
		w.WriteString("\r\n")
	}
	if _, err := w.WriteString("\r\n"); err != nil {
		closeBody(req)
		return err
	}
	if req.ContentLength > 0 {
		if err := writeBody(w, req); err != nil {
			closeBody(req)
			return err
		}
	}
	closeBody(req)
	return w.Flush()
}

// writeBody writes ContentLength bytes of the body. A longer body is an error:
// never send a truncated request.
func writeBody(w *bufio.Writer, req *http.Request) error {
	n, err := io.CopyN(w, req.Body, req.ContentLength)
	if err == io.EOF {
		return fmt.Errorf("the body ended after %d of %d bytes", n, req.ContentLength)
	}
	if err != nil {
		return err
	}
	var more [1]byte
	if n, _ := req.Body.Read(more[:]); n > 0 {
		return fmt.Errorf("the body is longer than its %d bytes", req.ContentLength)
	}
	return nil
}
