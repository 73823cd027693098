package web_test

import (
	"fmt"
	"time"

	"github.com/gaplesslogs/gapless/internal/web"
)

func ExampleTenant_Words() {
	at := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	t := web.Tenant{Stored: 500, Buffered: 20, OldestBuffered: at.Add(-1200 * time.Millisecond)}
	t.Judge(true)
	fmt.Println(t.Words(at))
	// Output: delivering, 1.2s behind
}
