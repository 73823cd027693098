package access

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/crypto/argon2"
	"golang.org/x/crypto/bcrypt"
)

// Bounds on a hash: what it costs to try a password. The least is what OWASP's password
// storage cheat sheet names; the most keeps a hash that somebody mistyped, or slipped
// in, from eating the memory or the time of a program that has other work.
const (
	minArgonMemory = 7 << 10   // KiB
	maxArgonMemory = 128 << 10 // KiB
	maxArgonWork   = 1 << 20   // KiB times passes
	maxArgonLanes  = 16
	minBcryptCost  = 10
	maxBcryptCost  = 14 // above a second on a small machine
	minSalt        = 8  // bytes
	maxSalt        = 64
	minKey         = 16
	maxKey         = 64
)

// Those of a hash that NewHash makes: RFC 9106's second recommended option.
const (
	argonMemory = 64 << 10 // KiB
	argonTime   = 3
	argonLanes  = 4
	argonSalt   = 16
	argonKey    = 32
)

const (
	// maxPassword bounds what is tried, in bytes.
	maxPassword = 1024
	// maxBcryptPassword is what bcrypt looks at, in bytes; it ignores what is behind.
	maxBcryptPassword = 72
	// MinPassword is the length of the shortest password that NewHash takes, in bytes.
	MinPassword = 8
)

// The errors of ParseHash and NewHash.
var (
	// ErrHashForm says that a text is no hash of a kind that can be used.
	ErrHashForm = errors.New("is neither an argon2id nor a bcrypt hash")
	// ErrHashCost says that trying a password by a hash would cost too much, or so
	// little that guessing is cheap.
	ErrHashCost = errors.New("has a cost out of bounds")
	// ErrPasswordLength says that a password is too short or too long to be hashed.
	ErrPasswordLength = fmt.Errorf("a password has %d to %d bytes", MinPassword, maxPassword)
)

// A Hash is what a password is checked against.
type Hash struct {
	text   string // as it was given
	bcrypt bool
	memory uint32 // KiB; argon2id alone, as are those below
	time   uint32
	lanes  uint8
	salt   []byte
	key    []byte
}

// ParseHash reads a hash: argon2id as a PHC string ($argon2id$v=19$m=65536,t=3,p=4$...),
// or bcrypt ($2a$, $2b$ or $2y$). The error does not quote it.
func ParseHash(text string) (Hash, error) {
	if strings.HasPrefix(text, "$argon2id$") {
		return parseArgon(text)
	}
	if strings.HasPrefix(text, "$2a$") || strings.HasPrefix(text, "$2b$") || strings.HasPrefix(text, "$2y$") {
		cost, err := bcrypt.Cost([]byte(text))
		switch {
		case err != nil || len(text) != 60:
			return Hash{}, ErrHashForm
		case cost < minBcryptCost || cost > maxBcryptCost:
			return Hash{}, fmt.Errorf("%w: bcrypt's is %d, and %d to %d are taken", ErrHashCost, cost, minBcryptCost, maxBcryptCost)
		}
		return Hash{text: text, bcrypt: true}, nil
	}
	return Hash{}, ErrHashForm
}

// parseArgon reads $argon2id$v=19$m=M,t=T,p=P$SALT$KEY.
func parseArgon(text string) (Hash, error) {
	parts := strings.Split(text, "$")
	if len(parts) != 6 || parts[2] != "v="+strconv.Itoa(argon2.Version) {
		return Hash{}, ErrHashForm
	}
	cost := strings.Split(parts[3], ",")
	if len(cost) != 3 {
		return Hash{}, ErrHashForm
	}
	var n [3]uint64
	for i, name := range []string{"m=", "t=", "p="} {
		digits, ok := strings.CutPrefix(cost[i], name)
		v, err := strconv.ParseUint(digits, 10, 32)
		if !ok || err != nil {
			return Hash{}, ErrHashForm
		}
		n[i] = v
	}
	if n[0] < minArgonMemory || n[0] > maxArgonMemory || n[1] < 1 || n[0]*n[1] > maxArgonWork || n[2] < 1 || n[2] > maxArgonLanes {
		return Hash{}, fmt.Errorf("%w: m is %d to %d (KiB), p 1 to %d, and m times t at most %d", ErrHashCost, minArgonMemory, maxArgonMemory, maxArgonLanes, maxArgonWork)
	}
	salt, errSalt := base64.RawStdEncoding.Strict().DecodeString(parts[4])
	key, errKey := base64.RawStdEncoding.Strict().DecodeString(parts[5])
	if errSalt != nil || errKey != nil || len(salt) < minSalt || len(salt) > maxSalt || len(key) < minKey || len(key) > maxKey {
		return Hash{}, ErrHashForm
	}
	return Hash{text: text, memory: uint32(n[0]), time: uint32(n[1]), lanes: uint8(n[2]), salt: salt, key: key}, nil //nolint:gosec // within the bounds
}

// NewHash hashes a password with argon2id and a salt of its own.
func NewHash(password string) (string, error) {
	if len(password) < MinPassword || len(password) > maxPassword {
		return "", ErrPasswordLength
	}
	salt := make([]byte, argonSalt)
	_, _ = rand.Read(salt) // it never fails
	return format(argonMemory, argonTime, argonLanes, salt, argon2.IDKey([]byte(password), salt, argonTime, argonMemory, argonLanes, argonKey)), nil
}

// format writes a PHC string.
func format(memory, time uint32, lanes uint8, salt, key []byte) string {
	enc := base64.RawStdEncoding.EncodeToString
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, memory, time, lanes, enc(salt), enc(key))
}

// matches reports whether a password is that of the hash. It takes the same work for
// every password that is not too long to be one.
func (h Hash) matches(password string) bool {
	if h.bcrypt {
		fits := len(password) <= maxBcryptPassword
		if !fits {
			password = password[:maxBcryptPassword]
		}
		return bcrypt.CompareHashAndPassword([]byte(h.text), []byte(password)) == nil && fits
	}
	key := argon2.IDKey([]byte(password), h.salt, h.time, h.memory, h.lanes, uint32(len(h.key))) //nolint:gosec // at most maxKey
	return subtle.ConstantTimeCompare(key, h.key) == 1
}
