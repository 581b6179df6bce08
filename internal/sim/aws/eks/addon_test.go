package eks_test

import (
	"encoding/json"
	"slices"
	"testing"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	awseks "github.com/aws/aws-sdk-go-v2/service/eks"
	"github.com/aws/aws-sdk-go-v2/service/eks/types"
)

// addon makes an add-on of c1 and waits.
func (a *account) addon(name string, change ...func(*awseks.CreateAddonInput)) *types.Addon {
	a.t.Helper()
	in := &awseks.CreateAddonInput{ClusterName: sdk.String("c1"), AddonName: &name, ResolveConflicts: types.ResolveConflictsOverwrite}
	for _, c := range change {
		c(in)
	}
	_, err := a.api.CreateAddon(a.t.Context(), in)
	must(a.t, err)
	a.pass(time.Minute)
	return a.describeAddon(name)
}

func (a *account) describeAddon(name string) *types.Addon {
	a.t.Helper()
	out, err := a.api.DescribeAddon(a.t.Context(), &awseks.DescribeAddonInput{ClusterName: sdk.String("c1"), AddonName: &name})
	must(a.t, err)
	return out.Addon
}

func TestCreateAddonTakesTheDefaultVersion(t *testing.T) {
	t.Parallel()
	a := newAccount(t)
	a.cluster("c1")
	got := a.addon("vpc-cni")
	if got.Status != types.AddonStatusActive || *got.AddonVersion != "v1.20.4-eksbuild.1" || *got.NamespaceConfig.Namespace != "kube-system" {
		t.Errorf("add-on is %s, %s in %s", got.Status, *got.AddonVersion, *got.NamespaceConfig.Namespace)
	}
	_, err := a.api.CreateAddon(t.Context(), &awseks.CreateAddonInput{ClusterName: sdk.String("c1"), AddonName: sdk.String("vpc-cni")})
	refused(t, err, "ResourceInUseException", "Addon already exists.")
}

func TestCreateAddonRefuses(t *testing.T) {
	t.Parallel()
	a := newAccount(t)
	a.cluster("c1")
	schema := "ConfigurationValue provided in request is not supported: Json schema validation failed with error: "
	for name, c := range map[string]struct {
		in   awseks.CreateAddonInput
		text string
	}{
		"unknown name":       {awseks.CreateAddonInput{AddonName: sdk.String("nothing")}, "Addon specified is not supported"},
		"unknown version":    {awseks.CreateAddonInput{AddonName: sdk.String("coredns"), AddonVersion: sdk.String("v9")}, "Addon version specified is not supported"},
		"version of another": {awseks.CreateAddonInput{AddonName: sdk.String("kube-proxy"), AddonVersion: sdk.String("v1.36.0-eksbuild.14")}, "Addon version specified is not supported"},
		"unknown value": {awseks.CreateAddonInput{AddonName: sdk.String("vpc-cni"), ConfigurationValues: sdk.String(`{"nodeSelector":{}}`)},
			schema + "[$.nodeSelector: is not defined in the schema and the schema does not allow additional properties]"},
		"wrong type": {awseks.CreateAddonInput{AddonName: sdk.String("vpc-cni"), ConfigurationValues: sdk.String("enableNetworkPolicy: true")},
			schema + "[$.enableNetworkPolicy: boolean found, string expected]"},
		"neither JSON nor YAML":  {awseks.CreateAddonInput{AddonName: sdk.String("vpc-cni"), ConfigurationValues: sdk.String("{")}, ""},
		"role that is not there": {awseks.CreateAddonInput{AddonName: sdk.String("vpc-cni"), ServiceAccountRoleArn: sdk.String("arn:aws:iam::111122223333:role/none")}, ""},
	} {
		c.in.ClusterName = sdk.String("c1")
		_, err := a.api.CreateAddon(t.Context(), &c.in)
		t.Run(name, func(t *testing.T) { refused(t, err, "InvalidParameterException", c.text) })
	}
	_, err := a.api.DescribeAddon(t.Context(), &awseks.DescribeAddonInput{ClusterName: sdk.String("c1"), AddonName: sdk.String("coredns")})
	refused(t, err, "ResourceNotFoundException", "No addon: coredns found in cluster: c1")
}

func TestCreateAddonWithoutNodesIsDegraded(t *testing.T) {
	t.Parallel()
	a := newAccount(t)
	a.cluster("c1")
	if got := a.addon("coredns"); got.Status != types.AddonStatusCreating {
		t.Errorf("without nodes coredns is %s, want it to wait for some", got.Status)
	}
	a.pass(16 * time.Minute)
	if got := a.describeAddon("coredns"); got.Status != types.AddonStatusDegraded || got.Health.Issues[0].Code != types.AddonIssueCodeInsufficientNumberOfReplicas {
		t.Errorf("without nodes for long coredns is %s: %v", got.Status, got.Health.Issues)
	}
	a.nodegroup("ng", 1)
	if got := a.describeAddon("coredns"); got.Status != types.AddonStatusActive || len(got.Health.Issues) != 0 {
		t.Errorf("with a node coredns is %s: %v", got.Status, got.Health.Issues)
	}
}

func TestCreateAddonResolvesConflicts(t *testing.T) {
	t.Parallel()
	a := newAccount(t)
	a.cluster("c1") // EKS put unmanaged kube-proxy into it
	got := a.addon("kube-proxy", func(in *awseks.CreateAddonInput) {
		in.ResolveConflicts, in.AddonVersion = types.ResolveConflictsNone, sdk.String("v1.33.7-eksbuild.2")
	})
	if got.Status != types.AddonStatusCreateFailed || got.Health.Issues[0].Code != types.AddonIssueCodeConfigurationConflict {
		t.Errorf("add-on over other software is %s: %v", got.Status, got.Health.Issues)
	}
	a.cluster("c2", func(in *awseks.CreateClusterInput) { in.BootstrapSelfManagedAddons = sdk.Bool(false) })
	_, err := a.api.CreateAddon(t.Context(), &awseks.CreateAddonInput{ClusterName: sdk.String("c2"), AddonName: sdk.String("kube-proxy")})
	must(t, err)
	a.pass(time.Minute)
	out, err := a.api.DescribeAddon(t.Context(), &awseks.DescribeAddonInput{ClusterName: sdk.String("c2"), AddonName: sdk.String("kube-proxy")})
	must(t, err)
	if out.Addon.Status != types.AddonStatusActive {
		t.Errorf("add-on of an empty cluster is %s", out.Addon.Status)
	}
}

func TestUpdateAddonKeepsConfigurationAndDropsRole(t *testing.T) {
	t.Parallel()
	a := newAccount(t)
	a.cluster("c1")
	role := a.role("cni", "ec2.amazonaws.com")
	values := `{"env":{"WARM_ENI_TARGET":"1"}}`
	a.addon("vpc-cni", func(in *awseks.CreateAddonInput) { in.ServiceAccountRoleArn, in.ConfigurationValues = &role, &values })
	update := &awseks.UpdateAddonInput{ClusterName: sdk.String("c1"), AddonName: sdk.String("vpc-cni"), AddonVersion: sdk.String("v1.21.1-eksbuild.3")}
	out, err := a.api.UpdateAddon(t.Context(), update)
	must(t, err)
	update.ClientRequestToken = sdk.String("another")
	_, err = a.api.UpdateAddon(t.Context(), update)
	refused(t, err, "ResourceInUseException", "Addon vpc-cni cannot be updated as it is currently in UPDATING state")
	a.pass(time.Minute)
	got := a.describeAddon("vpc-cni")
	if got.Status != types.AddonStatusActive || *got.AddonVersion != "v1.21.1-eksbuild.3" || *got.ConfigurationValues != values || got.ServiceAccountRoleArn != nil {
		t.Errorf("add-on is %s, %s, %s, role %v", got.Status, *got.AddonVersion, *got.ConfigurationValues, got.ServiceAccountRoleArn)
	}
	u, err := a.api.DescribeUpdate(t.Context(), &awseks.DescribeUpdateInput{Name: sdk.String("c1"), AddonName: sdk.String("vpc-cni"), UpdateId: out.Update.Id})
	must(t, err)
	if u.Update.Status != types.UpdateStatusSuccessful {
		t.Errorf("update is %s", u.Update.Status)
	}
}

func TestAddonOwnsItsPodIdentityAssociations(t *testing.T) {
	t.Parallel()
	a := newAccount(t)
	a.cluster("c1")
	role := a.role("ebs", "pods.eks.amazonaws.com")
	identity := []types.AddonPodIdentityAssociations{{ServiceAccount: sdk.String("ebs-csi-controller-sa"), RoleArn: &role}}
	got := a.addon("aws-ebs-csi-driver", func(in *awseks.CreateAddonInput) { in.PodIdentityAssociations = identity })
	a.nodegroup("ng", 1)
	list := func() []types.PodIdentityAssociationSummary {
		out, err := a.api.ListPodIdentityAssociations(t.Context(), &awseks.ListPodIdentityAssociationsInput{ClusterName: sdk.String("c1")})
		must(t, err)
		return out.Associations
	}
	if found := list(); len(found) != 1 || *found[0].OwnerArn != *got.AddonArn || got.PodIdentityAssociations[0] != *found[0].AssociationArn {
		t.Fatalf("associations are %+v, the add-on has %v", found, got.PodIdentityAssociations)
	}
	identity[0].ServiceAccount = sdk.String("somebody-else")
	update := &awseks.UpdateAddonInput{ClusterName: sdk.String("c1"), AddonName: sdk.String("aws-ebs-csi-driver"), PodIdentityAssociations: identity}
	_, err := a.api.UpdateAddon(t.Context(), update)
	refused(t, err, "InvalidParameterException", "")
	update.PodIdentityAssociations = []types.AddonPodIdentityAssociations{}
	_, err = a.api.UpdateAddon(t.Context(), update)
	must(t, err)
	a.pass(time.Minute)
	if found := list(); len(found) != 0 {
		t.Errorf("an update with an empty list leaves %v", found)
	}
}

func TestDeleteAddonCanPreserve(t *testing.T) {
	t.Parallel()
	planes := newPlanes()
	a := newAccount(t, withPlanes(planes))
	a.cluster("c1", func(in *awseks.CreateClusterInput) { in.BootstrapSelfManagedAddons = sdk.Bool(false) })
	for _, name := range []string{"vpc-cni", "kube-proxy"} {
		a.addon(name)
	}
	for name, preserve := range map[string]bool{"vpc-cni": true, "kube-proxy": false} {
		_, err := a.api.DeleteAddon(t.Context(), &awseks.DeleteAddonInput{ClusterName: sdk.String("c1"), AddonName: &name, Preserve: preserve})
		must(t, err)
	}
	a.pass(time.Minute)
	out, err := a.api.ListAddons(t.Context(), &awseks.ListAddonsInput{ClusterName: sdk.String("c1")})
	must(t, err)
	software := planes.wanted("c1").Software
	if len(out.Addons) != 0 || len(software) != 1 || software[0].Name != "vpc-cni" || !software[0].SelfManaged {
		t.Errorf("add-ons left: %v, software in the cluster: %+v", out.Addons, software)
	}
}

func TestDescribeAddonVersionsKnowsCompatibility(t *testing.T) {
	t.Parallel()
	a := newAccount(t)
	out, err := a.api.DescribeAddonVersions(t.Context(), &awseks.DescribeAddonVersionsInput{AddonName: sdk.String("kube-proxy"), KubernetesVersion: sdk.String("1.35")})
	must(t, err)
	defaults := []string{}
	for _, v := range out.Addons[0].AddonVersions {
		for _, c := range v.Compatibilities {
			if *c.ClusterVersion != "1.35" {
				t.Errorf("%s tells of cluster version %s", *v.AddonVersion, *c.ClusterVersion)
			}
			if c.DefaultVersion {
				defaults = append(defaults, *v.AddonVersion)
			}
		}
	}
	if !slices.Equal(defaults, []string{"v1.35.3-eksbuild.5"}) {
		t.Errorf("defaults for 1.35 are %v", defaults)
	}
	out, err = a.api.DescribeAddonVersions(t.Context(), &awseks.DescribeAddonVersionsInput{AddonName: sdk.String("nothing")})
	must(t, err)
	if len(out.Addons) != 0 {
		t.Errorf("an unknown add-on is %v", out.Addons)
	}
	p := awseks.NewDescribeAddonVersionsPaginator(a.api, &awseks.DescribeAddonVersionsInput{MaxResults: sdk.Int32(3)})
	n := 0
	for p.HasMorePages() {
		page, err := p.NextPage(t.Context())
		must(t, err)
		n += len(page.Addons)
	}
	if n != 8 {
		t.Errorf("pages hold %d add-ons, want 8", n)
	}
}

func TestDescribeAddonConfigurationHasASchema(t *testing.T) {
	t.Parallel()
	a := newAccount(t)
	out, err := a.api.DescribeAddonConfiguration(t.Context(), &awseks.DescribeAddonConfigurationInput{AddonName: sdk.String("vpc-cni"), AddonVersion: sdk.String("v1.21.1-eksbuild.3")})
	must(t, err)
	if !json.Valid([]byte(*out.ConfigurationSchema)) || *out.PodIdentityConfiguration[0].ServiceAccount != "aws-node" {
		t.Errorf("schema %q, identities %v", *out.ConfigurationSchema, out.PodIdentityConfiguration)
	}
	_, err = a.api.DescribeAddonConfiguration(t.Context(), &awseks.DescribeAddonConfigurationInput{AddonName: sdk.String("vpc-cni"), AddonVersion: sdk.String("v0")})
	refused(t, err, "ResourceNotFoundException", "")
}
