package userpath

import (
	"strings"
	"testing"
)

func TestWithAndWithout(t *testing.T) {
	const dir = `C:\Users\Ann\AppData\Local\Programs\Key2OAuth\bin`
	long := strings.Repeat(`C:\some folder;`, 500) + `%USERPROFILE%\go\bin`
	for _, tt := range []struct{ name, path, with, without string }{
		{"empty", "", dir, ""},
		{"another", `C:\bin`, `C:\bin;` + dir, `C:\bin`},
		{"ends in a semicolon", `C:\bin;`, `C:\bin;` + dir, `C:\bin;`},
		{"is there", `C:\bin;` + dir + `;D:\bin`, `C:\bin;` + dir + `;D:\bin`, `C:\bin;D:\bin`},
		{"is there in other letters", strings.ToUpper(dir) + `\;C:\bin`, strings.ToUpper(dir) + `\;C:\bin`, `C:\bin`},
		{"is there twice", dir + ";" + dir, dir + ";" + dir, ""},
		{"a folder in it", dir + `\old`, dir + `\old;` + dir, dir + `\old`},
		{"long", long, long + ";" + dir, long},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := with(tt.path, dir); got != tt.with {
				t.Errorf("with = %q, want %q", got, tt.with)
			}
			if got := without(tt.path, dir); got != tt.without {
				t.Errorf("without = %q, want %q", got, tt.without)
			}
		})
	}
}
