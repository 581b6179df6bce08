package eks

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	astypes "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	ekstypes "github.com/aws/aws-sdk-go-v2/service/eks/types"
	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	simfault "github.com/eks-gitops/reconciler/internal/sim/aws/fault"
	"github.com/eks-gitops/reconciler/pkg/plan"
)

// pods are so many pods of one kind.
func pods(n int, p plan.Pod) []plan.Pod { return slices.Repeat([]plan.Pod{p}, n) }

func asking(resource string, n int64) plan.Pod { return plan.Pod{Asks: plan.Amounts{resource: n}} }

func needing(lists ...[]plan.Requirement) plan.Pod { return plan.Pod{Needs: lists} }

func in(key string, values ...string) plan.Requirement {
	return plan.Requirement{Key: key, Operator: "In", Values: values}
}

const gib = 1 << 30

// TestCapacityIsTold: what moves is held against the nodes that it moves to, and only what does not fit is told.
func TestCapacityIsTold(t *testing.T) {
	t.Parallel()
	r := newRig(t, small)
	r.converge()
	for name, tt := range map[string]struct {
		load plan.Load
		// group is what the file says of the nodegroup beyond its size; m6i.large when empty.
		group string
		want  []string
	}{
		"everything fits": {load: plan.Load{Pods: pods(3, plan.Pod{Asks: plan.Amounts{"cpu": 1000, "memory": 4 * gib, "pods": 1}, Needs: [][]plan.Requirement{{in("kubernetes.io/arch", "amd64")}}, Zones: []string{"eu-west-1a"}})}},
		"cpu, beyond maxSize": {
			load: plan.Load{Pods: pods(23, asking("cpu", 500))},
			want: []string{"23 pods ask for 11.5 cpu, and 4 new nodes of m6i.large (maxSize) have about 7.7 for them"},
		},
		"cpu, within maxSize": {
			load: plan.Load{Pods: pods(14, asking("cpu", 500))},
			want: []string{"14 pods ask for 7 cpu, and 2 new nodes of m6i.large have about 3.8 for them: 4 would do, and maxSize is 4"},
		},
		"one pod that is too large": {
			load: plan.Load{Pods: append(pods(2, asking("cpu", 100)), asking("cpu", 4000))},
			want: []string{"1 pod asks for 4 cpu, and a new node of m6i.large has about 1.9 for it"},
		},
		"two pods that are too large": {
			load: plan.Load{Pods: []plan.Pod{asking("cpu", 3000), asking("cpu", 4000)}},
			want: []string{"2 pods ask for up to 4 cpu each, and a new node of m6i.large has about 1.9 for them"},
		},
		"memory": {
			load: plan.Load{Pods: pods(10, asking("memory", 4*gib))},
			want: []string{"10 pods ask for 40 GiB of memory, and 4 new nodes of m6i.large (maxSize) have about 26.9 for them"},
		},
		"pods": {
			load: plan.Load{Pods: pods(130, asking("pods", 1))},
			want: []string{"130 pods need a place, and 4 new nodes of m6i.large (maxSize) have about 116 for them"},
		},
		"pods, where the file says how many a node takes": {
			group: "instanceType: m6i.large; maxPodsPerNode: 10", load: plan.Load{Pods: pods(30, asking("pods", 1))},
			want: []string{"30 pods need a place, and 2 new nodes of m6i.large have about 20 for them: 3 would do, and maxSize is 4"},
		},
		"pods, with prefixes in place of addresses": {
			load: plan.Load{Pods: pods(130, asking("pods", 1)), Nodes: map[string]plan.Amounts{"m5.large": {"pods": 110}}},
		},
		"GPUs": {
			load: plan.Load{Pods: pods(2, asking("nvidia.com/gpu", 1))},
			want: []string{"2 pods ask for 2 nvidia.com/gpu, and a new node of m6i.large has none for them"},
		},
		"enough GPUs":                      {group: "instanceType: g4dn.xlarge", load: plan.Load{Pods: pods(2, asking("nvidia.com/gpu", 1))}},
		"a device that EC2 does not count": {load: plan.Load{Pods: pods(2, asking("example.com/dongle", 1))}},
		"a device that such nodes turned out without": {
			load: plan.Load{Pods: pods(1, asking("example.com/dongle", 1)), Nodes: map[string]plan.Amounts{"m6i.large": {"cpu": 1900}}},
			want: []string{"1 pod asks for 1 example.com/dongle, and a new node of m6i.large has none for it"},
		},
		"nodes of the type that are there": {
			load: plan.Load{Pods: pods(5, asking("cpu", 1000)), Nodes: map[string]plan.Amounts{"m6i.large": {"cpu": 1900}}},
			want: []string{"5 pods ask for 5 cpu, and 2 new nodes of m6i.large have 3.8 for them: 3 would do, and maxSize is 4"},
		},
		"what runs on every node": {
			load: plan.Load{Pods: pods(3, asking("cpu", 1000)), Daemons: plan.Amounts{"cpu": 500}, Nodes: map[string]plan.Amounts{"m6i.large": {"cpu": 1900}}},
			want: []string{"3 pods ask for 3 cpu, and 2 new nodes of m6i.large have 2.8 for them: 3 would do, and maxSize is 4"},
		},
		"the smallest of several types": {
			group: "instanceTypes: [m6i.2xlarge, m6i.large]", load: plan.Load{Pods: []plan.Pod{asking("cpu", 4000)}},
			want: []string{"1 pod asks for 4 cpu, and a new node of the smallest of its instance types has about 1.9 for it"},
		},
		"a type that EC2 does not know": {
			group: "instanceType: x99.large", load: plan.Load{Pods: pods(1, asking("cpu", 1))},
			want: []string{"whether the new nodes have room is not known: EC2 does not tell what x99.large has"},
		},
		"a selector": {
			load: plan.Load{Pods: append(pods(2, needing([]plan.Requirement{in("disk", "ssd")})), needing([]plan.Requirement{in("disk", "ssd")}, []plan.Requirement{in("disk", "nvme", "ram")}))},
			want: []string{"1 pod needs a node that matches disk=ssd or disk in (nvme,ram), and the new nodes do not", "2 pods need a node that matches disk=ssd, and the new nodes do not"},
		},
		"a selector that matches": {
			group: "instanceType: m6i.large; labels: {disk: ssd, size: '5'}",
			load: plan.Load{Pods: pods(2, needing([]plan.Requirement{
				in("disk", "ssd"), in("alpha.eksctl.io/cluster-name", "dev"), in("node.kubernetes.io/instance-type", "m6i.large"), in("topology.kubernetes.io/region", "eu-west-1"),
				{Key: "size", Operator: "Gt", Values: []string{"4"}}, {Key: "size", Operator: "Lt", Values: []string{"6"}},
				{Key: "disk", Operator: "Exists"}, {Key: "gpu", Operator: "DoesNotExist"}, {Key: "disk", Operator: "NotIn", Values: []string{"hdd"}}, {Key: "disk", Operator: "Almost"},
			}))},
		},
		"requirements that are not met": {
			group: "instanceType: m6i.large; labels: {disk: ssd, size: '5'}",
			load: plan.Load{Pods: []plan.Pod{
				needing([]plan.Requirement{{Key: "disk", Operator: "DoesNotExist"}}), needing([]plan.Requirement{{Key: "disk", Operator: "NotIn", Values: []string{"ssd"}}}),
				needing([]plan.Requirement{{Key: "gpu", Operator: "Exists"}}), needing([]plan.Requirement{{Key: "size", Operator: "Gt", Values: []string{"5"}}}),
				needing([]plan.Requirement{{Key: "size", Operator: "Lt", Values: []string{"5"}}}), needing([]plan.Requirement{in("kubernetes.io/arch", "arm64")}),
			}},
			want: []string{
				"1 pod needs a node that matches !disk, and the new nodes do not", "1 pod needs a node that matches disk!=ssd, and the new nodes do not",
				"1 pod needs a node that matches gpu, and the new nodes do not", "1 pod needs a node that matches kubernetes.io/arch=arm64, and the new nodes do not",
				"1 pod needs a node that matches size<5, and the new nodes do not", "1 pod needs a node that matches size>5, and the new nodes do not",
			},
		},
		"labels that something else sets": {load: plan.Load{Pods: []plan.Pod{
			needing([]plan.Requirement{in("nvidia.com/gpu.product", "T4")}), needing([]plan.Requirement{in("feature.node.kubernetes.io/cpu", "x")}), needing([]plan.Requirement{in("topology.k8s.aws/zone-id", "x")}),
		}}},
		"a zone that the nodes are to be in": {
			load: plan.Load{Pods: []plan.Pod{needing([]plan.Requirement{in("topology.kubernetes.io/zone", "eu-west-1z")}), needing([]plan.Requirement{in("topology.kubernetes.io/zone", "eu-west-1a")})}},
			want: []string{"1 pod needs a node that matches topology.kubernetes.io/zone=eu-west-1z, and the new nodes do not"},
		},
		"a taint": {
			group: "instanceType: m6i.large; taints: [{key: for, value: db, effect: NoSchedule}]",
			load: plan.Load{Pods: []plan.Pod{
				{}, {Tolerates: []plan.Toleration{{Key: "for", Operator: "Equal", Value: "web"}}}, {Tolerates: []plan.Toleration{{Key: "for", Operator: "Equal", Value: "db", Effect: "NoExecute"}}},
				{Tolerates: []plan.Toleration{{Key: "for", Value: "db"}}}, {Tolerates: []plan.Toleration{{Operator: "Exists"}}},
				{Tolerates: []plan.Toleration{{Key: "for", Operator: "Exists", Effect: "NoSchedule"}}}, {Tolerates: []plan.Toleration{{Key: "for", Operator: "Lt", Value: "5"}}},
			}},
			want: []string{"3 pods do not tolerate the taint for=db:NoSchedule of the new nodes"},
		},
		"a taint that only asks": {group: "instanceType: m6i.large; taints: [{key: for, value: db, effect: PreferNoSchedule}]", load: plan.Load{Pods: pods(1, plan.Pod{})}},
		"a volume": {
			load: plan.Load{Pods: append(pods(1, plan.Pod{Zones: []string{"eu-west-1z"}}), pods(2, plan.Pod{Zones: []string{"eu-west-1x", "eu-west-1y"}})...)},
			want: []string{"1 pod has a volume in eu-west-1z, and the new nodes are in eu-west-1a, eu-west-1b and eu-west-1c", "2 pods have a volume in eu-west-1x or eu-west-1y, and the new nodes are in eu-west-1a, eu-west-1b and eu-west-1c"},
		},
		"a volume, where the file names zones": {
			group: "instanceType: m6i.large; availabilityZones: [eu-west-1b]", load: plan.Load{Pods: pods(1, plan.Pod{Zones: []string{"eu-west-1a"}})},
			want: []string{"1 pod has a volume in eu-west-1a, and the new nodes are in eu-west-1b"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			r.kube.load = &tt.load
			r.git(strings.Replace(small, "instanceType: m5.large", strings.ReplaceAll(cmp.Or(tt.group, "instanceType: m6i.large"), "; ", "\n  "), 1))
			why := find(t, r.plan(), KindNodegroup, "system").Why
			_, said, told := strings.Cut(why, " move")
			if !told {
				t.Fatalf("nobody says what moves: %s", why)
			}
			if diff := gocmp.Diff(tt.want, strings.Split(said, "; ")[1:], cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestCapacityAsksLittle: instance types are asked for once, and nothing when nothing moves or when nodes of the type tell.
func TestCapacityAsksLittle(t *testing.T) {
	t.Parallel()
	r := newRig(t, small)
	r.converge()
	asked := func(load plan.Load) []string {
		r.kube.load = &load
		return r.askedTypes(func() { r.plan() })
	}
	some := pods(1, asking("cpu", 100))
	if calls := asked(plan.Load{Pods: some}); len(calls) > 0 {
		t.Errorf("nothing is to be moved, and asked are %v", calls)
	}
	r.git(strings.Replace(small, "m5.large", "m6i.large", 1))
	for _, load := range []plan.Load{{}, {Pods: some, Nodes: map[string]plan.Amounts{"m6i.large": {"cpu": 1900}}}} {
		if calls := asked(load); len(calls) > 0 {
			t.Errorf("of %+v asked are %v", load, calls)
		}
	}
	if first, second := asked(plan.Load{Pods: some}), asked(plan.Load{Pods: some}); len(first) != 1 || len(second) > 0 {
		t.Errorf("asked are %v, and then %v", first, second)
	}
}

// TestCapacityUnknown: what EC2 does not tell is told, and fails nothing.
func TestCapacityUnknown(t *testing.T) {
	t.Parallel()
	r := newRig(t, small)
	r.converge()
	r.kube.load = &plan.Load{Pods: pods(1, asking("cpu", 100))}
	r.git(strings.Replace(small, "m5.large", "m6i.large", 1))
	_, err := r.Faults().Add(simfault.Rule{Service: "ec2", Operation: "DescribeInstanceTypes", Effect: simfault.Fail, Code: "UnauthorizedOperation", Message: "no", Status: 403})
	r.does(err)
	if c := find(t, r.plan(), KindNodegroup, "system"); !strings.Contains(c.Why, "; whether the new nodes have room is not known: EC2:DescribeInstanceTypes: UnauthorizedOperation") {
		t.Error(c.Why)
	}
}

// TestRollKeepsItsNodes: a roll is held against as many nodes of the same type as there are.
func TestRollKeepsItsNodes(t *testing.T) {
	t.Parallel()
	r := newRig(t, small)
	r.converge()
	r.kube.load = &plan.Load{Pods: pods(8, asking("cpu", 500)), Nodes: map[string]plan.Amounts{"m5.large": {"cpu": 1930}}}
	r.git(strings.Replace(small, `"1.34"`, `"1.35"`, 1))
	if c := find(t, r.plan(), KindNodegroup, "system"); !strings.HasSuffix(c.Why, "8 pods move; 8 pods ask for 4 cpu, and 2 new nodes of m5.large have 3.8 for them: 3 would do, and maxSize is 4") {
		t.Error(c.Why)
	}
}

// TestRoom: what replaces a nodegroup is told when it may not become as large, or when its subnets have too few addresses. Sizes that the file
// leaves open are eksctl's.
func TestRoom(t *testing.T) {
	t.Parallel()
	const sizes = "minSize: 1\n  maxSize: 4\n  desiredCapacity: 2"
	for name, tt := range map[string]struct {
		sizes string
		nodes int
		free  map[string]int
		ipv6  bool
		want  string
	}{
		"room for all":                      {sizes, 4, map[string]int{"subnet-a": 14}, false, ""},
		"addresses":                         {sizes, 4, map[string]int{"subnet-a": 13, "subnet-elsewhere": 99}, false, "its subnets have 13 free addresses, and new nodes and pods may need 14"},
		"pods have addresses of IPv6":       {sizes, 4, map[string]int{"subnet-a": 2}, true, ""},
		"nodes need addresses anyway":       {sizes, 4, map[string]int{"subnet-a": 1}, true, "its subnets have 1 free addresses, and new nodes and pods may need 2"},
		"addresses that nobody tells":       {sizes, 4, nil, false, "the free addresses of its subnets are not known"},
		"maxSize":                           {sizes, 5, map[string]int{"subnet-a": 99}, false, "what replaces it may have 4 of these 5 nodes (maxSize)"},
		"a size that the file does not say": {"", 3, map[string]int{"subnet-a": 99}, false, "what replaces it may have 2 of these 3 nodes (maxSize)"},
		"only desiredCapacity":              {"desiredCapacity: 3", 4, map[string]int{"subnet-a": 99}, false, "what replaces it may have 3 of these 4 nodes (maxSize)"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg, problems := load([]byte(strings.Replace(small, sizes, tt.sizes, 1)))
			if len(problems) > 0 {
				t.Fatal(problems)
			}
			g := &group{Name: "system", Nodegroup: &ekstypes.Nodegroup{Subnets: []string{"subnet-a"}}, Scaling: &astypes.AutoScalingGroup{}}
			for i := range tt.nodes {
				g.Scaling.Instances = append(g.Scaling.Instances, astypes.Instance{InstanceId: aws.String(fmt.Sprintf("i-%d", i))})
			}
			w := &world{Cluster: &ekstypes.Cluster{KubernetesNetworkConfig: &ekstypes.KubernetesNetworkConfigResponse{}}, Free: tt.free}
			w.Burdens = map[string]burden{"system": {Counted: true, Load: plan.Load{Pods: pods(12, plan.Pod{})}}}
			if tt.ipv6 {
				w.Cluster.KubernetesNetworkConfig.IpFamily = ekstypes.IpFamilyIpv6
			}
			said, _ := w.whole(cfg.nodegroups()[0], g)
			if got := strings.TrimPrefix(strings.TrimPrefix(said, "12 pods move"), "; "); got != tt.want {
				t.Errorf("%q, want %q", got, tt.want)
			}
		})
	}
}

// TestAllocatable: what is left of an instance for pods, by the rules that EKS's images follow.
func TestAllocatable(t *testing.T) {
	t.Parallel()
	large := machine{VCPUs: 2, MemoryMiB: 8192, Interfaces: 3, Addresses: 10}
	for name, tt := range map[string]struct {
		machine  machine
		prefixes bool
		want     plan.Amounts
	}{
		"m5.large":      {large, false, plan.Amounts{"cpu": 1930, "memory": (8192 - 614 - 255 - 29*11 - 100) << 20, "pods": 29, gpuResource: 0, neuronResource: 0}},
		"with prefixes": {large, true, plan.Amounts{"cpu": 1930, "memory": (8192 - 614 - 255 - 29*11 - 100) << 20, "pods": 110, gpuResource: 0, neuronResource: 0}},
		"many cores": {
			machine{VCPUs: 96, MemoryMiB: 4000, Interfaces: 15, Addresses: 50, GPUs: 8, Neurons: 1}, true,
			plan.Amounts{"cpu": 96000 - 310, "memory": 0, "pods": 250, gpuResource: 8, neuronResource: 1},
		},
	} {
		if diff := gocmp.Diff(tt.want, tt.machine.allocatable(tt.prefixes)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}
