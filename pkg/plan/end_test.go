package plan_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/eks-gitops/reconciler/pkg/gitops"
	"github.com/eks-gitops/reconciler/pkg/plan"
)

// endOf plans the end of a small cluster: what its observation and the problems are is the test's.
func endOf(seen gitops.Observed, problems []*gitops.Error, policies ...plan.Policy) plan.Plan {
	return plan.Build(plan.Input{Desired: gitops.Desired{Cluster: "dev", Problems: problems}, Observed: seen}, policies...)
}

func endingCluster() (seen gitops.Observed, cluster, group, namespace gitops.Ref) {
	cluster = gitops.Ref{Domain: gitops.EKS, Kind: "Cluster", Namespace: "dev", Name: "dev"}
	group = gitops.Ref{Domain: gitops.EKS, Kind: "Nodegroup", Namespace: "dev", Name: "system"}
	namespace = gitops.Ref{Domain: gitops.K8s, Kind: "Namespace", Name: "shop"}
	return gitops.Observed{
		cluster:   {Live: gitops.Tree{"metadata": gitops.Tree{"name": "dev"}}, Owned: true, Identity: "stack/1", Needs: []gitops.Ref{group}},
		group:     {Live: gitops.Tree{"name": "system"}, Owned: true, Identity: "stack/2"},
		namespace: {Live: gitops.Tree{"metadata": gitops.Tree{"uid": "1"}}, Owned: true, Overlay: "shop", Data: "2 objects inside", Inside: map[string]int{"Secret": 2}},
	}, cluster, group, namespace
}

// holds is each change of a plan and what holds it, in the order of the plan.
func holds(p plan.Plan) []string {
	var out []string
	for _, c := range p.Changes {
		line := string(c.Action) + " " + c.Ref.Kind
		if c.Hold != nil {
			line += ": " + string(c.Hold.Reason) + ", " + c.Hold.Why
			if c.Hold.Approvable {
				line += " (approvable)"
			}
		}
		out = append(out, line)
	}
	return out
}

func TestEnd(t *testing.T) {
	t.Parallel()
	seen, cluster, group, _ := endingCluster()
	id := map[gitops.Ref]gitops.Digest{}
	for _, c := range endOf(seen, nil).Changes {
		id[c.Ref] = c.ID
	}
	named := func(r gitops.Ref) plan.Approvals {
		return plan.Approvals{id[r]: {Position: gitops.Position{File: "a.yaml", Line: 3}}}
	}
	unknown := func(d gitops.Domain) gitops.Observed {
		out := gitops.Observed{{Domain: d}: {Err: gitops.Errorf(gitops.Unreachable, "no answer")}}
		for r, o := range seen {
			out[r] = o
		}
		return out
	}
	successor := gitops.Observed{}
	for r, o := range seen {
		o.Identity += "0"
		successor[r] = o
	}
	const ends = "it ends with cluster dev, whose end is not approved"
	unapproved := []string{"delete Namespace: Held, " + ends, "delete Nodegroup: Held, " + ends, "delete Cluster: Held, the folder of its cluster left git (approvable)"}
	free := []string{"delete Namespace", "delete Nodegroup", "delete Cluster"}
	leftovers := gitops.Observed{group: seen[group]}
	policy := gitops.Errorf(gitops.PolicyInvalid, "reconcile.yaml cannot be read")
	for name, tt := range map[string]struct {
		seen      gitops.Observed
		problems  []*gitops.Error
		approvals plan.Approvals
		confirmed bool
		want      []string
	}{
		"nobody approved":               {seen: seen, want: unapproved},
		"the cluster's end is approved": {seen: seen, approvals: named(cluster), want: free},
		"only a nodegroup's is":         {seen: seen, approvals: named(group), want: unapproved},
		"confirmed by hand":             {seen: seen, confirmed: true, want: free},
		"another cluster of the name":   {seen: successor, approvals: named(cluster), want: unapproved},
		"leftovers of a cluster":        {seen: leftovers, approvals: named(cluster), want: []string{"delete Nodegroup: Held, the folder of its cluster left git (approvable)"}},
		"leftovers, approved":           {seen: leftovers, approvals: named(group), want: []string{"delete Nodegroup"}},
		"the policy cannot be read":     {seen: seen, problems: []*gitops.Error{policy}, approvals: named(cluster), want: nil},
		"what runs inside is not known": {seen: unknown(gitops.K8s), approvals: named(cluster), want: []string{"delete Nodegroup: Blocked, infrastructure ends after what runs inside, and that is not known: no answer", "delete Cluster: Blocked, infrastructure ends after what runs inside, and that is not known: no answer"}},
		"the same, confirmed by hand":   {seen: unknown(gitops.K8s), confirmed: true, want: []string{"delete Nodegroup: Blocked, infrastructure ends after what runs inside, and that is not known: no answer", "delete Cluster: Blocked, infrastructure ends after what runs inside, and that is not known: no answer"}},
		"AWS is not known":              {seen: unknown(gitops.EKS), approvals: named(cluster), want: []string{"delete Namespace: Blocked, nothing of a cluster ends while AWS is not known: no answer"}},
		"a note leaves nothing unknown": {seen: seen, problems: []*gitops.Error{gitops.Errorf(gitops.Kept, "it left git")}, approvals: named(cluster), want: free},
		"nothing is left":               {seen: gitops.Observed{}, approvals: named(cluster)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := endOf(tt.seen, tt.problems, plan.End(tt.approvals, tt.confirmed))
			if diff := cmp.Diff(tt.want, holds(p)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			for _, c := range p.Changes {
				if at := c.Approved; c.Hold == nil && !tt.confirmed && c.ID == id[cluster] && (at == nil || at.File != "a.yaml") {
					t.Errorf("%s is approved at %v", c.Ref, at)
				}
			}
		})
	}
}

// TestEndIsOrdered: controllers inside give back what they made while there are nodes for them.
func TestEndIsOrdered(t *testing.T) {
	t.Parallel()
	seen, cluster, group, namespace := endingCluster()
	p := endOf(seen, nil, plan.End(nil, true))
	needs := map[gitops.Ref]string{}
	for _, c := range p.Changes {
		var on []string
		for _, r := range c.Needs {
			on = append(on, r.Kind)
		}
		needs[c.Ref] = strings.Join(on, " ")
	}
	want := map[gitops.Ref]string{namespace: "", group: "Namespace", cluster: "Nodegroup"}
	if diff := cmp.Diff(want, needs); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestEndTakesWhatOthersMade: what others made says so, and goes before the infrastructure.
func TestEndTakesWhatOthersMade(t *testing.T) {
	t.Parallel()
	seen, _, group, _ := endingCluster()
	service := gitops.Ref{Domain: gitops.K8s, Kind: "Service", Namespace: "default", Name: "web"}
	seen[service] = gitops.Observation{Live: gitops.Tree{"kind": "Service"}, Owned: true, Extra: true, Effect: "its load balancer would stay"}
	p := endOf(seen, nil, plan.End(nil, true))
	for _, c := range p.Changes {
		if c.Ref == service && (c.Why != "made beside git; its load balancer would stay" || c.Risk != plan.Disruptive || !c.Applies()) {
			t.Errorf("the Service: %+v", c)
		}
		if c.Ref == group && !slices.Contains(c.Needs, service) {
			t.Errorf("the nodes wait for %v", c.Needs)
		}
	}
	if len(p.Problems) > 0 {
		t.Errorf("told: %v", p.Problems)
	}
}
