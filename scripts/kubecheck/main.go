// Command kubecheck reads manifests of Kubernetes from standard input and fails
// unless each is one that the API knows: every member by its name and type, and
// every Pod one that the Pod Security Standard "restricted" admits. It prints a line
// for each manifest. It is a module of its own, because what it needs of Kubernetes
// must not get near the modules of gapless: docs/adr/0008-tools-outside-go-mod.md.
package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"

	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"
	sigsyaml "sigs.k8s.io/yaml"
)

func main() {
	if err := check(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "kubecheck:", err)
		os.Exit(1)
	}
}

// check reads every document of a stream.
func check(r io.Reader, w io.Writer) error {
	decoder := serializer.NewCodecFactory(scheme.Scheme, serializer.EnableStrict).UniversalDeserializer()
	restricted, err := policy.NewEvaluator(policy.DefaultChecks(), nil)
	if err != nil {
		return fmt.Errorf("make policy: %w", err)
	}
	documents := yaml.NewYAMLReader(bufio.NewReader(r))
	var errs []error
	for {
		text, err := documents.Read()
		if errors.Is(err, io.EOF) {
			return errors.Join(errs...)
		}
		if err != nil {
			return fmt.Errorf("read manifests: %w", err)
		}
		var content map[string]any
		if err := sigsyaml.UnmarshalStrict(text, &content); err != nil {
			errs = append(errs, fmt.Errorf("read YAML: %w", err))
			continue
		}
		if len(content) == 0 {
			continue // comments alone
		}
		name := unstructured.Unstructured{Object: content}
		what := fmt.Sprintf("%s %s %s", name.GetAPIVersion(), name.GetKind(), name.GetName())
		object, _, err := decoder.Decode(text, nil, nil)
		switch {
		case runtime.IsNotRegisteredError(err):
			fmt.Fprintln(w, "unknown", what)
		case err != nil:
			errs = append(errs, fmt.Errorf("%s: %w", what, err))
		default:
			fmt.Fprintln(w, "ok", what)
			errs = append(errs, secure(restricted, what, object))
		}
	}
}

// secure refuses a workload whose Pods the standard would not admit.
func secure(restricted policy.Evaluator, what string, object runtime.Object) error {
	set, ok := object.(*appsv1.StatefulSet)
	if !ok {
		return nil
	}
	level := api.LevelVersion{Level: api.LevelRestricted, Version: api.LatestVersion()}
	result := policy.AggregateCheckResults(restricted.EvaluatePod(level, &set.Spec.Template.ObjectMeta, &set.Spec.Template.Spec))
	if !result.Allowed {
		return fmt.Errorf("%s: not admitted as restricted: %s", what, result.ForbiddenDetail())
	}
	return nil
}
