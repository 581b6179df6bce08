package eks

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	api "github.com/weaveworks/eksctl/pkg/apis/eksctl.io/v1alpha5"

	"github.com/eks-gitops/reconciler/pkg/gitops"
)

// What AWS tells of a nodegroup is read here in the words of a file, field by field: to compare a group of which nothing was recorded, as
// eksctl's own stacks record nothing, to see what was changed behind the back of one that was recorded, and to import either.

// subject is a live group beside what git wants of it.
type subject struct {
	c    *Config
	want nodegroup
	g    *group
	// next is what git wants of the field that is read; nil when nothing does.
	next any
}

// untold stands for a value, or for a part of one, that nothing live tells.
type untold struct{}

// exact is a value that is compared whole and in order. Of any other, what git does not say is left alone.
type exact struct{ value any }

// teller reads a field. What it gives is untold, or the live value; nil is a field that is not set.
type teller struct {
	of func(subject) any
	// drifts says that it reads what can be changed behind the group's back. Then it goes before what was recorded.
	drifts bool
	// launch says that it reads the launch template.
	launch bool
	seen   string
	// implied is not written by import: every group has it, or another field says it there.
	implied bool
}

// tellers are those of all fields that have one.
func tellers() map[string]teller {
	const scaling, subnets = "autoscaling:DescribeAutoScalingGroups", "eks:DescribeNodegroup, autoscaling:DescribeAutoScalingGroups"
	out := map[string]teller{
		"privateNetworking": {of: tellPrivate, seen: subnets, implied: true},
		"subnets":           {of: tellSubnets, seen: subnets, implied: true},
		"availabilityZones": {of: tellZones, seen: scaling, implied: true},
		"localZones":        {of: tellZones, seen: scaling, implied: true},
		"launchTemplate":    {of: tellTemplate, seen: "eks:DescribeNodegroup", implied: true},
	}
	for _, more := range []map[string]teller{launchTellers(), stackTellers(), userDataTellers()} {
		maps.Copy(out, more)
	}
	return out
}

// told is what AWS tells of a field.
func (f field) told(s subject) any {
	if f.live != nil {
		if v, known := f.live(s.g); known {
			return v
		}
	}
	if f.teller.of == nil {
		return untold{}
	}
	return f.teller.of(s)
}

// settle lays a live value beside the wanted one: what git does not say is left out, and what is the same is as git has it. Of what is not
// told nothing differs, and doubt gets its path.
func settle(path string, next, live any, doubt func(string)) any {
	switch v := live.(type) {
	case untold:
		doubt(path)
		return next
	case exact:
		if alike(next, v.value) {
			return next
		}
		return v.value
	case gitops.Tree, nil:
		wanted, isTree := next.(gitops.Tree)
		if t, _ := v.(gitops.Tree); isTree {
			return settleTree(path, wanted, t, doubt)
		}
	case []any:
		if wanted, ok := next.([]any); ok {
			return settleList(path, wanted, v, doubt)
		}
	}
	if alike(next, live) {
		return next
	}
	return live
}

func settleTree(path string, next, live gitops.Tree, doubt func(string)) gitops.Tree {
	out := gitops.Tree{}
	for _, key := range slices.Sorted(maps.Keys(next)) {
		if v := settle(join(path, key), next[key], live[key], doubt); v != nil || next[key] == nil {
			out[key] = v
		}
	}
	return out
}

// settleList compares lists of names as sets, and others item by item.
func settleList(path string, next, live []any, doubt func(string)) any {
	if len(next) != len(live) {
		return live
	}
	if equal(sortedStrings(texts(next)), sortedStrings(texts(live))) && len(texts(next)) == len(next) {
		return next
	}
	out := make([]any, len(next))
	for i := range next {
		out[i] = settle(at(path, i), next[i], live[i], doubt)
	}
	return out
}

// alike says that values mean the same: a field that is off or nothing is one that is not set, and numbers come in several types.
func alike(a, b any) bool {
	return equal(a, b) || off(a) && off(b) || fmt.Sprintf("%T%v", number(a), number(a)) == fmt.Sprintf("%T%v", number(b), number(b))
}

func off(v any) bool { return empty(v) || v == false || number(v) == 0.0 }

func number(v any) any {
	switch v := v.(type) {
	case int64:
		return float64(v)
	case int:
		return float64(v)
	}
	return v
}

// plainly is a live value without what is not told, for a file.
func plainly(live any) any {
	switch v := live.(type) {
	case untold:
		return nil
	case exact:
		return v.value
	case gitops.Tree:
		out := gitops.Tree{}
		for key := range v {
			if part := plainly(v[key]); !off(part) {
				out[key] = part
			}
		}
		return out
	}
	return live
}

// doubt notes a field of which nothing live tells the value.
func (c *comparison) doubt(path string) { c.untold = append(c.untold, path) }

// observeUnrecorded notes what is not known of nodegroups without a record, and so is no change. What git says and nothing live tells is taken as it
// should be, for an unknown is no reason to replace nodes. What they have and git does not say may have been in a file once, or not; but a
// nodegroup that replaces such a one would not have it.
func (c *Config) observeUnrecorded(w *world, out gitops.Observed) {
	note := func(path string, at gitops.Origin, e *gitops.Error) {
		r := c.ref(ConfigKind, path)
		out[r] = gitops.Observation{Err: e.On(r).At(at)}
	}
	for _, want := range c.nodegroups() {
		line := c.lineup(w, want)
		if line.target == nil || line.target.Recorded != nil {
			continue
		}
		for _, field := range line.diff.untold {
			path := join(want.path, field)
			note(path, c.origin(path), gitops.Errorf(gitops.NotManaged, "%s: it cannot be told from what is live whether nodegroup %s has it: a change of it changes nothing until the nodegroup is replaced", path, want.name))
		}
		if unsaid := c.unsaid(want, line); len(unsaid) > 0 {
			e := gitops.Errorf(gitops.Extra, "nodegroup %s has %s, which git does not say: it is left alone, and a nodegroup that replaces it does not have it", want.name, strings.Join(unsaid, ", "))
			e.Try = "reconciler import " + c.Name + " writes the fields as they are live"
			note(join(want.path, "unsaid"), c.origin(want.path), e)
		}
	}
}

// unsaid are the fields that are fixed at creation and not in git, and that a live group has otherwise than its successor would. Their values are
// not told: commands and user data may hold what nobody else is to read.
func (c *Config) unsaid(want nodegroup, line lineup) []string {
	if line.target.Managed != (want.managed != nil) {
		return nil // the kinds have different fields
	}
	effective, _ := treeOf(want.pool()).(gitops.Tree)
	var out []string
	for _, f := range fields() {
		v, said := line.diff.next[f.name]
		if _, isTree := v.(gitops.Tree); isTree {
			said = false // only what it names is said
		}
		ofTemplate := f.launch && want.managed != nil && want.managed.LaunchTemplate != nil
		if said || ofTemplate || f.teller.implied || slices.Contains([]string{"instanceType", "instanceTypes"}, f.name) || f.class(line.target.Managed) != replaced {
			continue
		}
		out = append(out, beyondGit(f.name, plainly(f.told(subject{c: c, want: want, g: line.target})), effective[f.name])...)
	}
	if types := line.target.types(); len(types) > 0 && !slices.Equal(types, []string{api.DefaultNodeType}) && !saysTypes(line.diff.next) {
		out = append(out, "instanceType")
	}
	slices.Sort(out)
	return out
}

// saysTypes reports whether git chooses instance types in any of the ways that there are.
func saysTypes(next gitops.Tree) bool {
	return slices.ContainsFunc([]string{"instanceType", "instanceTypes", selectorField, distribution}, func(name string) bool { return !empty(next[name]) })
}

// beyondGit are the paths of a live value that are set, and otherwise than in what git comes to.
func beyondGit(path string, live, next any) []string {
	tree, isTree := live.(gitops.Tree)
	if !isTree {
		if off(live) || alike(settle(path, next, live, func(string) {}), next) {
			return nil
		}
		return []string{path}
	}
	wanted, _ := next.(gitops.Tree)
	var out []string
	for _, key := range slices.Sorted(maps.Keys(tree)) {
		out = append(out, beyondGit(join(path, key), tree[key], wanted[key])...)
	}
	return out
}
