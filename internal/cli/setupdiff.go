package cli

import (
	"slices"
	"strings"
)

// shownContext is how many lines that are the same are shown around those that differ.
const shownContext = 2

// maxCompared bounds the table of compareLines, in cells. Of texts that need a larger one
// the lines between are shown one after the other.
const maxCompared = 4 << 20

// A comparedLine is a line of two texts that were compared.
type comparedLine struct {
	mark byte // '-' for the first alone, '+' for the second alone, ' ' for both
	text string
}

// sameLine reports whether two lines say the same. A comma at the end is no difference:
// in JSON it says whether something follows.
func sameLine(a, b string) bool { return strings.TrimSuffix(a, ",") == strings.TrimSuffix(b, ",") }

// compareLines compares two texts line by line, by their longest common subsequence.
func compareLines(have, want []string) (out []comparedLine) {
	head, tail, shorter := 0, 0, min(len(have), len(want))
	for head < shorter && sameLine(have[head], want[head]) {
		head++
	}
	for tail < shorter-head && sameLine(have[len(have)-1-tail], want[len(want)-1-tail]) {
		tail++
	}
	both := func(lines []string) {
		for _, line := range lines {
			out = append(out, comparedLine{' ', line})
		}
	}
	both(want[:head])
	out = append(out, compareRest(have[head:len(have)-tail], want[head:len(want)-tail])...)
	both(want[len(want)-tail:])
	return out
}

// compareRest compares texts that neither begin nor end with the same line.
func compareRest(have, want []string) (out []comparedLine) {
	common := commonLines(have, want)
	i, j := 0, 0
	for i < len(have) || j < len(want) {
		switch {
		case common != nil && i < len(have) && j < len(want) && sameLine(have[i], want[j]):
			out = append(out, comparedLine{' ', want[j]})
			i, j = i+1, j+1
		case i < len(have) && (common == nil || j == len(want) || common[i+1][j] >= common[i][j+1]):
			out = append(out, comparedLine{'-', have[i]})
			i++
		default:
			out = append(out, comparedLine{'+', want[j]})
			j++
		}
	}
	return out
}

// commonLines returns how many lines have[i:] and want[j:] have in common in the same
// order, for all i and j; nil when that would take too much memory.
func commonLines(have, want []string) [][]int {
	if len(have)*len(want) > maxCompared {
		return nil
	}
	common := make([][]int, len(have)+1)
	for i := range common {
		common[i] = make([]int, len(want)+1)
	}
	for i, line := range slices.Backward(have) {
		for j := len(want) - 1; j >= 0; j-- {
			if sameLine(line, want[j]) {
				common[i][j] = common[i+1][j+1] + 1
			} else {
				common[i][j] = max(common[i+1][j], common[i][j+1])
			}
		}
	}
	return common
}

// withContext returns the lines that differ with their marks, and so many lines around
// them; "..." stands for the others between.
func withContext(lines []comparedLine, context int) (out []string) {
	differs := func(l comparedLine) bool { return l.mark != ' ' }
	gap := false
	for i, l := range lines {
		if !slices.ContainsFunc(lines[max(0, i-context):min(len(lines), i+context+1)], differs) {
			gap = true
			continue
		}
		if gap && len(out) > 0 {
			out = append(out, "...")
		}
		gap = false
		out = append(out, string(l.mark)+" "+l.text)
	}
	return out
}
