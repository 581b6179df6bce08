package eks

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eks"
	"github.com/aws/aws-sdk-go-v2/service/iam"

	"github.com/eks-gitops/reconciler/pkg/gitops"
)

// TestExtras: what others made beside git is told in one line and is nothing to do. How this very process comes in is no news.
func TestExtras(t *testing.T) {
	t.Parallel()
	r := newRig(t, "apiVersion: eksctl.io/v1alpha5\nkind: ClusterConfig\nmetadata: {name: dev, region: eu-west-1, version: \"1.34\"}\naddonsConfig: {disableDefaultAddons: true}\n")
	r.converge()
	for _, e := range r.plan().Problems {
		if e.Reason == gitops.Extra {
			t.Errorf("a cluster that nobody touched has extras: %v", e)
		}
	}
	client := eks.NewFromConfig(r.config())
	_, err := client.CreateAddon(t.Context(), &eks.CreateAddonInput{ClusterName: aws.String("dev"), AddonName: aws.String("vpc-cni")})
	r.does(err)
	guest, err := iam.NewFromConfig(r.config()).CreateRole(t.Context(), &iam.CreateRoleInput{RoleName: aws.String("guest"), AssumeRolePolicyDocument: aws.String(
		`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"ec2.amazonaws.com"},"Action":"sts:AssumeRole"}]}`)})
	r.does(err)
	for range 10 {
		r.tick() // until IAM's other services know it
	}
	_, err = client.CreateAccessEntry(t.Context(), &eks.CreateAccessEntryInput{ClusterName: aws.String("dev"), PrincipalArn: guest.Role.Arn})
	r.does(err)
	for range 40 {
		r.tick()
	}
	r.cloud.touch()
	p := r.plan()
	want := "live, not in git, and left alone: AccessEntry " + *guest.Role.Arn + ", Addon vpc-cni"
	if got := note(t, p, gitops.Extra).Message(); got != want || !p.Empty() || !p.Complete {
		t.Errorf("%s\n%s", got, describe(nil, p))
	}
}
