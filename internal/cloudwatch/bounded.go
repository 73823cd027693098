package cloudwatch

import (
	"errors"
	"io"
	"net/http"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// maxAnswer bounds what is read of an answer, in bytes. The largest that is asked
// for, a page of GetLogEvents, has 1 MB of messages, which JSON may write several
// times as long; the bound keeps a broken server from filling the memory.
// https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_GetLogEvents.html
const maxAnswer = 16 << 20

// errAnswerTooLarge says that an answer exceeds maxAnswer.
var errAnswerTooLarge = errors.New("the answer is larger than 16 MiB; a proxy may stand between")

// bounded is an HTTP client whose answers end with an error where they are too
// large.
type bounded struct{ aws.HTTPClient }

// Do implements aws.HTTPClient.
func (b bounded) Do(req *http.Request) (*http.Response, error) {
	resp, err := b.HTTPClient.Do(req)
	if err == nil {
		resp.Body = &boundedBody{ReadCloser: resp.Body, left: maxAnswer}
	}
	return resp, err
}

// boundedBody is the body of an answer.
type boundedBody struct {
	io.ReadCloser

	left int64
}

// Read implements io.Reader.
func (b *boundedBody) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, errAnswerTooLarge
	}
	n, err := b.ReadCloser.Read(p[:min(int64(len(p)), b.left)])
	b.left -= int64(n)
	return n, err
}
