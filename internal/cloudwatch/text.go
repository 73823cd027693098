package cloudwatch

import (
	"bytes"
	"fmt"
	"unicode/utf8"

	"github.com/gaplesslogs/gapless/internal/pipeline"
)

// replacement stands for a run of bytes that are no UTF-8.
var replacement = []byte("\uFFFD")

// text returns the message of an event: its bytes, made valid and small enough.
// altered has a reason when they are not the event's own, rejected when they
// cannot be sent at all; both come without an index. It is pure and does not
// write to raw.
func text(raw []byte, tooLarge string) (message []byte, altered, rejected pipeline.Rejection) {
	if len(raw) == 0 {
		return nil, altered, pipeline.Rejection{Reason: reasonEmpty, Detail: "the event has no bytes; CloudWatch Logs takes no empty message"}
	}
	message = raw
	if !utf8.Valid(raw) {
		message = bytes.ToValidUTF8(raw, replacement)
		altered = pipeline.Rejection{Reason: reasonInvalidUTF8, Detail: "bytes that are no UTF-8 were replaced by U+FFFD"}
	}
	if len(message) <= MaxMessageBytes {
		return message, altered, rejected
	}
	detail := fmt.Sprintf("%d bytes are more than the %d that CloudWatch Logs takes", len(raw), MaxMessageBytes)
	if tooLarge != Trim {
		return nil, pipeline.Rejection{}, pipeline.Rejection{Reason: reasonTooLarge, Detail: detail}
	}
	short, ok := trim(message, MaxMessageBytes, len(raw))
	if !ok {
		return nil, pipeline.Rejection{}, pipeline.Rejection{Reason: reasonTooLarge, Detail: detail + `, and cutting "details" does not make it fit`}
	}
	return short, pipeline.Rejection{Reason: reasonTooLarge, Detail: detail + `; it was trimmed inside "details"`}, rejected
}
