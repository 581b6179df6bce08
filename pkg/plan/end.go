package plan

import (
	"fmt"
	"slices"

	"github.com/eks-gitops/reconciler/pkg/gitops"
)

// End is the policy of a cluster that is ending (gitops.Cluster.Ending), in the place of those of reconcile.yaml, which are about its
// life: with prune off, nothing would ever be deleted, and a frozen cluster could not end.
//
//	what                                  is held
//	the cluster itself                    until an approval names its deletion, or somebody confirmed it
//	everything else                       until the cluster's deletion is not; if there is none, until an approval names it
//	all, while AWS is not known           whatever was approved: the cluster might stay, and would stand there empty
//	infrastructure, while it is not       whatever was approved: controllers inside give back what they made (load balancers,
//	known what runs inside                volumes), and nothing else does
func End(a Approvals, confirmed bool) Policy {
	return func(p Plan) Plan {
		e := ending{approvals: a, free: confirmed, unknown: doubts(p)}
		if i := slices.IndexFunc(p.Changes, EndsCluster); i >= 0 {
			e.cluster = p.Changes[i].Ref
			e.free = confirmed || approved(p.Changes[i], a)
		}
		return p.each(e.judge)
	}
}

// ending is what the changes of a cluster's end are judged by.
type ending struct {
	approvals Approvals
	// cluster is the one that is deleted; zero when only leftovers of it are.
	cluster gitops.Ref
	// free says that its end is approved.
	free bool
	// unknown are the domains of which something is not known, with the first cause.
	unknown map[gitops.Domain]*gitops.Error
}

func (e ending) judge(c Change) Change {
	switch {
	case c.Action == Wait || c.Hold != nil && !c.Hold.Approvable:
		return c
	case e.unknown[gitops.EKS] != nil:
		return heldBy(c, "nothing of a cluster ends while AWS is not known: "+e.unknown[gitops.EKS].Message())
	case e.unknown[gitops.K8s] != nil && c.Ref.Domain == gitops.EKS:
		return heldBy(c, "infrastructure ends after what runs inside, and that is not known: "+e.unknown[gitops.K8s].Message())
	case e.free:
		c.Hold = nil
		if from, named := e.approvals[c.ID]; named {
			c.Approved = &from.Position
		}
		return c
	case c.Ref != e.cluster && !e.cluster.IsZero():
		c.Hold = &Hold{Reason: gitops.Held, Why: fmt.Sprintf("it ends with cluster %s, whose end is not approved", e.cluster.Name)}
		return c
	}
	c.Hold = &Hold{Reason: gitops.Held, Why: "the folder of its cluster left git", Approvable: true}
	return approve(c, e.approvals)
}

func heldBy(c Change, why string) Change {
	c.Hold = &Hold{Reason: gitops.Blocked, Why: why}
	return c
}

// doubts are the domains of which something is not known. What is about neither is about both.
func doubts(p Plan) map[gitops.Domain]*gitops.Error {
	out := map[gitops.Domain]*gitops.Error{}
	for _, problem := range p.Problems {
		if complete([]*gitops.Error{problem}) {
			continue
		}
		d := domainOf(problem)
		if d == "" {
			d = gitops.EKS
		}
		if out[d] == nil {
			out[d] = problem
		}
	}
	return out
}

// EndsCluster reports whether a change deletes a cluster itself.
func EndsCluster(c Change) bool {
	return c.Ref.Domain == gitops.EKS && c.Ref.Kind == "Cluster" && c.Action == Delete
}
