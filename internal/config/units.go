package config

import (
	"errors"
	"math"
	"strconv"
	"strings"
	"time"
)

// Size is a number of bytes, written as a plain number or with a unit: B, kB,
// MB, GB, TB (powers of 1,000) or KiB, MiB, GiB, TiB (powers of 1,024).
type Size int64

// The errors of ParseDuration and ParseSize. They do not quote their input.
var (
	errDuration = errors.New("not a duration")
	errSize     = errors.New("not a size")
)

const day = 24 * time.Hour

// ParseDuration reads a duration as Go writes it ("90s", "1h30m"), in which a
// whole number of days may come first ("7d", "1d12h"). A negative one is an
// error, as is a number without a unit, except 0.
func ParseDuration(s string) (time.Duration, error) {
	var days time.Duration
	rest := s
	if before, after, ok := strings.Cut(s, "d"); ok {
		n, err := strconv.ParseUint(before, 10, 16) // 16 bits of days are 179 years: no overflow
		if err != nil {
			return 0, errDuration
		}
		days, rest = time.Duration(n)*day, after
		if rest == "" {
			return days, nil
		}
	}
	d, err := time.ParseDuration(rest)
	if err != nil || d < 0 || days > math.MaxInt64-d {
		return 0, errDuration
	}
	return days + d, nil
}

// FormatDuration writes a duration so that ParseDuration reads it: "72h",
// "1m30s", "200ms", without the zero parts that Go adds.
func FormatDuration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// A unit is the name of a unit of Size, and how many bytes it is.
type unit struct {
	name  string
	bytes int64
}

// sizeUnits returns the units of Size, the largest first, and at equal size the
// one that String should use.
func sizeUnits() []unit {
	return []unit{
		{"TiB", 1 << 40},
		{"TB", 1e12},
		{"GiB", 1 << 30},
		{"GB", 1e9},
		{"MiB", 1 << 20},
		{"MB", 1e6},
		{"KiB", 1 << 10},
		{"kB", 1e3},
		{"B", 1},
	}
}

// ParseSize reads a size such as "10GiB", "1.5 MB" or "4096". Letter case does
// not matter, the "i" does. A negative size and one beyond 8 EiB are errors.
func ParseSize(s string) (Size, error) {
	number := strings.TrimRight(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
	name := s[len(number):]
	number = strings.TrimRight(number, " ")
	factor := int64(1)
	if name != "" {
		factor = 0
		for _, u := range sizeUnits() {
			if strings.EqualFold(u.name, name) {
				factor = u.bytes
			}
		}
	}
	if factor == 0 {
		return 0, errSize
	}
	if n, err := strconv.ParseInt(number, 10, 64); err == nil {
		if n < 0 || n > math.MaxInt64/factor {
			return 0, errSize
		}
		return Size(n * factor), nil
	}
	f, err := strconv.ParseFloat(number, 64)
	if err != nil || !(f >= 0) || f*float64(factor) >= math.MaxInt64 {
		return 0, errSize
	}
	return Size(f * float64(factor)), nil
}

// String writes a size in the largest unit that makes it a whole number.
func (s Size) String() string {
	if s != 0 {
		for _, u := range sizeUnits() {
			if int64(s)%u.bytes == 0 && u.bytes > 1 {
				return strconv.FormatInt(int64(s)/u.bytes, 10) + u.name
			}
		}
	}
	return strconv.FormatInt(int64(s), 10)
}
