package eks

import (
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	api "github.com/weaveworks/eksctl/pkg/apis/eksctl.io/v1alpha5"

	"github.com/eks-gitops/reconciler/internal/sim/aws"
	simfault "github.com/eks-gitops/reconciler/internal/sim/aws/fault"
	"github.com/eks-gitops/reconciler/pkg/gitops"
)

const fleet = `apiVersion: eksctl.io/v1alpha5
kind: ClusterConfig
metadata:
  name: dev
  region: eu-west-1
  version: "1.34"
  tags: {team: platform}
vpc:
  clusterEndpoints: {publicAccess: true, privateAccess: true}
  publicAccessCIDRs: [203.0.113.0/24]
iam:
  withOIDC: true
  serviceAccounts:
  - metadata: {name: s3, namespace: apps}
    attachPolicyARNs: ["arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess"]
  podIdentityAssociations:
  - namespace: external-dns
    serviceAccountName: external-dns
    wellKnownPolicies: {externalDNS: true}
addons:
- name: vpc-cni
- name: coredns
  configurationValues: '{"replicaCount": 3}'
- name: kube-proxy
- name: eks-pod-identity-agent
managedNodeGroups:
- name: system
  instanceType: m5.large
  minSize: 2
  maxSize: 4
  desiredCapacity: 2
  labels: {role: system}
nodeGroups:
- name: batch
  instanceType: m5.large
  minSize: 1
  maxSize: 3
  desiredCapacity: 1
cloudWatch:
  clusterLogging: {enableTypes: [audit], logRetentionInDays: 7}
`

// edited is the fleet with some text replaced.
func edited(t testing.TB, pairs ...string) string {
	t.Helper()
	out := fleet
	for i := 0; i+1 < len(pairs); i += 2 {
		if !strings.Contains(out, pairs[i]) {
			t.Fatalf("the fleet has no %q", pairs[i])
		}
		out = strings.ReplaceAll(out, pairs[i], pairs[i+1])
	}
	return out
}

// TestLife is one cluster's life in one process: made, found as wanted, changed, drained and replaced, torn down to
// nothing.
func TestLife(t *testing.T) {
	t.Parallel()
	r := newRig(t, fleet)
	life(t, r)
}

// TestLifeInterrupted is the same life when the process is killed after every single call.
func TestLifeInterrupted(t *testing.T) {
	t.Parallel()
	r := newRig(t, fleet)
	r.restart = true
	life(t, r)
}

func life(t *testing.T, r *rig) {
	r.kube.perNode = 2
	r.converge()
	r.settled("creation")
	if got := r.kube.accounts["apps/s3"][api.AnnotationEKSRoleARN]; !strings.Contains(got, ":role/") {
		t.Errorf("the service account is annotated with %q", got)
	}
	facts, err := r.cloud.Facts(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{
		"region", "account", "partition", "clusterName", "clusterArn", "vpcId", "endpoint", "certificateAuthority", "oidcIssuer", "oidcProvider", "kubernetesVersion",
		"kubernetesMinor", "serviceCIDR", "kubeDNSClusterIP", "securityGroup", "subnetsPrivate", "subnetsPublic", "role.apps.s3", "role.external-dns.external-dns",
	} {
		if facts[key] == "" {
			t.Errorf("the fact %s is not known", key)
		}
	}

	r.git(edited(t, "desiredCapacity: 2", "desiredCapacity: 3", "role: system", "role: core", "replicaCount\": 3", "replicaCount\": 4",
		"team: platform", "team: infra", "203.0.113.0/24", "198.51.100.0/24", "[audit]", "[audit, api]", "AmazonS3ReadOnlyAccess", "AmazonS3FullAccess",
		"desiredCapacity: 1", "desiredCapacity: 2"))
	r.converge()
	r.settled("changes in place")
	w := r.cloud.world
	if n := w.Groups["system"].Nodegroup; *n.ScalingConfig.DesiredSize != 3 || n.Labels["role"] != "core" || n.Tags["team"] != "infra" {
		t.Errorf("system is %+v %v %v", n.ScalingConfig, n.Labels, n.Tags)
	}
	if *w.Groups["batch"].Scaling.DesiredCapacity != 2 {
		t.Errorf("batch has %d nodes", *w.Groups["batch"].Scaling.DesiredCapacity)
	}

	changed := edited(t, "instanceType: m5.large", "instanceType: m6i.large")
	r.git(changed)
	olds := slices.Concat(w.Groups["system"].instances(), w.Groups["batch"].instances())
	r.converge()
	r.settled("replacement")
	slices.Sort(r.kube.drained)
	slices.Sort(olds)
	if !slices.Equal(r.kube.drained, olds) {
		t.Errorf("drained %v, want %v", r.kube.drained, olds)
	}
	for _, user := range []string{"system", "batch"} {
		line := r.cloud.world.generations(user)
		if len(line) != 1 || line[0].Name == user || !strings.HasPrefix(line[0].Name, user+"-") {
			t.Errorf("%s is live as %v", user, line)
		}
	}

	r.git(strings.ReplaceAll(changed, `"1.34"`, `"1.36"`))
	r.converge()
	r.settled("upgrade")
	if v := *r.cloud.world.Cluster.Version; v != "1.36" {
		t.Errorf("the cluster is at %s", v)
	}

	r.teardown = true
	r.reboot()
	r.converge()
	left, err := r.cloud.sweep(t.Context(), r.cloud.config, true)
	if err != nil {
		t.Fatal(err)
	}
	if left.Cluster != nil || len(left.Stacks) > 0 || len(left.Groups) > 0 {
		t.Errorf("left: %v %v %v", left.Cluster, slices.Collect(maps.Keys(left.Stacks)), left.Groups)
	}
}

// settled asks that new processes find nothing to do.
func (r *rig) settled(after string) {
	r.t.Helper()
	for range 2 {
		r.reboot()
		if p := r.plan(); !p.Empty() {
			r.t.Fatalf("after %s:\n%s", after, describe(nil, p))
		}
	}
}

// TestLifeFaulty is a cluster's life while AWS throttles, fails, and does things without the answer arriving.
func TestLifeFaulty(t *testing.T) {
	t.Parallel()
	r := newRig(t, fleet)
	r.tolerant = true
	for _, rule := range []simfault.Rule{
		{Operation: "Create*", Effect: simfault.Drop, Probability: 0.3},
		{Operation: "Update*", Effect: simfault.Drop, Probability: 0.3},
		{Operation: "Delete*", Effect: simfault.Drop, Probability: 0.3},
		{Operation: "Describe*", Effect: simfault.Throttle, Probability: 0.1},
		{Operation: "*", Effect: simfault.Fail, Code: "InternalFailure", Message: "try later", Status: 500, Probability: 0.1},
	} {
		if _, err := r.Faults().Add(rule); err != nil {
			t.Fatal(err)
		}
	}
	r.converge()
	r.git(edited(t, "instanceType: m5.large", "instanceType: m6i.large", "desiredCapacity: 2", "desiredCapacity: 3"))
	r.converge()
	r.Faults().Clear("")
	r.settled("faults")
	for _, user := range []string{"system", "batch"} {
		if live := r.cloud.world.generations(user); len(live) != 1 {
			t.Errorf("%s is live %d times", user, len(live))
		}
	}
}

// TestLostAnswers: a call that AWS carried out without its answer arriving is made again by the SDK, and is no error.
func TestLostAnswers(t *testing.T) {
	t.Parallel()
	r := newRig(t, fleet)
	for _, operation := range []string{"Create*", "Update*", "Delete*", "TagResource"} {
		if _, err := r.Faults().Add(simfault.Rule{Operation: operation, Effect: simfault.Drop, Probability: 0.5}); err != nil {
			t.Fatal(err)
		}
	}
	r.converge()
	r.git(edited(t, "desiredCapacity: 2", "desiredCapacity: 3", "role: system", "role: core", "team: platform", "team: infra", "AmazonS3ReadOnlyAccess", "AmazonS3FullAccess"))
	r.converge()
	r.teardown = true
	r.reboot()
	r.converge()
}

// TestLifeLagging is a cluster's life while AWS goes on answering as it did before for a while: eventual consistency.
func TestLifeLagging(t *testing.T) {
	t.Parallel()
	r := newRigOn(t, fleet, aws.Options{Lag: map[string]time.Duration{"*": 45 * time.Second}})
	r.converge()
	r.git(edited(t, "instanceType: m5.large", "instanceType: m6i.large", "role: system", "role: core", "[audit]", "[audit, api]"))
	r.converge()
	r.Clock.Move(time.Minute)
	r.settled("lag")
	for _, user := range []string{"system", "batch"} {
		if live := r.cloud.world.generations(user); len(live) != 1 {
			t.Errorf("%s is live %d times", user, len(live))
		}
	}
}

// TestParallel carries a plan out as the engine does, with every change in its own goroutine.
func TestParallel(t *testing.T) {
	t.Parallel()
	r := newRig(t, fleet)
	p := r.plan()
	done := map[gitops.Ref]chan struct{}{}
	for _, c := range p.Changes {
		done[c.Ref] = make(chan struct{})
	}
	var all sync.WaitGroup
	for _, c := range p.Changes {
		all.Go(func() {
			defer close(done[c.Ref])
			for _, need := range c.Needs {
				if other, ok := done[need]; ok {
					<-other
				}
			}
			for started := false; ; {
				if !started {
					if err := r.cloud.Apply(t.Context(), c); err != nil {
						t.Errorf("%s: %v", c.Ref, err)
						return
					}
				}
				h, err := r.cloud.Ready(t.Context(), c.Ref)
				if err != nil || h.Status == gitops.Failed {
					t.Errorf("%s: %v %v", c.Ref, h, err)
					return
				}
				started = !h.Step
				if h.Status == gitops.Ready {
					return
				}
				r.Clock.Move(5 * time.Second)
			}
		})
	}
	all.Wait()
	r.settled("parallel work")
}
