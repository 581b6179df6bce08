package eks

import (
	"context"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"

	api "github.com/weaveworks/eksctl/pkg/apis/eksctl.io/v1alpha5"
	"github.com/weaveworks/eksctl/pkg/utils/instance"

	"github.com/eks-gitops/reconciler/pkg/plan"
)

// Devices that EC2 counts, by the names that the plugins of their makers give them on nodes.
const (
	gpuResource    = "nvidia.com/gpu"
	neuronResource = "aws.amazon.com/neuron"
)

// successor is what is known of the nodes that the pods of a group move to.
type successor struct {
	// start is how many they are at first, and most how many they may become.
	start, most int
	// types are their instance types, and sizes what a node of each has for pods. daemons is what every node needs for pods of its own.
	types   []string
	sizes   []nodeSize
	daemons plan.Amounts
	// labels are the values that their labels may have, by key. opaque says that they may have others, which nothing here tells.
	labels map[string][]string
	opaque bool
	taints []api.NodeGroupTaint
	// zones are those that they may be in; none when that is not known, or nobody asks.
	zones []string
}

// nodeSize is what a node has for pods: as nodes of its type in the cluster tell, or about, as EC2's numbers tell. What these do not
// count is not known.
type nodeSize struct {
	have  plan.Amounts
	about bool
}

// shortages say which of the pods that move have no place on the nodes that they move to.
func (c *Cloud) shortages(ctx context.Context, cfg *Config, w *world, m move, load plan.Load) []string {
	if len(load.Pods) == 0 {
		return nil
	}
	s := cfg.successor(w, m)
	s.daemons = load.Daemons
	unknown := c.measure(ctx, cfg, &s, m.want, load)
	if load.Zonal() {
		zones, err := c.nodeZones(ctx, cfg, w, m.want)
		if err != nil {
			c.Log.InfoContext(ctx, "the zones of new nodes are not known", "nodegroup", m.want.name, "error", brief(err))
		}
		s.zones = zones
		s.labels[plan.ZoneLabel] = zones
	}
	said := s.lacks(load.Pods)
	if unknown != "" {
		said = append(said, "whether the new nodes have room is not known: "+unknown)
	}
	return append(said, s.refuses(load.Pods)...)
}

// sizes are how many nodes a nodegroup is made with and may have. What the file leaves open is as eksctl has it (pkg/cfn/builder/nodegroup.go).
func (g nodegroup) sizes() (start, most int) {
	s := g.base().ScalingConfig
	if s == nil {
		return api.DefaultNodeCount, api.DefaultNodeCount
	}
	switch {
	case s.DesiredCapacity != nil:
		start = *s.DesiredCapacity
	case s.MinSize != nil:
		start = *s.MinSize
	default:
		start = api.DefaultNodeCount
	}
	if s.MaxSize == nil {
		return start, start
	}
	return start, *s.MaxSize
}

// successor tells what the file does of the nodes that a group's pods move to.
func (c *Config) successor(w *world, m move) successor {
	base := m.want.base()
	s := successor{taints: m.want.taints(), opaque: base.OverrideBootstrapCommand != nil}
	s.start, s.most = m.want.sizes()
	if m.line.target == m.group { // a roll leaves the group as large as it is
		s.start = len(m.group.instances())
		s.most = max(s.most, s.start)
	}
	switch {
	case m.line.target != nil:
		s.types = m.line.target.types()
	case len(w.Selected[m.want.name].Types) > 0:
		s.types = w.Selected[m.want.name].Types
	default:
		s.types = m.want.pool().InstanceTypeList()
	}
	s.types = slices.DeleteFunc(slices.Clone(s.types), func(t string) bool { return t == "" || t == mixed })
	s.labels = map[string][]string{
		api.ClusterNameLabel: {c.Name}, api.NodeGroupNameLabel: {m.line.name}, "topology.kubernetes.io/region": {c.Region}, "node.kubernetes.io/instance-type": s.types,
	}
	if m.want.managed != nil {
		s.opaque = s.opaque || m.want.managed.LaunchTemplate != nil
		s.labels[api.EKSNodeGroupNameLabel] = []string{m.line.name}
		s.labels["eks.amazonaws.com/capacityType"] = []string{"ON_DEMAND"}
		if m.want.managed.Spot {
			s.labels["eks.amazonaws.com/capacityType"] = []string{"SPOT"}
		}
	}
	for key, value := range base.Labels {
		s.labels[key] = []string{value}
	}
	return s
}

// measure finds out what the new nodes have for pods, from nodes of the same type or else from EC2; why not, when nothing tells.
func (c *Cloud) measure(ctx context.Context, cfg *Config, s *successor, want nodegroup, load plan.Load) (unknown string) {
	if len(s.types) == 0 {
		return "nothing tells their instance type"
	}
	strange := slices.DeleteFunc(slices.Clone(s.types), func(t string) bool { return load.Nodes[t] != nil })
	machines, err := c.machinesOf(ctx, strange)
	if err != nil {
		return brief(err).Error()
	}
	prefixes := cfg.full.IPv6Enabled() || prefixed(load.Nodes)
	for _, name := range s.types {
		size := nodeSize{have: maps.Clone(load.Nodes[name])}
		if size.have == nil {
			m, known := machines[name]
			if !known {
				s.sizes = nil
				return "EC2 does not tell what " + name + " has"
			}
			size = nodeSize{have: m.allocatable(prefixes), about: true}
			if m.GPUs == 0 && instance.IsGPUInstanceType(name) {
				delete(size.have, gpuResource) // EC2 counts no GPU where an instance has a part of one.
			}
			s.labels["kubernetes.io/arch"] = append(s.labels["kubernetes.io/arch"], m.architectures()...)
		}
		if n := want.base().MaxPodsPerNode; n > 0 {
			size.have["pods"] = int64(n)
		}
		s.sizes = append(s.sizes, size)
	}
	if len(strange) < len(s.types) {
		delete(s.labels, "kubernetes.io/arch") // not every type was asked for
	}
	return ""
}

// prefixed says that the VPC CNI gives nodes prefixes in place of addresses: by the limits that EKS then sets, which are no type's own.
func prefixed(nodes map[string]plan.Amounts) bool {
	for _, have := range nodes {
		if have["pods"] == fewPods || have["pods"] == manyPods {
			return true
		}
	}
	return false
}

// The most pods of a node with prefixes, by its cores (EKS user guide, "Choose an optimal Amazon EC2 node instance type": 110 below 30 vCPUs,
// 250 from there on).
const (
	fewPods, manyPods = 110, 250
	manyCores         = 30
)

// allocatable is about what is left of an instance for pods.
//
//	pods    interfaces x (addresses of each - 1) + 2, or the limits above (EKS user guide, "Choose an optimal Amazon EC2 node instance type")
//	cpu     less 6 % of the first core, 1 % of the second, 0.5 % of two more and 0.25 % of the others (awslabs/amazon-eks-ami, nodeadm/internal/kubelet)
//	memory  less 255 MiB, 11 MiB for each pod that its addresses allow, and 100 MiB before pods are evicted (the same); and less what hypervisor
//	        and kernel keep, for which Karpenter takes 7.5 % (karpenter.sh, Settings: VM_MEMORY_OVERHEAD_PERCENT)
func (m machine) allocatable(prefixes bool) plan.Amounts {
	pods := m.Interfaces*(m.Addresses-1) + 2
	memory := m.MemoryMiB - int64(math.Floor(float64(m.MemoryMiB)*0.075)) - 255 - 11*int64(pods) - 100
	switch {
	case prefixes && m.VCPUs < manyCores:
		pods = fewPods
	case prefixes:
		pods = manyPods
	}
	cores := min(m.VCPUs, 1)*240 + min(max(m.VCPUs-1, 0), 1)*40 + min(max(m.VCPUs-2, 0), 2)*20 + max(m.VCPUs-4, 0)*10 // in quarters of a thousandth
	return plan.Amounts{
		"cpu": int64(1000*m.VCPUs - cores/4), "memory": max(memory, 0) << 20, "pods": int64(pods), gpuResource: int64(m.GPUs), neuronResource: int64(m.Neurons),
	}
}

// architectures are those of the instance type as nodes have them in their labels.
func (m machine) architectures() []string {
	var out []string
	for _, a := range m.Architectures {
		switch a {
		case "x86_64":
			out = append(out, "amd64")
		case "arm64":
			out = append(out, a)
		}
	}
	return out
}

// has is what the smallest of the nodes has of a resource for pods that move to it; false when that is not known.
func (s successor) has(resource string) (have int64, about, known bool) {
	for i, size := range s.sizes {
		n, counted := size.have[resource]
		if !counted && (size.about || resource == "ephemeral-storage") {
			return 0, false, false
		}
		if i == 0 || n < have {
			have = n
		}
		about = about || size.about
	}
	return max(0, have-s.daemons[resource]), about, len(s.sizes) > 0
}

// lacks says which resources the nodes have too little of for all the pods, or for one of them.
func (s successor) lacks(pods []plan.Pod) []string {
	total := plan.Amounts{}
	for _, p := range pods {
		total.Add(p.Asks)
	}
	var said []string
	for _, resource := range slices.Sorted(maps.Keys(total)) {
		have, about, known := s.has(resource)
		if !known || total[resource] == 0 {
			continue
		}
		d := demand{resource: resource, total: total[resource], have: have, about: about}
		for _, p := range pods {
			n := p.Asks[resource]
			if d.most = max(d.most, n); n > 0 {
				d.pods++
			}
			if n > have {
				d.large++
			}
		}
		if short := s.short(d); short != "" {
			said = append(said, short)
		}
	}
	return said
}

// demand is what pods ask of one resource, beside what a node has of it.
type demand struct {
	resource    string
	pods, large int
	// total is what they ask for together, most what one of them does at most, and have what a node has.
	total, most, have int64
	about             bool
}

// short says in which way there is too little of a resource.
func (s successor) short(d demand) string {
	kind := "the smallest of its instance types"
	if len(s.types) == 1 {
		kind = s.types[0]
	}
	switch {
	case d.have == 0:
		return fmt.Sprintf("%s, and a new node of %s has none for %s", d.asks(), kind, them(d.pods))
	case d.large == 1:
		return fmt.Sprintf("1 pod asks for %s, and a new node of %s has %s for it", d.upTo(d.most), kind, d.left(d.most, d.have))
	case d.large > 1:
		return fmt.Sprintf("%d pods ask for up to %s each, and a new node of %s has %s for them", d.large, d.upTo(d.most), kind, d.left(d.most, d.have))
	}
	switch need := int((d.total + d.have - 1) / d.have); {
	case need <= s.start:
		return ""
	case need <= s.most:
		return fmt.Sprintf("%s, and %s of %s have %s for %s: %d would do, and maxSize is %d",
			d.asks(), newNodes(s.start), kind, d.left(d.total, d.have*int64(s.start)), them(d.pods), need, s.most)
	}
	return fmt.Sprintf("%s, and %s of %s (maxSize) have %s for %s", d.asks(), newNodes(s.most), kind, d.left(d.total, d.have*int64(s.most)), them(d.pods))
}

func newNodes(n int) string {
	if n == 1 {
		return "1 new node"
	}
	return fmt.Sprintf("%d new nodes", n)
}

func them(n int) string {
	if n == 1 {
		return "it"
	}
	return "them"
}

func (d demand) asks() string {
	switch {
	case d.resource == "pods" && d.pods == 1:
		return "1 pod needs a place"
	case d.resource == "pods":
		return fmt.Sprintf("%d pods need a place", d.pods)
	case d.pods == 1:
		return "1 pod asks for " + d.upTo(d.total)
	}
	return fmt.Sprintf("%d pods ask for %s", d.pods, d.upTo(d.total))
}

// unit is the unit that so much of the resource is told in.
func (d demand) unit(n int64) (size int64, name string) {
	switch {
	case d.resource == "cpu":
		return 1000, "cpu"
	case d.resource == "memory" && n >= 1<<30:
		return 1 << 30, "GiB of memory"
	case d.resource == "memory":
		return 1 << 20, "MiB of memory"
	}
	return 1, d.resource
}

// upTo is an amount that is asked for, rounded up to tenths.
func (d demand) upTo(n int64) string {
	size, name := d.unit(n)
	return tenths(math.Ceil(float64(n)*10/float64(size))) + " " + name
}

// left is what there is, rounded down to tenths, in the unit of what is asked for.
func (d demand) left(asked, n int64) string {
	size, _ := d.unit(asked)
	said := tenths(math.Floor(float64(n) * 10 / float64(size)))
	if d.about {
		return "about " + said
	}
	return said
}

func tenths(n float64) string { return strconv.FormatFloat(n/10, 'f', -1, 64) }
