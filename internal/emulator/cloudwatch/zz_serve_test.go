package cloudwatch_test

import (
	"log/slog"
	"net/http"
	"os"
	"testing"

	"github.com/gaplesslogs/gapless/internal/emulator/cloudwatch"
)

func TestServe(t *testing.T) {
	addr := os.Getenv("SERVE")
	if addr == "" {
		t.Skip()
	}
	s, err := cloudwatch.New(cloudwatch.Options{DataDir: os.Getenv("DATA"), Logger: slog.New(slog.NewTextHandler(os.Stderr, nil)),
		AccessKeys: []cloudwatch.AccessKey{{ID: "AKIDEXAMPLE", Secret: "secret"}}})
	if err != nil {
		t.Fatal(err)
	}
	_ = http.ListenAndServe(addr, s)
}
