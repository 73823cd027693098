package transform_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/gaplesslogs/gapless/internal/event"
	"github.com/gaplesslogs/gapless/internal/transform"
)

// FuzzRedact holds, for any record and any place in it: no panic; what comes out is
// JSON; a member that is dropped by its path is gone in every writing; what a kind's
// rule takes out of a text is gone, wherever it stands; masking twice is masking
// once.
func FuzzRedact(f *testing.F) {
	for _, raw := range samples(f) {
		f.Add(raw, "x", uint8(3))
	}
	f.Add([]byte(`{"a":"{\"b\":\"[\\\"c\\\"]\"}","\u0061":"\ud800x%40y"}`), "a\\\"b", uint8(1))
	f.Add([]byte(`{"a":"password=1&b=2","b":"{'password' : 'x'"}`), "\xff\u2028", uint8(0))
	drop := newRedactor(f, transform.RedactConfig{Rules: []transform.RedactRule{at("drop", "..pass")}})
	kinds := newRedactor(f, transform.RedactConfig{Rules: []transform.RedactRule{of("replace", transform.RedactKinds()...)}})
	mask := newRedactor(f, transform.RedactConfig{Presets: []string{"auth0-pii", "no-secrets"}})
	all := newRedactor(f, transform.RedactConfig{Presets: []string{"auth0-pii", "gdpr-minimal", "no-secrets"}})
	f.Fuzz(func(t *testing.T, raw []byte, noise string, hole uint8) {
		e, err := event.Parse(raw, day)
		if err != nil {
			return
		}
		for _, r := range []*transform.Redactor{drop, kinds, mask, all} {
			out, v := r.Transform(e)
			if !json.Valid(out.Raw) {
				t.Fatalf("%s became %s", raw, out.Raw)
			}
			if again, w := r.Transform(out); r == mask && !v.Withhold && !w.Withhold && !bytes.Equal(again.Raw, out.Raw) {
				t.Fatalf("%s\nbecame first\n%s\nand then\n%s", raw, out.Raw, again.Raw)
			}
		}
		places := holes(e.Raw, '{')
		text, err := json.Marshal(strings.ToValidUTF8(noise, "") + " canary-1@example.org canary-2 " + noise)
		if err != nil {
			return
		}
		e.Raw = []byte(insert(e.Raw, places[int(hole)%len(places)], `"p\u0061ss":`+string(text)))
		if out, v := drop.Transform(e); !v.Withhold && strings.Contains(said(t, out.Raw, 0), "canary-2") {
			t.Fatalf("%s became %s", e.Raw, out.Raw)
		}
		if out, v := kinds.Transform(e); !v.Withhold && strings.Contains(said(t, out.Raw, 0), "canary-1") {
			t.Fatalf("%s became %s", e.Raw, out.Raw)
		}
	})
}

// BenchmarkRedact shows what rules cost beside the reading of a record.
func BenchmarkRedact(b *testing.B) {
	records := samples(b)
	events := make([]event.Event, len(records))
	size := 0
	for i, raw := range records {
		e, err := event.Parse(raw, day)
		if err != nil {
			b.Fatal(err)
		}
		events[i] = e
		size += len(raw)
	}
	run := func(name string, fn func()) {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for b.Loop() {
				fn()
			}
		})
	}
	run("parse alone", func() {
		for _, raw := range records {
			_, _ = event.Parse(raw, day)
		}
	})
	many := transform.RedactConfig{}
	for i := range 200 {
		many.Rules = append(many.Rules, at("mask", "details.request.body.field"+string(rune('a'+i%26))+string(rune('a'+i/26)), "..deep"+string(rune('a'+i%26))+string(rune('a'+i/26))))
	}
	for name, c := range map[string]transform.RedactConfig{
		"one path":    {Rules: []transform.RedactRule{at("mask", "user_name")}},
		"400 paths":   many,
		"auth0-pii":   {Presets: []string{"auth0-pii"}},
		"no-secrets":  {Presets: []string{"no-secrets"}},
		"all presets": {Presets: []string{"auth0-pii", "gdpr-minimal", "no-secrets"}},
		"hash":        {Key: []byte(hashKey), Rules: []transform.RedactRule{of("hash", "email", "ip"), at("hash", "user_name", "user_id")}},
	} {
		r := newRedactor(b, c)
		run(name, func() {
			for _, e := range events {
				if _, v := r.Transform(e); v.Withhold {
					b.Fatal(v.Reason)
				}
			}
		})
	}
}
