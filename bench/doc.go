// Package bench measures gapless as a whole and in its parts. `make bench` runs
// it; bench/README.md says what the figures mean and how they were obtained.
package bench
