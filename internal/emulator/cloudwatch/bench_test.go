package cloudwatch_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/klauspost/compress/gzip"

	"github.com/gaplesslogs/gapless/internal/emulator/cloudwatch"
)

// BenchmarkPutLogEvents sends batches of 650 events of 1.5 kB, zipped.
func BenchmarkPutLogEvents(b *testing.B) {
	for _, disk := range []bool{false, true} {
		b.Run(fmt.Sprintf("disk=%t", disk), func(b *testing.B) {
			var o cloudwatch.Options
			if disk {
				o.DataDir = b.TempDir()
			}
			server, err := cloudwatch.New(o)
			if err != nil {
				b.Fatal(err)
			}
			defer func() { _ = server.Close() }() // the figures are in by then
			post(b, server, "CreateLogGroup", []byte(`{"logGroupName":"g"}`))
			post(b, server, "CreateLogStream", []byte(`{"logGroupName":"g","logStreamName":"s"}`))
			const events = 650
			body := zipped(b, putBody(b, events))
			b.ReportAllocs()
			for b.Loop() {
				post(b, server, "PutLogEvents", body, "Content-Encoding", "gzip")
			}
			b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N)/events, "ms/1000events")
		})
	}
}

// putBody is a batch of JSON events that are full of quotation marks.
func putBody(b *testing.B, n int) []byte {
	b.Helper()
	message := `{"type":"s","date":"2026-11-23T09:31:31.852Z"` + strings.Repeat(`,"member":"value of it"`, 62) + `}`
	list := make([]map[string]any, n)
	at := now().UnixMilli()
	for i := range list {
		list[i] = map[string]any{"timestamp": at, "message": fmt.Sprint(i, message)}
	}
	body, err := json.Marshal(map[string]any{"logGroupName": "g", "logStreamName": "s", "logEvents": list})
	if err != nil {
		b.Fatal(err)
	}
	return body
}

func zipped(b *testing.B, data []byte) []byte {
	b.Helper()
	var buf bytes.Buffer
	z := gzip.NewWriter(&buf)
	if _, err := z.Write(data); err != nil {
		b.Fatal(err)
	}
	if err := z.Close(); err != nil {
		b.Fatal(err)
	}
	return buf.Bytes()
}

func post(b *testing.B, h http.Handler, op string, body []byte, header ...string) {
	b.Helper()
	req := httptest.NewRequest(http.MethodPost, "/", bytes.NewReader(body))
	req.Header.Set("X-Amz-Target", "Logs_20140328."+op)
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, req)
	if rec.Code != http.StatusOK {
		b.Fatal(rec.Body.String())
	}
}
