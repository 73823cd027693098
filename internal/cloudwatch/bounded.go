package cloudwatch

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// maxAnswer bounds what is read of an answer, in bytes. The largest that is asked
// for, a page of GetLogEvents, has 1 MB of messages, which JSON may write several
// times as long; the bound keeps a broken server from filling the memory.
// https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_GetLogEvents.html
const maxAnswer = 16 << 20

// errAnswerTooLarge says that an answer exceeds maxAnswer.
var errAnswerTooLarge = errors.New("the answer is larger than 16 MiB; a proxy may stand between")

var (
	// errForeign says that an answer is not what CloudWatch Logs answers.
	errForeign = errors.New("the answer is none of CloudWatch Logs'; a proxy may stand between")
	// errBare says that an answer of success has nothing in it.
	errBare = errors.New("the answer is a success with nothing in it, which is none of CloudWatch Logs'; a proxy may stand between")
)

// bounded is an HTTP client whose answers end with an error where they are too
// large, and where they claim a success without being an object of JSON. The SDK
// takes an empty body and null for an answer with nothing in it: a proxy's word
// would count for the receipt of a batch.
type bounded struct{ aws.HTTPClient }

// Do implements aws.HTTPClient.
func (b bounded) Do(req *http.Request) (*http.Response, error) {
	resp, err := b.HTTPClient.Do(req)
	if err == nil {
		success := resp.StatusCode >= 200 && resp.StatusCode < 300
		resp.Body = &boundedBody{ReadCloser: resp.Body, left: maxAnswer, object: success && answersObject(req)}
	}
	return resp, err
}

// answersObject reports whether a request is for an operation that is answered
// with an object of JSON always. Those that create answer with nothing.
func answersObject(req *http.Request) bool {
	_, op, _ := strings.Cut(req.Header.Get("X-Amz-Target"), ".")
	switch op {
	case opPut, opGet, opFilter, opStartQuery, opQueryResults, opDescribeGroups, opDescribeStreams:
		return true
	default:
		return false
	}
}

// boundedBody is the body of an answer.
type boundedBody struct {
	io.ReadCloser

	left   int64
	object bool // nothing but an object of JSON will do, and none has begun yet
}

// Read implements io.Reader.
func (b *boundedBody) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, errAnswerTooLarge
	}
	n, err := b.ReadCloser.Read(p[:min(int64(len(p)), b.left)])
	b.left -= int64(n)
	if b.object {
		switch begun := bytes.TrimLeft(p[:n], " \t\r\n"); {
		case len(begun) > 0 && begun[0] == '{':
			b.object = false
		case len(begun) > 0:
			return 0, errForeign
		case errors.Is(err, io.EOF):
			return 0, errBare
		}
	}
	return n, err
}
