package eks

import (
	"maps"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	ekstypes "github.com/aws/aws-sdk-go-v2/service/eks/types"
	api "github.com/weaveworks/eksctl/pkg/apis/eksctl.io/v1alpha5"

	"github.com/eks-gitops/reconciler/pkg/gitops"
)

// class says what a difference in a nodegroup's field leads to.
type class int

const (
	// replaced fields are fixed when the nodegroup is created.
	replaced class = iota
	// mutable fields are changed in place by a call to EKS or Auto Scaling.
	mutable
	// ignored fields are not compared: they name the group, or only matter when it is created.
	ignored
)

// field is one row of the table of nodegroup fields. A field of the file that has no row is replaced, and its live value
// is what the nodegroup's stack recorded.
type field struct {
	name          string
	managed, self class
	// live reads the value from AWS; false means that AWS does not tell it.
	live func(*group) (any, bool)
	// launch says that live reads the launch template.
	launch bool
}

// fields is the table. Sources of the classes: EKS API reference (UpdateNodegroupConfig, UpdateNodegroupVersion) for
// managed nodegroups; for self-managed ones the Auto Scaling API, all else being baked into the launch template.
func fields() []field {
	return []field{
		{name: "name", managed: ignored, self: ignored},
		{name: "minSize", managed: mutable, self: mutable},
		{name: "maxSize", managed: mutable, self: mutable},
		{name: "desiredCapacity", managed: mutable, self: mutable},
		{name: "labels", managed: mutable, self: replaced},
		{name: "taints", managed: mutable, self: replaced},
		{name: "tags", managed: mutable, self: mutable},
		{name: "updateConfig", managed: mutable, self: ignored},
		{name: "releaseVersion", managed: mutable},
		{name: "nodeRepairConfig", managed: ignored},
		{name: "propagateASGTags", managed: ignored},
		{name: "asgSuspendProcesses", managed: ignored, self: ignored},
		{name: "instanceType", live: liveInstanceType},
		{name: "instanceTypes", live: liveInstanceTypes},
		{name: "amiFamily", live: liveFamily},
		{name: "spot", live: liveSpot},
		{name: "volumeSize", live: volume(func(d *ec2types.LaunchTemplateEbsBlockDevice) any { return d.VolumeSize }), launch: true},
		{name: "volumeType", live: volume(func(d *ec2types.LaunchTemplateEbsBlockDevice) any { return string(d.VolumeType) }), launch: true},
		{name: "volumeIOPS", live: volume(func(d *ec2types.LaunchTemplateEbsBlockDevice) any { return d.Iops }), launch: true},
		{name: "volumeThroughput", live: volume(func(d *ec2types.LaunchTemplateEbsBlockDevice) any { return d.Throughput }), launch: true},
		{name: "volumeEncrypted", live: volume(func(d *ec2types.LaunchTemplateEbsBlockDevice) any { return d.Encrypted }), launch: true},
		{name: "ebsOptimized", live: liveEBSOptimized, launch: true},
	}
}

func launchFields() []string {
	var out []string
	for _, f := range fields() {
		if f.launch {
			out = append(out, f.name)
		}
	}
	return out
}

// row finds a field's row; fields without one are replaced.
func row(name string) field {
	for _, f := range fields() {
		if f.name == name {
			return f
		}
	}
	return field{name: name}
}

func (f field) class(managed bool) class {
	if managed {
		return f.managed
	}
	return f.self
}

func liveInstanceType(g *group) (any, bool) {
	if g.Managed && g.Nodegroup != nil && len(g.Nodegroup.InstanceTypes) > 0 {
		return strings.Join(g.Nodegroup.InstanceTypes, ","), true
	}
	if !g.Managed && g.Launch != nil && g.Launch.InstanceType != "" {
		return string(g.Launch.InstanceType), true
	}
	return nil, false
}

func liveInstanceTypes(g *group) (any, bool) {
	if g.Nodegroup == nil || len(g.Nodegroup.InstanceTypes) == 0 {
		return nil, false
	}
	return treeOf(g.Nodegroup.InstanceTypes), true
}

// liveFamily names the families as eksctl does, from the AMI types of the EKS API (Nodegroup.amiType).
func liveFamily(g *group) (any, bool) {
	if g.Nodegroup == nil {
		return nil, false
	}
	ami := string(g.Nodegroup.AmiType)
	for prefix, family := range map[string]string{
		"AL2023_": api.NodeImageFamilyAmazonLinux2023, "AL2_": api.NodeImageFamilyAmazonLinux2, "BOTTLEROCKET_": api.NodeImageFamilyBottlerocket,
	} {
		if strings.HasPrefix(ami, prefix) {
			return family, true
		}
	}
	return nil, false
}

func liveSpot(g *group) (any, bool) {
	if g.Nodegroup == nil || g.Nodegroup.CapacityType == "" {
		return nil, false
	}
	return g.Nodegroup.CapacityType == ekstypes.CapacityTypesSpot, true
}

func liveEBSOptimized(g *group) (any, bool) {
	if g.Launch == nil || g.Launch.EbsOptimized == nil {
		return nil, false
	}
	return *g.Launch.EbsOptimized, true
}

// volume reads a property of the root volume: eksctl maps it first.
func volume(of func(*ec2types.LaunchTemplateEbsBlockDevice) any) func(*group) (any, bool) {
	return func(g *group) (any, bool) {
		if g.Launch == nil || len(g.Launch.BlockDeviceMappings) == 0 || g.Launch.BlockDeviceMappings[0].Ebs == nil {
			return nil, false
		}
		v := treeOf(of(g.Launch.BlockDeviceMappings[0].Ebs))
		return v, v != nil && v != ""
	}
}

// ownLabels leaves out the labels that eksctl and EKS put on every nodegroup.
func ownLabels(labels map[string]string) gitops.Tree {
	out := gitops.Tree{}
	for _, key := range slices.Sorted(maps.Keys(labels)) {
		if strings.HasPrefix(key, "alpha.eksctl.io/") || strings.HasPrefix(key, "eks.amazonaws.com/") {
			continue
		}
		out[key] = labels[key]
	}
	return out
}

// taintList is the canonical form of taints: sorted, each with key, value and effect as Kubernetes spells it.
func taintList(taints []api.NodeGroupTaint) []any {
	out := make([]any, 0, len(taints))
	for _, t := range taints {
		item := gitops.Tree{"key": t.Key, "effect": string(t.Effect)}
		if t.Value != "" {
			item["value"] = t.Value
		}
		out = append(out, item)
	}
	slices.SortFunc(out, func(a, b any) int { return strings.Compare(string(gitops.DigestOf(a)), string(gitops.DigestOf(b))) })
	return out
}

// liveTaints gives EKS's taints in eksctl's words.
func liveTaints(taints []ekstypes.Taint) []any {
	words := map[ekstypes.TaintEffect]string{
		ekstypes.TaintEffectNoSchedule: "NoSchedule", ekstypes.TaintEffectNoExecute: "NoExecute", ekstypes.TaintEffectPreferNoSchedule: "PreferNoSchedule",
	}
	out := make([]any, 0, len(taints))
	for _, t := range taints {
		item := gitops.Tree{"key": aws.ToString(t.Key), "effect": words[t.Effect]}
		if aws.ToString(t.Value) != "" {
			item["value"] = *t.Value
		}
		out = append(out, item)
	}
	slices.SortFunc(out, func(a, b any) int { return strings.Compare(string(gitops.DigestOf(a)), string(gitops.DigestOf(b))) })
	return out
}
