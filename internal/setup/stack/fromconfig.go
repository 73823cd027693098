package stack

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/gaplesslogs/gapless/internal/config"
)

// maxCertificate bounds the file of an authority's certificate. IAM Roles Anywhere
// takes 8,000 characters.
const maxCertificate = 8000

// OptionsFrom returns the options that the section setup of a configuration holds.
// readFile reads the certificate of roles_anywhere.ca_file, when that is needed. Its
// errors say what to change in the configuration.
func OptionsFrom(cfg *config.Config, readFile func(path string) ([]byte, error)) (Options, error) {
	c := cfg.Setup
	o := Options{
		Name: c.Name, Tags: maps.Clone(c.Tags), Protected: c.DeletionProtection, RunOn: c.RunOn,
		Cluster: c.EKS.Cluster, Namespace: c.EKS.Namespace, ServiceAccount: c.EKS.ServiceAccount, OIDCProvider: c.EKS.OIDCProvider,
		Repository: c.GitHub.Repository, Branch: c.GitHub.Branch, CommonName: c.RolesAnywhere.CommonName,
		Topics: slices.Clone(c.AlarmTopics), Push: c.Push, WebhookURL: c.WebhookURL,
		Categories: slices.Clone(c.Categories), PIIFields: slices.Clone(c.PIIFields), PIIMethod: c.PIIMethod,
	}
	if len(c.AlarmThresholds) > 0 {
		o.Thresholds = map[string]int{}
	}
	for slug, text := range c.AlarmThresholds {
		n, err := strconv.Atoi(text)
		if err != nil {
			return Options{}, fmt.Errorf("setup.alarm_thresholds.%s: %q is not a number", slug, text)
		}
		o.Thresholds[slug] = n
	}
	if len(c.LeaveOut) > 0 {
		o.Parts = slices.DeleteFunc(Parts(), func(p string) bool { return slices.Contains(c.LeaveOut, p) })
	}
	if o.RunOn != RunAnywhere || !o.wants(PartAccess) {
		return o, nil
	}
	text, err := readFile(c.RolesAnywhere.CAFile)
	if err != nil {
		return Options{}, fmt.Errorf("read setup.roles_anywhere.ca_file: %w", err)
	}
	o.CACertificate, err = authority(text)
	if err != nil {
		return Options{}, fmt.Errorf("setup.roles_anywhere.ca_file %s: %w", c.RolesAnywhere.CAFile, err)
	}
	return o, nil
}

// authority returns the PEM of the certificate of an authority, and nothing that lies
// beside it in the file, such as a key.
func authority(text []byte) (string, error) {
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "CERTIFICATE" {
			continue
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return "", fmt.Errorf("read certificate: %w", err)
		}
		if !cert.IsCA {
			return "", errors.New("the certificate is not that of an authority (CA:TRUE is missing); name the one that signs the machine's")
		}
		out := pem.EncodeToMemory(&pem.Block{Type: block.Type, Bytes: block.Bytes})
		if len(out) > maxCertificate {
			return "", fmt.Errorf("the certificate is longer than %d characters", maxCertificate)
		}
		return string(out), nil
	}
	return "", errors.New("it holds no certificate in PEM")
}
