package plan_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"
	sigsyaml "sigs.k8s.io/yaml"

	"github.com/eks-gitops/reconciler/pkg/gitops"
	"github.com/eks-gitops/reconciler/pkg/plan"
)

var update = flag.Bool("update", false, "rewrite golden files")

// testNow is a Saturday.
var testNow = time.Date(2026, 11, 21, 14, 2, 11, 0, time.UTC)

// scenario is case.yaml of a golden file: what git wants, what is live, and what was applied last, in short form.
type scenario struct {
	Cluster   string
	Revision  gitops.Revision
	Overlays  []gitops.Overlay
	Desired   []wantedThing
	Observed  []liveThing
	Inventory []string
	Problems  []*gitops.Error
	// Approve names refs whose changes are approved.
	Approve []string
	Only    string
}

// wantedThing is an item of git. Spec is the whole object.
type wantedThing struct {
	Ref, From, Overlay string
	Spec               gitops.Tree
}

// liveThing is an observation. Live "as-wanted" stands for the wanted spec; Next is the wanted spec unless given.
type liveThing struct {
	Ref, From, Overlay string
	Live, Next         any
	Unowned            bool
	Err                *gitops.Error
	Predicted          bool
	Replace            []string
	Data               string
	Progress           *gitops.Health
	Owners             map[string]gitops.Owner
	Skipped            []gitops.Skipped
	Conflicts          []gitops.Conflict
	Concerns           []struct {
		Err   *gitops.Error
		Final bool
	}
	Effect  string
	Minutes int
	Lock    string
	Extra   bool
	Needs   []string
}

func parseScenario(t *testing.T, body []byte) scenario {
	t.Helper()
	var s scenario
	if err := sigsyaml.UnmarshalStrict(body, &s); err != nil {
		t.Fatal(err)
	}
	return s
}

func mustRef(t *testing.T, s string) gitops.Ref {
	t.Helper()
	r, err := gitops.ParseRef(s)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func position(s string) gitops.Position {
	file, line, _ := strings.Cut(s, ":")
	n, _ := strconv.Atoi(line)
	return gitops.Position{File: file, Line: n}
}

// input spreads the short form out, the way the engine does.
func (s scenario) input(t *testing.T) plan.Input {
	t.Helper()
	in := plan.Input{
		Desired:  gitops.Desired{Cluster: s.Cluster, Revision: s.Revision, Overlays: s.Overlays, Problems: s.Problems},
		Observed: gitops.Observed{}, Inventory: gitops.Inventory{}, Redactor: gitops.Redactor{Key: []byte("test key")},
	}
	wanted := map[gitops.Ref]gitops.Item{}
	for _, w := range s.Desired {
		ref := mustRef(t, w.Ref)
		item := gitops.Item{Ref: ref, Spec: w.Spec, From: gitops.Origin{Position: position(w.From), Overlay: w.Overlay}}
		wanted[ref] = item
		if ref.Domain == gitops.K8s {
			in.Desired.Items = append(in.Desired.Items, item)
		}
		in.Observed[ref] = gitops.Observation{Next: item.Spec, Spec: item.Spec, From: item.From}
	}
	for _, l := range s.Observed {
		ref := mustRef(t, l.Ref)
		o := in.Observed[ref]
		o.Owned, o.Overlay, o.Err, o.Predicted, o.Replace, o.Data = !l.Unowned, l.Overlay, l.Err, l.Predicted, l.Replace, l.Data
		o.Progress, o.Owners, o.Skipped, o.Conflicts = l.Progress, l.Owners, l.Skipped, l.Conflicts
		o.Effect, o.Minutes, o.Lock, o.Extra = l.Effect, l.Minutes, l.Lock, l.Extra
		for _, c := range l.Concerns {
			o.Concerns = append(o.Concerns, gitops.Concern{Error: c.Err, Final: c.Final})
		}
		if l.Live == "as-wanted" {
			o.Live = wanted[ref].Spec
		} else if live, ok := l.Live.(gitops.Tree); ok {
			o.Live = live
		}
		if next, ok := l.Next.(gitops.Tree); ok {
			o.Next = next
		}
		for _, need := range l.Needs {
			o.Needs = append(o.Needs, mustRef(t, need))
		}
		in.Observed[ref] = o
	}
	for _, text := range s.Inventory {
		ref := mustRef(t, text)
		in.Inventory[ref] = gitops.Entry{Spec: gitops.DigestOf(wanted[ref].Spec), Overlay: wanted[ref].From.Overlay}
	}
	return in
}

// rules are those of policy.yaml.
func rules(t *testing.T, policy []byte) plan.Rules {
	t.Helper()
	out, problems := plan.DecodeRules(policyItem(t, policy), checks)
	if len(problems) > 0 {
		t.Fatalf("policy: %v", problems)
	}
	return out
}

// policies are those of the rules, with the approvals that the scenario names.
func (s scenario) policies(t *testing.T, in plan.Input, rules plan.Rules) []plan.Policy {
	t.Helper()
	now := func() time.Time { return testNow }
	approvals := plan.Approvals{}
	for _, text := range s.Approve {
		c, ok := plan.Build(in).Change(mustRef(t, text))
		if !ok {
			t.Fatalf("approve: no change of %s", text)
		}
		at := gitops.Position{File: "clusters/" + s.Cluster + "/approvals/a.yaml", Line: 1}
		approvals[c.ID] = gitops.Approval{Position: at}
		for _, about := range c.Concerns {
			approvals[about.ID] = gitops.Approval{Position: at, Most: about.Count}
		}
	}
	out := rules.Policies(now, approvals)
	switch s.Only {
	case "":
	case "infra":
		out = append(out, plan.OnlyDomain(gitops.EKS))
	case "addons":
		out = append(out, plan.OnlyDomain(gitops.K8s))
	default:
		out = append(out, plan.OnlyRefs(mustRef(t, s.Only)))
	}
	return out
}

// policyItem reads reconcile.yaml into an item that knows the line of every field.
func policyItem(t *testing.T, body []byte) *gitops.Item {
	t.Helper()
	if len(body) == 0 {
		return nil
	}
	var node yaml.Node
	if err := yaml.Unmarshal(body, &node); err != nil {
		t.Fatal(err)
	}
	item := gitops.Item{From: gitops.Origin{Position: gitops.Position{File: "clusters/dev/reconcile.yaml"}, Fields: map[string]gitops.Position{}}}
	if len(node.Content) > 0 {
		lines(item.From, "", node.Content[0])
	}
	asJSON, err := sigsyaml.YAMLToJSON(body)
	if err != nil {
		t.Fatal(err)
	}
	var tree any
	if err := json.Unmarshal(asJSON, &tree); err != nil {
		t.Fatal(err)
	}
	item.Spec, _ = tree.(gitops.Tree)
	return &item
}

func lines(from gitops.Origin, path string, n *yaml.Node) {
	if path != "" {
		from.Fields[path] = gitops.Position{File: from.File, Line: n.Line}
	}
	switch n.Kind {
	case yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			at := plan.Field(path, n.Content[i].Value)
			lines(from, at, n.Content[i+1])
			from.Fields[at] = gitops.Position{File: from.File, Line: n.Content[i].Line}
		}
	case yaml.SequenceNode:
		for i, item := range n.Content {
			lines(from, plan.Index(path, i), item)
		}
	}
}

// order is the plan's order with needs, for tests about the graph.
func order(p plan.Plan) string {
	var b strings.Builder
	for _, c := range p.Changes {
		fmt.Fprintf(&b, "%s %s", c.Action.Symbol(), c.Ref)
		for i, need := range c.Needs {
			sep := ", "
			if i == 0 {
				sep = " <- "
			}
			b.WriteString(sep + need.String())
		}
		if c.Hold != nil {
			fmt.Fprintf(&b, "  [held: %s]", c.Hold.Reason)
		}
		b.WriteByte('\n')
	}
	return b.String()
}
