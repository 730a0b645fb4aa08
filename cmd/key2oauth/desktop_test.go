package main

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"

	"github.com/key2oauth/key2oauth/cmd/key2oauth/internal/autostart"
)

// TestLoginCommand checks that login starts the program with the flags it runs
// with now, no matter where they came from.
func TestLoginCommand(t *testing.T) {
	exe, err := autostart.Self()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	t.Chdir(dir)
	t.Setenv("KEY2OAUTH_KEYCHAIN", "file")
	for _, tt := range []struct {
		name string
		args []string
		want []string
	}{
		{"bare", nil, []string{"--at-login", "--keychain=file"}},
		{"started by login", []string{"--at-login"}, []string{"--at-login", "--keychain=file"}},
		{"flags", []string{"--tunnel", "external", "--public-url=https://mcp.example.com", "--data-dir", "my data"},
			[]string{"--at-login", "--data-dir=" + dir + "/my data", "--keychain=file", "--public-url=https://mcp.example.com", "--tunnel=external"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := &program{}
			root := newRoot(p)
			var got autostart.Command
			root.RunE = func(cmd *cobra.Command, _ []string) error {
				got = p.loginCommand(cmd.Flags())
				return nil
			}
			root.SetArgs(append([]string{}, tt.args...))
			if err := root.Execute(); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(autostart.Command{Program: exe, Args: tt.want}, got); diff != "" {
				t.Errorf("login starts (-want +got):\n%s", diff)
			}
		})
	}
}
