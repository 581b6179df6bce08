package eks_test

import (
	"encoding/base64"
	"slices"
	"strings"
	"testing"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	awseks "github.com/aws/aws-sdk-go-v2/service/eks"
	"github.com/aws/aws-sdk-go-v2/service/eks/types"

	"github.com/eks-gitops/reconciler/internal/sim/aws/ec2"
	"github.com/eks-gitops/reconciler/internal/sim/aws/wire"
)

func TestCreateClusterBecomesActive(t *testing.T) {
	t.Parallel()
	a := newAccount(t)
	in := a.request("c1")
	in.Tags = map[string]string{"team": "a"}
	in.Logging = &types.Logging{ClusterLogging: []types.LogSetup{{Types: []types.LogType{"audit", "api"}, Enabled: sdk.Bool(true)}}}
	made, err := a.api.CreateCluster(t.Context(), in)
	must(t, err)
	if got := made.Cluster.Status; got != types.ClusterStatusCreating {
		t.Errorf("status after CreateCluster is %s, want CREATING", got)
	}
	a.pass(5 * time.Minute)
	if c := a.describe("c1"); c.Status != types.ClusterStatusCreating || c.Endpoint != nil {
		t.Errorf("after half the time the cluster is %s with endpoint %v", c.Status, sdk.ToString(c.Endpoint))
	}
	a.pass(5 * time.Minute)
	c := a.describe("c1")
	if c.Status != types.ClusterStatusActive || sdk.ToString(c.Endpoint) == "" || sdk.ToString(c.Arn) != "arn:aws:eks:us-west-2:111122223333:cluster/c1" {
		t.Errorf("cluster is %s, %s, %s", c.Status, sdk.ToString(c.Endpoint), sdk.ToString(c.Arn))
	}
	if pem, err := base64.StdEncoding.DecodeString(sdk.ToString(c.CertificateAuthority.Data)); err != nil || !strings.Contains(string(pem), "BEGIN CERTIFICATE") {
		t.Errorf("certificate authority is %q, %v", pem, err)
	}
	if !strings.HasPrefix(*c.Identity.Oidc.Issuer, "https://oidc.eks.us-west-2.amazonaws.com/id/") || *c.KubernetesNetworkConfig.ServiceIpv4Cidr != "10.100.0.0/16" || c.Tags["team"] != "a" {
		t.Errorf("issuer %s, service CIDR %s, tags %v", *c.Identity.Oidc.Issuer, *c.KubernetesNetworkConfig.ServiceIpv4Cidr, c.Tags)
	}
	if got := c.Logging.ClusterLogging[0]; !slices.Equal(got.Types, []types.LogType{"api", "audit"}) || !*got.Enabled {
		t.Errorf("enabled logs are %v", got)
	}
	a.within(func() {
		found, err := a.ec2.DescribeNetworkInterfaces(t.Context(), wire.Caller{}, &ec2.DescribeNetworkInterfacesInput{})
		must(t, err)
		if len(found.NetworkInterfaces) != 3 || found.NetworkInterfaces[0].Description != "Amazon EKS c1" {
			t.Errorf("EKS made %d network interfaces in 3 subnets", len(found.NetworkInterfaces))
		}
	})
}

func TestCreateClusterRefuses(t *testing.T) {
	t.Parallel()
	a := newAccount(t)
	a.network()
	other := a.role("not-for-eks", "ec2.amazonaws.com")
	trio := "For EKS Auto Mode, please ensure that all required configs, including computeConfig, kubernetesNetworkConfig, and blockStorage are all either fully enabled or fully disabled."
	good := a.request("bad")
	for name, c := range map[string]struct {
		change     func(*awseks.CreateClusterInput)
		code, text string
	}{
		"unsupported version": {func(in *awseks.CreateClusterInput) { in.Version = sdk.String("1.20") }, "InvalidParameterException", "unsupported Kubernetes version"},
		"name":                {func(in *awseks.CreateClusterInput) { in.Name = sdk.String("-x") }, "InvalidParameterException", ""},
		"role of another service": {func(in *awseks.CreateClusterInput) { in.RoleArn = &other }, "InvalidParameterException",
			"Role with arn: " + other + ", could not be assumed because it does not exist or the trusted entity is not correct"},
		"one zone": {func(in *awseks.CreateClusterInput) {
			in.ResourcesVpcConfig = &types.VpcConfigRequest{SubnetIds: a.subnets[:1]}
		}, "InvalidParameterException",
			"Subnets specified must be in at least two different AZs"},
		"subnet that is not there": {func(in *awseks.CreateClusterInput) {
			in.ResourcesVpcConfig = &types.VpcConfigRequest{SubnetIds: []string{a.subnets[0], "subnet-0123"}}
		}, "InvalidParameterException", "The subnet ID 'subnet-0123' does not exist"},
		"no endpoint": {func(in *awseks.CreateClusterInput) {
			in.ResourcesVpcConfig = &types.VpcConfigRequest{SubnetIds: a.subnets, EndpointPublicAccess: sdk.Bool(false)}
		}, "InvalidParameterException", "Private and public endpoint access cannot be false"},
		"private CIDR": {func(in *awseks.CreateClusterInput) {
			in.ResourcesVpcConfig = &types.VpcConfigRequest{SubnetIds: a.subnets, PublicAccessCidrs: []string{"10.0.0.0/8"}}
		}, "InvalidParameterException", "The following CIDRs are invalid in publicAccessCidrs: [10.0.0.0/8]"},
		"service CIDR in the VPC": {func(in *awseks.CreateClusterInput) {
			in.KubernetesNetworkConfig = &types.KubernetesNetworkConfigRequest{ServiceIpv4Cidr: sdk.String("192.168.128.0/20")}
		}, "InvalidParameterException", "serviceIpv4Cidr 192.168.128.0/20 overlaps with CIDR block 192.168.0.0/16 of the VPC"},
		"half of Auto Mode": {func(in *awseks.CreateClusterInput) {
			in.ComputeConfig = &types.ComputeConfigRequest{Enabled: sdk.Bool(true)}
		}, "InvalidParameterException", trio},
		"tag of AWS": {func(in *awseks.CreateClusterInput) { in.Tags = map[string]string{"aws:x": "y"} }, "InvalidParameterException", ""},
		"key that is not there": {func(in *awseks.CreateClusterInput) {
			in.EncryptionConfig = []types.EncryptionConfig{{Resources: []string{"secrets"}, Provider: &types.Provider{KeyArn: sdk.String("arn:aws:kms:us-west-2:111122223333:key/none")}}}
		}, "InvalidParameterException", ""},
		"standard policy in extended support": {func(in *awseks.CreateClusterInput) {
			in.Version, in.UpgradePolicy = sdk.String("1.33"), &types.UpgradePolicyRequest{SupportType: types.SupportTypeStandard}
		}, "InvalidParameterException", ""},
	} {
		in := *good
		c.change(&in)
		_, err := a.api.CreateCluster(t.Context(), &in)
		t.Run(name, func(t *testing.T) { refused(t, err, c.code, c.text) })
	}
	if out, err := a.api.ListClusters(t.Context(), &awseks.ListClustersInput{}); err != nil || len(out.Clusters) != 0 {
		t.Errorf("refused requests left clusters %v, %v", out.Clusters, err)
	}
}

func TestCreateClusterTwice(t *testing.T) {
	t.Parallel()
	a := newAccount(t)
	in := a.request("c1")
	in.ClientRequestToken = sdk.String("one")
	for range 2 { // the same token is the same request
		_, err := a.api.CreateCluster(t.Context(), in)
		must(t, err)
	}
	in.ClientRequestToken = sdk.String("two")
	_, err := a.api.CreateCluster(t.Context(), in)
	refused(t, err, "ResourceInUseException", "Cluster already exists with name: c1")
}

func TestDescribeClusterNotFound(t *testing.T) {
	t.Parallel()
	a := newAccount(t)
	_, err := a.api.DescribeCluster(t.Context(), &awseks.DescribeClusterInput{Name: sdk.String("none")})
	refused(t, err, "ResourceNotFoundException", "No cluster found for name: none.")
}

func TestListClustersPages(t *testing.T) {
	t.Parallel()
	a := newAccount(t)
	in := a.request("c0")
	want := []string{"c0", "c1", "c2", "c3", "c4"}
	for _, name := range want {
		in.Name = &name
		_, err := a.api.CreateCluster(t.Context(), in)
		must(t, err)
	}
	var got []string
	pages := 0
	for p := awseks.NewListClustersPaginator(a.api, &awseks.ListClustersInput{MaxResults: sdk.Int32(2)}); p.HasMorePages(); pages++ {
		out, err := p.NextPage(t.Context())
		must(t, err)
		got = append(got, out.Clusters...)
	}
	if !slices.Equal(got, want) || pages != 3 {
		t.Errorf("got %v in %d pages, want %v in 3", got, pages, want)
	}
	_, err := a.api.ListClusters(t.Context(), &awseks.ListClustersInput{NextToken: sdk.String("nonsense")})
	refused(t, err, "InvalidParameterException", "Invalid nextToken")
	_, err = a.api.ListClusters(t.Context(), &awseks.ListClustersInput{Include: []string{"ALL"}})
	refused(t, err, "InvalidParameterException", "")
}

func TestDeleteClusterTakesAwayWhatEKSMade(t *testing.T) {
	t.Parallel()
	a := newAccount(t)
	c := a.cluster("c1")
	_, err := a.api.DeleteCluster(t.Context(), &awseks.DeleteClusterInput{Name: c.Name})
	must(t, err)
	if got := a.describe("c1").Status; got != types.ClusterStatusDeleting {
		t.Errorf("status after DeleteCluster is %s", got)
	}
	a.pass(4 * time.Minute)
	_, err = a.api.DescribeCluster(t.Context(), &awseks.DescribeClusterInput{Name: c.Name})
	refused(t, err, "ResourceNotFoundException", "")
	a.within(func() {
		found, err := a.ec2.DescribeNetworkInterfaces(t.Context(), wire.Caller{}, &ec2.DescribeNetworkInterfacesInput{})
		must(t, err)
		_, groupErr := a.ec2.DescribeSecurityGroups(t.Context(), wire.Caller{}, &ec2.DescribeSecurityGroupsInput{GroupIDs: []string{*c.ResourcesVpcConfig.ClusterSecurityGroupId}})
		if len(found.NetworkInterfaces) != 0 || groupErr == nil {
			t.Errorf("%d network interfaces are left, cluster security group: %v", len(found.NetworkInterfaces), groupErr)
		}
	})
}

func TestDeleteClusterRefusesWhenProtected(t *testing.T) {
	t.Parallel()
	a := newAccount(t)
	a.cluster("c1", func(in *awseks.CreateClusterInput) { in.DeletionProtection = sdk.Bool(true) })
	name := sdk.String("c1")
	_, err := a.api.DeleteCluster(t.Context(), &awseks.DeleteClusterInput{Name: name})
	refused(t, err, "InvalidRequestException", "")
	_, err = a.api.UpdateClusterConfig(t.Context(), &awseks.UpdateClusterConfigInput{Name: name, DeletionProtection: sdk.Bool(false)})
	must(t, err)
	_, err = a.api.DeleteCluster(t.Context(), &awseks.DeleteClusterInput{Name: name})
	refused(t, err, "InvalidRequestException", "") // it is protected until the update is done
	a.pass(3 * time.Minute)
	_, err = a.api.DeleteCluster(t.Context(), &awseks.DeleteClusterInput{Name: name})
	must(t, err)
}

func TestDescribeClusterVersionsSaysWhatIsSupported(t *testing.T) {
	t.Parallel()
	a := newAccount(t)
	out, err := a.api.DescribeClusterVersions(t.Context(), &awseks.DescribeClusterVersionsInput{})
	must(t, err)
	var got []string
	for _, v := range out.ClusterVersions {
		got = append(got, *v.ClusterVersion+" "+string(v.VersionStatus))
	}
	if want := []string{"1.36 STANDARD_SUPPORT", "1.35 STANDARD_SUPPORT", "1.34 STANDARD_SUPPORT", "1.33 EXTENDED_SUPPORT"}; !slices.Equal(got, want) {
		t.Errorf("on 21 November 2026 versions are %v, want %v", got, want)
	}
	out, err = a.api.DescribeClusterVersions(t.Context(), &awseks.DescribeClusterVersionsInput{DefaultOnly: sdk.Bool(true)})
	must(t, err)
	if len(out.ClusterVersions) != 1 || *out.ClusterVersions[0].ClusterVersion != "1.36" {
		t.Errorf("default version is %v", out.ClusterVersions)
	}
	a.clock.Move(360 * 24 * time.Hour)
	out, err = a.api.DescribeClusterVersions(t.Context(), &awseks.DescribeClusterVersionsInput{VersionStatus: types.VersionStatusUnsupported, IncludeAll: sdk.Bool(true)})
	must(t, err)
	if len(out.ClusterVersions) != 1 || *out.ClusterVersions[0].ClusterVersion != "1.33" {
		t.Errorf("a year later unsupported versions are %v", out.ClusterVersions)
	}
}
