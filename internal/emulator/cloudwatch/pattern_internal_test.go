package cloudwatch

import (
	"encoding/json"
	"strings"
	"testing"
)

const sample = `{"eventType":"UpdateTrail","sourceIPAddress":"123.123.1.2","n":400,"f":0.001,"neg":-3,"flag":true,"off":false,
	"nothing":null,"arrayKey":["value","other"],"objectList":[{"name":"a","id":1},{"name":"b","id":2}],
	"user":{"id":1,"email":"john.stiles@example.com"},"cluster.name":"c","a-b":"dash","matrix":[[0,1],[2,3]],"code":"400","quote":"say \"hi\""}`

func TestPatterns(t *testing.T) {
	t.Parallel()
	const line = `127.0.0.1 - frank [10/Oct/2000:13:25:15 -0700] "GET /index.html HTTP/1.0" 404 1534`
	cases := []struct {
		pattern, message string
		want             bool
	}{
		{"", "anything", true},
		{"  ", "anything", true},
		{`" "`, "anything", true},
		{`""`, "any thing", true},
		{"ERROR", "[ERROR 400] BAD REQUEST", true},
		{"ERROR", "[error 400]", false},
		{"Exception", "java.lang.NullPointerException", true},
		{"ERROR ARGUMENTS", "[ERROR 419] MISSING ARGUMENTS", true},
		{"ERROR ARGUMENTS", "[ERROR 400] BAD REQUEST", false},
		{`"INTERNAL SERVER ERROR"`, "[ERROR 500] INTERNAL SERVER ERROR", true},
		{`"SERVER INTERNAL"`, "[ERROR 500] INTERNAL SERVER ERROR", false},
		{`"say \"hi\""`, `they say "hi"`, true},
		{"ERROR -ARGUMENTS", "[ERROR 400] BAD REQUEST", true},
		{"ERROR -ARGUMENTS", "[ERROR 419] MISSING ARGUMENTS", false},
		{`"ERROR" - "Exiting"`, "ERROR Exiting", false},
		{"-ERROR", "INFO", true},
		{"?ERROR ?WARN", "WARN", true},
		{"?ERROR ?WARN", "INFO", false},
		{`?"two words" ?x`, "two words", true},
		{"?ERROR REQUEST", "[INFO] REQUEST FAILED", true},
		{"?ERROR -REQUEST", "[INFO] FAILED", true},
		{"%AUTHORIZED%", "[ERROR 401] UNAUTHORIZED REQUEST", true},
		{`%^\[ERROR%`, "[ERROR 401]", true},
		{`%^ERROR%`, "[ERROR 401]", false},
		{`%10\.10\.0\.\d{1,3}% -%colou?r%`, "10.10.0.17", true},
		{`-%colou?r%`, "the color", false},
		{`%\x28%`, "a(b", true},
		{"größe", "die größe", true},

		{`{ $.eventType = "UpdateTrail" }`, sample, true},
		{`{$.eventType="UpdateTrail"}`, sample, true},
		{`{ $.eventType = UpdateTrail }`, sample, true},
		{`{ $.eventType = "updatetrail" }`, sample, false},
		{`{ $.eventType = "Update*" }`, sample, true},
		{`{ $.eventType = *Trail }`, sample, true},
		{`{ $.eventType = "*date*" }`, sample, true},
		{`{ $.eventType = "\*date*" }`, sample, false},
		{`{ $.eventType = "U*U" }`, sample, false},
		{`{ $.eventType != "UpdateTrail" }`, sample, false},
		{`{ $.eventType != "Other" }`, sample, true},
		{`{ $.missing != "Other" }`, sample, false},
		{`{ $.missing = "*" }`, sample, false},
		{`{ $.n = "*" }`, sample, true},
		{`{ $.sourceIPAddress != 123.123.* }`, sample, false},
		{`{ $.sourceIPAddress = 123.123.* }`, sample, true},
		{`{ $.sourceIPAddress = %123\.123\.\d+\.2$% }`, sample, true},
		{`{ $.eventType != %Trail% }`, sample, false},
		{`{ $.n = 400 }`, sample, true},
		{`{ $.n = 4e2 }`, sample, true},
		{`{ $.n = 4* }`, sample, true},
		{`{ $.n = "400" }`, sample, false},
		{`{ $.code = "400" }`, sample, true},
		{`{ $.n > 399 && $.n < 401 }`, sample, true},
		{`{ $.n >= 400 && $.n <= 400 }`, sample, true},
		{`{ $.n != 400 }`, sample, false},
		{`{ $.f = 1e-3 }`, sample, true},
		{`{ $.neg < -2.5 }`, sample, true},
		{`{ $.eventType > 1 }`, sample, false},
		{`{ $.flag IS TRUE }`, sample, true},
		{`{ $.off IS FALSE }`, sample, true},
		{`{ $.flag IS FALSE }`, sample, false},
		{`{ $.nothing IS NULL }`, sample, true},
		{`{ $.missing IS NULL }`, sample, false},
		{`{ $.missing NOT EXISTS }`, sample, true},
		{`{ $.nothing NOT EXISTS }`, sample, false},
		{`{ $.arrayKey[0] = "value" }`, sample, true},
		{`{ $.arrayKey[2] NOT EXISTS }`, sample, true},
		{`{ $.arrayKey[*] = "other" }`, sample, true},
		{`{ $.objectList[1].id = 2 }`, sample, true},
		{`{ $.objectList[*].id = 2 }`, sample, true},
		{`{ $.objectList[*].id = 3 }`, sample, false},
		{`{ $.user.* = 1 }`, sample, true},
		{`{ $.matrix[1][0] = 2 }`, sample, true},
		{`{ $.['cluster.name'] = "c" }`, sample, true},
		{`{ $['cluster.name'] = "c" }`, sample, true},
		{`{ $.cluster.name = "c" }`, sample, false},
		{`{ $.a-b = "dash" }`, sample, true},
		{`{ $.user = "*" }`, sample, false},
		{`{ $.quote = "say \"hi\"" }`, sample, true},
		{`{ ($.user.id = 1) && ($.objectList[0].name = "a") }`, sample, true},
		{`{ ($.user.id = 2 || $.matrix[0][1] = 1) && $.arrayKey[1] = "other" }`, sample, true},
		{`{ $.user.id = 1 || $.n = 1 && $.n = 2 }`, sample, true},
		{`{ ($.user.id = 1 || $.n = 1) && $.n = 2 }`, sample, false},
		{`{ $.eventType = "UpdateTrail" }`, "UpdateTrail", false},
		{`{ $.a NOT EXISTS }`, `[1]`, false},
		{`{ $.a NOT EXISTS }`, `{"b":1} tail`, false},

		{"[ip, user, name, when, request, status, bytes]", line, true},
		{"[ip, user, name, when, request, status=404, bytes]", line, true},
		{"[ip, user, name, when, request, status=4*, bytes > 1000]", line, true},
		{"[ip, user, name, when, request=*.html*, status=4*,]", line, true},
		{"[ip, user, name, when=10/Oct*, request, status, bytes<1000]", line, false},
		{`[ip="127.0.0.1", ...]`, line, true},
		{"[..., status=404, bytes]", line, true},
		{"[ip, ..., bytes>=1534]", line, true},
		{"[..., size < 100]", line, false},
		{"[w1=ERROR || w1=WARN, w2]", "WARN something is odd", true},
		{"[w1=ERROR || w1=WARN, w2]", "INFO fine", false},
		{"[w1=%^ERR%, w2]", "ERROR x", true},
		{"[w1!=ERROR && w1!=WARN, w2]", "INFO fine", true},
		{"[(w1=A || w1=B) && w1!=B, w2]", "B x", false},
		{"[w1, w2=*odd]", "WARN something is odd", true},
		{"[w1, w2]", "one", false},
		{"[w1]", "one and all", true},
		{"[...]", "", true},
		{"[a, b, c]", "", false},
		{"[a, *, c=3]", "1 2 3", true},
		{`[a, b="two words", c]`, `1 "two words" 3`, true},
		{`[a, b]`, `"unfinished quote`, true},
	}
	for _, c := range cases {
		match, err := parsePattern(c.pattern)
		if err != nil {
			t.Errorf("%s: %v", c.pattern, err)
			continue
		}
		if got := match(c.message); got != c.want {
			t.Errorf("%s on %.60q: %v", c.pattern, c.message, got)
		}
	}
}

func TestInvalidPatterns(t *testing.T) {
	t.Parallel()
	for _, pattern := range []string{
		"foo-bar", "user@example.com", "a.b", "!(x", `"open`, `"a"b`, "?", "-", "%open", "%%", "%a!%", "%(a)%", "%[a%", "%é%", "%a{2000}%",
		"%a% %b% %c%", "%a b%",
		"{", "{}", "{ $ }", "{ $. = 1 }", "{ $.a }", "{ $.a = }", "{ a = 1 }", "{ $.a == 1 }", "{ $.a = 1", "{ $.a = 1 } x",
		"{ $.a = 1 && }", "{ ($.a = 1 }", "{ $.a = 1) }", "{ $.a IS }", "{ $.a IS MAYBE }", "{ $.a NOT }", "{ $.a > x }", `{ $.a < "1" }`,
		"{ $.a[ = 1 }", "{ $.a[x] = 1 }", "{ $.a[-1] = 1 }", "{ $.*.* = 1 }", "{ $.a* = 1 }", "{ $.['a = 1 }",
		"{ $.a[*] = 1 || $.b[*] = 1 || $.c[*] = 1 || $.d[*] = 1 }", "{ $.a = %x% && $.b = %y% && $.c = %z% }",
		"[", "[a", "[a,", "[a] x", "[..., a, ...]", "[a=]", "[a>x]", "[a=1 || b=2]", "[(a=1]", "[=1]",
	} {
		if _, err := parsePattern(pattern); err == nil {
			t.Errorf("%s: no error", pattern)
		}
	}
}

func FuzzPattern(f *testing.F) {
	for _, seed := range []string{
		"ERROR -x ?y", `"a\"b"`, "%a.*%", `{ $.a[0].b = "x*" && ($.c > 1e3 || $.d NOT EXISTS) }`, "[a=1, ..., b=%x%]", "{ $.['a.b'] IS NULL }",
	} {
		f.Add(seed, sample)
		f.Add(seed, `a "b c" [d e] 1`)
	}
	f.Fuzz(func(_ *testing.T, pattern, message string) {
		if len(pattern) > maxPattern {
			return
		}
		if match, err := parsePattern(pattern); err == nil {
			match(message)
		}
	})
}

// FuzzPutBody holds the scanner of PutLogEvents against encoding/json.
func FuzzPutBody(f *testing.F) {
	f.Add(`{"logGroupName":"g","logStreamName":"s","logEvents":[{"timestamp":1,"message":"a\u00e9\ud83d\ude00\n\"\\\/"}],"sequenceToken":null}`)
	f.Add(`{"logEvents":[{"message":"\ud800x","timestamp":1.5e3,"x":[{}]}],"entity":{"keyAttributes":{"a":"b"}}}`)
	f.Add("{\"logEvents\":[{\"message\":\"\xff\",\"timestamp\":0}]}")
	f.Fuzz(func(t *testing.T, body string) {
		var got putInput
		if got.decode([]byte(body)) != nil {
			return
		}
		var want struct {
			Group  *string `json:"logGroupName"`
			Events []struct {
				Time    json.RawMessage `json:"timestamp"`
				Message *string         `json:"message"`
			} `json:"logEvents"`
		}
		if err := json.Unmarshal([]byte(body), &want); err != nil {
			t.Fatalf("accepted what is no JSON: %v", err)
		}
		lower := strings.ToLower(body)
		if strings.Count(lower, "logevents") != strings.Count(body, "logEvents") ||
			strings.Count(body, "logEvents")+strings.Count(body, `\u`)+strings.Count(lower, "message") > len(want.Events)+1 {
			return // members given twice or in another case are read differently, which is fine
		}
		if len(got.events) != len(want.Events) {
			t.Fatalf("%d events; want %d", len(got.events), len(want.Events))
		}
		for i, e := range want.Events {
			if e.Message != nil && got.events[i].message != *e.Message {
				t.Errorf("event %d: %q; want %q", i, got.events[i].message, *e.Message)
			}
		}
	})
}

func TestIDs(t *testing.T) {
	t.Parallel()
	last := ""
	for _, p := range []position{{0, 0}, {0, 1}, {0, 1<<64 - 1}, {1, 0}, {1_795_478_423_334, 7}, {1_795_478_423_335, 1}, {maxIDTime, 1<<64 - 1}} {
		id := p.id()
		if len(id) != idDigits || id <= last {
			t.Errorf("%v: %s", p, id)
		}
		if back, ok := parsePosition(id); !ok || back != p {
			t.Errorf("%v came back as %v, %v", p, back, ok)
		}
		if next := p.next(); next.previous() != p || !p.before(next) {
			t.Errorf("%v: next is %v", p, next)
		}
		last = id
	}
	if _, ok := parsePosition(strings.Repeat("1", idDigits)); ok {
		t.Error("digits of nobody were taken")
	}
}
