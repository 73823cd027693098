package selector

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/file"
	"github.com/expr-lang/expr/types"
	"github.com/expr-lang/expr/vm"

	"github.com/gaplesslogs/gapless/internal/event"
)

const (
	// maxExpression bounds the text of an expression, in bytes, and maxNodes its parts.
	maxExpression = 10_000
	maxNodes      = 1_000
	// memoryBudget is how many elements an expression may make while it looks at one
	// event: those of ranges, of arrays and maps, the bytes of repeated texts.
	memoryBudget = 100_000
)

// An ExpressionError says what is wrong with an expression, and where.
type ExpressionError struct {
	// Line and Column are the place in the text, from 1, the column in characters;
	// both 0 where there is none.
	Line, Column int
	// Problem continues a sentence that begins with the expression: "unknown name evnt".
	Problem string
	// Excerpt is the line, and below it a caret under the column; empty without a place.
	Excerpt string
}

// Error returns the problem and its place, in one line.
func (e *ExpressionError) Error() string {
	if e.Line == 0 {
		return e.Problem
	}
	return fmt.Sprintf("%s (line %d, column %d)", e.Problem, e.Line, e.Column)
}

// An Expression is a condition on an event, in the language of
// github.com/expr-lang/expr with one variable, event: the decoded record. Members
// named by Texts are always texts there, empty when the record has none of them;
// any other member is what the record has, or nil. Of two members with the same
// name the first counts, as everywhere in gapless.
//
// Beside the language's own functions there are category(code), severity(code) and
// level(code), which ask the catalogue of event types: see event.Lookup. Missing are now, keys,
// values and toPairs: the same event must always have the same answer, and members
// have no order.
type Expression struct {
	program *vm.Program
	members []string
	whole   bool // it may look at more than those members
	vms     sync.Pool
}

// Texts returns the members that Auth0's schema has as texts. An expression may
// use them without asking whether they are there, and is refused where it takes them
// for something else.
func Texts() []string { return slices.Clone(texts[:]) }

// texts is what Texts returns.
var texts = [...]string{
	"log_id", "type", "date", "description", "connection", "connection_id", "client_id", "client_name", "ip", "hostname",
	"user_id", "user_name", "audience", "strategy", "strategy_type", "user_agent", "organization_id", "organization_name",
	"tenant_name", "environment_name",
}

// Others returns the other members that Auth0's events are known to have at the top;
// there may be more.
func Others() []string {
	return []string{
		"_id", "$event_schema", "agent_id", "auth0_client", "body", "client_ip", "details", "email", "external_agent_id", "identity_user_id",
		"isMobile", "is_mobile", "location_info", "mtls_thumbprint_sha256", "query", "references", "scope", "security_context",
		"session_connection", "title", "tracking_id", "transaction_linking_id",
	}
}

// ParseExpression reads an expression and checks its types. The error is an
// *ExpressionError.
func ParseExpression(text string) (x *Expression, err error) {
	switch {
	case strings.TrimSpace(text) == "":
		return nil, &ExpressionError{Problem: "it is empty"}
	case len(text) > maxExpression:
		return nil, &ExpressionError{Problem: fmt.Sprintf("it is longer than %d bytes", maxExpression)}
	}
	defer func() { // the compiler is not ours and gets text from a person
		if p := recover(); p != nil {
			x, err = nil, &ExpressionError{Problem: "it cannot be read"}
		}
	}()
	var seen memberVisitor
	program, err := expr.Compile(text, options(&seen)...)
	if err != nil {
		return nil, explain(text, err)
	}
	members, whole := slices.Compact(slices.Sorted(slices.Values(seen.names))), seen.uses != len(seen.names)
	return &Expression{program: program, members: members, whole: whole, vms: sync.Pool{New: func() any {
		return &vm.VM{MemoryBudget: memoryBudget}
	}}}, nil
}

// options are what an expression may use and must give.
func options(seen ast.Visitor) []expr.Option {
	record := types.Map{types.Extra: types.Any}
	for _, name := range Texts() {
		record[name] = types.String
	}
	return []expr.Option{
		expr.Env(types.Map{"event": record}), expr.AsBool(), expr.WarnOnAny(), expr.MaxNodes(maxNodes), expr.Patch(seen),
		expr.DisableBuiltin("now"), expr.DisableBuiltin("keys"), expr.DisableBuiltin("values"), expr.DisableBuiltin("toPairs"),
		function("category", func(t event.Type) any { return t.Category }, new(func(string) string)),
		function("severity", func(t event.Type) any { return t.Severity.String() }, new(func(string) string)),
		function("level", func(t event.Type) any { return t.ExtensionLevel }, new(func(string) int)),
	}
}

// function makes a question to the catalogue.
func function(name string, answer func(event.Type) any, signature any) expr.Option {
	return expr.Function(name, func(params ...any) (any, error) {
		code, ok := params[0].(string)
		if !ok {
			return nil, errNoCode
		}
		return answer(event.Lookup(code)), nil
	}, signature)
}

// errNoCode is the failure of a question to the catalogue.
var errNoCode = errors.New("the event code is no text")

// explain turns an error of the compiler into ours.
func explain(text string, err error) *ExpressionError {
	at, ok := errors.AsType[*file.Error](err)
	if !ok {
		problem, _, _ := strings.Cut(err.Error(), "\n")
		if strings.Contains(problem, "expected bool") {
			problem = "it must be true or false for an event, such as by a comparison"
		}
		return &ExpressionError{Problem: problem}
	}
	problem, _, _ := strings.Cut(at.Message, "\n")
	e := &ExpressionError{Line: max(1, at.Line), Column: at.Column + 1, Problem: problem}
	lines := strings.Split(text, "\n")
	if e.Line <= len(lines) {
		line := strings.ReplaceAll(strings.TrimRight(lines[e.Line-1], "\r"), "\t", " ")
		e.Excerpt = line + "\n" + strings.Repeat(" ", min(at.Column, len([]rune(line)))) + "^"
	}
	return e
}

// A memberVisitor notes which members of event an expression names, and how often it
// names a variable at all.
type memberVisitor struct {
	names []string
	uses  int
}

// Visit notes a member or a variable.
func (v *memberVisitor) Visit(n *ast.Node) {
	if _, ok := (*n).(*ast.IdentifierNode); ok {
		v.uses++
	}
	m, ok := (*n).(*ast.MemberNode)
	if !ok {
		return
	}
	of, isName := m.Node.(*ast.IdentifierNode)
	name, isText := m.Property.(*ast.StringNode)
	if isName && isText && of.Value == "event" {
		v.names = append(v.names, name.Value)
	}
}

// Members returns the members of event that the expression names, in order.
func (x *Expression) Members() []string { return slices.Clone(x.members) }

// A MatchError says that an expression failed on an event, such as by looking into a
// member that is not there. Its text quotes nothing of the event.
type MatchError struct {
	// Line and Column are the place in the expression, from 1.
	Line, Column int
	// Detail is what went wrong. It may quote the event: it is for somebody who
	// looks at the event, not for a log.
	Detail string
}

// Error returns the place.
func (e *MatchError) Error() string {
	return fmt.Sprintf("the expression failed at line %d, column %d", e.Line, e.Column)
}

// Match reports whether the expression is true for an event. The error is a
// *MatchError. It may be called at the same time.
func (x *Expression) Match(e event.Event) (bool, error) {
	machine, ok := x.vms.Get().(*vm.VM)
	if !ok {
		machine = &vm.VM{MemoryBudget: memoryBudget}
	}
	defer x.vms.Put(machine)
	out, err := machine.Run(x.program, map[string]any{"event": x.decode(e)})
	if err != nil {
		failed := &MatchError{Line: 1, Column: 1, Detail: err.Error()}
		if at, ok := errors.AsType[*file.Error](err); ok {
			failed.Line, failed.Column = cmp.Or(at.Line, 1), at.Column+1
			failed.Detail, _, _ = strings.Cut(at.Message, "\n")
		}
		return false, failed
	}
	yes, ok := out.(bool)
	if !ok { // of "and" and "or" the compiler lets through what may be anything
		return false, &MatchError{Line: 1, Column: 1, Detail: fmt.Sprintf("it is neither true nor false, but %T", out)}
	}
	return yes, nil
}
