package transform_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gaplesslogs/gapless/internal/event"
	"github.com/gaplesslogs/gapless/internal/transform"
)

const hashKey = "0123456789abcdef0123456789abcdef"

// newRedactor compiles rules.
func newRedactor(tb testing.TB, c transform.RedactConfig) *transform.Redactor {
	tb.Helper()
	r, err := transform.NewRedactor(c)
	if err != nil {
		tb.Fatal(err)
	}
	return r
}

// redacted applies rules to a record.
func redacted(tb testing.TB, r *transform.Redactor, raw string) string {
	tb.Helper()
	e, v := r.Transform(parse(tb, raw))
	if v.Skip || v.Withhold {
		return "withheld: " + v.Reason
	}
	return string(e.Raw)
}

// hashOf is what a hash of a text looks like.
func hashOf(text string) string {
	h := hmac.New(sha256.New, []byte(hashKey))
	h.Write([]byte(text))
	return "hmac-sha256:" + hex.EncodeToString(h.Sum(nil))
}

// at makes a rule for paths.
func at(action string, paths ...string) transform.RedactRule {
	return transform.RedactRule{Name: "rule", Paths: paths, Action: action, Length: 3, With: "gone"}
}

// of makes a rule for kinds.
func of(action string, kinds ...string) transform.RedactRule {
	return transform.RedactRule{Name: "rule", Kinds: kinds, Keys: true, Action: action, Length: 3, With: "gone"}
}

func TestRedactByPath(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		rule     transform.RedactRule
		in, want string
	}{
		"a member":                     {at("mask", "user_name"), `{"user_name":"john@example.com","a":1.50}`, `{"user_name":"j***@example.com","a":1.50}`},
		"only there":                   {at("mask", "user_name"), `{"x":{"user_name":"john"}}`, `{"x":{"user_name":"john"}}`},
		"every one of two":             {at("mask", "user_name"), `{"user_name":"john","user_name":"jack"}`, `{"user_name":"j***","user_name":"j***"}`},
		"a name with escapes":          {at("mask", "email"), `{"em\u0061il":"john"}`, `{"em\u0061il":"j***"}`},
		"a value with escapes":         {at("mask", "a"), `{"a":"\u006aohn\ud83d\ude00"}`, `{"a":"j***"}`},
		"any depth":                    {at("mask", "details..email"), `{"email":"ab","details":{"email":"cd1","x":[[{"y":{"email":"ef1"}}]]}}`, `{"email":"ab","details":{"email":"c***","x":[[{"y":{"email":"e***"}}]]}}`},
		"through arrays":               {at("mask", "d.list.email"), `{"d":[{"list":[[{"email":"john"}]]}]}`, `{"d":[{"list":[[{"email":"j***"}]]}]}`},
		"an array of texts":            {at("mask", "d.email"), `{"d":{"email":["john",["jack"]]}}`, `{"d":{"email":["j***",["j***"]]}}`},
		"an element":                   {at("mask", "d[1]"), `{"d":["john","jack"]}`, `{"d":["john","j***"]}`},
		"any element":                  {at("mask", "d[*].n"), `{"d":[{"n":"john"},{"m":"jack"}]}`, `{"d":[{"n":"j***"},{"m":"jack"}]}`},
		"any member":                   {at("mask", "d.*.n"), `{"d":{"x":{"n":"john"},"y":[{"n":"jack"}]}}`, `{"d":{"x":{"n":"j***"},"y":[{"n":"j***"}]}}`},
		"a name with dots":             {at("mask", `d."https://x.com/mail"`), `{"d":{"https://x.com/mail":"john"}}`, `{"d":{"https://x.com/mail":"j***"}}`},
		"exact case":                   {at("mask", "Email"), `{"email":"john"}`, `{"email":"john"}`},
		"everything below":             {at("mask", "d"), `{"d":{"a":"john","b":[12345,true,null],"c":{}}}`, `{"d":{"a":"j***","b":["1***","t***",null],"c":{}}}`},
		"JSON in a string":             {at("mask", "body.password"), `{"body":"{ \"password\" : \"hunter2\", \"n\":1.0 }"}`, `{"body":"{ \"password\" : \"h***\", \"n\":1.0 }"}`},
		"JSON in JSON in a string":     {at("drop", "..password"), `{"b":"{\"c\":\"[{\\\"password\\\":\\\"x\\\",\\\"a\\\":1}]\"}"}`, `{"b":"{\"c\":\"[{\\\"a\\\":1}]\"}"}`},
		"JSON text twice encoded":      {at("drop", "..password"), `{"b":"\"{\\\"password\\\":\\\"x\\\"}\""}`, `{"b":"\"{}\""}`},
		"JSON written with escapes":    {at("drop", "..password"), `{"b":"\u007b\u0022password\u0022:1,\u0022\u00e4\u0022:2}"}`, `{"b":"\u007b\u0022\u00e4\u0022:2}"}`},
		"lines of JSON in a string":    {at("drop", "b.p"), `{"b":"{\"p\":1}\n{\"p\":2,\"q\":3}\n"}`, `{"b":"{}\n{\"q\":3}\n"}`},
		"JSON that is cut off":         {at("replace", "b.password"), `{"b":"{\"password\":\"hunter2\",\"x"}`, `{"b":"gone"}`},
		"JSON behind words":            {at("replace", "..password"), `{"b":"body: {\"password\": \"hunter2\"}"}`, `{"b":"gone"}`},
		"cut off, further down":        {at("replace", "b.user.password"), `{"b":"{\"user\":{\"id\":1,\"password\":\"hunter2\",\"x"}`, `{"b":"gone"}`},
		"a form with brackets":         {at("replace", "..email"), `{"body":"user%5Bemail%5D=john%40x.de&x[email]=1"}`, `{"body":"user%5Bemail%5D=gone&x[email]=gone"}`},
		"a form":                       {at("replace", "body.password"), `{"body":"user=a&password=hunter2&x=1"}`, `{"body":"user=a&password=gone&x=1"}`},
		"a URL":                        {at("mask", "..access_token"), `{"u":"https://x.com/cb#access_token=abcdef&state=1"}`, `{"u":"https://x.com/cb#access_token=a***&state=1"}`},
		"a URL in a URL":               {at("mask", "..access_token"), `{"u":"https://x.com/?r=https%3A%2F%2Fy.com%3Faccess_token%3Dabcdef%26b%3D1"}`, `{"u":"https://x.com/?r=https%3A%2F%2Fy.com%3Faccess_token%3Da***%26b%3D1"}`},
		"the envelope":                 {at("mask", "user_name"), `{"log_id":"1","data":{"type":"s","user_name":"john"}}`, `{"log_id":"1","data":{"type":"s","user_name":"j***"}}`},
		"own members stay":             {at("drop", "*"), `{"log_id":"1","_id":"1","date":"2026-11-01T12:00:00Z","type":"s","ip":"x"}`, `{"log_id":"1","_id":"1","date":"2026-11-01T12:00:00Z","type":"s"}`},
		"others of their names do not": {at("drop", "..*"), `{"log_id":"1","_id":"2","type":"s","type":"t","date":"2026-11-01","date":"john"}`, `{"log_id":"1","type":"s","date":"2026-11-01"}`},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRedactor(t, transform.RedactConfig{Rules: []transform.RedactRule{tt.rule}})
			if diff := cmp.Diff(tt.want, redacted(t, r, tt.in)); diff != "" {
				t.Errorf("redacted (-want +got):\n%s", diff)
			}
		})
	}
}

func TestRedactActions(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		rule     transform.RedactRule
		in, want string
	}{
		"drop the first":            {at("drop", "a"), `{ "a" : 1 , "b" : 2 }`, `{ "b" : 2 }`},
		"drop the last":             {at("drop", "b"), `{ "a" : 1 , "b" : 2 }`, `{ "a" : 1 }`},
		"drop one between":          {at("drop", "b"), `{"a":1, "b":2, "c":3}`, `{"a":1, "c":3}`},
		"drop several":              {at("drop", "a", "b", "d"), `{"a":1,"b":2,"c":3,"d":4}`, `{"c":3}`},
		"drop all":                  {at("drop", "a", "b"), `{"a":{"x":[1]},"b":"2"}`, `{}`},
		"drop an element":           {at("drop", "a[0]"), `{"a":[{"b":1},2]}`, `{"a":[null,2]}`},
		"drop by kind":              {of("drop", "email"), `{"a":"john@example.com","b":"to john@example.com, and","john@example.com":1,"c":["john@example.com"]}`, `{"b":"to , and","c":[null]}`},
		"hash":                      {at("hash", "a"), `{"a":"John Smith"}`, `{"a":"` + hashOf("John Smith") + `"}`},
		"hash of an address":        {at("hash", "a"), `{"a":"John@Example.com"}`, `{"a":"` + hashOf("john@example.com") + `"}`},
		"hash by kind":              {of("hash", "email"), `{"a":"<JOHN@example.com>"}`, `{"a":"<` + hashOf("john@example.com") + `>"}`},
		"hash in a URL":             {of("hash", "email"), `{"a":"/x?m=john%40example.com&y"}`, `{"a":"/x?m=` + hashOf("john@example.com") + `&y"}`},
		"hash of an IPv6":           {at("hash", "a"), `{"a":"::ffff:203.0.113.7"}`, `{"a":"` + hashOf("203.0.113.7") + `"}`},
		"hash of a number":          {of("hash", "phone"), `{"a":4915112345678,"b":"+49 151 12345678"}`, `{"a":"` + hashOf("4915112345678") + `","b":"` + hashOf("4915112345678") + `"}`},
		"truncate":                  {at("truncate", "a", "b"), `{"a":"äöüß","b":"abc"}`, `{"a":"äöü","b":"abc"}`},
		"truncate escapes":          {at("truncate", "a"), `{"a":"\u00e4\ud83d\ude00\n\u0062c"}`, `{"a":"\u00e4\ud83d\ude00\n"}`},
		"truncate a number":         {at("truncate", "a", "b"), `{"a":12345,"b":12}`, `{"a":"123","b":12}`},
		"replace a text":            {at("replace", "a"), `{"a":"x"}`, `{"a":"gone"}`},
		"replace the whole":         {at("replace", "a"), `{"a":{"b":[1]},"c":1}`, `{"a":"gone","c":1}`},
		"replace a number and null": {at("replace", "a", "b"), `{"a":1,"b":null}`, `{"a":"gone","b":"gone"}`},
		"mask an IPv4":              {of("mask", "ip"), `{"ip":"203.0.113.7","203.0.113.8":1}`, `{"ip":"203.0.113.0","203.0.113.0":1}`},
		"mask an IPv6":              {of("mask", "ip"), `{"ip":"2001:db8:1:2::7"}`, `{"ip":"2001:db8:1::"}`},
		"mask a phone":              {of("mask", "phone"), `{"p":"+49 (151) 123-45678"}`, `{"p":"+** (***) ***-***78"}`},
		"mask a token":              {of("mask", "jwt", "bearer"), `{"t":"eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln","h":"Authorization: Bearer abc123def"}`, `{"t":"***","h":"Authorization: Bearer ***"}`},
		"mask what is short":        {at("mask", "a", "b"), `{"a":"x","b":""}`, `{"a":"***","b":""}`},
		"odd characters in with":    {transform.RedactRule{Paths: []string{"a"}, Action: "replace", With: "a\"\\\n"}, `{"a":1}`, `{"a":"a\"\\\u000a"}`},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRedactor(t, transform.RedactConfig{Key: []byte(hashKey), Rules: []transform.RedactRule{tt.rule}})
			got := redacted(t, r, tt.in)
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("redacted (-want +got):\n%s", diff)
			}
			if !json.Valid([]byte(got)) {
				t.Errorf("not valid JSON: %s", got)
			}
		})
	}
}

func TestRedactKinds(t *testing.T) {
	t.Parallel()
	for kind, cases := range map[string]map[string]string{
		"email": {
			"john@example.com": "[]", "<john.o'hara+x@mail.example.co.jp>": "<[]>", "mailto:j@e.com?x": "mailto:[]?x",
			"auth0|john@example.com": "auth0|[]", "to: a@b.de, c@d.de.": "to: [], [].", "jürgen@exämple.de": "[]",
			"/x?email=john%40example.com&y=1": "/x?email=%5B%5D&y=1", "r%3Demail%253Djohn%252Bx%2540example.com%2526": "r%3Demail%253D%5B%5D%2526",
			"@example": "@example", `to "john doe"@example.com, "@x.de`: `to [], "@x.de`, "m=john%25252525252540example.com&": "m=%5B%5D&", `{"x":"\u0061\\\u0040b.de`: `{"x":"[]`, "a @ b.de": "a @ b.de", "npm@8": "npm@8", "'a@b.de'": "'[]'", `{x: \u0061\u0040b.de`: `{x: []`,
		},
		"ip": {
			"203.0.113.7": "[]", "from 203.0.113.7:443.": "from []:443.", "2001:db8::1": "[]", "[2001:db8::1]:443": "[[]]:443", "http://203.0.113.7/x": "http://[]/x",
			"fe80::1%eth0": "[]%eth0", "::ffff:203.0.113.7": "[]", "addr:2001:db8::1": "addr:[]", "10:20:30": "10:20:30", "std::string": "std::string",
			"Chrome/125.0.0.0": "Chrome/125.0.0.0", "131.0.6778.86": "131.0.6778.86", "1.2.3.4.5": "1.2.3.4.5", "00:11:22:33:44:55": "00:11:22:33:44:55",
			"2001:DB8:0:0:0:0:0:7, 192.0.2.1": "[], []", "x=203.0.113.007": "x=[]", "2026-11-23T10:20:30.123Z": "2026-11-23T10:20:30.123Z",
		},
		"phone": {
			"+4915112345678": "[]", "tel:+1 (555) 123-4567;x": "tel:[];x", "call 555-234-5678 now": "call [] now", "(555) 234-5678": "[]", "0151/1234567": "[]", "555-123-4567": "[]", "090-1234-5678": "[]", "06.12.34.56.78": "[]", "555-123-4567x89": "[]x89", "0049 151 1234567": "[]", "+49 (0) 151 1234567": "[]",
			"015112345678": "[]", "sms|4915112345678": "sms|[]", "%2B4915112345678": "%5B%5D", "1700000000": "1700000000", "1795424400000": "1795424400000",
			"12345678-1234-1234-1234-123456789012": "12345678-1234-1234-1234-123456789012", "2026-11-23 10:20:30": "2026-11-23 10:20:30",
			"90020261101120000000000000000000000000000000000000000000": "90020261101120000000000000000000000000000000000000000000",
			"Mozilla/5.0 (X11; Linux x86_64) Chrome/131.0.6778.86":     "Mozilla/5.0 (X11; Linux x86_64) Chrome/131.0.6778.86",
		},
		"jwt": {
			"eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln": "[]", "x=eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.": "x=[].", "t:eyJhbGciOiJIUzI1NiJ9..a.b.c;": "t:[];", "eyJ": "eyJ", "ewogICJhbGciOiAibm9uZSIK.eyJzdWIi.c2ln": "[]", "hey.there.eyewitness.report": "hey.there.eyewitness.report", "eyJzdGF0ZSI6MX0": "eyJzdGF0ZSI6MX0",
		},
		"bearer": {
			"Bearer abc123": "[]", "authorization: bEARER\tA.b-c_d~e+f/g==": "authorization: []", "Bearer%20abc123": "%5B%5D", "Bearer token missing": "Bearer token missing", "Bearer ***": "Bearer ***",
			"bearer:secretsecretsecret": "[]", "Bearer mysecret": "[]", "Bearer token: abc123": "[]", "a Bearer authentication scheme": "a Bearer authentication scheme", `Bearer realm="x"`: `Bearer realm="x"`,
		},
	} {
		r := newRedactor(t, transform.RedactConfig{Rules: []transform.RedactRule{{Kinds: []string{kind}, Action: "replace", With: "[]"}}})
		for text, want := range cases {
			in, err := json.Marshal(map[string]string{"a": text})
			if err != nil {
				t.Fatal(err)
			}
			var out map[string]string
			if err := json.Unmarshal([]byte(redacted(t, r, string(in))), &out); err != nil {
				t.Fatalf("%s %q: %v", kind, text, err)
			}
			if out["a"] != want {
				t.Errorf("%s: %q became %q, want %q", kind, text, out["a"], want)
			}
		}
	}
}

// Of several rules the first wins, but for one that drops, which always does.
func TestRedactOrder(t *testing.T) {
	t.Parallel()
	mask, hash, drop := at("mask", "d"), at("hash", "..email"), at("drop", "..email")
	for name, tt := range map[string]struct {
		rules    []transform.RedactRule
		presets  []string
		in, want string
	}{
		"the first":               {[]transform.RedactRule{mask, hash}, nil, `{"d":{"email":"john@x.de"}}`, `{"d":{"email":"j***@x.de"}}`},
		"the first, other way":    {[]transform.RedactRule{hash, mask}, nil, `{"d":{"email":"john@x.de","b":"jack"}}`, `{"d":{"email":"` + hashOf("john@x.de") + `","b":"j***"}}`},
		"drop":                    {[]transform.RedactRule{mask, hash, drop}, nil, `{"d":{"email":"john@x.de","b":"jack"}}`, `{"d":{"b":"j***"}}`},
		"a kind before a path":    {[]transform.RedactRule{of("hash", "email"), mask}, nil, `{"d":["john@x.de","I am john@x.de"]}`, `{"d":["` + hashOf("john@x.de") + `","I***"]}`},
		"a path before a kind":    {[]transform.RedactRule{mask, of("hash", "email")}, nil, `{"d":"john@x.de"}`, `{"d":"j***@x.de"}`},
		"own ones before presets": {[]transform.RedactRule{hash}, []string{"auth0-pii"}, `{"email":"john@x.de","name":"John"}`, `{"email":"` + hashOf("john@x.de") + `","name":"J***"}`},
		"kinds before cutting":    {[]transform.RedactRule{{Paths: []string{"d"}, Action: "truncate", Length: 12}, of("mask", "email")}, nil, `{"d":"I am john.smith@example.com"}`, `{"d":"I am j***@ex"}`},
		"paths before cutting":    {[]transform.RedactRule{{Paths: []string{"d"}, Action: "truncate", Length: 12}, at("drop", "..p")}, nil, `{"d":"{\"p\":\"hunter2\",\"q\":\"0123456789\"}"}`, `{"d":"{\"q\":\"012345"}`},
		"kinds that overlap":      {[]transform.RedactRule{of("mask", "phone"), of("mask", "email")}, nil, `{"d":"to +4915112345678@x.de"}`, `{"d":"to +***@x.de"}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRedactor(t, transform.RedactConfig{Key: []byte(hashKey), Rules: tt.rules, Presets: tt.presets})
			if diff := cmp.Diff(tt.want, redacted(t, r, tt.in)); diff != "" {
				t.Errorf("redacted (-want +got):\n%s", diff)
			}
		})
	}
}

func TestRedactByType(t *testing.T) {
	t.Parallel()
	r := newRedactor(t, transform.RedactConfig{Rules: []transform.RedactRule{
		{Paths: []string{"a"}, Types: []string{"s", "f*"}, Action: "drop"},
		{Kinds: []string{"email"}, Types: []string{"x"}, Action: "drop"},
	}})
	for _, typ := range []string{"s", "fp", "ss", "x"} {
		in := `{"type":"` + typ + `","a":"a@b.de"}`
		want := in
		if typ != "ss" {
			want = `{"type":"` + typ + `"}`
		}
		if got := redacted(t, r, in); got != want {
			t.Errorf("%s became %s, want %s", in, got, want)
		}
	}
}

// What cannot be redacted is withheld: nothing but its id, type and date is left.
func TestRedactWithholds(t *testing.T) {
	t.Parallel()
	r := newRedactor(t, transform.RedactConfig{Rules: []transform.RedactRule{of("mask", "email"), at("drop", "..p")}})
	within := `"secret-canary"`
	for range 9 {
		b, err := json.Marshal("[" + within + "]")
		if err != nil {
			t.Fatal(err)
		}
		within = string(b)
	}
	head := `"log_id":"1","date":"2026-11-01T12:00:00.5Z","type":"s"`
	stub := `{` + head + `}`
	for name, tt := range map[string]struct{ in, reason, want string }{
		"JSON in strings without end": {`{` + head + `,"x":` + within + `}`, "JSON within strings nests too deeply", stub},
		"deep JSON in a string":       {`{` + head + `,"x":"` + strings.Repeat("[", 501) + strings.Repeat("]", 501) + `"}`, "the record nests too deeply", stub},
		"an address as the type":      {`{"log_id":"1","date":"2026-11-01T12:00:00.5Z","type":"secret-canary@x.de"}`, "its id or type holds what a rule takes out", `{"log_id":"1","date":"2026-11-01T12:00:00.5Z"}`},
		"an address in the id":        {`{"log_id":"secret-canary@x.de","date":"2026-11-01T12:00:00.5Z","type":"s"}`, "its id or type holds what a rule takes out", `{"date":"2026-11-01T12:00:00.5Z","type":"s"}`},
	} {
		e, v := r.Transform(parse(t, tt.in))
		if !v.Withhold || !strings.HasSuffix(v.Reason, tt.reason) || string(e.Raw) != tt.want || strings.Contains(e.LogID+e.Type+v.Reason, "canary") {
			t.Errorf("%s: %s, %+v, want %s because %s", name, e.Raw, v, tt.want, tt.reason)
		}
		if _, err := r.Redact(parse(t, tt.in)); err == nil || strings.Contains(err.Error(), "canary") {
			t.Errorf("%s: error %v", name, err)
		}
	}
	deep := `{` + head + `,"x":` + within + `,"y":"z"}`
	for _, rule := range []transform.RedactRule{
		{Kinds: []string{"email"}, Types: []string{"f*"}, Action: "mask"}, {Paths: []string{"y.z", "v[0]"}, Action: "mask"},
	} {
		if got := redacted(t, newRedactor(t, transform.RedactConfig{Rules: []transform.RedactRule{rule}}), deep); got != deep {
			t.Errorf("a rule that is not for it: %s", got)
		}
	}
	beside := newRedactor(t, transform.RedactConfig{Rules: []transform.RedactRule{at("mask", "y")}})
	if got := redacted(t, beside, deep); got != strings.Replace(deep, `"y":"z"`, `"y":"***"`, 1) {
		t.Errorf("no rule leads into what nests too deeply: %s", got)
	}
	long := event.Event{LogID: strings.Repeat("1", 1000), Type: strings.Repeat("t", 1000), Date: day, Raw: []byte(`nothing`)}
	if e, v := r.Transform(long); !v.Withhold || string(e.Raw) != `{"date":"2026-11-23T23:59:59Z"}` {
		t.Errorf("%s, %+v", e.Raw, v)
	}
}

func TestRedactTellsWhereRulesHit(t *testing.T) {
	t.Parallel()
	r := newRedactor(t, transform.RedactConfig{Presets: []string{"no-secrets"}, Rules: []transform.RedactRule{
		{Name: "first", Paths: []string{"..email"}, Action: "mask"}, {Name: "second", Paths: []string{"x"}, Action: "drop"},
	}})
	e := parse(t, `{"x":1,"b":"{\"email\":\"john@x.de\"}","h":"Bearer abc123"}`)
	got, err := r.Redact(e)
	if err != nil {
		t.Fatal(err)
	}
	type hit struct{ Rule, Old, New string }
	var hits []hit
	for _, h := range got.Hits {
		hits = append(hits, hit{h.Rule, string(e.Raw[h.From:h.To]), string(got.Raw[h.NewFrom:h.NewTo])})
	}
	want := []hit{{"second", `"x":1,`, ``}, {"first", `john@x.de`, `j***@x.de`}, {"preset no-secrets", `Bearer abc123`, `***`}}
	if diff := cmp.Diff(want, hits); diff != "" {
		t.Errorf("hits (-want +got):\n%s", diff)
	}
	plain := parse(t, `{"a":"b"}`)
	if got, err := r.Redact(plain); err != nil || &got.Raw[0] != &plain.Raw[0] || got.Hits != nil {
		t.Errorf("%+v, %v: bytes that no rule hits are not copied", got, err)
	}
}

func TestRedactUnreadable(t *testing.T) {
	t.Parallel()
	r := newRedactor(t, transform.RedactConfig{Presets: []string{"no-secrets"}})
	same := newRedactor(t, transform.RedactConfig{Key: []byte(hashKey)})
	for piece, like := range map[string]string{"": "nothing", "{ secret": "object", "[secret": "array", "<secret": "markup", `"secret"`: "string", "secret": "text", "\x00secret": "binary"} {
		got := string(r.Unreadable([]byte(piece)))
		if !json.Valid([]byte(got)) || strings.Contains(got, "secret") || !strings.Contains(got, fmt.Sprintf(`"bytes":%d,"begins_like":"%s"`, len(piece), like)) {
			t.Errorf("%q became %s", piece, got)
		}
		if got != string(r.Unreadable([]byte(piece))) || got == string(r.Unreadable([]byte(piece+"x"))) {
			t.Errorf("%q: the fingerprint does not tell pieces apart", piece)
		}
		other := newRedactor(t, transform.RedactConfig{Presets: []string{"no-secrets"}})
		if got == string(other.Unreadable([]byte(piece))) {
			t.Errorf("%q: without a key the fingerprint can be computed by anybody", piece)
		}
		again := newRedactor(t, transform.RedactConfig{Key: []byte(hashKey)})
		if string(same.Unreadable([]byte(piece))) != string(again.Unreadable([]byte(piece))) {
			t.Errorf("%q: with a key the fingerprint is not the same after a restart", piece)
		}
	}
}

func TestNewRedactorRefuses(t *testing.T) {
	t.Parallel()
	for want, c := range map[string]transform.RedactConfig{
		"either paths or kinds":   {Rules: []transform.RedactRule{{Action: "drop"}}},
		"unknown action":          {Rules: []transform.RedactRule{at("burn", "a")}},
		"unknown kind":            {Rules: []transform.RedactRule{of("drop", "iban")}},
		"hash needs a key":        {Rules: []transform.RedactRule{at("hash", "a")}},
		"shorter than 16 bytes":   {Presets: []string{"auth0-pii"}, Key: []byte("short")},
		"a length of 1":           {Rules: []transform.RedactRule{{Paths: []string{"a"}, Action: "truncate"}}},
		"gapless needs them":      {Rules: []transform.RedactRule{at("mask", "log_id")}},
		"ends with a dot":         {Rules: []transform.RedactRule{at("mask", "a.")}},
		"syntax error in pattern": {Rules: []transform.RedactRule{{Paths: []string{"a"}, Action: "drop", Types: []string{"["}}}},
		"unknown preset":          {Presets: []string{"everything"}},
		"too complicated":         {Rules: []transform.RedactRule{at("drop", "..a.*.*.*.*.*.*.*.*.*.*.*.*.b")}},
	} {
		if _, err := transform.NewRedactor(c); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want one with %q", err, want)
		}
	}
}

func ExampleRedactor() {
	r, err := transform.NewRedactor(transform.RedactConfig{Presets: []string{"auth0-pii"}, Rules: []transform.RedactRule{
		{Name: "redact.rules.0", Kinds: []string{"ip"}, Action: transform.ActionMask},
		{Name: "redact.rules.1", Paths: []string{"details.request.body.password"}, Action: transform.ActionDrop},
	}})
	if err != nil {
		fmt.Println(err)
		return
	}
	e, err := event.Parse([]byte(`{"log_id":"1","type":"fp","score": 1.50,"ip":"203.0.113.7","user_name":"jane@example.com",`+
		`"details":{"request":{"body":"{\"password\":\"hunter2\",\"n\":1}"}}}`), time.Time{})
	if err != nil {
		fmt.Println(err)
		return
	}
	e, _ = r.Transform(e)
	fmt.Printf("%s\n", e.Raw)
	// Output:
	// {"log_id":"1","type":"fp","score": 1.50,"ip":"203.0.113.0","user_name":"j***@example.com","details":{"request":{"body":"{\"n\":1}"}}}
}
