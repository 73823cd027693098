package cloudwatch

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"hash/fnv"
	"math/big"
	"strings"
)

// A position is a place in the order of events: by timestamp, then by the order
// in which they were ingested. No two events of the server share one.
type position struct {
	time int64  // milliseconds since the epoch
	seq  uint64 // counts the events of the server from 1
}

func (p position) before(q position) bool {
	return p.time < q.time || p.time == q.time && p.seq < q.seq
}

// next returns the first position behind p.
func (p position) next() position {
	if p.seq == ^uint64(0) {
		return position{p.time + 1, 0}
	}
	return position{p.time, p.seq + 1}
}

// previous returns the last position before p; before the first there is none,
// and p itself comes back.
func (p position) previous() position {
	switch {
	case p.seq > 0:
		return position{p.time, p.seq - 1}
	case p.time > 0:
		return position{p.time - 1, ^uint64(0)}
	default:
		return p
	}
}

// Real event ids are 56 digits: the timestamp in milliseconds, shifted left by
// 144 bits, with the rest telling apart the events of one millisecond. Ours put
// the sequence number into the upper 64 of those bits and derive the others from
// it, so that an id can be turned back into a position.
const (
	idDigits = 56
	restBits = 144
	tailBits = restBits - 64
	// maxIDTime is a time, in the year 2096, up to which 56 digits suffice.
	maxIDTime = 4_000_000_000_000
)

// startOf returns the position before all events of a millisecond, held within
// the times that an id can express.
func startOf(millis int64) position {
	return position{min(max(millis, 0), maxIDTime), 0}
}

// id returns the 56 digits that stand for the position.
func (p position) id() string {
	n := big.NewInt(p.time)
	n.Lsh(n, restBits)
	seq := new(big.Int).SetUint64(p.seq)
	n.Or(n, seq.Lsh(seq, tailBits))
	n.Or(n, p.tail())
	return fmt.Sprintf("%0*s", idDigits, n.String())
}

// tail fills the low bits of an id.
func (p position) tail() *big.Int {
	h := fnv.New64a()
	_, _ = fmt.Fprintf(h, "%d/%d", p.time, p.seq) // a hash never fails
	return new(big.Int).SetUint64(h.Sum64())
}

// parsePosition reads an id that id has made.
func parsePosition(digits string) (position, bool) {
	if len(digits) != idDigits || strings.Trim(digits, "0123456789") != "" {
		return position{}, false
	}
	n, ok := new(big.Int).SetString(digits, 10)
	if !ok {
		return position{}, false
	}
	when := new(big.Int).Rsh(n, restBits)
	if !when.IsInt64() {
		return position{}, false
	}
	seq := new(big.Int).Rsh(n, tailBits)
	seq.And(seq, new(big.Int).SetUint64(^uint64(0)))
	p := position{when.Int64(), seq.Uint64()}
	return p, p.id() == digits
}

// sequenceToken returns the token that PutLogEvents still gives back, although
// nobody needs it any more.
func sequenceToken(seq uint64) string {
	const first = "49039859551374253183637372013053"
	return fmt.Sprintf("%s%0*d", first, idDigits-len(first), seq)
}

// requestID returns a random UUID.
func requestID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	b[6] = b[6]&0x0f | 0x40
	b[8] = b[8]&0x3f | 0x80
	h := hex.EncodeToString(b[:])
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}

// arns makes the resource names of an account in a Region.
type arns struct {
	region, account string
}

func (a arns) partition() string {
	switch {
	case strings.HasPrefix(a.region, "cn-"):
		return "aws-cn"
	case strings.HasPrefix(a.region, "us-gov-"):
		return "aws-us-gov"
	default:
		return "aws"
	}
}

// group returns the ARN of a group without ":*" at its end.
func (a arns) group(name string) string {
	return "arn:" + a.partition() + ":logs:" + a.region + ":" + a.account + ":log-group:" + name
}

func (a arns) stream(group, stream string) string {
	return a.group(group) + ":log-stream:" + stream
}

// user returns the ARN of an IAM user.
func (a arns) user(name string) string {
	return "arn:" + a.partition() + ":iam::" + a.account + ":user/" + name
}

// groupOf returns the group that an ARN names; it is not ok if the ARN names
// anything else or belongs to another account. The server keeps one set of
// groups for all Regions, so the Region of the ARN is not looked at.
func (a arns) groupOf(arn string) (string, bool) {
	parts := strings.SplitN(arn, ":", 7)
	if len(parts) != 7 || parts[0] != "arn" || parts[2] != "logs" || parts[4] != a.account || parts[5] != "log-group" {
		return "", false
	}
	name := parts[6]
	return name, name != "" && !strings.Contains(name, ":")
}
