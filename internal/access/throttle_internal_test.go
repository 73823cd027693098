package access

import (
	"fmt"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"
)

// Whoever uses many names and addresses fills no memory, and does not push out the slate
// of the name that they are after.
func TestThrottleIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		th := newThrottle()
		for i := range freeByName + 3 {
			if _, wait := th.begin(netip.MustParseAddr(fmt.Sprintf("198.51.100.%d", i)), "vera"); wait > 0 {
				<-time.After(wait)
			}
		}
		for i := range 3 * maxSlates {
			at := netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})
			th.begin(at, fmt.Sprint("name-", i))
			if i%4 == 0 {
				a, _ := th.begin(at, fmt.Sprint("name-", i))
				th.succeeded(a)
			}
			<-time.After(time.Second / perSecond / 10)
		}
		if len(th.addresses) > maxSlates || len(th.names) > maxSlates || len(th.known) > maxKnown {
			t.Errorf("%d addresses, %d names, %d pairs", len(th.addresses), len(th.names), len(th.known))
		}
		if s := th.names[digest("name", "vera")]; s == nil || s.failures < freeByName {
			t.Errorf("the slate is %+v", s)
		}
	})
}

// The same work is done for a name that nobody has.
func TestDecoysCostWhatUsersDo(t *testing.T) {
	costly, err := ParseHash("$argon2id$v=19$m=65536,t=3,p=4$MIIRqgvgQbgj220jfp0MPA$YfwJSVjtjSU0zzV/P3S9nnQ/USre2wvJMjfCIjrTQbg")
	if err != nil {
		t.Fatal(err)
	}
	cheap := costly
	cheap.memory, cheap.time, cheap.lanes = minArgonMemory, 1, 1
	p := &Policy{Users: []User{{Name: "a", Hash: costly}, {Name: "b", Hash: cheap}}}
	seen := map[uint32]int{}
	for i := range 200 {
		name := fmt.Sprint("nobody-", i)
		d := p.decoy([]byte("secret"), name)
		if again := p.decoy([]byte("secret"), name); again.memory != d.memory {
			t.Fatal("a name has two decoys")
		}
		if d.memory == costly.memory && (d.time != costly.time || d.lanes != costly.lanes) || len(d.salt) != len(costly.salt) || string(d.key) == string(costly.key) {
			t.Fatalf("the decoy is %+v", d)
		}
		seen[d.memory]++
	}
	if seen[costly.memory] < 50 || seen[cheap.memory] < 50 {
		t.Errorf("decoys are of %v", seen)
	}
}

// FuzzLocalPath: whatever comes, it leads to no other host.
func FuzzLocalPath(f *testing.F) {
	for _, s := range []string{"/", "//x", `/\x`, "/a?b=c#d", "/%2f%2fx", "/..//x", "/\x00", "http://x", "/%5c%5cx", "/;//x"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := localPath(s)
		if got == "" || got[0] != '/' || len(got) > 1 && (got[1] == '/' || got[1] == '\\') {
			t.Errorf("%q leads to %q", s, got)
		}
		for _, c := range got {
			if c < ' ' || c == 0x7f || c == '\\' {
				t.Errorf("%q leads to %q", s, got)
			}
		}
	})
}
