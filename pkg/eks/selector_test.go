package eks

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/google/go-cmp/cmp"
	api "github.com/weaveworks/eksctl/pkg/apis/eksctl.io/v1alpha5"

	simaws "github.com/eks-gitops/reconciler/internal/sim/aws"
	simfault "github.com/eks-gitops/reconciler/internal/sim/aws/fault"
	simworld "github.com/eks-gitops/reconciler/internal/sim/aws/world"
	"github.com/eks-gitops/reconciler/pkg/gitops"
	"github.com/eks-gitops/reconciler/pkg/plan"
)

// TestSelectorFits: the rules of eksctl and of the library that it asks.
func TestSelectorFits(t *testing.T) {
	t.Parallel()
	zero, one := 0, 1
	burst, five := `^t\d`, `5\.`
	machines := map[string]machine{
		"t3.medium":   {VCPUs: 2, MemoryMiB: 4096, Architectures: []string{"x86_64"}},
		"t4g.medium":  {VCPUs: 2, MemoryMiB: 4096, Architectures: []string{"arm64"}},
		"c5.large":    {VCPUs: 2, MemoryMiB: 4096, Architectures: []string{"x86_64"}},
		"m5.large":    {VCPUs: 2, MemoryMiB: 8192, Architectures: []string{"x86_64"}},
		"g4dn.xlarge": {VCPUs: 4, MemoryMiB: 16384, GPUs: 1, Architectures: []string{"x86_64"}},
		"m5.xlarge":   {VCPUs: 4, MemoryMiB: 16384, Architectures: []string{"x86_64"}},
		"g6f.xlarge":  {VCPUs: 4, MemoryMiB: 16384, Architectures: []string{"x86_64"}}, // EC2 counts no GPU in it
		"inf1.xlarge": {VCPUs: 4, MemoryMiB: 8192, Neurons: 1, Architectures: []string{"x86_64"}},
		"old.large":   {VCPUs: 2, MemoryMiB: 512, Architectures: []string{"i386", "x86_64"}},
	}
	for name, c := range map[string]struct {
		is   api.InstanceSelector
		want string
	}{
		"GiB by default":             {api.InstanceSelector{VCPUs: 2, Memory: "4"}, "c5.large t3.medium"},
		"the unit that it says":      {api.InstanceSelector{Memory: "512 MiB"}, "old.large"},
		"parts of a unit":            {api.InstanceSelector{Memory: "0.5g"}, "old.large"},
		"x86_64 by default":          {api.InstanceSelector{VCPUs: 2}, "c5.large m5.large old.large t3.medium"},
		"amd64 is x86_64":            {api.InstanceSelector{VCPUs: 2, Memory: "8", CPUArchitecture: "amd64"}, "m5.large"},
		"arm64":                      {api.InstanceSelector{CPUArchitecture: "arm64"}, "t4g.medium"},
		"GPUs are let in":            {api.InstanceSelector{VCPUs: 4, Memory: "16"}, "g4dn.xlarge g6f.xlarge m5.xlarge"},
		"no GPUs":                    {api.InstanceSelector{VCPUs: 4, GPUs: &zero}, "m5.xlarge"},
		"one GPU":                    {api.InstanceSelector{GPUs: &one}, "g4dn.xlarge"},
		"a Neuron device":            {api.InstanceSelector{NeuronDevices: &one}, "inf1.xlarge"},
		"no Neuron devices":          {api.InstanceSelector{VCPUs: 4, NeuronDevices: &zero, Memory: "8"}, ""},
		"allowed anywhere in a name": {api.InstanceSelector{Allow: &five}, "c5.large m5.large m5.xlarge"},
		"denied":                     {api.InstanceSelector{VCPUs: 2, Memory: "4", Deny: &burst}, "c5.large"},
		"denied though allowed":      {api.InstanceSelector{Allow: &burst, Deny: &burst}, ""},
	} {
		ng := api.NewManagedNodeGroup()
		ng.InstanceSelector = &c.is
		s, err := nodegroup{managed: ng}.selector()
		if err != nil {
			t.Fatal(err)
		}
		var fits []string
		for name, m := range machines {
			if s.fits(name, m) {
				fits = append(fits, name)
			}
		}
		slices.Sort(fits)
		if got := strings.Join(fits, " "); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

// chosen is a cluster whose nodegroups say what their instance types have.
const chosen = `apiVersion: eksctl.io/v1alpha5
kind: ClusterConfig
metadata: {name: dev, region: eu-west-1, version: "1.34"}
managedNodeGroups:
- name: system
  desiredCapacity: 1
  instanceSelector: {vCPUs: 2, memory: "4", deny: "^t"}
nodeGroups:
- name: batch
  desiredCapacity: 1
  instancesDistribution: {onDemandBaseCapacity: 1}
  instanceSelector: {vCPUs: 2, memory: 8GiB, cpuArchitecture: arm64}
`

// typesIn is what a change shows of a nodegroup's instance types.
func typesIn(c plan.Change) string {
	var out []string
	for _, e := range c.Edits {
		if strings.HasPrefix(e.Path, "instanceTypes") || strings.HasPrefix(e.Path, "instancesDistribution") {
			out = append(out, e.Path+" "+compact(e.Before)+" -> "+compact(e.After))
		}
	}
	return strings.Join(out, "; ")
}

// askedTypes are the calls about instance types while something was done.
func (r *rig) askedTypes(do func()) []string {
	r.t.Helper()
	before := 0
	if all := r.Requests(0); len(all) > 0 {
		before = all[len(all)-1].Seq
	}
	do()
	var out []string
	for _, q := range r.Requests(0) {
		if q.Seq > before && strings.HasPrefix(q.Operation, "DescribeInstanceType") {
			out = append(out, q.Operation)
		}
	}
	return out
}

// liveTypes are the instance types of the last generation of a nodegroup.
func (r *rig) liveTypes(name string) string {
	r.t.Helper()
	live := r.cloud.world.generations(name)
	if len(live) == 0 {
		r.t.Fatalf("there is no nodegroup %s", name)
	}
	return strings.Join(live[len(live)-1].types(), " ")
}

// TestInstanceSelector: the plan says which instance types a nodegroup would have, it gets those, and nobody asks for them again. Another
// selector that they fit, too, changes nothing; one that they do not fit replaces the nodegroup.
func TestInstanceSelector(t *testing.T) {
	t.Parallel()
	r := newRig(t, chosen)
	p := r.plan()
	for name, want := range map[string]string{
		"system": `instanceTypes null -> ["c5.large","c6a.large","c6i.large","c7i.large"]`,
		"batch":  `instancesDistribution null -> {"instanceTypes":["m6g.large","m7g.large","t4g.large"],"onDemandBaseCapacity":1}`,
	} {
		c := find(t, p, KindNodegroup, name)
		if got := typesIn(c); got != want || c.Action != plan.Create {
			t.Errorf("%s is to have %s, want %s\n%s", name, got, want, describe(nil, p))
		}
	}
	if again := r.plan(); again.ID != p.ID {
		t.Error("the same answers give another plan")
	}
	r.converge()
	if calls := r.askedTypes(func() { r.settled("creation") }); len(calls) > 0 {
		t.Errorf("what was chosen is asked for again: %v", calls)
	}
	if system, batch := r.liveTypes("system"), r.liveTypes("batch"); system != "c5.large c6a.large c6i.large c7i.large" || batch != "m6g.large m7g.large t4g.large" {
		t.Errorf("there are %s and %s", system, batch)
	}

	r.git(strings.Replace(chosen, `vCPUs: 2, memory: "4", deny: "^t"`, "vCPUs: 2, memory: 4GiB, gpus: 0", 1))
	r.settled("a selector that the types fit, too")
	r.git(strings.Replace(chosen, `instanceSelector: {vCPUs: 2, memory: "4", deny: "^t"}`, "instanceTypes: [c5.large, c6a.large, c6i.large, c7i.large]", 1))
	r.settled("naming the types that were chosen")
	r.git(strings.Replace(chosen, `memory: "4", deny: "^t"`, `memory: "4", deny: "^(t|c6)"`, 1))
	const why = "instanceSelector is immutable on a managed nodegroup, and c6a.large and c6i.large do not fit it"
	c := find(t, r.plan(), KindNodegroup, "system")
	const shown = `instanceTypes[1] "c6a.large" -> "c7i.large"; instanceTypes[2] "c6i.large" -> null; instanceTypes[3] "c7i.large" -> null`
	if c.Action != plan.Replace || !strings.HasPrefix(c.Why, why) || typesIn(c) != shown {
		t.Errorf("%s, %s: %s", c.Action, c.Why, typesIn(c))
	}
	// Nothing of it changes while its successor comes: the approval stays good, whichever process looks.
	for range 20 {
		r.does(r.cloud.Apply(t.Context(), c))
		r.tick()
		r.reboot()
		p := r.plan()
		if i := slices.IndexFunc(p.Changes, func(other plan.Change) bool { return other.Ref == c.Ref }); i >= 0 && p.Changes[i].Action == plan.Replace && p.Changes[i].ID != c.ID {
			t.Fatalf("on the way it is another change:\n%s", describe(nil, p))
		}
	}
	r.converge()
	r.settled("replacement")
	if got := r.liveTypes("system"); got != "c5.large c7i.large" {
		t.Errorf("there are %s", got)
	}

	r.git(strings.Replace(strings.Replace(chosen, `memory: "4", deny: "^t"`, `memory: "4", deny: "^(t|c6)"`, 1), "memory: 8GiB, cpuArchitecture: arm64", "memory: 8GiB", 1))
	c = find(t, r.plan(), KindNodegroup, "batch")
	if c.Action != plan.Replace || !strings.Contains(c.Why, "m6g.large, m7g.large and t4g.large do not fit it") ||
		!strings.HasPrefix(typesIn(c), `instancesDistribution.instanceTypes[0] "m6g.large" -> "m5.large"; `) {
		t.Errorf("%s, %s: %s", c.Action, c.Why, typesIn(c))
	}
	r.converge()
	r.settled("replacement of a self-managed nodegroup")
}

// TestInstanceSelectorAfterNames: a nodegroup whose types were named, be it by eksctl or by git, stays when git says the same by a
// selector, even though more types would fit.
func TestInstanceSelectorAfterNames(t *testing.T) {
	t.Parallel()
	named := strings.Replace(chosen, `instanceSelector: {vCPUs: 2, memory: "4", deny: "^t"}`, "instanceType: c5.large", 1)
	named = strings.Replace(named, "instancesDistribution: {onDemandBaseCapacity: 1}\n  instanceSelector: {vCPUs: 2, memory: 8GiB, cpuArchitecture: arm64}", "instanceType: m5.large", 1)
	selected := strings.Replace(named, "instanceType: c5.large", `instanceSelector: {vCPUs: 2, memory: "4"}`, 1)
	selected = strings.Replace(selected, "instanceType: m5.large", "instanceSelector: {vCPUs: 2, memory: 8GiB}", 1)
	r := newRig(t, named)
	r.converge()
	r.settled("creation")
	r.git(selected)
	r.settled("a selector in place of a name")
	r.git(strings.Replace(selected, `memory: "4"`, `memory: "8"`, 1))
	if c := find(t, r.plan(), KindNodegroup, "system"); c.Action != plan.Replace || !strings.Contains(c.Why, "c5.large does not fit it") {
		t.Errorf("%s: %s", c.Action, c.Why)
	}
}

// TestInstanceSelectorKilled: wherever a process is killed, the next one goes on with the types that were chosen.
func TestInstanceSelectorKilled(t *testing.T) {
	t.Parallel()
	r := newRig(t, chosen)
	r.restart = true
	r.converge()
	r.git(strings.Replace(chosen, `memory: "4"`, `memory: "8"`, 1))
	r.converge()
	r.settled("replacement")
	if got := r.liveTypes("system"); !strings.HasPrefix(got, "m5.large m5a.large") {
		t.Errorf("there are %s", got)
	}
}

// TestInstanceSelectorProblems: what cannot be chosen is told where the file says it, and keeps nothing else from being made.
func TestInstanceSelectorProblems(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ selector, says, try string }{
		"none":  {"instanceSelector: {vCPUs: 3}", "instanceSelector: no instance type that it asks for is offered in eu-west-1a, eu-west-1b and eu-west-1c", "ask for less, or name zones that offer more"},
		"many":  {"instanceSelector: {deny: nothing}", "instance types, and a nodegroup can have 40", "ask for more: memory, gpus, allow, deny"},
		"named": {"instanceTypes: [c5.large, m5.large]\n  instanceSelector: {vCPUs: 2, memory: 4, allow: '^c5'}", "instanceSelector: it leaves c5.large, and the nodegroup names c5.large and m5.large", "remove one of the two"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, strings.Replace(chosen, `instanceSelector: {vCPUs: 2, memory: "4", deny: "^t"}`, strings.Replace(c.selector, "memory: 4", `memory: "4"`, 1), 1))
			p := r.plan()
			e := note(t, p, gitops.ConfigInvalid)
			if !strings.Contains(e.Message(), c.says) || e.Try != c.try || e.From.Line < 7 {
				t.Errorf("%v (try %s) at %d", e, e.Try, e.From.Line)
			}
			find(t, p, KindCluster, "dev")
			find(t, p, KindNodegroup, "batch")
		})
	}
}

// TestInstanceSelectorNamed: names beside a selector are good when they are what it leaves, in any order.
func TestInstanceSelectorNamed(t *testing.T) {
	t.Parallel()
	r := newRig(t, strings.Replace(chosen, `instanceSelector: {vCPUs: 2, memory: "4", deny: "^t"}`, `instanceTypes: [c6i.large, c5.large]
  instanceSelector: {vCPUs: 2, memory: "4", allow: "^c(5|6i)"}`, 1))
	r.converge()
	r.settled("creation")
	if got := r.liveTypes("system"); got != "c6i.large c5.large" {
		t.Errorf("there are %s", got)
	}
}

// TestInstanceSelectorZones: the zones that must offer a type are those that the nodes are in.
func TestInstanceSelectorZones(t *testing.T) {
	t.Parallel()
	const local = "us-west-2-lax-1"
	r := newRigOn(t, bare, simaws.Options{World: simworld.Options{Region: "us-west-2"}})
	group := local
	_, err := ec2.NewFromConfig(r.config()).ModifyAvailabilityZoneGroup(t.Context(), &ec2.ModifyAvailabilityZoneGroupInput{
		GroupName: &group, OptInStatus: ec2types.ModifyAvailabilityZoneOptInStatusOptedIn,
	})
	r.does(err)
	const selects = `instanceSelector: {vCPUs: 2, memory: "8"}`
	r.git(`apiVersion: eksctl.io/v1alpha5
kind: ClusterConfig
metadata: {name: dev, region: us-west-2, version: "1.34"}
localZones: [us-west-2-lax-1a]
nodeGroups:
- {name: local, localZones: [us-west-2-lax-1a], ` + selects + `}
- {name: near, availabilityZones: [us-west-2a], ` + selects + `}
- {name: all, ` + selects + `}
`)
	r.plan()
	got := map[string]int{}
	for name, s := range r.cloud.world.Selected {
		got[name] = len(s.Types)
		if name == "local" && strings.Join(s.Types, " ") != "m5.large t3.large" {
			t.Errorf("in the local zone there are %v", s.Types)
		}
	}
	if diff := cmp.Diff(map[string]int{"local": 2, "near": 8, "all": 8}, got); diff != "" {
		t.Error(diff)
	}
}

// TestInstanceSelectorDenied: what cannot be read about instance types is an error of the look, not a nodegroup without types.
func TestInstanceSelectorDenied(t *testing.T) {
	t.Parallel()
	r := newRig(t, chosen)
	_, err := r.Faults().Add(simfault.Rule{Service: "ec2", Operation: "DescribeInstanceTypes", Effect: simfault.Fail, Code: "UnauthorizedOperation", Message: "no", Status: 403})
	r.does(err)
	_, err = r.cloud.Observe(t.Context(), gitops.Desired{Cluster: "dev", Items: []gitops.Item{r.item}}, r.inv)
	if !errors.Is(err, &gitops.Error{Reason: gitops.AccessDenied}) {
		t.Errorf("it is %v", err)
	}
}
