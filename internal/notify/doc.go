// Package notify tells people, and other programs, what is wrong with the export and
// when it is over.
//
// A look at the figures (a Snapshot) is judged by rules (Judge): each Finding is a
// condition that holds now. A Book remembers conditions: when they began, whether they
// have lasted long enough to be told, which channel was told what, and when they ended.
// What a channel still has to be told follows from the book, so that nothing has to be
// queued: a restart, a channel that fails and a new channel are all the same case.
//
// The Manager looks again and again and runs a worker for each channel: Slack, a
// webhook, a topic of Amazon SNS; and, by the clock, metrics in CloudWatch Logs and a
// heartbeat. No channel waits for another, and the export waits for none.
package notify
