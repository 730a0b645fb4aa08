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

// timeout is how long the daemon may take to answer. It may have to be started
// first.
const timeout = 5 * time.Second

// A session is the desktop's notification daemon, on our own connection, which
// is opened when there is something to show.
type session struct {
	conn    *dbus.Conn
	actions bool // the daemon shows buttons; without this it would open a dialog
	markup  bool // the daemon reads the body as markup

	daemon string            // the name of its connection
	ids    map[uint32]string // the daemon that showed each id: a new one starts from 1
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

// connect connects to the daemon, unless it is connected.
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

// ask asks for the daemon's name and capabilities. That may start the daemon.
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
		note.ExpireTimeout = notify.ExpireTimeoutNever // withdrawn when it is over
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
	// Only to the daemon that showed it: a new daemon may have given the id to
	// another program. An error means that the owner was faster.
	s.conn.Object(daemon, object).CallWithContext(ctx, service+".CloseNotification", 0, id)
}

// appIcon is for daemons that do not find the icon by its name, for example if
// the program was not installed. The pixels are not premultiplied, despite the
// type.
func appIcon() *image.RGBA {
	src, err := png.Decode(bytes.NewReader(icons.App(64)))
	if err != nil {
		panic(err) // our own file is valid
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
