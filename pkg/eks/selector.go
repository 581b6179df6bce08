package eks

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/aws/amazon-ec2-instance-selector/v3/pkg/bytequantity"
	"github.com/aws/aws-sdk-go-v2/aws"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	api "github.com/weaveworks/eksctl/pkg/apis/eksctl.io/v1alpha5"
	"github.com/weaveworks/eksctl/pkg/utils/instance"

	"github.com/eks-gitops/reconciler/pkg/gitops"
)

// selectorField is the field of a nodegroup that says which instance types would do, in place of naming some.
const selectorField = "instanceSelector"

// mostTypes is how many instance types a nodegroup may have: eksctl's bound (pkg/eks/nodegroup_service.go), and that of a mixed instances
// policy (LaunchTemplate.Overrides in the Auto Scaling API reference). The EKS API reference speaks of 20 beside a launch template
// (CreateNodegroup, instanceTypes); what it refuses, EKS tells.
const mostTypes = 40

// selector is what an instanceSelector asks of an instance type. Its rules are eksctl's (expandInstanceSelector in
// pkg/eks/nodegroup_service.go) and those of the library that eksctl asks, amazon-ec2-instance-selector. Of that library only the
// reading of quantities is used here: the rest brings a client of its own for all of EC2, one for prices and caches in files, and asks
// for every instance type of the region where EC2 can filter.
type selector struct {
	vcpus        int
	memory       uint64 // MiB; 0 leaves it open
	gpus         *int
	neurons      *int
	architecture string
	allow, deny  *regexp.Regexp
}

// selects says that the nodegroup has a selector.
func (g nodegroup) selects() bool {
	s := g.base().InstanceSelector
	return s != nil && !s.IsZero()
}

// selector reads a nodegroup's selector. An error names the field of it that is wrong.
func (g nodegroup) selector() (selector, error) {
	is := g.base().InstanceSelector
	out := selector{vcpus: is.VCPUs, gpus: is.GPUs, neurons: is.NeuronDevices, architecture: strings.ToLower(is.CPUArchitecture)}
	if out.architecture == "" || out.architecture == "amd64" {
		out.architecture = string(ec2types.ArchitectureTypeX8664)
	}
	if out.vcpus < 0 {
		return out, errors.New("vCPUs: it is negative")
	}
	if is.Memory != "" {
		quantity, err := bytequantity.ParseToByteQuantity(is.Memory)
		if err != nil || quantity.Quantity == 0 {
			return out, fmt.Errorf("memory: %q is no quantity such as 4, 4GiB or 512MiB", is.Memory)
		}
		out.memory = quantity.Quantity
	}
	for _, list := range []struct {
		field string
		said  *string
		to    **regexp.Regexp
	}{{"allow", is.Allow, &out.allow}, {"deny", is.Deny, &out.deny}} {
		if list.said == nil {
			continue
		}
		expression, err := regexp.Compile(*list.said)
		if err != nil {
			return out, fmt.Errorf("%s: %w", list.field, err)
		}
		*list.to = expression
	}
	return out, nil
}

// checkSelectors finds selectors that cannot be read.
func (c *Config) checkSelectors(item gitops.Item) []*gitops.Error {
	var out []*gitops.Error
	for _, g := range c.nodegroups() {
		if !g.selects() {
			continue
		}
		if _, err := g.selector(); err != nil {
			path := join(g.path, selectorField)
			field, _, _ := strings.Cut(err.Error(), ":")
			out = append(out, invalid(item, join(path, field), fmt.Errorf("%s.%w", path, err)))
		}
	}
	return out
}

// machine is what EC2 says of an instance type, as far as selectors and pods ask. It does not change while the type exists.
type machine struct {
	VCPUs         int
	MemoryMiB     int64
	GPUs, Neurons int
	Architectures []string
	// Interfaces are how many it has at most, and Addresses those of IPv4 that each has.
	Interfaces, Addresses int
}

func machineOf(i ec2types.InstanceTypeInfo) machine {
	var out machine
	if i.VCpuInfo != nil {
		out.VCPUs = int(aws.ToInt32(i.VCpuInfo.DefaultVCpus))
	}
	if i.MemoryInfo != nil {
		out.MemoryMiB = aws.ToInt64(i.MemoryInfo.SizeInMiB)
	}
	if i.GpuInfo != nil {
		for _, d := range i.GpuInfo.Gpus {
			out.GPUs += int(aws.ToInt32(d.Count))
		}
	}
	if i.InferenceAcceleratorInfo != nil {
		for _, d := range i.InferenceAcceleratorInfo.Accelerators {
			out.Neurons += int(aws.ToInt32(d.Count))
		}
	}
	if i.ProcessorInfo != nil {
		for _, a := range i.ProcessorInfo.SupportedArchitectures {
			out.Architectures = append(out.Architectures, string(a))
		}
	}
	if i.NetworkInfo != nil {
		out.Interfaces = int(aws.ToInt32(i.NetworkInfo.MaximumNetworkInterfaces))
		out.Addresses = int(aws.ToInt32(i.NetworkInfo.Ipv4AddressesPerInterface))
	}
	return out
}

// fits says that an instance type is what the selector asks for.
func (s selector) fits(name string, m machine) bool {
	switch {
	case s.vcpus != 0 && m.VCPUs != s.vcpus,
		s.memory != 0 && uint64(m.MemoryMiB) != s.memory,
		s.gpus != nil && m.GPUs != *s.gpus,
		s.neurons != nil && m.Neurons != *s.neurons,
		!slices.Contains(m.Architectures, s.architecture),
		s.allow != nil && !s.allow.MatchString(name),
		s.deny != nil && s.deny.MatchString(name):
		return false
	}
	// EC2 counts no GPU where an instance has a part of one (g6f), so eksctl goes by the name, too.
	return s.gpus == nil || *s.gpus != 0 || !instance.IsGPUInstanceType(name)
}

// filters have EC2 leave out what does not fit anyway (DescribeInstanceTypes in the EC2 API reference; there is none for GPUs).
func (s selector) filters() []ec2types.Filter {
	filter := func(name, value string) ec2types.Filter {
		return ec2types.Filter{Name: aws.String(name), Values: []string{value}}
	}
	out := []ec2types.Filter{filter("processor-info.supported-architecture", s.architecture)}
	if s.vcpus != 0 {
		out = append(out, filter("vcpu-info.default-vcpus", strconv.Itoa(s.vcpus)))
	}
	if s.memory != 0 {
		out = append(out, filter("memory-info.size-in-mib", strconv.FormatUint(s.memory, 10)))
	}
	return out
}

// selection is what a selector comes to, for a nodegroup that is to be made.
type selection struct {
	// Types are those that fit and that all zones of the nodegroup offer, by name.
	Types []string
	// Problem says why no nodegroup can be made of them.
	Problem string
}

// choose makes a selection of what fits.
func (g nodegroup) choose(types, zones []string) selection {
	out := selection{Types: types}
	named := g.named()
	switch {
	case len(types) == 0:
		out.Problem = fmt.Sprintf("no instance type that it asks for is offered in %s", enumerate(zones))
	case len(types) > mostTypes:
		out.Problem = fmt.Sprintf("it leaves %d instance types, and a nodegroup can have %d", len(types), mostTypes)
	case len(named) > 0 && !equal(sortedStrings(named), sortedStrings(types)):
		out.Problem = fmt.Sprintf("it leaves %s, and the nodegroup names %s", enumerate(types), enumerate(sortedNames(named)))
	}
	return out
}

// problem is what is told of a selection that cannot be made.
func (s selection) problem() *gitops.Error {
	if s.Problem == "" {
		return nil
	}
	e := gitops.Errorf(gitops.ConfigInvalid, "%s: %s", selectorField, s.Problem)
	switch {
	case len(s.Types) == 0:
		e.Try = "ask for less, or name zones that offer more"
	case len(s.Types) > mostTypes:
		e.Try = "ask for more: memory, gpus, allow, deny"
	default:
		e.Try = "remove one of the two"
	}
	return e
}

// named are the instance types that the file names beside a selector.
func (g nodegroup) named() []string {
	switch {
	case g.managed != nil:
		return g.managed.InstanceTypes
	case g.self.InstancesDistribution != nil:
		return g.self.InstancesDistribution.InstanceTypes
	}
	return nil
}

// take gives the nodegroup the instance types that were selected, as eksctl does.
func (g nodegroup) take(types []string) {
	if g.managed != nil {
		g.managed.InstanceTypes = slices.Clone(types)
		return
	}
	if g.self.InstancesDistribution == nil {
		g.self.InstancesDistribution = &api.NodeGroupInstancesDistribution{}
	}
	g.self.InstancesDistribution.InstanceTypes = slices.Clone(types)
}

// sayTypes writes instance types into a nodegroup as a file would name them.
func sayTypes(t gitops.Tree, managed bool, types []string) {
	if len(types) == 0 {
		return
	}
	list := sortedStrings(types)
	if managed {
		t["instanceTypes"] = list
		return
	}
	distribution := gitops.Clone(gitops.TreeAt(t, "instancesDistribution"))
	if distribution == nil {
		distribution = gitops.Tree{}
	}
	distribution["instanceTypes"] = list
	t["instancesDistribution"] = distribution
}

func sortedNames(names []string) []string {
	return slices.Sorted(slices.Values(names))
}

// types are the instance types of a live group, or those that it was ordered with, while AWS does not tell.
func (g *group) types() []string {
	var out []string
	switch {
	case g.Nodegroup != nil:
		out = g.Nodegroup.InstanceTypes
	case g.Managed:
	case g.Scaling != nil && g.Scaling.MixedInstancesPolicy != nil && g.Scaling.MixedInstancesPolicy.LaunchTemplate != nil:
		out = overrides(g.Scaling)
	case g.Launch != nil && g.Launch.InstanceType != "":
		out = []string{string(g.Launch.InstanceType)}
	}
	if len(out) == 0 {
		return g.Ordered
	}
	return out
}

// orderedTypes are the instance types in the template of a nodegroup's stack, where eksctl puts them.
func orderedTypes(template gitops.Tree) []string {
	var out []string
	for _, t := range gitops.ListAt(template, "Resources", "ManagedNodeGroup", "Properties", "InstanceTypes") {
		if name, ok := t.(string); ok {
			out = append(out, name)
		}
	}
	for _, o := range gitops.ListAt(template, "Resources", "NodeGroup", "Properties", "MixedInstancesPolicy", "LaunchTemplate", "Overrides") {
		override, _ := o.(gitops.Tree)
		if name := gitops.StringAt(override, "InstanceType"); name != "" {
			out = append(out, name)
		}
	}
	return out
}

// unfit are the live instance types that a selector does not ask for. One that EC2 does not know is none of them.
func (g *group) unfit(s selector) []string {
	var out []string
	for _, name := range sortedNames(g.types()) {
		if m, known := g.Machines[name]; known && !s.fits(name, m) {
			out = append(out, name)
		}
	}
	return out
}

// madeWith says that a group was made with the selector that git has: its types were chosen then, and what AWS brings out later is
// no reason to choose anew.
func (g *group) madeWith(want nodegroup) bool {
	return !empty(g.Recorded[selectorField]) && equal(g.Recorded[selectorField], want.written[selectorField])
}

// compareSelector compares a selector with the instance types that a live group has. Where AWS does not tell these, what its stack
// recorded stands for them.
//
//	made with the same selector     the same
//	every live type fits            the same
//	some do not                     another one: a replacement
//	live types are not known        what was recorded
func (c *comparison) compareSelector(want nodegroup, g *group) {
	if !want.selects() {
		return
	}
	c.live[selectorField] = c.next[selectorField]
	s, err := want.selector()
	switch {
	case err != nil, g.madeWith(want):
	case len(g.types()) == 0:
		if g.Recorded == nil {
			c.doubt(selectorField)
			return
		}
		c.live[selectorField] = g.Recorded[selectorField]
	default:
		if c.unfit = g.unfit(s); len(c.unfit) > 0 {
			c.live[selectorField] = g.Recorded[selectorField]
		} else if g.Recorded == nil && slices.ContainsFunc(g.types(), func(name string) bool { _, known := g.Machines[name]; return !known }) {
			c.doubt(selectorField)
		}
	}
}

// misfit tells the instance types that a selector does not ask for.
func (c *comparison) misfit(field string) string {
	if field != selectorField || len(c.unfit) == 0 {
		return ""
	}
	verb := "do"
	if len(c.unfit) == 1 {
		verb = "does"
	}
	return fmt.Sprintf(", and %s %s not fit it", enumerate(c.unfit), verb)
}

// saidOtherwise says that a field that left git has its like there, or said nothing: a selector speaks of the types that were named before,
// and names of the types that were selected.
func (c *comparison) saidOtherwise(name string, recorded any) bool {
	switch name {
	case "instanceType", "instanceTypes":
		return !empty(c.next[selectorField]) || recorded == mixed
	case selectorField:
		return !empty(c.next["instanceType"]) || !empty(c.next["instanceTypes"])
	}
	return false
}

// tellTypes shows, in a replacement, the instance types that go and those that come.
func (c *comparison) tellTypes(want nodegroup, old *group, types []string) {
	if c.next == nil || old == nil || !want.selects() || len(want.named()) > 0 || len(types) == 0 {
		return
	}
	sayTypes(c.live, want.managed != nil, old.types())
	sayTypes(c.next, want.managed != nil, types)
}

// withTypes is a nodegroup that is to be made, with the instance types that it would have.
func withTypes(next gitops.Tree, want nodegroup, types []string) gitops.Tree {
	if !want.selects() || len(want.named()) > 0 {
		return next
	}
	out := gitops.Clone(next)
	sayTypes(out, want.managed != nil, types)
	return out
}
