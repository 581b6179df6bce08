package eks_test

import (
	"testing"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	awseks "github.com/aws/aws-sdk-go-v2/service/eks"
	"github.com/aws/aws-sdk-go-v2/service/eks/types"
)

// profile makes a Fargate profile of c1 and waits.
func (a *account) profile(name, role string, selectors ...types.FargateProfileSelector) {
	a.t.Helper()
	in := &awseks.CreateFargateProfileInput{ClusterName: sdk.String("c1"), FargateProfileName: &name, PodExecutionRoleArn: &role, Selectors: selectors}
	_, err := a.api.CreateFargateProfile(a.t.Context(), in)
	must(a.t, err)
	a.pass(5 * time.Minute)
}

// TestAddonOnFargate: an add-on's Pods run on Fargate if a profile selects them that was there first, and CoreDNS's only if its
// configuration says so.
func TestAddonOnFargate(t *testing.T) {
	t.Parallel()
	all := types.FargateProfileSelector{Namespace: sdk.String("kube-*")}
	dns := types.FargateProfileSelector{Namespace: sdk.String("kube-system"), Labels: map[string]string{"k8s-app": "kube-dns"}}
	other := types.FargateProfileSelector{Namespace: sdk.String("kube-system"), Labels: map[string]string{"k8s-app": "other"}}
	for name, c := range map[string]struct {
		addon, values string
		by            types.FargateProfileSelector
		late          bool
		want          types.AddonStatus
	}{
		"selected":                 {"coredns", `{"computeType":"Fargate"}`, all, false, types.AddonStatusActive},
		"selected by its labels":   {"coredns", "computeType: Fargate", dns, false, types.AddonStatusActive},
		"not selected":             {"coredns", `{"computeType":"Fargate"}`, other, false, types.AddonStatusDegraded},
		"annotated for EC2":        {"coredns", "", all, false, types.AddonStatusDegraded},
		"made before the profile":  {"coredns", `{"computeType":"Fargate"}`, all, true, types.AddonStatusDegraded},
		"another add-on":           {"metrics-server", "", all, false, types.AddonStatusActive},
		"another, of other labels": {"metrics-server", "", dns, false, types.AddonStatusDegraded},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := newAccount(t)
			a.cluster("c1")
			role := a.role("pods", "eks-fargate-pods.amazonaws.com")
			if !c.late {
				a.profile("f", role, c.by)
			}
			a.addon(c.addon, func(in *awseks.CreateAddonInput) {
				if c.values != "" {
					in.ConfigurationValues = &c.values
				}
			})
			if c.late {
				a.profile("f", role, c.by)
			}
			a.pass(20 * time.Minute)
			if got := a.describeAddon(c.addon); got.Status != c.want {
				t.Errorf("%s is %s: %v", c.addon, got.Status, got.Health.Issues)
			}
		})
	}
}

// TestUpdateAddonOntoFargate: an update makes the Pods anew, and what runs on Fargate stops with its profile.
func TestUpdateAddonOntoFargate(t *testing.T) {
	t.Parallel()
	a := newAccount(t)
	a.cluster("c1")
	a.addon("coredns")
	a.pass(20 * time.Minute)
	a.profile("f", a.role("pods", "eks-fargate-pods.amazonaws.com"), types.FargateProfileSelector{Namespace: sdk.String("kube-system")})
	if got := a.describeAddon("coredns"); got.Status != types.AddonStatusDegraded {
		t.Errorf("annotated for EC2 it is %s", got.Status)
	}
	update := &awseks.UpdateAddonInput{ClusterName: sdk.String("c1"), AddonName: sdk.String("coredns"), ConfigurationValues: sdk.String(`{"computeType":"Fargate"}`)}
	_, err := a.api.UpdateAddon(t.Context(), update)
	must(t, err)
	a.pass(2 * time.Minute)
	if got := a.describeAddon("coredns"); got.Status != types.AddonStatusActive {
		t.Errorf("on Fargate it is %s", got.Status)
	}
	_, err = a.api.DeleteFargateProfile(t.Context(), &awseks.DeleteFargateProfileInput{ClusterName: sdk.String("c1"), FargateProfileName: sdk.String("f")})
	must(t, err)
	a.pass(5 * time.Minute)
	if got := a.describeAddon("coredns"); got.Status != types.AddonStatusDegraded {
		t.Errorf("without the profile it is %s", got.Status)
	}
}
