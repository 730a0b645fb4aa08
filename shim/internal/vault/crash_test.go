package vault

import (
	"bufio"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/key2oauth/key2oauth/e2e/testenv"
	"github.com/key2oauth/key2oauth/shim/internal/endpoint"
	"github.com/key2oauth/key2oauth/shim/internal/keychain"
	"github.com/key2oauth/key2oauth/shim/internal/oauth"
)

// writerProcess changes the state until it is killed. It reports a change only
// after the vault has confirmed it.
func writerProcess(dir string) error {
	v, err := Open(Config{Dir: dir, Mode: keychain.ModeFile})
	if err != nil {
		return err
	}
	if _, ok := v.Endpoint(testSlug); !ok {
		err := v.AddEndpoint(endpoint.Endpoint{Slug: testSlug, BaseURL: testBase, Name: "x"}, "")
		if err != nil {
			return err
		}
	}
	g := oauth.Grant{ID: "g1", Slug: testSlug}
	err = v.CreateGrant(g, digestOf("code"), oauth.Token{Kind: oauth.Code, Expires: time.Now().Add(time.Hour)})
	if err != nil && !errors.Is(err, ErrExists) {
		return err
	}
	begin := time.Now().UnixNano()
	for n := 0; ; n++ {
		// As a rotation does: a new token, and a mark on the old one.
		id := fmt.Sprintf("%d-%d", begin, n)
		err := v.UpdateGrant("g1", func(tx oauth.Tx) error {
			if old, ok := tx.Token(digestOf(fmt.Sprintf("%d-%d", begin, n-1))); ok {
				old.Superseded = true
				tx.SetToken(digestOf(fmt.Sprintf("%d-%d", begin, n-1)), old)
			}
			tx.SetToken(digestOf(id), oauth.Token{Kind: oauth.RefreshToken, Expires: time.Now().Add(time.Hour)})
			return nil
		})
		if err != nil {
			return err
		}
		fmt.Println("token", id)
		if n%5 == 0 {
			c, err := v.SaveCredential(testSlug, "", endpoint.NewSecret("key of "+id), endpoint.Working)
			if err != nil {
				return err
			}
			fmt.Println("key", c.ID, "key of", id)
		}
		if n%7 == 0 {
			if err := v.SetSetting("n", strconv.AppendInt(nil, int64(n), 10)); err != nil {
				return err
			}
			fmt.Println("setting", n)
		}
	}
}

// TestKilledWriter kills a program at random instants, many times on the same
// data folder, and checks that every confirmed change is there.
func TestKilledWriter(t *testing.T) {
	t.Parallel()
	kills := 30
	if testenv.InCI() {
		kills = 150
	}
	dir := t.TempDir()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	tokens, keys := 0, 0
	for range kills {
		answered := killedRun(t, exe, dir)
		v, err := Open(Config{Dir: dir, Mode: keychain.ModeFile})
		if err != nil {
			t.Fatalf("after a kill: %v", err)
		}
		setting := ""
		for _, line := range answered {
			kind, rest, _ := strings.Cut(line, " ")
			switch kind {
			case "token":
				tokens++
				if _, ok, err := v.Token("g1", digestOf(rest)); !ok || err != nil {
					t.Errorf("token %s is lost: %v", rest, err)
				}
			case "key":
				keys++
				id, key, _ := strings.Cut(rest, " ")
				checkKey(t, v, id, key)
			case "setting":
				setting = rest
			}
		}
		if got, _ := v.Setting("n"); setting != "" && string(got) < setting && len(got) <= len(setting) {
			t.Errorf("setting %q, want at least %q", got, setting)
		}
		if err := v.Close(); err != nil {
			t.Fatal(err)
		}
		if t.Failed() {
			return
		}
	}
	if tokens == 0 || keys == 0 {
		t.Fatalf("only %d tokens and %d keys were confirmed, so nothing was tested", tokens, keys)
	}
	t.Logf("%d kills, %d tokens, %d keys", kills, tokens, keys)
}

// killedRun starts a writer and kills it at a random instant. It returns the
// complete lines that the writer had written.
func killedRun(t *testing.T, exe, dir string) (answered []string) {
	t.Helper()
	return killed(t, exe, "writer", dir)
}

func killed(t *testing.T, exe, what, dir string) (answered []string) {
	t.Helper()
	cmd := exec.Command(exe, what, dir)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	r := bufio.NewReader(out)
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			break // the last line may be cut off
		}
		if len(answered) == 0 {
			time.AfterFunc(time.Duration(rand.IntN(60_000))*time.Microsecond, func() { cmd.Process.Kill() })
		}
		answered = append(answered, strings.TrimSuffix(line, "\n"))
	}
	if err := cmd.Wait(); len(answered) == 0 {
		t.Fatalf("the writer wrote nothing: %v", err)
	}
	return answered
}

// TestKilledWhileOpening kills a program in its first moments, while it creates
// its files.
func TestKilledWhileOpening(t *testing.T) {
	t.Parallel()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for range 15 {
		dir := t.TempDir()
		cmd := exec.Command(exe, "writer", dir)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Duration(rand.IntN(30_000)) * time.Microsecond)
		cmd.Process.Kill()
		cmd.Wait()
		v, err := Open(Config{Dir: dir, Mode: keychain.ModeFile})
		if err != nil {
			t.Fatalf("after a kill at the first start: %v, files %v", err, files(t, dir))
		}
		for _, c := range v.Credentials(testSlug) {
			if _, err := v.Key(c.ID); err != nil {
				t.Errorf("a key was sealed under a master key that is lost: %v", err)
			}
		}
		closeVault(t, v)
	}
}

// adderProcess adds endpoints with their keys, one alone and many at once, until
// it is killed.
func adderProcess(dir string) error {
	v, err := Open(Config{Dir: dir, Mode: keychain.ModeFile})
	if err != nil {
		return err
	}
	for n := len(v.Endpoints()); ; n++ {
		var all []NewEndpoint
		for i := range 40 {
			all = append(all, NewEndpoint{Endpoint: endpoint.Endpoint{Slug: fmt.Sprintf("many%d-%d", n, i), BaseURL: testBase, Name: "x"}})
		}
		one := NewEndpoint{
			Endpoint: endpoint.Endpoint{Slug: fmt.Sprint("one", n), BaseURL: testBase, Name: "x"},
			Query:    "token=1", Key: endpoint.NewSecret(testKey), State: endpoint.Working,
		}
		if err := errors.Join(v.AddEndpoints(one), v.AddEndpoints(all...)); err != nil {
			return err
		}
		fmt.Println("added", n)
	}
}

// TestKilledAdder: an endpoint never lacks the key that it was added with, and of
// many that were added at once there are all or none.
func TestKilledAdder(t *testing.T) {
	t.Parallel()
	kills := 10
	if testenv.InCI() {
		kills = 60
	}
	dir := t.TempDir()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for range kills {
		killed(t, exe, "adder", dir)
		v, err := Open(Config{Dir: dir, Mode: keychain.ModeFile})
		if err != nil {
			t.Fatalf("after a kill: %v", err)
		}
		many := make(map[string]int)
		for _, e := range v.Endpoints() {
			if group, _, ok := strings.Cut(e.Slug, "-"); ok {
				many[group]++
				continue
			}
			keys := v.Credentials(e.Slug)
			if len(keys) != 1 {
				t.Fatalf("%s has %d keys", e.Slug, len(keys))
			}
			checkKey(t, v, keys[0].ID, testKey)
		}
		for group, n := range many {
			if n != 40 {
				t.Errorf("%d of the 40 of %s are there", n, group)
			}
		}
		closeVault(t, v)
	}
}
