// Package pipelinetest holds what proves that a part keeps the contracts of
// package pipeline: a conformance suite for each of them, to be run from the
// tests of every implementation, and plain reference implementations to test
// other parts with.
//
//	func TestBuffer(t *testing.T) { pipelinetest.TestBuffer(t, open) }
//
// The suites run on the fake clock of testing/synctest, so that lingering and
// waiting cost no real time.
package pipelinetest
