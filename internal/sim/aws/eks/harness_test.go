package eks_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	awseks "github.com/aws/aws-sdk-go-v2/service/eks"
	"github.com/aws/aws-sdk-go-v2/service/eks/types"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/smithy-go"

	"github.com/eks-gitops/reconciler/internal/sim/aws"
	"github.com/eks-gitops/reconciler/internal/sim/aws/ec2"
	"github.com/eks-gitops/reconciler/internal/sim/aws/simtest"
	"github.com/eks-gitops/reconciler/internal/sim/aws/wire"
)

const admin = "arn:aws:iam::111122223333:user/admin"

// account is an AWS account in the simulator, seen through the SDK. Every exchange is checked against AWS's models.
type account struct {
	*simtest.Sim
	t     *testing.T
	clock *simtest.Clock
	ec2   *ec2.Service
	api   *awseks.Client
	roles *iam.Client
	// subnets are private ones in three zones, public one of them with a route to the internet.
	vpc, public string
	subnets     []string
	options     aws.Options
}

type option func(*aws.Options)

func newAccount(t *testing.T, options ...option) *account {
	t.Helper()
	a := &account{t: t, clock: simtest.NewClock(time.Date(2026, 11, 21, 8, 0, 0, 0, time.UTC))}
	a.options.World.Seed = 7
	for _, o := range options {
		o(&a.options)
	}
	a.start()
	return a
}

// start starts the simulator; a second time from the state that the first has left.
func (a *account) start() {
	a.t.Helper()
	a.Sim = simtest.StartAt(a.t, a.clock, a.options)
	a.ec2 = a.EC2
	a.api = awseks.NewFromConfig(a.Config())
	a.roles = iam.NewFromConfig(a.Config())
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// pass lets time pass in steps, as a ticker would see it.
func (a *account) pass(d time.Duration) {
	a.t.Helper()
	step := max(d/20, time.Second)
	for ; d > 0; d -= step {
		a.clock.Move(min(step, d))
		must(a.t, a.World.Advance())
	}
}

// within runs fn under the world's lock.
func (a *account) within(fn func()) {
	a.t.Helper()
	must(a.t, a.World.Do(true, func() error { fn(); return nil }))
}

// role makes a role that a service may assume, and gives its ARN.
func (a *account) role(name string, services ...string) string {
	a.t.Helper()
	actions := []string{"sts:AssumeRole"}
	if len(services) > 0 && (services[0] == "pods.eks.amazonaws.com" || services[0] == capabilities) {
		actions = append(actions, "sts:TagSession")
	}
	trust, err := json.Marshal(map[string]any{"Version": "2012-10-17", "Statement": []any{map[string]any{
		"Effect": "Allow", "Principal": map[string]any{"Service": services}, "Action": actions,
	}}})
	must(a.t, err)
	out, err := a.roles.CreateRole(a.t.Context(), &iam.CreateRoleInput{RoleName: &name, AssumeRolePolicyDocument: sdk.String(string(trust))})
	must(a.t, err)
	a.pass(10 * time.Second) // until it has spread
	return *out.Role.Arn
}

// network makes a VPC with subnets.
func (a *account) network() {
	a.t.Helper()
	call := func(err error) { must(a.t, err) }
	a.within(func() {
		ctx, who := context.Background(), wire.Caller{ARN: admin}
		vpc, err := a.ec2.CreateVpc(ctx, who, &ec2.CreateVpcInput{CidrBlock: "192.168.0.0/16"})
		call(err)
		a.vpc = vpc.Vpc.VpcID
		gateway, err := a.ec2.CreateInternetGateway(ctx, who, &ec2.CreateInternetGatewayInput{})
		call(err)
		_, err = a.ec2.AttachInternetGateway(ctx, who, &ec2.GatewayInput{InternetGatewayID: gateway.InternetGateway.InternetGatewayID, VpcID: a.vpc})
		call(err)
		for i, zone := range []string{"us-west-2a", "us-west-2b", "us-west-2c", "us-west-2a"} {
			n, err := a.ec2.CreateSubnet(ctx, who, &ec2.CreateSubnetInput{VpcID: a.vpc, CidrBlock: fmt.Sprintf("192.168.%d.0/24", 32*i), AvailabilityZone: zone})
			call(err)
			a.subnets = append(a.subnets, n.Subnet.SubnetID)
		}
		a.public, a.subnets = a.subnets[3], a.subnets[:3]
		table, err := a.ec2.CreateRouteTable(ctx, who, &ec2.CreateRouteTableInput{VpcIDInput: ec2.VpcIDInput{VpcID: a.vpc}})
		call(err)
		id := table.RouteTable.RouteTableID
		_, err = a.ec2.CreateRoute(ctx, who, &ec2.RouteInput{RouteTableID: id, DestinationCidrBlock: "0.0.0.0/0", GatewayID: gateway.InternetGateway.InternetGatewayID})
		call(err)
		_, err = a.ec2.AssociateRouteTable(ctx, who, &ec2.AssociateRouteTableInput{RouteTableIDInput: ec2.RouteTableIDInput{RouteTableID: id}, SubnetID: a.public})
		call(err)
	})
}

// request is a request for a cluster that works.
func (a *account) request(name string) *awseks.CreateClusterInput {
	a.t.Helper()
	if a.vpc == "" {
		a.network()
	}
	return &awseks.CreateClusterInput{
		Name: &name, RoleArn: sdk.String(a.role("role-"+name, "eks.amazonaws.com")), Version: sdk.String("1.34"),
		ResourcesVpcConfig: &types.VpcConfigRequest{SubnetIds: a.subnets},
		AccessConfig:       &types.CreateAccessConfigRequest{AuthenticationMode: types.AuthenticationModeApiAndConfigMap},
	}
}

// cluster makes a cluster and waits until it is active. change, if given, changes the request.
func (a *account) cluster(name string, change ...func(*awseks.CreateClusterInput)) *types.Cluster {
	a.t.Helper()
	in := a.request(name)
	for _, c := range change {
		c(in)
	}
	_, err := a.api.CreateCluster(a.t.Context(), in)
	must(a.t, err)
	a.pass(10 * time.Minute)
	c := a.describe(name)
	if c.Status != types.ClusterStatusActive {
		a.t.Fatalf("cluster is %s, want ACTIVE", c.Status)
	}
	return c
}

func (a *account) describe(name string) *types.Cluster {
	a.t.Helper()
	out, err := a.api.DescribeCluster(a.t.Context(), &awseks.DescribeClusterInput{Name: &name})
	must(a.t, err)
	return out.Cluster
}

// refused checks the code and the text of an error of the API; an empty text is not compared.
func refused(t *testing.T, err error, code, text string) {
	t.Helper()
	var got smithy.APIError
	if !errors.As(err, &got) {
		t.Fatalf("got %v, want %s", err, code)
	}
	if got.ErrorCode() != code || (text != "" && got.ErrorMessage() != text) {
		t.Fatalf("got %s: %s\nwant %s: %s", got.ErrorCode(), got.ErrorMessage(), code, text)
	}
}
