package source_test

import (
	"errors"
	"testing"

	"go.uber.org/goleak"
)

// errEnd is the cause with which tests end a run.
var errEnd = errors.New("the test is over")

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }
