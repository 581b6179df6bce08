package eks

import (
	"fmt"
	"maps"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	api "github.com/weaveworks/eksctl/pkg/apis/eksctl.io/v1alpha5"

	"github.com/eks-gitops/reconciler/pkg/gitops"
)

// comparison is a live thing beside what git wants of it, both in the file's vocabulary and holding the same fields.
type comparison struct {
	live, next gitops.Tree
	// replace says why live cannot become next in place.
	replace []string
	// untold are the fields of which nothing live tells the value; they are taken as they should be.
	untold []string
	// unfit are the instance types of a nodegroup that its selector does not ask for.
	unfit []string
}

// same reports whether nothing differs.
func (c comparison) same() bool { return equal(c.live, c.next) }

// differs reports whether one of the fields differs.
func (c comparison) differs(names ...string) bool {
	return slices.ContainsFunc(names, func(name string) bool { return !equal(c.live[name], c.next[name]) })
}

// equal compares values as JSON does; nil, absent and empty are the same.
func equal(a, b any) bool {
	if empty(a) && empty(b) {
		return true
	}
	return gitops.DigestOf(a) == gitops.DigestOf(b)
}

// scale is the size of a group.
type scale struct{ min, max, desired int64 }

// mixed stands, in eksctl's files, for the several instance types of a self-managed nodegroup: it is no type by itself.
const mixed = "mixed"

// wantedGroup is what the file says of a nodegroup, with the tags and the version that the cluster's metadata add.
func (c *Config) wantedGroup(g nodegroup) gitops.Tree {
	t := gitops.Clone(g.written)
	if t["instanceType"] == mixed {
		delete(t, "instanceType")
	}
	if _, ok := t["labels"]; ok {
		t["labels"] = ownLabels(g.base().Labels)
	}
	if _, ok := t["taints"]; ok {
		t["taints"] = taintList(g.taints())
	}
	if repair := gitops.TreeAt(t, "nodeRepairConfig"); repair != nil {
		t["nodeRepairConfig"] = repairForm(repair)
	}
	if _, ok := t["asgSuspendProcesses"]; ok {
		t["asgSuspendProcesses"] = sortedStrings(g.base().ASGSuspendProcesses)
	}
	if tags := c.tagsFor(g.written); len(tags) > 0 {
		t["tags"] = tags
	}
	if v := c.nodeVersion(); v != "" && g.followsVersion() {
		t["version"] = v
	}
	return t
}

// tagsFor are the tags of a thing: its own over those of metadata.tags.
func (c *Config) tagsFor(written gitops.Tree) gitops.Tree {
	out := gitops.Tree{}
	for _, source := range []gitops.Tree{gitops.TreeAt(c.Written, "metadata"), written} {
		for k, v := range gitops.StringsAt(source, "tags") {
			out[k] = v
		}
	}
	return out
}

// explicitVersion is the Kubernetes version that the file pins; "" when it leaves it open.
func (c *Config) explicitVersion() string {
	if v := gitops.StringAt(c.Written, "metadata", "version"); minorOf(v) >= 0 {
		return v
	}
	return ""
}

// followsVersion says that the group's Kubernetes version is the cluster's, because nothing pins its image.
func (g nodegroup) followsVersion() bool {
	if g.managed != nil && (g.managed.LaunchTemplate != nil || g.managed.ReleaseVersion != "") {
		return false
	}
	return !api.IsAMI(g.base().AMI)
}

// compareGroup compares a live group with a nodegroup of the file. What AWS does not tell and the stack did not record
// is taken as it should be, and noted: an unknown is no reason to replace nodes.
func (c *Config) compareGroup(want nodegroup, g *group) comparison {
	out := comparison{live: gitops.Tree{}, next: c.wantedGroup(want)}
	if g.Managed != (want.managed != nil) {
		kinds := map[bool]string{true: "managedNodeGroups", false: "nodeGroups"}
		out.live["kind"], out.next["kind"] = kinds[g.Managed], kinds[!g.Managed]
		out.replace = append(out.replace, fmt.Sprintf("a nodegroup of %s cannot move to %s", kinds[g.Managed], kinds[!g.Managed]))
	}
	c.compareMutable(&out, want, g)
	out.compareSelector(want, g)
	out.compareFixed(c, want, g)
	if id := g.identity(); id != "" {
		// The identity is on both sides: it is no difference, but an approval to replace one group is none for its successor.
		out.live["metadata"] = gitops.Tree{"uid": id}
		out.next["metadata"] = gitops.Tree{"uid": id}
	}
	return out
}

// identity tells a group from its successor of the same name.
func (g *group) identity() string {
	if g.Stack != nil {
		return aws.ToString(g.Stack.StackId)
	}
	if g.Nodegroup != nil {
		return aws.ToString(g.Nodegroup.NodegroupArn)
	}
	return ""
}

// compareFixed fills in the fields that are fixed at creation.
func (c *comparison) compareFixed(cfg *Config, want nodegroup, g *group) {
	kind := "a self-managed nodegroup"
	if want.managed != nil {
		kind = "a managed nodegroup"
	}
	managed := want.managed != nil
	fixed := func(name string) bool {
		return row(name).class(managed) == replaced && name != "kind" && name != "version"
	}
	for _, name := range slices.Sorted(maps.Keys(c.next)) {
		_, done := c.live[name]
		switch {
		case !row(name).class(managed).compared():
			c.live[name] = c.next[name]
		case !done && fixed(name):
			c.live[name] = c.liveField(cfg, name, want, g)
		}
	}
	if g.Managed == managed {
		c.compareDropped(want, g, fixed)
	}
	for _, name := range slices.Sorted(maps.Keys(c.live)) {
		if fixed(name) && !equal(fixedPart(name, c.live[name]), fixedPart(name, c.next[name])) {
			c.replace = append(c.replace, name+" is immutable on "+kind+c.misfit(name))
		}
	}
}

// fixedPart is what cannot change of a fixed field: another version of the same launch template is rolled out in place.
func fixedPart(name string, v any) any {
	template, ok := v.(gitops.Tree)
	if !ok || name != "launchTemplate" {
		return v
	}
	out := maps.Clone(template)
	delete(out, "version")
	return out
}

// compareDropped adds what was in the file when the group was made and is not any more: that is a change, unless it said
// what the default says.
func (c *comparison) compareDropped(want nodegroup, g *group, fixed func(string) bool) {
	defaults, _ := treeOf(want.pool()).(gitops.Tree)
	for _, name := range slices.Sorted(maps.Keys(g.Recorded)) {
		_, wanted := c.next[name]
		if !wanted && fixed(name) && name != "labels" && name != "taints" && !equal(g.Recorded[name], defaults[name]) && !c.saidOtherwise(name, g.Recorded[name]) {
			c.live[name] = g.Recorded[name]
		}
	}
}

// liveField finds the live value of a field: from AWS, else from what the stack recorded, else from what the stack was made from.
func (c *comparison) liveField(cfg *Config, name string, want nodegroup, g *group) any {
	r, next := row(name), c.next[name]
	if r.live != nil {
		if v, known := r.live(g); known {
			return v
		}
	}
	if g.Recorded == nil || r.teller.drifts {
		live := r.told(subject{c: cfg, want: want, g: g, next: next})
		if _, unknown := live.(untold); !unknown || g.Recorded == nil {
			return settle(name, next, live, c.doubt)
		}
	}
	recorded := g.Recorded[name]
	if recorded == nil {
		// It was not in the file then: the group has what eksctl's default was, which today's default stands for.
		defaults, _ := treeOf(defaultsOf(want)).(gitops.Tree)
		if v := defaults[name]; equal(v, next) {
			return next
		}
	}
	return recorded
}

// defaultsOf is a nodegroup of the same name and kind with nothing set, as eksctl defaults it.
func defaultsOf(want nodegroup) any {
	meta := &api.ClusterMeta{Name: "-"}
	if want.managed != nil {
		ng := api.NewManagedNodeGroup()
		ng.Name = want.name
		if guarded(func() error { return api.SetManagedNodeGroupDefaults(ng, meta, false) }) != nil {
			return nil
		}
		return ng
	}
	ng := api.NewNodeGroup()
	ng.Name = want.name
	if guarded(func() error { return api.SetNodeGroupDefaults(ng, meta, false) }) != nil {
		return nil
	}
	return ng
}

// compareMutable fills in the fields that can be changed in place.
func (c *Config) compareMutable(out *comparison, want nodegroup, g *group) {
	compareScale(out, want, g)
	c.compareScaling(out, want, g)
	if want.managed == nil {
		c.compareSelf(out, want, g)
		out.compareSettings(want, g)
		return
	}
	n := g.Nodegroup
	if n == nil {
		for _, name := range []string{"labels", "taints", "tags", "updateConfig", "nodeRepairConfig", "releaseVersion", "version", "launchTemplate"} {
			keep(out, name)
		}
		return
	}
	set(out, "labels", ownLabels(n.Labels))
	if live := liveTaints(n.Taints); len(live) > 0 || out.next["taints"] != nil {
		out.live["taints"] = live
	}
	compareTags(out, n.Tags)
	if wanted := gitops.TreeAt(out.next, "updateConfig"); wanted != nil {
		live, _ := treeOf(n.UpdateConfig).(gitops.Tree)
		out.live["updateConfig"] = pick(gitops.Tree{
			"maxUnavailable": live["MaxUnavailable"], "maxUnavailablePercentage": live["MaxUnavailablePercentage"],
		}, wanted)
	}
	if wanted := gitops.TreeAt(out.next, "nodeRepairConfig"); wanted != nil {
		out.live["nodeRepairConfig"] = pick(liveRepair(n.NodeRepairConfig), wanted)
	}
	if _, ok := out.next["releaseVersion"]; ok {
		out.live["releaseVersion"] = aws.ToString(n.ReleaseVersion)
	}
	if v, ok := out.next["version"].(string); ok {
		out.live["version"] = aws.ToString(n.Version)
		if compareMinor(aws.ToString(n.Version), v) > 0 {
			out.live["version"] = v
		}
	}
	if wanted := gitops.TreeAt(out.next, "launchTemplate"); wanted != nil && n.LaunchTemplate != nil {
		out.live["launchTemplate"] = pick(gitops.Tree{"id": aws.ToString(n.LaunchTemplate.Id), "version": aws.ToString(n.LaunchTemplate.Version)}, wanted)
	}
}

// compareTags compares the tags that git wants; others are somebody else's.
func compareTags(out *comparison, live map[string]string) {
	if wanted := gitops.TreeAt(out.next, "tags"); wanted != nil {
		out.live["tags"] = pick(stringTree(live), wanted)
	}
}

// compareScale compares the sizes that are explicit. A size that is not follows the live one, moved only as far as the
// explicit ones force it.
func compareScale(out *comparison, want nodegroup, g *group) {
	live, ok := g.scale()
	if !ok {
		keep(out, "minSize", "maxSize", "desiredCapacity")
		return
	}
	next := want.fit(live)
	has := func(name string) bool { _, ok := want.written[name]; return ok }
	for _, f := range []struct {
		name       string
		live, next int64
	}{{"minSize", live.min, next.min}, {"maxSize", live.max, next.max}, {"desiredCapacity", live.desired, next.desired}} {
		if has(f.name) || f.live != f.next {
			out.live[f.name], out.next[f.name] = f.live, f.next
		}
	}
}

// fit moves a live size to what the file says, and what it does not say only as far as that forces it.
func (g nodegroup) fit(live scale) scale {
	next, s := live, g.base().ScalingConfig
	if s == nil {
		return next
	}
	explicit := func(name string, value *int, to *int64) bool {
		_, ok := g.written[name]
		if ok = ok && value != nil; ok {
			*to = int64(*value)
		}
		return ok
	}
	hasMin, hasMax := explicit("minSize", s.MinSize, &next.min), explicit("maxSize", s.MaxSize, &next.max)
	if explicit("desiredCapacity", s.DesiredCapacity, &next.desired) {
		if !hasMin {
			next.min = min(next.min, next.desired)
		}
		if !hasMax {
			next.max = max(next.max, next.desired)
		}
		return next
	}
	if !hasMin {
		next.min = min(next.min, next.max)
	}
	if !hasMax {
		next.max = max(next.max, next.min)
	}
	next.desired = min(max(next.desired, next.min), next.max)
	return next
}

// scale is the live size, where it is known.
func (g *group) scale() (scale, bool) {
	if g.Nodegroup != nil && g.Nodegroup.ScalingConfig != nil {
		s := g.Nodegroup.ScalingConfig
		return scale{int64(aws.ToInt32(s.MinSize)), int64(aws.ToInt32(s.MaxSize)), int64(aws.ToInt32(s.DesiredSize))}, true
	}
	if !g.Managed && g.Scaling != nil {
		return scale{int64(aws.ToInt32(g.Scaling.MinSize)), int64(aws.ToInt32(g.Scaling.MaxSize)), int64(aws.ToInt32(g.Scaling.DesiredCapacity))}, true
	}
	return scale{}, false
}

// keep takes live fields that are not known as they should be.
func keep(out *comparison, names ...string) {
	for _, name := range names {
		if v, ok := out.next[name]; ok {
			out.live[name] = v
		}
	}
}

// set fills in a live field that is compared whole, so that what git does not name is removed.
func set(out *comparison, name string, live any) {
	if _, wanted := out.next[name]; wanted || !empty(live) {
		out.live[name] = live
	}
}

// pick takes the fields of t that wanted has.
func pick(t, wanted gitops.Tree) gitops.Tree {
	out := gitops.Tree{}
	for k := range wanted {
		if v, ok := t[k]; ok && v != nil {
			out[k] = v
		}
	}
	return out
}

func stringTree(m map[string]string) gitops.Tree {
	out := make(gitops.Tree, len(m))
	for k, v := range m {
		out[k] = v
	}
	return out
}
