package eks

import (
	"encoding/json"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/iam"

	"github.com/eks-gitops/reconciler/internal/sim/aws"
)

// abroad is the fleet in another partition, with an access entry, a Fargate profile and recommended pod identities.
func abroad(region, partition string) string {
	file := strings.Replace(fleet, "- name: vpc-cni\n", "- {name: vpc-cni, useDefaultPodIdentityAssociations: true}\n- {name: aws-ebs-csi-driver, wellKnownPolicies: {ebsCSIController: true}}\n", 1) + `accessConfig:
  accessEntries:
  - principalARN: arn:aws:iam::111122223333:role/ops
    accessPolicies: [{policyARN: "arn:aws:eks::aws:cluster-access-policy/AmazonEKSViewPolicy", accessScope: {type: cluster}}]
fargateProfiles: [{name: apps, selectors: [{namespace: apps}]}]
`
	return strings.NewReplacer("eu-west-1", region, "arn:aws:", "arn:"+partition+":").Replace(file)
}

// TestPartitions is a cluster's life in the partitions of China and of the government of the United States: made, with all that gives rights,
// imported, scaled, upgraded, and torn down to nothing. Whatever names a partition names this one; service principals are those that AWS
// documents for it (IAM user guide, "AWS service principals"; docs.amazonaws.cn, EKS user guide, pod-id-role and create-node-role), and
// tokens of pods are for sts.amazonaws.com in China, too (eksctl, pull request 1912).
func TestPartitions(t *testing.T) {
	t.Parallel()
	for partition, tt := range map[string]struct {
		region, suffix string
		services       []string
	}{
		"aws-cn":     {"cn-northwest-1", "amazonaws.com.cn", []string{"ec2.amazonaws.com.cn"}},
		"aws-us-gov": {"us-gov-west-1", "amazonaws.com", []string{"ec2.amazonaws.com"}},
	} {
		t.Run(partition, func(t *testing.T) {
			t.Parallel()
			o := aws.Options{}
			o.World.Region, o.World.Partition = tt.region, partition
			file := abroad(tt.region, partition)
			r := newRigOn(t, file, o)
			r.role("/", "ops", "ec2.amazonaws.com")
			r.explained()
			before := r.holdings()
			r.converge()
			r.settled("creation")
			facts, err := r.cloud.Facts(t.Context())
			r.does(err)
			for fact, want := range map[string]string{
				"partition": partition, "clusterArn": "arn:" + partition + ":eks:" + tt.region + ":",
				"oidcIssuer": "https://oidc.eks." + tt.region + "." + tt.suffix + "/id/", "role.apps.s3": "arn:" + partition + ":iam::",
			} {
				if !strings.HasPrefix(facts[fact], want) {
					t.Errorf("%s is %q, want %s...", fact, facts[fact], want)
				}
			}
			services := append([]string{"eks-fargate-pods.amazonaws.com", "eks.amazonaws.com", "pods.eks.amazonaws.com"}, tt.services...)
			slices.Sort(services)
			if got := r.trusted(partition); !slices.Equal(got, services) {
				t.Errorf("roles trust %v, want %v", got, services)
			}

			got := r.imported()
			if len(got.Left) > 0 || len(got.Problems) > 0 || got.Adopted {
				t.Errorf("importing leaves: %v %v\n%s", got.Left, got.Problems, got.File)
			}
			r.git(string(got.File))
			r.settledOn(got)

			file = strings.NewReplacer("desiredCapacity: 2", "desiredCapacity: 3", "AmazonS3ReadOnlyAccess", "AmazonS3FullAccess", "AmazonEKSViewPolicy", "AmazonEKSEditPolicy").Replace(file)
			r.git(file)
			r.converge()
			r.settled("changes in place")
			r.git(strings.ReplaceAll(file, `"1.34"`, `"1.35"`))
			r.converge()
			r.settled("the upgrade")
			r.ended(before)
		})
	}
}

// TestPrivateInChina: the endpoints of a fully private cluster have the names that services have there.
func TestPrivateInChina(t *testing.T) {
	t.Parallel()
	o := aws.Options{}
	o.World.Region, o.World.Partition = "cn-north-1", "aws-cn"
	file := strings.Replace(bare, "eu-west-1", "cn-north-1", 1) + "privateCluster: {enabled: true, additionalEndpointServices: [autoscaling, cloudformation]}\n"
	r := newRigOn(t, file, o)
	r.explained()
	r.converge()
	r.settled("creation")
	if p := r.plan(); len(p.Problems) > 0 {
		t.Errorf("after creation:\n%s", describe(nil, p))
	}
	got := r.imported()
	r.git(string(got.File))
	r.settledOn(got)
}

// ended tears the cluster down, and asks that AWS has what it had before.
func (r *rig) ended(before map[string][]string) {
	r.t.Helper()
	r.teardown = true
	r.reboot()
	r.converge()
	for range 3 * 60 * 2 { // terminated instances stay visible for an hour
		r.tick()
	}
	for kind, names := range r.holdings() {
		if !slices.Equal(names, before[kind]) {
			r.t.Errorf("%s: %v are left, and there were %v", kind, names, before[kind])
		}
	}
}

// trusted are the services that may assume the roles of the cluster's stacks. Policies and providers that the roles name are of the partition.
func (r *rig) trusted(partition string) []string {
	r.t.Helper()
	client := iam.NewFromConfig(r.config())
	roles, err := client.ListRoles(r.t.Context(), &iam.ListRolesInput{})
	r.does(err)
	var out []string
	for _, role := range roles.Roles {
		if !strings.HasPrefix(*role.RoleName, "eksctl-") {
			continue
		}
		text, err := url.QueryUnescape(*role.AssumeRolePolicyDocument)
		r.does(err)
		var trust struct {
			Statement []struct {
				Principal struct {
					Service, Federated any
				}
			}
		}
		r.does(json.Unmarshal([]byte(text), &trust))
		for _, s := range trust.Statement {
			out = append(out, texts(severalOf(s.Principal.Service))...)
			for _, federated := range texts(severalOf(s.Principal.Federated)) {
				if !strings.HasPrefix(federated, "arn:"+partition+":") {
					r.t.Errorf("%s trusts %s", *role.RoleName, federated)
				}
			}
		}
		attached, err := client.ListAttachedRolePolicies(r.t.Context(), &iam.ListAttachedRolePoliciesInput{RoleName: role.RoleName})
		r.does(err)
		for _, p := range attached.AttachedPolicies {
			if !strings.HasPrefix(*p.PolicyArn, "arn:"+partition+":iam::aws:policy/") {
				r.t.Errorf("%s has %s", *role.RoleName, *p.PolicyArn)
			}
		}
		inline, err := client.ListRolePolicies(r.t.Context(), &iam.ListRolePoliciesInput{RoleName: role.RoleName})
		r.does(err)
		for _, name := range inline.PolicyNames {
			p, err := client.GetRolePolicy(r.t.Context(), &iam.GetRolePolicyInput{RoleName: role.RoleName, PolicyName: &name})
			r.does(err)
			if body, err := url.QueryUnescape(*p.PolicyDocument); err != nil || strings.Contains(body, "arn:aws:") {
				r.t.Errorf("%s of %s names another partition: %s %v", name, *role.RoleName, body, err)
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// severalOf is a value of a policy that may be one or several.
func severalOf(v any) []any {
	switch v := v.(type) {
	case nil:
		return nil
	case []any:
		return v
	}
	return []any{v}
}
