// Package sqs emulates the part of Amazon SQS that a consumer of a standard queue
// uses: ReceiveMessage with long polling, DeleteMessageBatch and
// ChangeMessageVisibilityBatch, in the JSON protocol of the SDK.
//
// It keeps what AWS documents: a message that was received is invisible until its
// timeout ends, comes again when nobody has deleted it, is moved to the dead letter
// queue when it has been received too often, and may come twice and in any order.
// It checks no signature and no permission; refusals are scripted. Queues live in
// memory and are made by the program that runs the emulator.
package sqs
