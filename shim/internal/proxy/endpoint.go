package proxy

import "github.com/key2oauth/key2oauth/shim/internal/sse"

// An endpointRewriter passes an event stream up to the end of its first event. If
// that is the endpoint event of protocol revision 2024-11-05, its data is
// replaced; the rest of the stream never changes. The event is held back until
// it is whole, which makes no difference to a client: it acts only on a whole
// event.
type endpointRewriter struct {
	// rename returns the new data of an endpoint event.
	rename func(data string) (string, error)

	event sse.FirstEvent
	over  bool // the rest passes unchanged
}

// write takes the next bytes of the stream and returns what can be passed on now.
func (rw *endpointRewriter) write(p []byte) (out []byte, err error) {
	out, n, found := rw.event.Write(p)
	if !found && n == len(p) {
		return out, nil
	}
	rw.over = true
	event := rw.event.Held()
	if found && rw.event.Name() == "endpoint" {
		data, err := rw.rename(rw.event.Data())
		if err != nil {
			return nil, err
		}
		event = rw.event.WithData(data)
	}
	return append(append(out, event...), p[n:]...), nil
}
