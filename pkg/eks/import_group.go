package eks

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	ekstypes "github.com/aws/aws-sdk-go-v2/service/eks/types"
	api "github.com/weaveworks/eksctl/pkg/apis/eksctl.io/v1alpha5"

	"github.com/eks-gitops/reconciler/pkg/gitops"
)

// writeGroups writes the nodegroups under the names that a file gives them; of several generations, the last.
func (d *draft) writeGroups() {
	users := map[string]bool{}
	for _, g := range d.w.Groups {
		users[g.User] = true
	}
	lists := map[bool][]any{}
	for _, user := range slices.Sorted(maps.Keys(users)) {
		line := slices.DeleteFunc(d.w.generations(user), (*group).leaving)
		if len(line) == 0 {
			d.note("nodegroup %s: it never came to be, or is being deleted", user)
			continue
		}
		g := line[len(line)-1]
		name := map[bool]string{true: "managedNodeGroups", false: "nodeGroups"}[g.Managed]
		lists[g.Managed] = append(lists[g.Managed], d.group(g, at(name, len(lists[g.Managed]))))
		d.out[name] = lists[g.Managed]
	}
}

// group is a nodegroup as a file says it: what its stack recorded, else what AWS tells, and what can change as it is now.
func (d *draft) group(g *group, path string) gitops.Tree {
	item := gitops.Tree{"name": g.User}
	if g.Recorded == nil {
		d.tell(item, g, path)
	} else {
		item = gitops.Clone(g.Recorded)
		delete(item, "version") // it follows the cluster's
		for _, f := range fields() {
			if next, ok := item[f.name]; ok && (f.live != nil || f.teller.drifts) {
				live := f.told(subject{c: d.Config, want: wantedLike(g), g: g, next: next})
				item[f.name] = settle(f.name, next, live, func(string) {})
			}
		}
		tellSettings(item, g)
	}
	d.tellScale(item, g, path)
	d.tellUpkeep(item, g)
	if g.Nodegroup != nil {
		d.tellManaged(item, g, path)
	} else {
		d.tellSelf(item, g)
	}
	return item
}

// tellScale writes the size. Without a record of what the file said, how many nodes there are is left to whoever decides it now,
// which may be an autoscaler.
func (d *draft) tellScale(item gitops.Tree, g *group, path string) {
	s, ok := g.scale()
	if !ok {
		return
	}
	item["minSize"], item["maxSize"] = s.min, s.max
	if _, ok := item["desiredCapacity"]; ok {
		item["desiredCapacity"] = s.desired
		return
	}
	d.remarks[path+".minSize"] = fmt.Sprintf("desiredCapacity would keep it at one number; it was %d when this was written", s.desired)
}

// tellUpkeep writes how nodes are repaired, where they are or where the file spoke of it, and the processes that the file suspended: what
// else is suspended is left to whoever did it.
func (d *draft) tellUpkeep(item gitops.Tree, g *group) {
	if n := g.Nodegroup; n != nil {
		repair := liveRepair(n.NodeRepairConfig)
		maps.DeleteFunc(repair, func(_ string, v any) bool { return empty(v) && v != false })
		if _, ok := item["nodeRepairConfig"]; ok || repair["enabled"] == true {
			item["nodeRepairConfig"] = repair
		}
	}
	if _, ok := item["asgSuspendProcesses"]; ok && g.Scaling != nil {
		delete(item, "asgSuspendProcesses")
		say(item, "asgSuspendProcesses", suspended(g.Scaling))
	}
}

// tellManaged writes what a call of EKS can change.
func (d *draft) tellManaged(item gitops.Tree, g *group, path string) {
	n := g.Nodegroup
	for name, v := range map[string]any{"labels": ownLabels(n.Labels), "taints": liveTaints(n.Taints)} {
		delete(item, name)
		say(item, name, v)
	}
	d.tellTags(item, g, n.Tags)
	live, _ := treeOf(n.UpdateConfig).(gitops.Tree)
	limits := gitops.Tree{}
	for name, member := range map[string]string{"maxUnavailable": "MaxUnavailable", "maxUnavailablePercentage": "MaxUnavailablePercentage"} {
		if live[member] != nil {
			limits[name] = live[member]
		}
	}
	if _, ok := item["updateConfig"]; ok || !equal(limits, gitops.Tree{"maxUnavailable": int64(1)}) {
		say(item, "updateConfig", limits)
	}
	if _, ok := item["releaseVersion"]; ok {
		item["releaseVersion"] = aws.ToString(n.ReleaseVersion)
	}
	if t := gitops.TreeAt(item, "launchTemplate"); t != nil && n.LaunchTemplate != nil {
		t["version"] = aws.ToString(n.LaunchTemplate.Version)
	}
	_, pinned := item["releaseVersion"]
	behind := compareMinor(aws.ToString(n.Version), aws.ToString(d.w.Cluster.Version)) < 0
	if behind && !pinned && item["launchTemplate"] == nil && n.AmiType != ekstypes.AMITypesCustom {
		item["releaseVersion"] = aws.ToString(n.ReleaseVersion)
		d.remarks[path+".releaseVersion"] = "it is at " + aws.ToString(n.Version) + ": without this line its nodes are brought to the cluster's version"
	}
}

// tellSelf writes what Auto Scaling can change. A group that was made for an older version of Kubernetes would be replaced by one of
// the cluster's.
func (d *draft) tellSelf(item gitops.Tree, g *group) {
	if g.Scaling != nil {
		d.tellTags(item, g, scalingTags(g.Scaling))
	}
	made := g.madeFor()
	version := aws.ToString(d.w.Cluster.Version)
	if metadata := gitops.TreeAt(d.out, "metadata"); made != "" && compareMinor(made, version) < 0 && metadata["version"] != nil {
		delete(metadata, "version")
		d.note("metadata.version: the cluster is at %s, but nodegroup %s was made for %s and would be replaced if the file said so", version, g.User, made)
	}
}

// tellTags writes the tags that the file gave, or, where that is not known, those that no tool gives.
func (d *draft) tellTags(item gitops.Tree, g *group, tags map[string]string) {
	own := d.ownTags(tags)
	if g.Recorded != nil {
		own = pick(own, gitops.TreeAt(g.Recorded, "tags"))
	}
	delete(item, "tags")
	say(item, "tags", own)
}

// tell writes what AWS tells of a nodegroup for which there is no record.
func (d *draft) tell(item gitops.Tree, g *group, path string) {
	want := wantedLike(g)
	defaults, _ := treeOf(defaultsOf(want)).(gitops.Tree)
	for _, f := range fields() {
		if f.teller.implied || f.class(g.Managed) != replaced {
			continue
		}
		v := plainly(f.told(subject{c: d.Config, want: want, g: g}))
		if !alike(v, defaults[f.name]) {
			say(item, f.name, v)
		}
	}
	tellSettings(item, g)
	if _, several := item[distribution]; several || strings.Contains(gitops.StringAt(item, "instanceType"), ",") {
		delete(item, "instanceType")
	} else {
		delete(item, "instanceTypes")
	}
	d.tellGiven(item, g, path)
	d.tellPlace(item, g)
	d.noteUnrecorded(g, path)
}

// noteUnrecorded says what of a group is not written, because nothing recorded it.
func (d *draft) noteUnrecorded(g *group, path string) {
	field := map[bool]string{true: "preBootstrapCommands", false: "labels"}[g.Managed]
	switch _, unread := row(field).told(subject{c: d.Config, want: wantedLike(g), g: g}).(untold); {
	case g.Managed && g.Stack == nil:
	case !unread:
		d.note("%s (%s): it is written as AWS tells it; an image that was chosen for it (ami), clusterDNS and settings of Bottlerocket are not, and a group that replaces it would not have them", path, g.User)
	case g.Managed:
		d.note("%s (%s): what neither EKS nor its launch template tells, such as bootstrap commands, was not recorded; it stays as it is, and a group that replaces it would not have it", path, g.User)
	default:
		d.note("%s (%s): labels, taints and whatever else is only in its user data were not recorded; they stay as they are, and a group that replaces it would not have them", path, g.User)
	}
}

// wantedLike is a nodegroup of the same name and kind of which a file says no more.
func wantedLike(g *group) nodegroup {
	if g.Managed {
		return nodegroup{name: g.User, managed: api.NewManagedNodeGroup()}
	}
	return nodegroup{name: g.User, self: api.NewNodeGroup()}
}

// tellGiven writes what a nodegroup has that its stack did not make: role, launch template, key, disk and images of others.
func (d *draft) tellGiven(item gitops.Tree, g *group, path string) {
	n := g.Nodegroup
	if n == nil {
		return
	}
	makes := func(resource string) bool {
		return gitops.TreeAt(d.made[g.Name], "Resources", resource) != nil
	}
	if role := aws.ToString(n.NodeRole); role != "" && !makes("NodeInstanceRole") {
		put(item, role, "iam", "instanceRoleARN")
		d.remarks[path+".iam.instanceRoleARN"] = "instance role made outside of eksctl"
	}
	if family := windows(string(n.AmiType)); family != "" {
		item["amiFamily"] = family
	}
	if t := n.LaunchTemplate; t != nil && !makes("LaunchTemplate") {
		for _, name := range append(launchFields(), "instanceType", "amiFamily") {
			delete(item, name) // eksctl wants them in the template alone
		}
		say(item, "instanceTypes", treeOf(n.InstanceTypes))
		item["launchTemplate"] = gitops.Tree{"id": aws.ToString(t.Id), "version": aws.ToString(t.Version)}
		return
	}
	if n.AmiType == ekstypes.AMITypesCustom {
		d.note("%s (%s): its image is of its own (ami), which is not written", path, g.User)
	}
	if n.RemoteAccess != nil && aws.ToString(n.RemoteAccess.Ec2SshKey) != "" {
		item["ssh"] = gitops.Tree{"allow": true, "publicKeyName": *n.RemoteAccess.Ec2SshKey}
	}
	if n.LaunchTemplate == nil && n.DiskSize != nil {
		item["volumeSize"] = int64(*n.DiskSize)
	}
}

// windows is eksctl's name of a family of Windows images, from EKS's type of it, such as WINDOWS_CORE_2022_x86_64.
func windows(ami string) string {
	part := strings.Split(ami, "_")
	kind, ok := map[string]string{"CORE": "Core", "FULL": "Full"}[part[min(1, len(part)-1)]]
	if part[0] != "WINDOWS" || !ok || len(part) < 3 {
		return ""
	}
	return "WindowsServer" + part[2] + kind + "Container"
}

// tellPlace writes where the nodes are, unless it is where eksctl puts them by itself: in the public subnets.
func (d *draft) tellPlace(item gitops.Tree, g *group) {
	ids := g.subnets()
	same := func(others []string) bool { return equal(sortedStrings(ids), sortedStrings(others)) }
	switch {
	case len(ids) == 0, same(d.ids("public")):
	case same(d.ids("private")):
		item["privateNetworking"] = true
	default:
		item["subnets"] = sortedStrings(ids)
	}
}
