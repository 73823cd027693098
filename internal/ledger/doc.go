// Package ledger is the record that an auditor accepts: what was delivered in each
// hour, as a digest, chained to the hour before and signed. It has the form of the
// entries, their keys, the check of a chain, the sealing of hours and the comparison of
// sealed hours with what lies in a destination. It knows no store and no service: those
// are given to it.
//
// The form is written down in docs/audit.md, so that it can be checked without this
// package.
package ledger
