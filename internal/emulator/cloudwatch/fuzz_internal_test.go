package cloudwatch

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"hash/crc32"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// FuzzRequest holds that no request is answered with a fault of the server, and
// each with JSON or nothing.
func FuzzRequest(f *testing.F) {
	const group = `{"logGroupName":"/g","logStreamName":"s"`
	for op := range operations() {
		f.Add(op, "", "", group+"}")
	}
	f.Add("PutLogEvents", "gzip", "", "\x1f\x8b\x08\x00")
	f.Add("PutLogEvents", "", "AWS4-HMAC-SHA256 Credential=a/20261123/us-east-1/logs/aws4_request, SignedHeaders=host, Signature=0",
		group+`,"logEvents":[{"timestamp":1795424400000,"message":"x"}]}`)
	f.Add("FilterLogEvents", "", "", group+`,"filterPattern":"{ $.a = 1 }","limit":1,"nextToken":"x","startTime":-1}`)
	f.Add("GetLogEvents", "", "", group+`,"nextToken":"f/00000000000000000000000000000000000000000000000000000000","startFromHead":true}`)
	f.Add("TagResource", "", "", `{"resourceArn":"arn:aws:logs:us-east-1:123456789012:log-group:/g","tags":{"":""}}`)
	f.Add("CreateLogGroup", "", "", `{"logGroupName":7}`)
	s, err := New(Options{})
	if err != nil {
		f.Fatal(err)
	}
	keyed, err := New(Options{AccessKeys: []AccessKey{{ID: "AKIDEXAMPLE", Secret: "secret"}}})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { _, _ = s.Close(), keyed.Close() })
	ask := func(t *testing.T, s http.Handler, op, encoding, authorization, body string) *httptest.ResponseRecorder {
		t.Helper()
		r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body))
		r.Header.Set("X-Amz-Target", "Logs_20140328."+op)
		r.Header.Set("Content-Encoding", encoding)
		r.Header.Set("Authorization", authorization)
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		if w.Code >= 500 || w.Body.Len() > 0 && !json.Valid(w.Body.Bytes()) {
			t.Errorf("status %d, %q", w.Code, w.Body)
		}
		return w
	}
	f.Fuzz(func(t *testing.T, op, encoding, authorization, body string) {
		ask(t, s, "CreateLogGroup", "", "", `{"logGroupName":"/g"}`)
		ask(t, s, "CreateLogStream", "", "", group+"}")
		ask(t, s, op, encoding, authorization, body)
		if w := ask(t, keyed, op, encoding, authorization, body); w.Code == http.StatusOK {
			t.Errorf("done without a signature: %s", w.Body)
		}
	})
}

// FuzzPolicy holds that a policy which is taken decides, and allows nothing when
// it has no statement.
func FuzzPolicy(f *testing.F) {
	f.Add(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["logs:Put*"],"Resource":"*"}]}`, "logs:PutLogEvents")
	f.Add(`{"Statement":{"Effect":"Deny","NotAction":"logs:*","NotResource":["arn:*:?"]}}`, "logs:GetLogEvents")
	f.Add(`{"Statement":[]}`, "*")
	f.Fuzz(func(t *testing.T, text, action string) {
		p, err := parsePolicy(text)
		if err != nil {
			return
		}
		if v := p.decide(action, []string{"arn:aws:logs:us-east-1:123456789012:log-group:/g"}); len(p.statements) == 0 && v == allowed {
			t.Errorf("%s allows %s", text, action)
		}
	})
}

// FuzzPageToken holds that a token which nobody made is refused, and one that was
// made for another query too.
func FuzzPageToken(f *testing.F) {
	f.Add(*pageToken{Query: 1}.encode(5))
	f.Add("f/" + position{1, 2}.id())
	f.Add("b/x")
	f.Fuzz(func(t *testing.T, text string) {
		if tok, err := decodeToken(text, 1, 5); err == nil && tok.Query != 1 {
			t.Errorf("%q was taken for another query: %+v", text, tok)
		}
		if p, forward, err := parseEventToken(text); err == nil && text != map[bool]string{true: forwardToken, false: backwardToken}[forward]+p.id() {
			t.Errorf("%q is %v", text, p)
		}
	})
}

// FuzzJournal holds that a damaged journal is read up to the damage or refused,
// and that what was read of it is read again the same.
func FuzzJournal(f *testing.F) {
	record := func(payload string) string {
		b := binary.LittleEndian.AppendUint32(nil, uint32(len(payload)))
		return string(binary.LittleEndian.AppendUint32(b, crc32.Checksum([]byte(payload), castagnoli))) + payload
	}
	f.Add([]byte(`g{"name":"/g"}`), []byte(`s{"group":"/g","stream":"s"}`), []byte{recordEvents, 2, '/', 'g', 1, 's', 0, 1, 2, 1, 'x'})
	f.Add([]byte(`S{}`), []byte(`G{"group":"/g"}`), []byte("e\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"))
	f.Add([]byte(`x`), []byte(`g7`), []byte{})
	f.Fuzz(func(t *testing.T, one, two, three []byte) {
		dir := t.TempDir()
		var b bytes.Buffer
		b.WriteString(journalMagic)
		for _, payload := range [][]byte{one, two, three} {
			if len(payload) > 0 {
				b.WriteString(record(string(payload)))
			}
		}
		if err := os.WriteFile(filepath.Join(dir, journalName), b.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			s, err := New(Options{DataDir: dir})
			if err != nil {
				return
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
		}
	})
}
