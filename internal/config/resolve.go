package config

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"time"
)

const (
	// lookupTimeout bounds one look-up in AWS, retries and the search for
	// credentials included.
	lookupTimeout = 15 * time.Second
	// maxSecretBytes bounds a secret in a file. AWS Secrets Manager takes
	// 65,536 bytes.
	maxSecretBytes = 64 << 10
)

// A Resolver finds the values that secret references lead to. A part that is
// not set makes its references an error.
type Resolver struct {
	// LookupEnv reads environment variables, as os.LookupEnv does.
	LookupEnv func(name string) (string, bool)
	// ReadFile reads files; paths are relative to the working directory.
	ReadFile func(path string) ([]byte, error)
	// AWS reads secrets that are kept in AWS.
	AWS RemoteSecrets
}

// RemoteSecrets reads the secrets that are kept in AWS. NewAWSSecrets makes one.
// Errors hold no value; that of a name that does not exist wraps
// ErrSecretMissing.
type RemoteSecrets interface {
	// SecretValue returns the text of a secret of AWS Secrets Manager, by its
	// name or ARN.
	SecretValue(ctx context.Context, id string) (string, error)
	// Parameter returns the decrypted value of a parameter of AWS Systems
	// Manager, by its name or ARN.
	Parameter(ctx context.Context, name string) (string, error)
}

// errNoResolver says that a part of the Resolver is not set.
var errNoResolver = errors.New("cannot be looked up here")

// lookup follows one reference.
func (r Resolver) lookup(ctx context.Context, scheme, target string) (string, error) {
	switch scheme {
	case schemeEnv:
		return r.env(target)
	case schemeFile:
		return r.file(target)
	}
	if r.AWS == nil {
		return "", errNoResolver
	}
	ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	if scheme == schemeSSM {
		return r.AWS.Parameter(ctx, target)
	}
	id, key, hasKey := strings.Cut(target, "#")
	text, err := r.AWS.SecretValue(ctx, id)
	if err != nil || !hasKey {
		return text, err
	}
	return jsonMember(text, key)
}

// env reads a variable.
func (r Resolver) env(name string) (string, error) {
	if r.LookupEnv == nil {
		return "", errNoResolver
	}
	v, ok := r.LookupEnv(name)
	if !ok {
		return "", fmt.Errorf("the variable %w", ErrSecretMissing)
	}
	return v, nil
}

// file reads a file, without the line break at its end.
func (r Resolver) file(path string) (string, error) {
	if r.ReadFile == nil {
		return "", errNoResolver
	}
	b, err := r.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("the file %w", ErrSecretMissing)
	}
	if err != nil {
		return "", fmt.Errorf("read file: %w", err)
	}
	if len(b) > maxSecretBytes {
		return "", fmt.Errorf("the file holds more than %d bytes", maxSecretBytes)
	}
	return strings.TrimRight(string(b), "\r\n"), nil
}

// ReadSecretFile reads a file for Resolver.ReadFile and never more of it than a
// secret may hold, so that a wrong path, such as a device, does no harm.
func ReadSecretFile(path string) ([]byte, error) {
	f, err := os.Open(path) //nolint:gosec // the path is the operator's own setting
	if err != nil {
		return nil, fmt.Errorf("open secret: %w", err)
	}
	b, err := io.ReadAll(io.LimitReader(f, maxSecretBytes+1))
	if err := errors.Join(err, f.Close()); err != nil {
		return nil, fmt.Errorf("read secret: %w", err)
	}
	return b, nil
}

// jsonMember returns a text member of a secret that is a JSON object.
func jsonMember(text, key string) (string, error) {
	var members map[string]json.RawMessage
	if json.Unmarshal([]byte(text), &members) != nil { // its error may quote the text
		return "", fmt.Errorf("the secret is no JSON object, so it has no key %q", key)
	}
	raw, ok := members[key]
	if !ok {
		return "", fmt.Errorf("the key %q of the secret %w", key, ErrSecretMissing)
	}
	var v string
	if json.Unmarshal(raw, &v) != nil {
		return "", fmt.Errorf("the key %q of the secret holds no text", key)
	}
	return v, nil
}

// CheckSecrets resolves the secrets of all tenants and returns a problem for
// each that cannot be had, as *InvalidError. Unless remote is set it leaves out
// those that are kept in AWS.
func (c *Config) CheckSecrets(ctx context.Context, r Resolver, remote bool) error {
	var problems []*Error
	c.walk(func(l leaf) {
		for _, s := range l.field.secretsIn(l.value) {
			if s.IsRemote() && !remote {
				continue
			}
			if _, err := s.Resolve(ctx, r); err != nil {
				problems = append(problems, c.problem(l.path, "cannot be resolved: "+strings.TrimPrefix(err.Error(), "resolve "), s.Fix()))
			}
		}
	})
	return invalid(problems)
}

// Fix says what to do about a reference that leads nowhere.
func (s Secret) Fix() string {
	switch s.scheme {
	case schemeEnv:
		return "Set the variable " + s.target + " in the environment of gapless."
	case schemeFile:
		return "Put the secret into the file, readable for the user that runs gapless."
	default:
		return "Check the name, the Region and the permission to read it (secretsmanager:GetSecretValue, ssm:GetParameter, kms:Decrypt)."
	}
}
