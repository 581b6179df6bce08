package eks

import (
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eks"
	api "github.com/weaveworks/eksctl/pkg/apis/eksctl.io/v1alpha5"
	"github.com/weaveworks/eksctl/pkg/utils/ipnet"

	"github.com/eks-gitops/reconciler/pkg/gitops"
	"github.com/eks-gitops/reconciler/pkg/plan"
)

// entrusting is a cluster whose pods have roles in every way that there is.
const entrusting = small + `iam:
  withOIDC: true
  serviceAccounts:
  - metadata: {name: s3, namespace: apps, labels: {team: shop}, annotations: {owner: ada}}
    attachPolicyARNs: ["arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess"]
    tags: {cost: low}
  podIdentityAssociations:
  - namespace: shop
    serviceAccountName: web
    permissionPolicyARNs: ["arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess"]
    disableSessionTags: true
    policy: '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}]}'
addons:
- name: eks-pod-identity-agent
- name: vpc-cni
  podIdentityAssociations:
  - serviceAccountName: aws-node
    namespace: kube-system
    permissionPolicyARNs: ["arn:aws:iam::aws:policy/AmazonEKS_CNI_Policy"]
`

// TestRightsOfPods: what gives pods their rights is changed in place, also when the process is killed after every call, and taken back
// when somebody else changes it.
func TestRightsOfPods(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		was, is    string
		kind, what string
		calls      []string
		outside    func(*rig)
		back       []string
	}{
		"the policy of an association": {
			was: "s3:GetObject", is: "s3:ListBucket", kind: KindPodIdentity, what: "shop/web", calls: []string{"UpdatePodIdentityAssociation"}, back: []string{"UpdatePodIdentityAssociation"},
			outside: func(r *rig) {
				_, err := r.cloud.aws.eks.UpdatePodIdentityAssociation(r.t.Context(), &eks.UpdatePodIdentityAssociationInput{
					ClusterName: aws.String("dev"), AssociationId: r.cloud.world.Associations["shop/web"].AssociationId, Policy: aws.String(`{"Version": "2012-10-17", "Statement": []}`),
				})
				r.does(err)
			},
		},
		"the role of an addon's association": {
			was: "AmazonEKS_CNI_Policy\"]", is: "AmazonEKS_CNI_Policy\", \"arn:aws:iam::aws:policy/AmazonEKSNetworkingPolicy\"]", kind: KindAddon, what: "vpc-cni", calls: []string{"UpdateStack"},
		},
		"tags of the role of a service account": {was: "{cost: low}", is: "{cost: high}", kind: KindServiceAccount, what: "apps/s3", calls: []string{"UpdateStack"}},
		"labels of a service account": {
			was: "{team: shop}", is: "{team: web}", kind: KindServiceAccount, what: "apps/s3",
			outside: func(r *rig) { r.kube.labels["apps/s3"]["team"] = "ops" },
		},
		"annotations of a service account": {
			was: "{owner: ada}", is: "{owner: bob}", kind: KindServiceAccount, what: "apps/s3",
			outside: func(r *rig) { delete(r.kube.accounts["apps/s3"], "owner") },
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, entrusting)
			r.converge()
			r.settled("creation")
			r.git(strings.Replace(entrusting, tt.was, tt.is, 1))
			r.restart = true
			if c := find(t, r.plan(), tt.kind, tt.what); c.Action != plan.Update || len(c.Edits) != 1 {
				t.Errorf("it is planned as %s %v", c.Action, c.Edits)
			}
			if calls := r.wrote(r.converge); !slices.Equal(calls, tt.calls) {
				t.Errorf("the change took %v, want %v", calls, tt.calls)
			}
			r.settled("the change")
			if tt.outside == nil {
				return
			}
			tt.outside(r)
			if c := find(t, r.plan(), tt.kind, tt.what); c.Action != plan.Update {
				t.Errorf("somebody else's change is planned as %s", c.Action)
			}
			if calls := r.wrote(r.converge); !slices.Equal(calls, tt.back) {
				t.Errorf("taking it back took %v, want %v", calls, tt.back)
			}
			r.settled("somebody else's change")
		})
	}
}

// TestMadeWithTheCluster: what a cluster is made with and git says in other words, or not at all, is no difference; other subnets are noted.
// What cannot change is in TestFixedClusterFields.
func TestMadeWithTheCluster(t *testing.T) {
	t.Parallel()
	const made = bare + "availabilityZones: [eu-west-1b, eu-west-1a]\nvpc: {cidr: 10.20.0.0/16, nat: {gateway: HighlyAvailable}}\n"
	r := newRig(t, made)
	r.converge()
	r.settled("creation")
	r.git(strings.Replace(made, "[eu-west-1b, eu-west-1a]", "[eu-west-1a, eu-west-1b]", 1))
	if p := r.plan(); !p.Empty() {
		t.Errorf("another order:\n%s", describe(nil, p))
	}
	r.git(bare)
	if p := r.plan(); !p.Empty() {
		t.Errorf("what git does not say:\n%s", describe(nil, p))
	}
	r.git(bare + "vpc: {subnets: {private: {eu-west-1a: {id: subnet-1}, eu-west-1b: {id: subnet-2}}}}\n")
	p := r.plan()
	if !p.Complete || len(p.Changes) > 0 || len(p.Problems) != 1 || p.Problems[0].Reason != gitops.NotManaged || !strings.Contains(p.Problems[0].Message(), "vpc.subnets.private") || p.Problems[0].From.Line == 0 {
		t.Errorf("other subnets:\n%s", describe(nil, p))
	}
}

// TestSameSubnets: subnets are the same when the file names all of those that were made, or ranges that were.
func TestSameSubnets(t *testing.T) {
	t.Parallel()
	ids := func(ids ...string) api.AZSubnetMapping {
		out := api.AZSubnetMapping{}
		for _, id := range ids {
			out[id] = api.AZSubnetSpec{ID: id}
		}
		return out
	}
	ranged := api.AZSubnetMapping{"a": {CIDR: ipnet.MustParseCIDR("10.0.0.0/19")}}
	for name, tt := range map[string]struct {
		subnets api.AZSubnetMapping
		ids     string
		ranges  []string
		want    bool
	}{
		"the same":          {ids("a", "b"), "b,a", nil, true},
		"one more":          {ids("a", "b", "c"), "a,b", nil, false},
		"one less":          {ids("a"), "a,b", nil, false},
		"another":           {ids("a", "c"), "a,b", nil, false},
		"none named":        {nil, "a,b", nil, true},
		"nothing known":     {ids("a"), "", nil, true},
		"a range":           {ranged, "a,b", []string{"10.0.0.0/19"}, true},
		"another range":     {ranged, "a,b", []string{"10.0.32.0/19"}, false},
		"no range is known": {ranged, "a,b", nil, true},
	} {
		if got := sameSubnets(tt.subnets, tt.ids, tt.ranges); got != tt.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
