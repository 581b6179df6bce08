package eks

import (
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	ekstypes "github.com/aws/aws-sdk-go-v2/service/eks/types"
	api "github.com/weaveworks/eksctl/pkg/apis/eksctl.io/v1alpha5"

	"github.com/eks-gitops/reconciler/pkg/gitops"
)

// class says what becomes of a field of the file, and what a difference in it leads to.
type class int

const (
	// replaced fields are fixed when the thing is made: another value means a new thing in its place.
	replaced class = iota
	// mutable fields are changed in place by a call.
	mutable
	// immutable fields cannot change, and a difference is an error.
	immutable
	// noticed fields are used when the thing is made. Nothing changes them later, and a plan says where the file and what was made differ.
	noticed
	// settled fields are used when the thing is made. Nothing changes them later, and a later change is not noticed.
	settled
	// created fields are used when the thing is made. Later changes of them are not managed, and a plan that has one says so.
	created
	// unmanaged fields are neither set nor changed, and a plan that has one says so.
	unmanaged
	// refused fields are an error.
	refused
	// naming fields name the thing: another value is another thing.
	naming
	// steering fields say how something is done; they are no state of anything.
	steering
)

// compared says that a difference of such a field in a nodegroup leads to something.
func (c class) compared() bool { return c == replaced || c == mutable }

// The calls that change nodegroups; their tags are changed by byTags, too.
const (
	byGroupConfig  = "eks:UpdateNodegroupConfig"
	byGroupVersion = "eks:UpdateNodegroupVersion"
	byScaling      = "autoscaling:UpdateAutoScalingGroup"
	byScalingTags  = "autoscaling:CreateOrUpdateTags"
	byProcesses    = "autoscaling:SuspendProcesses"
	byMetrics      = "autoscaling:EnableMetricsCollection"
	byTargetGroups = "autoscaling:AttachLoadBalancerTargetGroups"
	byBalancers    = "autoscaling:AttachLoadBalancers"
)

// byLaunchTemplate is the call that reads launch templates.
const byLaunchTemplate = "ec2:DescribeLaunchTemplateVersions"

// field is one row of the table of nodegroup fields. A field of the file that has no row is replaced, and its live value
// is what the nodegroup's stack recorded, or not told.
type field struct {
	name          string
	managed, self class
	// by and selfBy are the calls that change it, where it is mutable.
	by, selfBy string
	// live reads the value from AWS; false means that AWS does not tell it.
	live func(*group) (any, bool)
	// teller reads it where live does not.
	teller teller
	// seen and selfSeen say where it is read, of a managed nodegroup and of a self-managed one, where that is not the call that describes
	// the one or the other; of fields that are replaced, nothing but what the stack recorded and the teller tells it where neither is said.
	seen, selfSeen string
	// launch says that live reads the launch template.
	launch bool
	note   string
}

// fields is the table. Sources of the classes: EKS API reference (UpdateNodegroupConfig, UpdateNodegroupVersion) for
// managed nodegroups; for self-managed ones the Auto Scaling API, all else being baked into the launch template.
func fields() []field {
	const group, launch, scaling, types = "eks:DescribeNodegroup", byLaunchTemplate, "autoscaling:DescribeAutoScalingGroups", "ec2:DescribeInstanceTypes"
	out := []field{
		{name: "name", managed: naming, self: naming},
		{name: "minSize", managed: mutable, self: mutable, by: byGroupConfig, selfBy: byScaling},
		{name: "maxSize", managed: mutable, self: mutable, by: byGroupConfig, selfBy: byScaling},
		{name: "desiredCapacity", managed: mutable, self: mutable, by: byGroupConfig, selfBy: byScaling, note: "without it the size is left to an autoscaler"},
		{name: "labels", managed: mutable, self: replaced, by: byGroupConfig},
		{name: "taints", managed: mutable, self: replaced, by: byGroupConfig},
		{name: "tags", managed: mutable, self: mutable, by: byTags, selfBy: byScalingTags, note: "tags of others are left alone"},
		{name: "updateConfig", managed: mutable, by: byGroupConfig, self: unmanaged},
		{name: "releaseVersion", managed: mutable, by: byGroupVersion},
		{name: "nodeRepairConfig", managed: mutable, by: byGroupConfig},
		{name: "propagateASGTags", managed: mutable, self: mutable, by: byScalingTags, selfBy: byScalingTags, seen: scaling, selfSeen: scaling, note: "tags of others are left alone, and so are all when it is switched off"},
		{name: "asgSuspendProcesses", managed: mutable, self: mutable, by: byProcesses, selfBy: byProcesses, seen: scaling, selfSeen: scaling, note: "without it, what is suspended is left alone"},
		{name: "maxInstanceLifetime", self: mutable, selfBy: byScaling, note: "Auto Scaling replaces nodes that are older, without draining them; without it, it is left alone"},
		{name: distribution, self: mutable, selfBy: byScaling, note: "Auto Scaling may replace nodes to match it, without draining them"},
		{name: "asgMetricsCollection", self: mutable, selfBy: byMetrics, note: "without it, what is collected is left alone"},
		{name: "targetGroupARNs", self: mutable, selfBy: byTargetGroups, note: "without it, what is attached is left alone"},
		{name: "classicLoadBalancerNames", self: mutable, selfBy: byBalancers, note: "without it, what is attached is left alone"},
		{name: selectorField, seen: group + ", " + types, selfSeen: scaling + ", " + launch + ", " + types, note: "types are chosen when the nodegroup is made; another selector that those fit, too, changes nothing"},
		{name: "outpostARN", managed: refused, self: refused},
		{name: "instanceType", live: liveInstanceType, seen: group, selfSeen: launch},
		{name: "launchTemplate", seen: group},
		{name: "instanceTypes", live: liveInstanceTypes, seen: group},
		{name: "amiFamily", live: liveFamily, seen: group, note: "Windows is refused"},
		{name: "spot", live: liveSpot, seen: group},
		{name: "volumeSize", live: volume(func(d *ec2types.LaunchTemplateEbsBlockDevice) any { return d.VolumeSize }), seen: launch, selfSeen: launch, launch: true},
		{name: "volumeType", live: volume(func(d *ec2types.LaunchTemplateEbsBlockDevice) any { return string(d.VolumeType) }), seen: launch, selfSeen: launch, launch: true},
		{name: "volumeIOPS", live: volume(func(d *ec2types.LaunchTemplateEbsBlockDevice) any { return d.Iops }), seen: launch, selfSeen: launch, launch: true},
		{name: "volumeThroughput", live: volume(func(d *ec2types.LaunchTemplateEbsBlockDevice) any { return d.Throughput }), seen: launch, selfSeen: launch, launch: true},
		{name: "volumeEncrypted", live: volume(func(d *ec2types.LaunchTemplateEbsBlockDevice) any { return d.Encrypted }), seen: launch, selfSeen: launch, launch: true},
		{name: "ebsOptimized", live: liveEBSOptimized, seen: launch, selfSeen: launch, launch: true},
	}
	for name := range strings.FieldsSeq(recordedFields) {
		out = append(out, field{name: name})
	}
	all := tellers()
	for i := range out {
		t, ok := all[out[i].name]
		if !ok {
			continue
		}
		out[i].teller, out[i].launch = t, out[i].launch || t.launch
	}
	return out
}

// recordedFields are replaced. What they were, the nodegroup's stack recorded; else their tellers say it.
const recordedFields = `additionalVolumes ami availabilityZones bottlerocket capacityReservation clusterDNS containerRuntime cpuCredits
	disableIMDSv1 disablePodIMDS efaEnabled enableDetailedMonitoring enclaveEnabled iam instanceMarketOptions instanceName instancePrefix
	kubeletExtraConfig localZones maxPodsPerNode overrideBootstrapCommand placement preBootstrapCommands privateNetworking
	securityGroups ssh subnets volumeKmsKeyID volumeName`

// seenIn says where a field is read, where that is not the call that describes the nodegroup.
func (f field) seenIn(managed bool) string {
	if managed {
		return f.seen
	}
	return f.selfSeen
}

// changedBy names the fields of nodegroups that a call changes.
func changedBy(call string) []string {
	var out []string
	for _, f := range fields() {
		if f.by == call || f.selfBy == call {
			out = append(out, f.name)
		}
	}
	return out
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
	if f, ok := rows()[name]; ok {
		return f
	}
	return field{name: name}
}

// rows is the table by name.
var rows = sync.OnceValue(func() map[string]field { //nolint:gochecknoglobals // made once: every comparison asks it for every field
	out := map[string]field{}
	for _, f := range fields() {
		out[f.name] = f
	}
	return out
})

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
	sortTaints(out)
	return out
}

func sortTaints(taints []any) {
	slices.SortFunc(taints, func(a, b any) int { return strings.Compare(string(gitops.DigestOf(a)), string(gitops.DigestOf(b))) })
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
	sortTaints(out)
	return out
}
