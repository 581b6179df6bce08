package apply

import (
	"fmt"
	"strings"
	"sync"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/types/ref"
	"github.com/google/cel-go/ext"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/eks-gitops/reconciler/pkg/gitops"
	"github.com/eks-gitops/reconciler/pkg/plan"
)

// expressionCost bounds what evaluating one expression may cost, in CEL's own units; Kubernetes allows as much per expression
// of an admission policy (apiserver, cel.PerCallLimit).
const expressionCost = 1_000_000

// language is what expressions of health rules may say: CEL's standard library, strings, lists and optional values, about one
// variable, the live object.
var language = sync.OnceValues(func() (*cel.Env, error) { //nolint:gochecknoglobals // made once: it is the same for all
	return cel.NewEnv(
		cel.Variable("object", cel.MapType(cel.StringType, cel.DynType)),
		cel.OptionalTypes(), cel.CrossTypeNumericComparisons(true), cel.DefaultUTCTimeZone(true), ext.Strings(), ext.Lists(), ext.Sets(),
	)
})

// Condition compiles an expression that decides; its error says where in the text it is wrong.
func Condition(expression string) error {
	_, err := compile(expression, cel.BoolType)
	return err
}

// Message compiles an expression that yields a text.
func Message(expression string) error {
	_, err := compile(expression, cel.StringType)
	return err
}

func compile(expression string, want *cel.Type) (cel.Program, error) {
	env, err := language()
	if err != nil {
		return nil, fmt.Errorf("preparing CEL: %w", err)
	}
	ast, issues := env.Compile(expression)
	if issues != nil {
		if all := issues.Errors(); len(all) > 0 {
			at := ""
			if line := all[0].Location.Line(); strings.Contains(expression, "\n") {
				at = fmt.Sprintf("line %d, ", line)
			}
			return nil, fmt.Errorf("%scolumn %d: %s", at, all[0].Location.Column()+1, all[0].Message)
		}
	}
	if got := ast.OutputType(); !got.IsExactType(want) && !got.IsExactType(cel.DynType) {
		return nil, fmt.Errorf("it yields %s, not %s", got, want)
	}
	program, err := env.Program(ast, cel.CostLimit(expressionCost))
	if err != nil {
		return nil, fmt.Errorf("preparing it: %w", err)
	}
	return program, nil
}

// healthRule is a compiled plan.HealthRule.
type healthRule struct {
	ready, failed, message cel.Program
	from                   gitops.Position
	// broken says why it could not be compiled.
	broken error
}

// healthRules compiles the rules of a policy, by kind. One that does not compile stays in force, as unknown: the policy is
// checked before it is used, so that is not what a user meets.
func healthRules(rules []plan.HealthRule) map[schema.GroupKind]healthRule {
	out := make(map[schema.GroupKind]healthRule, len(rules))
	for _, r := range rules {
		h := healthRule{from: r.From}
		for _, part := range []struct {
			text string
			into *cel.Program
			want *cel.Type
		}{{r.Ready, &h.ready, cel.BoolType}, {r.Failed, &h.failed, cel.BoolType}, {r.Message, &h.message, cel.StringType}} {
			if part.text == "" {
				continue
			}
			program, err := compile(part.text, part.want)
			if err != nil {
				h.broken = err
			}
			*part.into = program
		}
		out[schema.GroupKind{Group: r.Group, Kind: r.Kind}] = h
	}
	return out
}

// assess decides in this order: what the controller has not looked at yet is progressing, then failed, then ready. What cannot
// be evaluated (a status that is not there yet) decides nothing, so that the object stays progressing and says why.
func (r healthRule) assess(u *unstructured.Unstructured) gitops.Health {
	if r.broken != nil {
		return gitops.Health{Status: gitops.Unknown, Message: fmt.Sprintf("the health rule at %s does not compile: %s", r.from, r.broken)}
	}
	if seen, ok, err := unstructured.NestedInt64(u.Object, "status", "observedGeneration"); ok && err == nil && seen < u.GetGeneration() {
		return gitops.Health{Status: gitops.Progressing, Message: fmt.Sprintf("generation is %d, its controller has seen %d", u.GetGeneration(), seen)}
	}
	if failed, err := satisfied(r.failed, u); err == nil && failed {
		return gitops.Health{Status: gitops.Failed, Message: r.say(u, "failed")}
	}
	ready, err := satisfied(r.ready, u)
	switch {
	case err != nil:
		return gitops.Health{Status: gitops.Progressing, Message: fmt.Sprintf("the health rule at %s cannot tell yet: %s", r.from, err)}
	case ready:
		return gitops.Health{Status: gitops.Ready}
	}
	return gitops.Health{Status: gitops.Progressing, Message: r.say(u, "not ready")}
}

// say is the rule's message, else what it is by the rule.
func (r healthRule) say(u *unstructured.Unstructured, what string) string {
	if said, err := evaluate(r.message, u); err == nil && said != nil {
		if text, ok := said.Value().(string); ok && strings.TrimSpace(text) != "" {
			return scrubber{}.text(text)
		}
	}
	return fmt.Sprintf("%s by the health rule at %s", what, r.from)
}

// satisfied evaluates a condition; one that is left out never holds.
func satisfied(p cel.Program, u *unstructured.Unstructured) (bool, error) {
	value, err := evaluate(p, u)
	if value == nil || err != nil {
		return false, err
	}
	yes, ok := value.Value().(bool)
	if !ok {
		return false, fmt.Errorf("it yields %s, not true or false", value.Type().TypeName())
	}
	return yes, nil
}

// evaluate yields nothing for an expression that is left out.
func evaluate(p cel.Program, u *unstructured.Unstructured) (ref.Val, error) {
	if p == nil {
		return nil, nil //nolint:nilnil // no expression, no value
	}
	value, _, err := p.Eval(map[string]any{"object": u.Object})
	return value, err
}
