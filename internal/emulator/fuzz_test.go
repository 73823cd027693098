package emulator_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/gaplesslogs/gapless/internal/emulator"
)

// FuzzScript holds that a script which is taken can be listed and read again, and
// that one which is refused adds nothing.
func FuzzScript(f *testing.F) {
	f.Add([]byte(`{"match":"PutLogEvents","kind":"lost","times":-1}`))
	f.Add([]byte(`[{"kind":"answer","status":429,"header":{"Retry-After":"7"},"body":"x"},{"kind":"delay","delay":"1.5s"}]`))
	f.Add([]byte(`[{"kind":"answer"},{"kind":"answr"}]`))
	f.Add([]byte(`{"delay":"-1s","after":-1}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		faults := emulator.NewFaults()
		rec := httptest.NewRecorder()
		faults.ServeHTTP(rec, httptest.NewRequest(http.MethodPost, emulator.FaultsPath, bytes.NewReader(body)))
		list := faults.List()
		switch {
		case rec.Code == http.StatusBadRequest && len(list) > 0:
			t.Fatalf("%d faults of a script that was refused: %s", len(list), rec.Body)
		case rec.Code == http.StatusBadRequest:
			return
		case rec.Code != http.StatusOK || !json.Valid(rec.Body.Bytes()):
			t.Fatalf("answer %d %q", rec.Code, rec.Body)
		}
		for _, s := range list {
			text, err := json.Marshal(s.Fault)
			if err != nil {
				t.Fatal(err)
			}
			var again emulator.Fault
			if err := json.Unmarshal(text, &again); err != nil {
				t.Errorf("%s cannot be read again: %v", text, err)
			}
		}
	})
}
