package eks

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/eks-gitops/reconciler/pkg/gitops"
)

// lineup is the live groups that go by one name in the file: at most one is as the file wants it, the others are on
// their way out.
type lineup struct {
	// target is the group that matches the file; nil when there is none yet.
	target *group
	// old are the others that are still there, oldest first.
	old []*group
	// litter are groups of which only a failed stack is left, under names that nothing will be made under.
	litter []*group
	// name is what the target is or will be called.
	name string
	// diff compares target with the file; old differences are in before.
	diff, before comparison
}

// lineup sorts the generations of a nodegroup out. It is decided from what is live alone, so that a new process finds a
// replacement where it was left:
//
//	live groups           target            what is left to do
//	none                  -                 create it under the file's own name
//	one that matches      that one          nothing, or a change in place
//	one that does not     -                 create a successor under a generated name
//	old and successor     the successor     wait for it, drain the old one, delete the old one
//	old and successor,    the old one       drain the successor, delete it
//	git reverted
func (c *Config) lineup(w *world, want nodegroup) lineup {
	out := lineup{}
	var replaced *group
	for _, g := range w.generations(want.name) {
		if g.leaving() {
			out.old = append(out.old, g)
			continue
		}
		diff := c.compareGroup(want, g)
		if len(diff.replace) == 0 && out.target == nil {
			out.target, out.diff, out.name = g, diff, g.Name
			continue
		}
		if out.before.next == nil || len(diff.replace) > 0 {
			out.before, replaced = diff, g
		}
		out.old = append(out.old, g)
	}
	types := w.Selected[want.name].Types
	if out.target == nil {
		out.name = c.nextName(w, want, out.old)
	} else {
		types = out.target.types()
	}
	out.before.tellTypes(want, replaced, types)
	for _, name := range slices.Sorted(maps.Keys(w.Groups)) {
		if g := w.Groups[name]; g.User == want.name && g.Name != out.name && g.failed() && !g.leaving() {
			out.litter = append(out.litter, g)
		}
	}
	return out
}

// staying are the old groups that are not being deleted yet.
func (l lineup) staying() []*group {
	var out []*group
	for _, g := range l.old {
		if !g.leaving() {
			out = append(out, g)
		}
	}
	return out
}

// nextName names a group that is to be made. The first generation bears the file's name; a successor's name ends in a
// digest of what makes it another group, so that it is the same however often it is computed.
func (c *Config) nextName(w *world, want nodegroup, old []*group) string {
	taken := func(name string) bool {
		s, ok := w.Stacks[nodegroupStack(c.Name, name)]
		return w.Groups[name] != nil && !w.Groups[name].failed() || (ok && !stackBroken(s))
	}
	if len(old) == 0 && !taken(want.name) {
		return want.name
	}
	for salt := 0; ; salt++ {
		name := fmt.Sprintf("%s-%s", want.name, string(gitops.DigestOf([]any{c.fixedOf(want), salt}))[:5])
		if g := w.Groups[name]; g == nil || g.failed() || salt > 8 {
			return name
		}
	}
}

// fixedOf are the wanted fields that make a group another one.
func (c *Config) fixedOf(want nodegroup) gitops.Tree {
	out := gitops.Tree{"managed": want.managed != nil}
	for name, v := range c.wantedGroup(want) {
		if row(name).class(want.managed != nil) == replaced && (name != "version" || want.self != nil) {
			out[name] = v
		}
	}
	if types := gitops.ListAt(want.written, distribution, instanceTypes); want.self != nil && len(types) > 0 {
		out[distribution] = types
	}
	return out
}

// taken reports that the name of a nodegroup belongs to something that is not it.
func (c *Config) taken(w *world, name string) *gitops.Error {
	stack, g := nodegroupStack(c.Name, name), w.Groups[name]
	switch {
	case w.Strangers[stack]:
		return gitops.Errorf(gitops.Foreign, "stack %s does not carry this cluster's tags", stack)
	case g == nil || g.leaving():
		return nil
	case g.Stack == nil && !c.adopted():
		return gitops.Errorf(gitops.Foreign, "nodegroup %s exists, but no stack %s made it", name, stack)
	case g.User != name && !g.failed():
		return gitops.Errorf(gitops.ConfigInvalid, "the name %s is taken: it is the current generation of nodegroup %s", name, g.User)
	}
	return nil
}

func (c *Config) observeNodegroup(w *world, name string) gitops.Observation {
	want, _ := c.nodegroup(name)
	next := c.wantedGroup(want)
	if reason := want.refused(); reason != "" {
		return gitops.Observation{Err: gitops.Errorf(gitops.ConfigInvalid, "%s", reason), Owned: true}
	}
	if e := c.taken(w, name); e != nil {
		return gitops.Observation{Err: e}
	}
	line := c.lineup(w, want)
	staying, selected := line.staying(), w.Selected[name]
	if e := selected.problem(); e != nil && line.target == nil {
		return gitops.Observation{Err: e.At(c.origin(join(want.path, selectorField))), Owned: true}
	}
	switch {
	case line.target == nil && len(staying) == 0:
		return gitops.Observation{Next: withTypes(next, want, selected.Types), Spec: next, Owned: true}
	case len(staying) > 0:
		out := line.before.observation(next, nil)
		if len(out.Replace) == 0 {
			// Two groups match, which only happens when git went back during a replacement: the younger one goes.
			out.Live["generation"], out.Next["generation"] = staying[0].Name, line.name
			out.Replace = []string{staying[0].Name + " is left over from a replacement"}
		}
		out.Data = "its " + theNodes(staying[0].instances()) + " drained and deleted"
		out.Effect, out.Minutes = w.whole(want, staying[0])
		return out
	}
	health := c.groupHealth(w, line.target)
	if len(line.old) > 0 && health.Status == gitops.Ready {
		health = gitops.Health{Status: gitops.Progressing, Message: line.old[0].Name + ", which it replaces, is being deleted"}
	}
	if len(line.litter) > 0 {
		line.diff.live["failed"] = line.litter[0].Name
	}
	out := line.diff.observation(next, &health)
	if line.rolls() {
		out.Effect, out.Minutes = w.batches(want, line.target)
	} else {
		out.Effect = line.diff.recycles()
	}
	return out
}

// refuseLast holds the end of all nodegroups at once: a file that names none any more, and nothing else that pods could run on, is more often
// broken than meant.
func (c *Config) refuseLast(w *world, out gitops.Observed) {
	if len(c.nodegroups()) > 0 || len(c.full.FargateProfiles) > 0 || c.full.IsAutoModeEnabled() {
		return
	}
	e := gitops.Errorf(gitops.PruneBlocked, "managedNodeGroups and nodeGroups: the file names no nodegroup any more, and nothing else that pods could run on")
	e.Try = "put the nodegroups back or, if it is meant, approve the end of each"
	for _, g := range w.Groups {
		if o, ok := out[c.ref(KindNodegroup, g.User)]; ok && o.Next == nil && !g.failed() {
			o.Concerns = []gitops.Concern{{Error: e.At(c.origin("managedNodeGroups"))}}
			out[c.ref(KindNodegroup, g.User)] = o
		}
	}
}

// tree is a live group that git no longer names, for people.
func (g *group) tree() gitops.Tree {
	out := gitops.Tree{"name": g.User}
	if s, ok := g.scale(); ok {
		out["minSize"], out["maxSize"], out["desiredCapacity"] = s.min, s.max, s.desired
	}
	for _, f := range []field{row("instanceType")} {
		if v, known := f.live(g); known {
			out[f.name] = v
		}
	}
	if id := g.identity(); id != "" {
		out["metadata"] = gitops.Tree{"uid": id}
	}
	return out
}

// groupHealth tells how far one live group is. EKS calls a managed group ACTIVE when its nodes have joined; for a
// self-managed one Auto Scaling tells which instances are in service.
func (c *Config) groupHealth(w *world, g *group) gitops.Health {
	if g.Stack != nil {
		switch s := *g.Stack; {
		case stackLeaving(s):
			return gitops.Health{Status: gitops.Terminating, Message: stackSays(s)}
		case stackBroken(s), strings.HasSuffix(string(s.StackStatus), "_FAILED"):
			return gitops.Health{Status: gitops.Failed, Message: stackSays(s)}
		case stackMoving(s) && !stackDone(s):
			return gitops.Health{Status: gitops.Progressing, Message: stackSays(s)}
		}
	}
	if n := g.Nodegroup; n != nil {
		return managedHealth(n, w.Updates[groupUpdate(g.Name)])
	}
	if g.Managed {
		return gitops.Health{Status: gitops.Progressing, Message: "EKS does not know it yet"}
	}
	if g.Scaling == nil {
		return gitops.Health{Status: gitops.Failed, Message: "its stack is complete, but its Auto Scaling group is gone"}
	}
	serving := 0
	for _, i := range g.Scaling.Instances {
		if i.LifecycleState == "InService" {
			serving++
		}
	}
	if s, _ := g.scale(); int64(serving) < s.desired {
		return gitops.Health{Status: gitops.Progressing, Message: fmt.Sprintf("%d of %d instances in service", serving, s.desired)}
	}
	return gitops.Health{Status: gitops.Ready}
}
