package wire

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"strconv"
)

// writeRequest writes a request that Fits, as http.Request.Write does, which
// sorts and copies what needs neither. Every name and value of the header was
// checked by Fits; what frames a request is written here alone.
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
			continue // net/http's way of saying that there is none
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

// writeBody writes as much of the body as was announced. A body that is longer
// is none to send a part of: what is left out might be what matters.
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
