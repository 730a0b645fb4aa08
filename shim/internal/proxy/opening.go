package proxy

import "github.com/key2oauth/key2oauth/shim/internal/sse"

// An opening passes an event stream up to the end of its first event. If that
// is the endpoint event of protocol revision 2024-11-05, its data is replaced;
// nothing else of the stream ever is. An event is held back until it is whole,
// which no parser notices: it would do nothing with a part.
type opening struct {
	// rename returns what stands in place of an endpoint event's data.
	rename func(data string) (string, error)

	event sse.FirstEvent
	over  bool // what follows passes unchanged
}

// write takes the next bytes of the stream and returns what can be passed on now.
func (o *opening) write(p []byte) (out []byte, err error) {
	out, n, found := o.event.Write(p)
	if !found && n == len(p) {
		return out, nil
	}
	o.over = true
	event := o.event.Held()
	if found && o.event.Name() == "endpoint" {
		data, err := o.rename(o.event.Data())
		if err != nil {
			return nil, err
		}
		event = o.event.WithData(data)
	}
	return append(append(out, event...), p[n:]...), nil
}
