package event_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/gaplesslogs/gapless/internal/event"
)

// pageOf builds a page of n login events of about size bytes each, as a poll of
// the Management API answers it.
func pageOf(n, size int) []byte {
	var b bytes.Buffer
	b.WriteByte('[')
	for i := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		id := event.IDAt(start.Add(time.Duration(i) * time.Second))
		head := fmt.Sprintf(`{"date":%q,"type":"s","description":"Successful login","connection":"Username-Password-Authentication",`+
			`"client_id":"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa","ip":"203.0.113.7","user_agent":"Firefox 125.0.0 / Linux 0.0.0",`+
			`"details":{"prompts":[{"name":"login","flow":"universal-login","elapsedTime":10547,"stats":{"loginsCount":%d}}],"padding":"`,
			start.Add(time.Duration(i)*time.Second).Format(time.RFC3339Nano), i)
		tail := fmt.Sprintf(`"},"user_id":"auth0|0123456789abcdef01234567","log_id":%q,"_id":%q,"isMobile":false}`, id, id)
		b.WriteString(head + strings.Repeat("x", max(0, size-len(head)-len(tail))) + tail)
	}
	b.WriteByte(']')
	return b.Bytes()
}

func BenchmarkParsePage(b *testing.B) {
	body := pageOf(100, 1500)
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		p, err := event.ParsePage(body, start)
		if err != nil || len(p.Events) != 100 {
			b.Fatal(len(p.Events), err)
		}
	}
}

func BenchmarkParsePageSamples(b *testing.B) {
	body := []byte("[" + strings.Join(samples(b), ",") + "]")
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := event.ParsePage(body, start); err != nil {
			b.Fatal(err)
		}
	}
}
