package cloudwatch

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"io"
	"net/http"
	"strconv"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// maxRefusal bounds what is read of an answer that refuses, in bytes.
const maxRefusal = 64 << 10

// translated is an HTTP client for services that speak JSON. Some endpoints refuse in
// the XML of AWS's older protocol, whatever they were asked in: moto does where IAM
// refuses, and so may what stands between. The SDK reads nothing in it, and the reason
// would be lost; here it is made the JSON that was meant.
type translated struct{ aws.HTTPClient }

// Do implements aws.HTTPClient.
func (t translated) Do(req *http.Request) (*http.Response, error) {
	if _, ok := req.Body.(io.WriterTo); ok && req.Body != http.NoBody {
		req = req.WithContext(req.Context()) // a copy
		req.Body = readOnly{req.Body}
	}
	resp, err := t.HTTPClient.Do(req)
	if err != nil || resp.StatusCode < http.StatusBadRequest || req.Header.Get("X-Amz-Target") == "" {
		return resp, err
	}
	head, err := io.ReadAll(io.LimitReader(resp.Body, maxRefusal))
	rest := resp.Body
	body := io.Reader(bytes.NewReader(head))
	if err != nil { // what reads the body meets it
		body = io.MultiReader(body, failing{err})
	} else if len(head) == maxRefusal {
		body = io.MultiReader(body, rest)
	}
	if meant := jsonOf(head); meant != nil {
		body = bytes.NewReader(meant)
		resp.ContentLength = int64(len(meant))
		resp.Header.Set("Content-Type", "application/x-amz-json-1.1")
		resp.Header.Set("Content-Length", strconv.Itoa(len(meant)))
	}
	resp.Body = struct {
		io.Reader
		io.Closer
	}{body, rest}
	return resp, nil
}

// jsonOf returns a refusal in XML as JSON, nil when it is none.
func jsonOf(text []byte) []byte {
	var a struct {
		XMLName xml.Name
		Code    string `xml:"Error>Code"`
		Message string `xml:"Error>Message"`
		// moto's
		Codes    string `xml:"Errors>Error>Code"`
		Messages string `xml:"Errors>Error>Message"`
	}
	if !bytes.HasPrefix(bytes.TrimSpace(text), []byte("<")) || xml.Unmarshal(text, &a) != nil || a.XMLName.Local != "ErrorResponse" && a.XMLName.Local != "Response" {
		return nil
	}
	if a.Code == "" {
		a.Code, a.Message = a.Codes, a.Messages
	}
	if a.Code == "" {
		return nil
	}
	out, err := json.Marshal(map[string]string{"__type": a.Code, "message": a.Message})
	if err != nil {
		return nil
	}
	return out
}

// failing is a reader of an error alone.
type failing struct{ err error }

// Read implements io.Reader.
func (f failing) Read([]byte) (int, error) { return 0, f.err }

// readOnly hides that a body can write itself. The SDK closes the body as soon as the
// head of the answer is there, and its WriteTo says io.EOF from then on. net/http asks
// once more for bytes behind the last; where it is late with that, it takes the io.EOF
// for a failed write and drops the connection under the answer that is being read. To
// Read io.EOF is the plain end.
type readOnly struct{ io.ReadCloser }
