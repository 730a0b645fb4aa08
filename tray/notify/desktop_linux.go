package notify

import (
	"bytes"
	"context"
	"fmt"
	"html"
	"image"
	"image/color"
	"image/png"
	"slices"
	"time"

	"github.com/esiqveland/notify"
	"github.com/godbus/dbus/v5"

	"github.com/key2oauth/key2oauth/icons"
	"github.com/key2oauth/key2oauth/tray"
	"github.com/key2oauth/key2oauth/tray/internal/sessionbus"
)

const (
	service = "org.freedesktop.Notifications"
	object  = dbus.ObjectPath("/org/freedesktop/Notifications")
)

// timeout is how long the daemon may take for an answer. It may have to be
// started first.
const timeout = 5 * time.Second

// A session is the desktop's notification daemon, on a connection of our own
// that is opened when there is something to say.
type session struct {
	conn    *dbus.Conn
	actions bool // the daemon shows buttons; others would open a dialog for them
	markup  bool // the daemon reads the body as markup

	daemon string            // the name of its connection
	ids    map[uint32]string // by which daemon: another counts from one again
	clicks chan uint32
}

func newDesktop() desktop {
	return &session{ids: make(map[uint32]string), clicks: make(chan uint32, 16)}
}

func (s *session) clicked() <-chan uint32 { return s.clicks }

func (s *session) close() {
	if s.conn != nil {
		s.conn.Close()
	}
}

// connect connects to the daemon, if that is not done.
func (s *session) connect() error {
	if s.conn != nil && s.conn.Connected() {
		return s.ask()
	}
	conn, err := sessionbus.Connect(context.Background())
	if err != nil {
		return fmt.Errorf("there is no D-Bus session bus: %w", err)
	}
	err = conn.AddMatchSignal(
		dbus.WithMatchSender(service),
		dbus.WithMatchObjectPath(object),
		dbus.WithMatchInterface(service),
		dbus.WithMatchMember("ActionInvoked"),
	)
	if err != nil {
		conn.Close()
		return err
	}
	signals := make(chan *dbus.Signal, 16)
	conn.Signal(signals)
	go func() {
		for sig := range signals { // closed with the connection
			if len(sig.Body) != 2 || sig.Name != service+".ActionInvoked" {
				continue
			}
			if id, ok := sig.Body[0].(uint32); ok {
				select {
				case s.clicks <- id:
				default:
				}
			}
		}
	}()
	s.conn = conn
	return s.ask()
}

// ask asks who the daemon is and what it can do. That starts one where the
// desktop starts daemons when they are needed.
func (s *session) ask() error {
	defer time.AfterFunc(timeout, func() { s.conn.Close() }).Stop()
	can, err := notify.GetCapabilities(s.conn)
	if err != nil {
		return err
	}
	s.actions, s.markup = slices.Contains(can, "actions"), slices.Contains(can, "body-markup")
	return s.conn.BusObject().Call("org.freedesktop.DBus.GetNameOwner", 0, service).Store(&s.daemon)
}

func (s *session) show(n tray.Notice, old uint32) (uint32, error) {
	if err := s.connect(); err != nil {
		return 0, err
	}
	note := notify.Notification{
		AppName:       "Key2OAuth",
		AppIcon:       "key2oauth",
		Summary:       n.Title,
		Body:          n.Body,
		ExpireTimeout: notify.ExpireTimeoutSetByNotificationServer,
	}
	if s.ids[old] == s.daemon {
		note.ReplacesID = old
	}
	if s.markup {
		note.Body = html.EscapeString(n.Body)
	}
	if s.actions && n.Button != "" {
		// A click on the notification itself; some daemons draw a button for it.
		note.Actions = []notify.Action{notify.NewDefaultAction(n.Button)}
	}
	if !n.Event {
		note.ExpireTimeout = notify.ExpireTimeoutNever // it is withdrawn when it is over
	}
	note.AddHint(notify.HintImageDataRGBA(appIcon()))
	note.AddHint(notify.Hint{ID: "desktop-entry", Variant: dbus.MakeVariant("key2oauth")})
	defer time.AfterFunc(timeout, func() { s.conn.Close() }).Stop()
	id, err := notify.SendNotification(s.conn, note)
	if err != nil {
		return 0, err
	}
	s.ids[id] = s.daemon
	return id, nil
}

func (s *session) withdraw(id uint32) {
	daemon, known := s.ids[id]
	delete(s.ids, id)
	if !known || s.conn == nil || !s.conn.Connected() {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	// To the one that showed it: it may be gone, and the next one has given the
	// number to somebody else. An error says that the owner was faster.
	s.conn.Object(daemon, object).CallWithContext(ctx, service+".CloseNotification", 0, id)
}

// appIcon is for daemons that do not find the icon by its name, as with a
// program that was not installed. The pixels are not premultiplied, whatever
// the type says.
func appIcon() *image.RGBA {
	src, err := png.Decode(bytes.NewReader(icons.App(64)))
	if err != nil {
		panic(err) // our own file
	}
	img := image.NewRGBA(src.Bounds())
	for y := range src.Bounds().Dy() {
		for x := range src.Bounds().Dx() {
			c := color.NRGBAModel.Convert(src.At(x, y)).(color.NRGBA)
			copy(img.Pix[img.PixOffset(x, y):], []byte{c.R, c.G, c.B, c.A})
		}
	}
	return img
}
