package gate

import (
	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/ast"
	"github.com/google/cel-go/common/operators"
	"github.com/google/cel-go/common/types"
)

// guard refuses, when a policy is compiled, the two things whose running cost CEL does not charge: lists concatenated with +,
// which are lazy trees that doubling makes exponential, and comparisons of lists in lists, which are charged for their outermost
// level only. It also refuses made-up facts.
type guard struct{}

func (guard) Name() string { return "boatlift.guard" }

func (guard) Validate(_ *cel.Env, _ cel.ValidatorConfig, checked *ast.AST, issues *cel.Issues) {
	for _, made := range ast.MatchDescendants(ast.NavigateAST(checked), ast.KindMatcher(ast.StructKind)) {
		issues.ReportErrorAtID(made.ID(), "a policy cannot make a %s", made.AsStruct().TypeName())
	}
	calls := ast.MatchDescendants(ast.NavigateAST(checked), ast.KindMatcher(ast.CallKind))
	for _, call := range calls {
		var nested bool
		args := call.AsCall().Args()
		for _, arg := range args {
			nested = nested || depth(checked.GetType(arg.ID())) > 1
		}
		switch call.AsCall().FunctionName() {
		case operators.Add:
			// The macros map and filter build their result so, with a variable that no text can name.
			own := args[0].Kind() == ast.IdentKind && args[0].AsIdent() == "@result"
			if checked.GetType(call.ID()).Kind() == types.ListKind && !own {
				issues.ReportErrorAtID(call.ID(), "lists cannot be added: pass both, or join texts")
			}
		case operators.Equals, operators.NotEquals, operators.In:
			if nested {
				issues.ReportErrorAtID(call.ID(), "lists and maps of lists or maps cannot be compared")
			}
		}
	}
}

// depth is how many lists and maps stand in each other.
func depth(t *types.Type) int {
	deepest := 0
	switch t.Kind() {
	case types.ListKind, types.MapKind:
		for _, p := range t.Parameters() {
			deepest = max(deepest, depth(p))
		}
		return deepest + 1
	}
	return 0
}
