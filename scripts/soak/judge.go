package main

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

// A sample is what the exporter takes at a moment.
type sample struct {
	at                            time.Duration
	rss, store                    float64 // MiB
	files, goroutines             float64
	delivered, buffered, inFlight float64
}

// A figure is what must not grow.
type figure struct {
	name string
	of   func(sample) float64
	// factor and extra bound the last third by the middle one.
	factor, extra float64
}

// allowed is how much there may be in the last third.
func (f figure) allowed(middle float64) float64 { return middle*f.factor + f.extra }

// figures are those that must not grow, with their bounds: a tenth more, and what
// a single call more or a page of the cache takes.
func figures() []figure {
	return []figure{
		{"resident memory in MiB", func(s sample) float64 { return s.rss }, 1.1, 8},
		{"open files", func(s sample) float64 { return s.files }, 1.1, 6},
		{"goroutines", func(s sample) float64 { return s.goroutines }, 1.1, 12},
		{"size of the store in MiB", func(s sample) float64 { return s.store }, 1.1, 4},
	}
}

// judge compares the last third of a run with the middle one.
func judge(list []sample) error {
	third := len(list) / 3
	if third == 0 {
		return errors.New("there are too few samples to say anything")
	}
	var errs []error
	fmt.Printf("\n%-26s %12s %12s %12s\n", "median of", "middle third", "last third", "allowed")
	for _, f := range figures() {
		middle, last := median(list[third:2*third], f.of), median(list[2*third:], f.of)
		fmt.Printf("%-26s %12.1f %12.1f %12.1f\n", f.name, middle, last, f.allowed(middle))
		if last > f.allowed(middle) {
			errs = append(errs, fmt.Errorf("the %s grew from %.1f to %.1f; %.1f are allowed", f.name, middle, last, f.allowed(middle)))
		}
	}
	return errors.Join(errs...)
}

// median returns the median of a figure.
func median(list []sample, of func(sample) float64) float64 {
	values := make([]float64, len(list))
	for i, s := range list {
		values[i] = of(s)
	}
	slices.Sort(values)
	return values[len(values)/2]
}
