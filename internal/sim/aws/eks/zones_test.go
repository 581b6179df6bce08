package eks_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	cfntypes "github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
	awseks "github.com/aws/aws-sdk-go-v2/service/eks"
	"github.com/aws/aws-sdk-go-v2/service/eks/types"

	"github.com/eks-gitops/reconciler/internal/sim/aws"
)

// fill has EKS refuse new clusters in a zone, or take them again.
func (a *account) fill(zone string, full bool) {
	a.t.Helper()
	must(a.t, a.World.Do(true, func() error { return a.EKS.FillZone(zone, full) }))
}

// TestFullZoneRefusesNewClusters: a zone without room refuses new clusters, with all zones of the region that have room, until it has
// some again. Clusters that are there stay, and may be changed.
func TestFullZoneRefusesNewClusters(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	a := newAccount(t, func(o *aws.Options) { o.World.Dir = dir })
	a.cluster("c1")
	a.fill("us-west-2b", true)
	a.start()
	in := a.request("c2")
	_, err := a.api.CreateCluster(t.Context(), in)
	refused(t, err, "UnsupportedAvailabilityZoneException",
		"Cannot create cluster 'c2' because us-west-2b, the targeted availability zone, does not currently have sufficient capacity to support the cluster. Retry and choose from these availability zones: us-west-2a, us-west-2c, us-west-2d")
	e, ok := errors.AsType[*types.UnsupportedAvailabilityZoneException](err)
	if !ok || sdk.ToString(e.ClusterName) != "c2" || !slices.Equal(e.ValidZones, []string{"us-west-2a", "us-west-2c", "us-west-2d"}) {
		t.Errorf("the exception is %+v", e)
	}
	if _, err := a.api.UpdateClusterConfig(t.Context(), &awseks.UpdateClusterConfigInput{
		Name: sdk.String("c1"), ResourcesVpcConfig: &types.VpcConfigRequest{SubnetIds: a.subnets[:2]},
	}); err != nil {
		t.Errorf("a cluster that is there cannot be changed: %v", err)
	}
	a.fill("us-west-2b", false)
	if _, err := a.api.CreateCluster(t.Context(), in); err != nil {
		t.Errorf("a zone that has room again: %v", err)
	}
}

// TestFullZoneRollsAStackBack: CloudFormation tells the refusal in the events of the control plane, in EKS's words and without the
// exception's name, and rolls the stack back.
func TestFullZoneRollsAStackBack(t *testing.T) {
	t.Parallel()
	a := newAccount(t)
	a.network()
	a.fill("us-west-2a", true)
	status, _ := a.stack("eksctl-c1-cluster", template(m{"ControlPlane": a.clusterResource("1.34", nil)}), 12*time.Minute)
	a.complete("eksctl-c1-cluster", status, cfntypes.StackStatusRollbackComplete)
	out, err := a.stacks().DescribeStackEvents(t.Context(), &cloudformation.DescribeStackEventsInput{StackName: sdk.String("eksctl-c1-cluster")})
	must(t, err)
	i := slices.IndexFunc(out.StackEvents, func(e cfntypes.StackEvent) bool {
		return e.ResourceStatus == cfntypes.ResourceStatusCreateFailed && sdk.ToString(e.LogicalResourceId) == "ControlPlane"
	})
	if i < 0 {
		t.Fatal("nothing is told of the control plane")
	}
	why := sdk.ToString(out.StackEvents[i].ResourceStatusReason)
	for _, part := range []string{
		"Resource handler returned message: \"Cannot create cluster 'c1' because us-west-2a, the targeted availability zone, does not currently",
		"Retry and choose from these availability zones: us-west-2b, us-west-2c, us-west-2d (Service: Eks, Status Code: 400, Request ID: ", "HandlerErrorCode: InvalidRequest)",
	} {
		if !strings.Contains(why, part) {
			t.Errorf("%q is not in %s", part, why)
		}
	}
}
