// Package cloudwatch is an emulator of the Amazon CloudWatch Logs API: the part
// of it that log groups, log streams, their events and their tags need, over
// the protocol of the real service (awsJson 1.1), so that the AWS SDKs, the AWS
// CLI and Terraform work against it unchanged.
//
//	HTTP ─► Log ─► Faults ─► authenticate ─► decode ─► authorize ─► operation
//	                          (SigV4)                  (IAM policy)      │
//	                                                                     ▼
//	                                 journal on disk ◄── store (groups, streams, events by time)
//
// It enforces the published limits and answers as AWS does: codes, messages,
// tokens, the window of 14 days and 2 hours, retention, log classes. It does not
// imitate what nobody can depend on, such as eventual consistency or throttling;
// both can be had with a script of faults. It is more lenient than AWS in two
// things: it does not look at the Content-Type of a request, and all Regions of
// its one account share one set of groups.
//
// Data lives in memory. With Options.DataDir every change is also appended to a
// journal before it is answered, and is there again after a restart. The journal
// is an append-only file of records with length and checksum rather than a
// database: the emulator never reads it while it runs, an append costs one
// write, and after a crash the only thing that can be wrong is a torn record at
// its end, which is cut off. It is flushed to the device when the server is
// closed: what was answered survives the death of the process, but the last
// seconds may not survive the loss of power.
package cloudwatch
