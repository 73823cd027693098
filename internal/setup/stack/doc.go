// Package stack says what gapless needs outside of itself: log groups, a policy, an
// identity to run as, queries, alarms, and what lies between Auth0 and a queue. A
// Stack is data alone. Package provision compares it with what is there and makes
// what is missing; package export writes it down for the tools of others.
//
// Texts may hold what is not known before: the account and the partition of AWS, and
// what another resource is given when it is made. They stand there as tokens, such as
// Account, which whoever uses the stack puts values in the place of.
package stack
