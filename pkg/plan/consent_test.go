package plan_test

import (
	"strings"
	"testing"

	"github.com/eks-gitops/reconciler/pkg/gitops"
	"github.com/eks-gitops/reconciler/pkg/plan"
)

// TestApprovalCoversWhatWasShown: what was approved holds while nothing is added to what concerned it; what is added holds the change and
// is told.
func TestApprovalCoversWhatWasShown(t *testing.T) {
	t.Parallel()
	broken := func(text, about string) gitops.Concern {
		return gitops.Concern{Error: gitops.Errorf(gitops.UpgradeBlocked, "%s", text), About: about}
	}
	noted := func(text string) gitops.Concern {
		return gitops.Concern{Error: gitops.Errorf(gitops.UpgradeNote, "%s", text)}
	}
	upgrade := func(minutes int, effect string, concerns ...gitops.Concern) gitops.Observation {
		at := func(version string) gitops.Tree { return gitops.Tree{"metadata": gitops.Tree{"version": version}} }
		return gitops.Observation{Live: at("1.34"), Next: at("1.35"), Spec: at("1.35"), Minutes: minutes, Effect: effect, Concerns: concerns}
	}
	legacy := func(data string, inside map[string]int) gitops.Observation {
		return gitops.Observation{Owned: true, Overlay: "gone", Live: gitops.Tree{"metadata": gitops.Tree{"uid": "1"}}, Data: data, Inside: inside}
	}
	object := func(field string, o gitops.Observation) gitops.Observation {
		o.Live, o.Next, o.Spec = gitops.Tree{"a": "1"}, gitops.Tree{"a": "2"}, gitops.Tree{"a": "2"}
		if field != "" {
			o.Conflicts = append(o.Conflicts, gitops.Conflict{Path: field, Owner: "other"})
		}
		return o
	}
	cluster := gitops.Ref{Domain: gitops.EKS, Kind: "Cluster", Namespace: "c", Name: "c"}
	group := gitops.Ref{Domain: gitops.EKS, Kind: "Nodegroup", Namespace: "c", Name: "batch"}
	namespace := gitops.Ref{Domain: gitops.K8s, Kind: "Namespace", Name: "legacy"}
	set := gitops.Ref{Domain: gitops.K8s, Group: "apps", Kind: "StatefulSet", Namespace: "n", Name: "db"}
	old := broken("an old API was called 3 times", "old API")
	for name, tt := range map[string]struct {
		ref         gitops.Ref
		then, later gitops.Observation
		held        string // what is said of the hold; empty when the approval stands
	}{
		"nothing new":               {cluster, upgrade(10, "", old), upgrade(10, "", old), ""},
		"the same in other words":   {cluster, upgrade(10, "", old), upgrade(10, "", broken("an old API was called 9 times", "old API")), ""},
		"another thing breaks":      {cluster, upgrade(10, "", old), upgrade(10, "", old, broken("an addon has no version", "")), "; the approval in a.yaml:3 does not cover: an addon has no version"},
		"something else breaks":     {cluster, upgrade(10, "", old), upgrade(10, "", broken("an addon has no version", "")), "does not cover: an addon has no version"},
		"one of two is solved":      {cluster, upgrade(10, "", old, broken("an addon has no version", "")), upgrade(10, "", old), ""},
		"more to be known":          {cluster, upgrade(10, "", old), upgrade(25, "12 pods move", old, noted("a budget may keep nodes waiting")), ""},
		"other nodes":               {group, gitops.Observation{Owned: true, Live: gitops.Tree{"name": "batch"}, Identity: "1", Data: "its 2 nodes are drained"}, gitops.Observation{Owned: true, Live: gitops.Tree{"name": "batch"}, Identity: "1", Data: "its 3 nodes are drained"}, ""},
		"fewer objects inside":      {namespace, legacy("5 objects inside", map[string]int{"Secret": 5}), legacy("2 objects inside", map[string]int{"Secret": 2}), ""},
		"none inside any more":      {namespace, legacy("5 objects inside", map[string]int{"Secret": 5}), legacy("", nil), ""},
		"more objects inside":       {namespace, legacy("5 objects inside", map[string]int{"Secret": 5}), legacy("6 objects inside", map[string]int{"Secret": 6}), "does not cover: 6 Secret inside"},
		"another kind inside":       {namespace, legacy("1 object inside", map[string]int{"Secret": 1}), legacy("2 objects inside", map[string]int{"Secret": 1, "PersistentVolumeClaim": 1}), "does not cover: 1 PersistentVolumeClaim inside"},
		"it was empty":              {namespace, legacy("", nil), legacy("1 object inside", map[string]int{"Secret": 1}), "does not cover: 1 Secret inside"},
		"it cannot be counted":      {namespace, legacy("", nil), legacy("unknown content", nil), "does not cover: unknown content"},
		"another tool keeps it now": {set, object("", gitops.Observation{Keeper: "tool A"}), object("", gitops.Observation{Keeper: "tool B"}), "does not cover: it is kept by tool B"},
		"another field is taken":    {set, object("a", gitops.Observation{}), object("b", object("a", gitops.Observation{})), "does not cover: b is owned by other"},
		"a field is free":           {set, object("b", object("a", gitops.Observation{})), object("a", gitops.Observation{}), ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			build := func(o gitops.Observation, a plan.Approvals) plan.Plan {
				return plan.Build(plan.Input{Desired: gitops.Desired{Cluster: "c"}, Observed: gitops.Observed{tt.ref: o}}, plan.HoldDestructive(a), plan.HoldKinds(nil, a), plan.PruneBudget(0.1, 0, a))
			}
			shown := build(tt.then, nil)
			c := shown.Changes[0]
			if c.Hold == nil || !c.Hold.Approvable {
				t.Fatalf("it is not held: %+v", c)
			}
			a := plan.Approvals{c.ID: {Position: gitops.Position{File: "a.yaml", Line: 3}}}
			for _, about := range c.Concerns {
				a[about.ID] = gitops.Approval{Most: about.Count}
			}
			if now := build(tt.then, a).Changes[0]; now.Hold != nil || now.Approved == nil {
				t.Fatalf("it is approved: %+v", now)
			}
			later := build(tt.later, a)
			now := later.Changes[0]
			switch {
			case now.ID != c.ID:
				t.Error("the change is another")
			case tt.held == "" && now.Hold != nil:
				t.Errorf("the approval does not hold: %s", now.Hold.Why)
			case tt.held != "" && (now.Hold == nil || !now.Hold.Approvable || !strings.HasSuffix(now.Hold.Why, tt.held) || strings.Count(now.Hold.Why, tt.held) != 1):
				t.Errorf("the hold is %+v", now.Hold)
			case tt.held != "" && later.ID == shown.ID:
				t.Error("the plan has the id of what was shown")
			}
		})
	}
}
