// Package selector holds the two ways in which a rule of the configuration picks
// events: globs, over the values of a member, and expressions, over the whole
// record. It is read twice, by internal/config to tell what is wrong with a rule and
// by internal/transform to apply it, so that both mean the same.
package selector
