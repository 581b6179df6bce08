package eks

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/eks-gitops/reconciler/pkg/gitops"
	"github.com/eks-gitops/reconciler/pkg/plan"
)

// drawConfig draws a ClusterConfig as text.
func drawConfig(t *rapid.T, label string) string {
	var b strings.Builder
	yes := func(what string) bool { return rapid.Bool().Draw(t, label+what) }
	b.WriteString("apiVersion: eksctl.io/v1alpha5\nkind: ClusterConfig\nmetadata:\n  name: dev\n  region: eu-west-1\n  version: \"1.34\"\n")
	if yes("tags") {
		fmt.Fprintf(&b, "  tags: {team: %s}\n", rapid.SampledFrom([]string{"a", "b"}).Draw(t, label+"team"))
	}
	fmt.Fprintf(&b, "iam:\n  withOIDC: %v\n", yes("oidc"))
	if yes("logging") {
		b.WriteString("cloudWatch: {clusterLogging: {enableTypes: [audit]}}\n")
	}
	for _, kind := range []string{"managedNodeGroups", "nodeGroups"} {
		names := rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"a", "b", "c"}), 0, 3, rapid.ID[string]).Draw(t, label+kind)
		if len(names) > 0 {
			b.WriteString(kind + ":\n")
		}
		for _, name := range names {
			pool := label + kind + name
			types := []string{"instanceType: m5.large", "instanceType: c6i.large", "instanceSelector: {vCPUs: 2}", "instanceSelector: {vCPUs: 4}"}
			fmt.Fprintf(&b, "- name: %s%s\n  %s\n", kind[:1], name, rapid.SampledFrom(types).Draw(t, pool+"type"))
			if yes(pool + "size") {
				n := rapid.IntRange(1, 5).Draw(t, pool+"desired")
				fmt.Fprintf(&b, "  desiredCapacity: %d\n  minSize: %d\n  maxSize: %d\n", n, rapid.IntRange(0, n).Draw(t, pool+"min"), rapid.IntRange(n, 9).Draw(t, pool+"max"))
			}
			if yes(pool + "labels") {
				fmt.Fprintf(&b, "  labels: {k: %s}\n", rapid.SampledFrom([]string{"x", "y"}).Draw(t, pool+"label"))
			}
			if yes(pool + "taints") {
				b.WriteString("  taints: [{key: k, value: v, effect: NoSchedule}]\n")
			}
			if yes(pool + "volume") {
				fmt.Fprintf(&b, "  volumeSize: %d\n", rapid.IntRange(20, 22).Draw(t, pool+"size"))
			}
		}
	}
	drawAccess(t, &b, label)
	return b.String()
}

// drawAccess draws access entries, identity mappings, Fargate profiles, capabilities and an identity provider.
func drawAccess(t *rapid.T, b *strings.Builder, label string) {
	yes := func(what string) bool { return rapid.Bool().Draw(t, label+what) }
	some := func(what string) []string {
		return rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"a", "b", "c"}), 0, 3, rapid.ID[string]).Draw(t, label+what)
	}
	head := "accessConfig:\n  accessEntries:\n"
	for _, name := range some("entries") {
		fmt.Fprintf(b, "%s  - principalARN: arn:aws:iam::111122223333:role/x/%s\n", head, name)
		head = ""
		if yes("nodes" + name) {
			b.WriteString("    type: EC2_LINUX\n")
			continue
		}
		if groups := some("groups" + name); len(groups) > 0 {
			fmt.Fprintf(b, "    kubernetesGroups: [%s]\n", strings.Join(groups, ", "))
		}
		if yes("policy" + name) {
			b.WriteString("    accessPolicies: [{policyARN: \"arn:aws:eks::aws:cluster-access-policy/AmazonEKSViewPolicy\", accessScope: {type: cluster}}]\n")
		}
	}
	head = "iamIdentityMappings:\n"
	for _, name := range some("mappings") {
		fmt.Fprintf(b, "%s- {arn: \"arn:aws:iam::111122223333:role/%s\", username: %s}\n", head, name, rapid.SampledFrom([]string{"x", "y"}).Draw(t, label+"username"+name))
		head = ""
	}
	head = "fargateProfiles:\n"
	for _, name := range some("profiles") {
		fmt.Fprintf(b, "%s- name: %s\n  selectors: [{namespace: %s}]\n", head, name, rapid.SampledFrom([]string{"x", "y"}).Draw(t, label+"selector"+name))
		head = ""
	}
	head = "capabilities:\n"
	for _, kind := range some("capabilities") {
		fmt.Fprintf(b, "%s- name: %s\n  type: %s\n", head, rapid.SampledFrom([]string{"x", "y"}).Draw(t, label+"capability"+kind)+kind, map[string]string{"a": "ACK", "b": "KRO", "c": "ARGOCD"}[kind])
		head = ""
		if yes("rights" + kind) {
			b.WriteString("  accessPolicies: [{policyARN: \"arn:aws:eks::aws:cluster-access-policy/AmazonEKSViewPolicy\", accessScope: {type: cluster}}]\n")
		}
		if yes("role" + kind) {
			b.WriteString("  roleArn: arn:aws:iam::111122223333:role/capabilities\n")
		}
		if kind == "c" {
			fmt.Fprintf(b, "  configuration: {argocd: {namespace: %s, awsIdc: {idcInstanceArn: \"arn:aws:sso:::instance/ssoins-1\"}}}\n", rapid.SampledFrom([]string{"x", "y"}).Draw(t, label+"argocd"))
		}
	}
	if yes("login") {
		fmt.Fprintf(b, "identityProviders: [{type: oidc, name: %s, issuerURL: \"https://sso.example\", clientID: x}]\n", rapid.SampledFrom([]string{"a", "b"}).Draw(t, label+"login"))
	}
}

func parsed(t *rapid.T, body string) *Config {
	cfg, problems := load([]byte(body))
	if len(problems) > 0 {
		t.Fatalf("%v\n%s", problems[0], body)
	}
	return cfg
}

func build(seen gitops.Observed) plan.Plan {
	return plan.Build(plan.Input{Desired: gitops.Desired{Cluster: "dev"}, Observed: seen})
}

// TestLawConvergence: what is live as git says needs nothing, whatever git says.
func TestLawConvergence(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		body := drawConfig(rt, "")
		cfg := parsed(rt, body)
		p := build(cfg.observe(worldOf(t, cfg), false))
		if len(p.Changes) != 0 || !p.Complete {
			rt.Fatalf("%s\n%s", body, describe(nil, p))
		}
	})
}

// TestLawDeterminism: the same git and the same world give the same plan, and looking changes neither.
func TestLawDeterminism(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		was, is := parsed(rt, drawConfig(rt, "was ")), parsed(rt, drawConfig(rt, "is "))
		w := worldOf(t, was)
		before, err := json.Marshal([]any{w, is.full, is.Written})
		if err != nil {
			rt.Fatal(err)
		}
		first, second := build(is.observe(w, false)), build(is.observe(w, false))
		if first.ID != second.ID {
			rt.Fatalf("%s\n%s", describe(nil, first), describe(nil, second))
		}
		after, err := json.Marshal([]any{w, is.full, is.Written})
		if err != nil {
			rt.Fatal(err)
		}
		if string(before) != string(after) {
			rt.Fatal("observing changed its input")
		}
	})
}

// TestLawSuccessor: however often it is computed, and whatever else is live, a replacement has one successor with one name
// that differs from every live one; and once that successor is live, it is the target.
func TestLawSuccessor(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		was, is := parsed(rt, drawConfig(rt, "was ")), parsed(rt, drawConfig(rt, "is "))
		w := worldOf(t, was)
		for _, want := range is.nodegroups() {
			line := is.lineup(w, want)
			if len(line.staying()) == 0 {
				continue
			}
			if line.target != nil || w.Groups[line.name] != nil || line.name == want.name {
				rt.Fatalf("%s is to be replaced under the name %s by %+v", want.name, line.name, line.target)
			}
			groupIn(w, is, want, line.name, 1)
			again := is.lineup(w, want)
			if again.target == nil || again.target.Name != line.name || len(again.staying()) != len(line.staying()) {
				rt.Fatalf("the successor %s of %s is not the target: %+v", line.name, want.name, again)
			}
		}
	})
}

// TestLawOwned: nothing is ever deleted that does not carry the cluster's tags or the mark of this product. What eksctl leaves
// without a mark is replaced where git names it.
func TestLawOwned(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		was, is := parsed(rt, drawConfig(rt, "was ")), parsed(rt, drawConfig(rt, "is "))
		w := worldOf(t, was)
		for _, g := range w.Groups {
			if rapid.Bool().Draw(rt, "foreign "+g.Name) {
				delete(w.Stacks, *g.Stack.StackName)
				g.Stack = nil
			}
		}
		for name, p := range w.Profiles {
			if rapid.Bool().Draw(rt, "foreign profile "+name) {
				delete(p.Tags, tagMade)
			}
		}
		for principal := range w.Entries {
			if rapid.Bool().Draw(rt, "foreign entry "+principal) {
				delete(w.Stacks, entryStack("dev", principal))
				delete(w.Templates, entryStack("dev", principal))
			}
		}
		for name := range w.Capabilities {
			if rapid.Bool().Draw(rt, "foreign capability "+name) {
				delete(w.Stacks, capabilityStack("dev", name))
				delete(w.Stacks, capabilityRoleStack("dev", name))
			}
		}
		for _, c := range build(is.observe(w, false)).Changes {
			if c.Action != plan.Delete && c.Action != plan.Replace {
				continue
			}
			if named := c.Action == plan.Replace && (c.Ref.Kind == KindFargateProfile || c.Ref.Kind == KindIdentityProviderConfig || c.Ref.Kind == KindCapability); !named && !ours(w, c.Ref) {
				rt.Fatalf("%s %s is not ours", c.Action, c.Ref)
			}
		}
	})
}

// ours says that the world has a mark on what a ref names.
func ours(w *world, r gitops.Ref) bool {
	switch r.Kind {
	case KindNodegroup:
		g := w.Groups[r.Name]
		return g != nil && g.Stack != nil
	case KindAccessEntry:
		_, ok := w.Stacks[entryStack("dev", r.Name)]
		return ok
	case KindCapability:
		_, ok := w.Stacks[capabilityStack("dev", r.Name)]
		return ok
	case KindFargateProfile:
		return w.Profiles[r.Name].Tags[tagMade] != ""
	case KindIdentityProviderConfig:
		return w.Logins[r.Name].Tags[tagMade] != ""
	}
	return false
}
