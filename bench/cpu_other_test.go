//go:build !unix

package bench_test

import (
	"testing"
	"time"
)

// cpuTime returns 0: the processor time is measured on Unix only.
func cpuTime(*testing.B) time.Duration { return 0 }
