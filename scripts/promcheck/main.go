// Command promcheck reads files of alert rules and dashboards of Grafana, and fails unless
// Prometheus itself takes them: the rules with its own reader, templates and all, and
// each query of a dashboard with its parser. It prints the names of the metrics that they
// look at, each on a line. It is a module of its own, because Prometheus must not get
// near the modules of gapless: docs/adr/0008-tools-outside-go-mod.md.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql/parser"
)

func main() {
	metrics := make(map[string]bool)
	var errs []error
	for _, path := range os.Args[1:] {
		errs = append(errs, check(path, metrics))
	}
	if err := errors.Join(errs...); err != nil {
		fmt.Fprintln(os.Stderr, "promcheck:", err)
		os.Exit(1)
	}
	for _, name := range slices.Sorted(maps.Keys(metrics)) {
		fmt.Println(name)
	}
}

// check reads a file.
func check(path string, metrics map[string]bool) error {
	queries, err := dashboard(path)
	if !strings.HasSuffix(path, ".json") {
		queries, err = rules(path)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	for _, q := range queries {
		expr, err := parser.NewParser(parser.Options{}).ParseExpr(q)
		if err != nil {
			return fmt.Errorf("%s: %s: %w", path, q, err)
		}
		parser.Inspect(expr, func(n parser.Node, _ []parser.Node) error {
			if v, ok := n.(*parser.VectorSelector); ok {
				metrics[v.Name] = true
			}
			return nil
		})
	}
	return nil
}

// rules returns the queries of a file of rules.
func rules(path string) (queries []string, err error) {
	groups, errs := rulefmt.ParseFile(path, false, model.UTF8Validation, parser.NewParser(parser.Options{}), slog.New(slog.DiscardHandler))
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	for _, g := range groups.Groups {
		for _, r := range g.Rules {
			queries = append(queries, r.Expr)
		}
	}
	return queries, nil
}

// dashboard returns the queries of a dashboard, with values in the place of Grafana's
// variables.
func dashboard(path string) (queries []string, err error) {
	if !strings.HasSuffix(path, ".json") {
		return nil, nil
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var d struct {
		Panels []struct {
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal(text, &d); err != nil {
		return nil, err
	}
	values := strings.NewReplacer("$__rate_interval", "5m", "$__range", "1h", "$tenant", "dev")
	for _, p := range d.Panels {
		for _, t := range p.Targets {
			queries = append(queries, values.Replace(t.Expr))
		}
	}
	return queries, nil
}
