package config

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"regexp"
	"strings"
)

// Redacted stands for a secret wherever one would be printed.
const Redacted = "********"

// secretForms is the fix for a reference that is not well-formed.
const secretForms = "Write the value itself, env:NAME, file:PATH, aws-secretsmanager:NAME-OR-ARN[#KEY] or aws-ssm:NAME-OR-ARN."

// The schemes of references.
const (
	schemeEnv            = "env"
	schemeFile           = "file"
	schemeSecretsManager = "aws-secretsmanager"
	schemeSSM            = "aws-ssm"
)

// A Secret is a confidential value, or a reference to where one is kept:
//
//	env:NAME                                   an environment variable
//	file:PATH                                  a file, without the newline at its end
//	aws-secretsmanager:NAME-OR-ARN[#JSON-KEY]  AWS Secrets Manager
//	aws-ssm:NAME-OR-ARN                        AWS Systems Manager Parameter Store
//
// However it is printed or encoded, a value comes out as asterisks and a
// reference, which is no secret, as itself. Use Resolve to get at the value.
type Secret struct {
	scheme string // of a reference; empty for a literal
	target string // of a reference, behind the colon
	// literal is a pointer so that fmt cannot print the text even where a Secret
	// lies in an unexported field, whose methods fmt does not call.
	literal *string
}

// The errors of ParseSecret and Resolve. None quotes a value.
var (
	// ErrSecretForm says that a text looks like a reference but is not one.
	ErrSecretForm = errors.New("is not a well-formed secret reference")
	// ErrSecretRedacted says that a text is what gapless prints in the place of
	// a secret.
	ErrSecretRedacted = errors.New("is the redacted form of a secret, not the secret")
	// ErrSecretEmpty says that a reference leads to nothing.
	ErrSecretEmpty = errors.New("is empty")
	// ErrSecretMissing says that what a reference names does not exist.
	ErrSecretMissing = errors.New("does not exist")
)

// ParseSecret reads a secret or a reference. The empty text is no secret.
func ParseSecret(text string) (Secret, error) {
	if text == "" {
		return Secret{}, nil
	}
	if strings.Trim(text, "*") == "" {
		return Secret{}, ErrSecretRedacted
	}
	scheme, target, ok := strings.Cut(text, ":")
	if ok {
		switch scheme {
		case schemeEnv, schemeFile, schemeSecretsManager, schemeSSM:
			s := Secret{scheme: scheme, target: target}
			return s, s.checkTarget()
		}
		if looksLikeScheme(scheme) {
			return Secret{}, ErrSecretForm
		}
	}
	if looksLikeVariable(text) {
		return Secret{}, fmt.Errorf("%w: it looks like a shell variable, which is not expanded", ErrSecretForm)
	}
	return Secret{literal: &text}, nil
}

// looksLikeScheme reports whether the word before a colon was probably meant as
// a scheme: secrets of Auth0 hold no colon.
func looksLikeScheme(word string) bool {
	if strings.HasPrefix(strings.ToLower(word), "aws") {
		return true
	}
	return nearest(word, []string{schemeSecretsManager, schemeSSM}) != "" || strings.EqualFold(word, schemeEnv) || strings.EqualFold(word, schemeFile)
}

// looksLikeVariable reports whether a text is $NAME, ${NAME} or %NAME%.
func looksLikeVariable(text string) bool {
	ok, err := regexp.MatchString(`^(\$[A-Z_][A-Z0-9_]*|\$\{[^{}]*\}|%[A-Z_][A-Z0-9_]*%)$`, text)
	return err == nil && ok
}

// checkTarget checks what stands behind the colon of a reference.
func (s Secret) checkTarget() error {
	bad := s.target == "" || strings.TrimSpace(s.target) != s.target
	if s.scheme == schemeEnv && strings.ContainsAny(s.target, "=$ \x00") {
		bad = true
	}
	if bad {
		return fmt.Errorf("%w: nothing usable stands behind %q", ErrSecretForm, s.scheme+":")
	}
	return nil
}

// IsZero reports whether there is no secret.
func (s Secret) IsZero() bool { return s.scheme == "" && s.literal == nil }

// IsRemote reports whether the value is kept in AWS.
func (s Secret) IsRemote() bool {
	return s.scheme == schemeSecretsManager || s.scheme == schemeSSM
}

// IsFile reports whether the value is kept in a file.
func (s Secret) IsFile() bool { return s.scheme == schemeFile }

// Changes reports whether the value may change while a process runs: what is kept
// elsewhere may, while a literal and the environment of a process cannot.
func (s Secret) Changes() bool { return s.IsFile() || s.IsRemote() }

// Reference returns the reference, which is no secret; empty for a literal.
func (s Secret) Reference() string {
	if s.scheme == "" {
		return ""
	}
	return s.scheme + ":" + s.target
}

// Equal reports whether two secrets hold the same value or reference.
func (s Secret) Equal(o Secret) bool {
	if s.scheme != o.scheme || s.target != o.target || (s.literal == nil) != (o.literal == nil) {
		return false
	}
	return s.literal == nil || *s.literal == *o.literal
}

// Resolve returns the value: the text itself, or what the reference leads to.
// The error names the reference and holds no value. Looking up a secret in AWS
// takes at most lookupTimeout.
func (s Secret) Resolve(ctx context.Context, r Resolver) (string, error) {
	if s.literal != nil {
		return *s.literal, nil
	}
	if s.IsZero() {
		return "", nil
	}
	v, err := r.lookup(ctx, s.scheme, s.target)
	if err == nil && v == "" {
		err = ErrSecretEmpty
	}
	if err != nil {
		return "", fmt.Errorf("resolve %s: %w", s, err)
	}
	return v, nil
}

// String returns the reference, or asterisks for a value; nothing for nothing.
func (s Secret) String() string {
	switch {
	case s.scheme != "":
		return s.Reference()
	case s.literal != nil:
		return Redacted
	default:
		return ""
	}
}

// GoString is String, for %#v.
func (s Secret) GoString() string { return s.String() }

// Format is String, for every verb.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, s.String()) }

// LogValue is String, for log/slog.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText is String, for encoders.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// MarshalJSON is String as JSON.
func (s Secret) MarshalJSON() ([]byte, error) {
	b, err := json.Marshal(s.String())
	if err != nil {
		return nil, fmt.Errorf("encode secret: %w", err)
	}
	return b, nil
}

// MarshalYAML is String as YAML.
func (s Secret) MarshalYAML() (any, error) { return s.String(), nil }
