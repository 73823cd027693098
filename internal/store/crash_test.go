package store_test

import "testing"

func childMain() {}

func TestPlaceholder(t *testing.T) {}
