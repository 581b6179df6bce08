package ledger

import (
	"slices"
	"strings"

	"github.com/eks-gitops/reconciler/pkg/gitops"
	"github.com/eks-gitops/reconciler/pkg/plan"
)

// scrub is the second lock on the silence law: plan.Build redacts every edit already; whatever value of a Secret, or out of
// an encrypted file, still is not a mark here is replaced by one before it is stored.
func scrub(p plan.Plan) plan.Plan {
	p.Changes = slices.Clone(p.Changes)
	for i, c := range p.Changes {
		if len(c.Secrets) > 0 {
			c.Edits = slices.Clone(c.Edits)
			for j, e := range c.Edits {
				c.Edits[j] = plan.MaskEdit(e, c.Secrets, hide)
			}
		}
		c.Spec, c.Live, c.Secrets = nil, nil, nil
		if c.Ref.Domain == gitops.K8s && c.Ref.Group == "" && c.Ref.Kind == "Secret" {
			c.Edits = slices.Clone(c.Edits)
			for j, e := range c.Edits {
				if strings.HasPrefix(e.Path, "data") || strings.HasPrefix(e.Path, "stringData") {
					c.Edits[j].Before, c.Edits[j].After = hide(e.Before), hide(e.After)
				}
			}
		}
		p.Changes[i] = c
	}
	return p
}

// unkeyed is the mark of a value that reached the ledger without one of its own: equality is not told.
const unkeyed = "‹secret:unkeyed›"

func hide(v any) any {
	switch v := v.(type) {
	case nil:
		return nil
	case gitops.Tree:
		out := make(gitops.Tree, len(v))
		for name, value := range v {
			out[name] = hide(value)
		}
		return out
	case []any:
		out := make([]any, 0, len(v))
		for _, value := range v {
			out = append(out, hide(value))
		}
		return out
	}
	if gitops.IsRedacted(v) {
		return v
	}
	return unkeyed
}
