package emulator_test

import (
	"fmt"
	"io"
	"net/http"

	"github.com/gaplesslogs/gapless/internal/emulator"
)

// The second request is answered by the script; no socket is involved.
func Example() {
	work := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "done")
	})
	op := func(r *http.Request) string { return r.Method + " " + r.URL.Path }
	faults := emulator.NewFaults(emulator.Fault{
		Match: "GET /work", After: 1, Kind: emulator.FaultAnswer, Status: http.StatusTooManyRequests,
	})
	client := &http.Client{Transport: emulator.Transport(faults.Wrap(op, work))}
	for range 3 {
		resp, err := client.Get("http://emulator.example.com/work")
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(resp.StatusCode)
		_ = resp.Body.Close()
	}
	// Output:
	// 200
	// 429
	// 200
}
