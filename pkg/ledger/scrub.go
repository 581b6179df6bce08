package ledger

import (
	"slices"
	"strings"

	"github.com/eks-gitops/reconciler/pkg/gitops"
	"github.com/eks-gitops/reconciler/pkg/plan"
)

// scrub is the second lock on the silence law: plan.Build redacts every edit already; whatever value of a Secret still is
// not a mark here is replaced by one before it is stored.
func scrub(p plan.Plan) plan.Plan {
	p.Changes = slices.Clone(p.Changes)
	for i, c := range p.Changes {
		c.Spec, c.Live = nil, nil
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
	}
	if gitops.IsRedacted(v) {
		return v
	}
	return unkeyed
}
