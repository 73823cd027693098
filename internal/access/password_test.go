package access_test

import (
	"errors"
	"strings"
	"testing"

	"golang.org/x/crypto/bcrypt"

	"github.com/gaplesslogs/gapless/internal/access"
)

// Hashes of other programs: argon2-cffi's documentation, and a vector of bcrypt.
const (
	othersArgon  = "$argon2id$v=19$m=65536,t=3,p=4$MIIRqgvgQbgj220jfp0MPA$YfwJSVjtjSU0zzV/P3S9nnQ/USre2wvJMjfCIjrTQbg"
	othersBcrypt = "$2a$10$XajjQvNhvvRt5GSeFk1xFeyqRrsxkhBkUiQeg0dt.wU1qD4aFDcga"
)

func TestHashesOfOthers(t *testing.T) {
	for hash, password := range map[string]string{othersArgon: "correct horse battery staple", othersBcrypt: "allmine"} {
		h, err := access.ParseHash(hash)
		if err != nil {
			t.Fatal(err)
		}
		w := newWorld(t, access.Policy{Users: []access.User{{Name: "vera", Hash: h, Role: access.View}}, Reachable: true})
		b := w.browser()
		status(t, "a wrong password", b.login("vera", password+"!"), 403)
		status(t, "the right one", b.login("vera", password), 303)
	}
}

func TestNewHashCanBeUsed(t *testing.T) {
	text, err := access.NewHash("a long enough one")
	if err != nil {
		t.Fatal(err)
	}
	h, err := access.ParseHash(text)
	if err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	w := newWorld(t, access.Policy{Users: []access.User{{Name: "vera", Hash: h, Role: access.View}}, Reachable: true})
	status(t, "login", w.browser().login("vera", "a long enough one"), 303)
	for _, bad := range []string{"", "short", strings.Repeat("x", 1025)} {
		if _, err := access.NewHash(bad); !errors.Is(err, access.ErrPasswordLength) {
			t.Errorf("%d bytes: %v, want ErrPasswordLength", len(bad), err)
		}
	}
}

// A password that begins with the right 72 bytes is not right.
func TestBcryptIgnoresNothing(t *testing.T) {
	made, err := bcrypt.GenerateFromPassword([]byte(strings.Repeat("x", 72)), 10)
	if err != nil {
		t.Fatal(err)
	}
	h, err := access.ParseHash(string(made))
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, access.Policy{Users: []access.User{{Name: "vera", Hash: h, Role: access.View}}, Reachable: true})
	status(t, "72 bytes", w.browser().login("vera", strings.Repeat("x", 72)), 303)
	status(t, "73 bytes", w.browser().login("vera", strings.Repeat("x", 73)), 403)
}

func TestHashBombsAreRefused(t *testing.T) {
	const tail = "$MIIRqgvgQbgj220jfp0MPA$YfwJSVjtjSU0zzV/P3S9nnQ/USre2wvJMjfCIjrTQbg"
	for hash, want := range map[string]error{
		"$argon2id$v=19$m=4194304,t=1,p=1" + tail:                                           access.ErrHashCost,
		"$argon2id$v=19$m=65536,t=4294967295,p=1" + tail:                                    access.ErrHashCost,
		"$argon2id$v=19$m=65536,t=17,p=1" + tail:                                            access.ErrHashCost,
		"$argon2id$v=19$m=65536,t=0,p=1" + tail:                                             access.ErrHashCost,
		"$argon2id$v=19$m=65536,t=3,p=0" + tail:                                             access.ErrHashCost,
		"$argon2id$v=19$m=65536,t=3,p=256" + tail:                                           access.ErrHashCost,
		"$argon2id$v=19$m=8,t=1,p=1" + tail:                                                 access.ErrHashCost,
		"$argon2id$v=19$m=99999999999999999999,t=1,p=1" + tail:                              access.ErrHashForm,
		"$argon2id$v=19$t=3,m=65536,p=4" + tail:                                             access.ErrHashForm,
		"$argon2id$v=16$m=65536,t=3,p=4" + tail:                                             access.ErrHashForm,
		"$argon2i$v=19$m=65536,t=3,p=4" + tail:                                              access.ErrHashForm,
		"$argon2id$v=19$m=65536,t=3,p=4$$":                                                  access.ErrHashForm,
		"$argon2id$v=19$m=65536,t=3,p=4$MIIRqgvgQbgj220jfp0MPA$YfwJ":                        access.ErrHashForm,
		"$argon2id$v=19$m=65536,t=3,p=4" + tail + "$":                                       access.ErrHashForm,
		"$argon2id$v=19$m=65536,t=3,p=4$MIIRqgvgQbgj220jfp0MPA$" + strings.Repeat("A", 200): access.ErrHashForm,
		strings.Replace(othersBcrypt, "$10$", "$31$", 1):                                    access.ErrHashCost,
		strings.Replace(othersBcrypt, "$10$", "$04$", 1):                                    access.ErrHashCost,
		othersBcrypt[:59]:           access.ErrHashForm,
		othersBcrypt + "x":          access.ErrHashForm,
		"":                          access.ErrHashForm,
		"hunter2":                   access.ErrHashForm,
		"5f4dcc3b5aa765d61d8327deb": access.ErrHashForm,
	} {
		_, err := access.ParseHash(hash)
		if !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", hash, err, want)
		}
		if err != nil && hash != "" && strings.Contains(err.Error(), hash) {
			t.Errorf("the error quotes the hash: %v", err)
		}
	}
}
