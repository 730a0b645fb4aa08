package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/key2oauth/key2oauth/cmd/key2oauth/internal/autostart"
	"github.com/key2oauth/key2oauth/cmd/key2oauth/internal/cli"
)

// TestForgetLogin: the login entry of this data folder is removed, and the one
// of another folder is left alone.
func TestForgetLogin(t *testing.T) {
	config := t.TempDir()
	t.Setenv("XDG_CONFIG_HOME", config)
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	mine, usual := &program{Program: cli.Program{DataDir: "/data/mine"}}, &program{Program: cli.Program{DataDir: filepath.Join(config, "key2oauth")}}
	const flag = "--" + atLoginFlag
	for _, tt := range []struct {
		name    string
		started autostart.Command
		forgets *program
		want    bool // its entry must stay
		says    bool
	}{
		{"this folder", autostart.Command{Program: exe, Args: []string{flag, "--data-dir=/data/mine"}}, mine, false, false},
		{"with its keychain", autostart.Command{Program: exe, Args: []string{flag, "--data-dir=/data/mine", "--keychain=file"}}, mine, false, false},
		{"another folder", autostart.Command{Program: exe, Args: []string{flag, "--data-dir=/data/other"}}, mine, true, false},
		{"the usual folder", autostart.Command{Program: exe, Args: []string{flag}}, mine, true, false},
		{"the usual folder, by itself", autostart.Command{Program: exe, Args: []string{flag}}, usual, false, false},
		{"the usual folder, with flags", autostart.Command{Program: exe, Args: []string{flag, "--log-level=debug"}}, usual, true, true},
		{"a program that is gone", autostart.Command{Program: "/gone/key2oauth", Args: []string{flag}}, usual, false, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			setting := loginSetting{tt.started}
			if err := setting.Set(true); err != nil {
				t.Fatal(err)
			}
			left, err := tt.forgets.forgetLogin()
			if err != nil || (left != "") != tt.says {
				t.Errorf("forgetLogin = %q, %v", left, err)
			}
			if got, err := setting.Enabled(); err != nil || got != tt.want {
				t.Errorf("started at login: %v, %v, want %v", got, err, tt.want)
			}
		})
	}
}
