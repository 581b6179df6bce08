package elbv2_test

import (
	"errors"
	"testing"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	classic "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancing"
	v2 "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/smithy-go"

	"github.com/eks-gitops/reconciler/internal/sim/aws"
	"github.com/eks-gitops/reconciler/internal/sim/aws/elb"
	"github.com/eks-gitops/reconciler/internal/sim/aws/elbv2"
	"github.com/eks-gitops/reconciler/internal/sim/aws/simtest"
	"github.com/eks-gitops/reconciler/internal/sim/aws/world"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func refused(t *testing.T, err error, want string) {
	t.Helper()
	var e smithy.APIError
	if !errors.As(err, &e) || e.ErrorCode() != want {
		t.Errorf("error %v, want %s", err, want)
	}
}

// TestLoadBalancers asks both generations of the API, which share a signing name.
func TestLoadBalancers(t *testing.T) {
	t.Parallel()
	s := simtest.Start(t, aws.Options{})
	tags := world.Tags{"kubernetes.io/cluster/c1": "owned"}
	var arn string
	must(t, s.World.Do(true, func() error {
		s.ELB.Put(elb.Balancer{Name: "classic", VPC: "vpc-1", Scheme: "internet-facing", Zones: []string{"us-west-2a"}, Subnets: []string{"subnet-1"}, Tags: tags})
		arn = s.ELBv2.Put(elbv2.Balancer{Name: "net", VPC: "vpc-1", Type: "network", Scheme: "internal", Zones: []elbv2.Zone{{ZoneName: "us-west-2a", SubnetID: "subnet-1"}}, Tags: tags})
		if again := s.ELBv2.Put(elbv2.Balancer{Name: "net", VPC: "vpc-1", Type: "network", Scheme: "internal", Tags: tags}); again != arn {
			t.Errorf("%s became %s", arn, again)
		}
		return nil
	}))
	old, new2 := classic.NewFromConfig(s.Config()), v2.NewFromConfig(s.Config())
	oldList, err := old.DescribeLoadBalancers(t.Context(), &classic.DescribeLoadBalancersInput{})
	must(t, err)
	newList, err := new2.DescribeLoadBalancers(t.Context(), &v2.DescribeLoadBalancersInput{})
	must(t, err)
	if len(oldList.LoadBalancerDescriptions) != 1 || *oldList.LoadBalancerDescriptions[0].VPCId != "vpc-1" || len(newList.LoadBalancers) != 1 || *newList.LoadBalancers[0].LoadBalancerArn != arn {
		t.Errorf("%+v %+v", oldList, newList)
	}
	oldTags, err := old.DescribeTags(t.Context(), &classic.DescribeTagsInput{LoadBalancerNames: []string{"classic"}})
	must(t, err)
	newTags, err := new2.DescribeTags(t.Context(), &v2.DescribeTagsInput{ResourceArns: []string{arn}})
	must(t, err)
	if *oldTags.TagDescriptions[0].Tags[0].Value != "owned" || *newTags.TagDescriptions[0].Tags[0].Key != "kubernetes.io/cluster/c1" {
		t.Errorf("%+v %+v", oldTags, newTags)
	}
	for range 2 { // deleting what is gone is no error
		_, err = old.DeleteLoadBalancer(t.Context(), &classic.DeleteLoadBalancerInput{LoadBalancerName: sdk.String("classic")})
		must(t, err)
		_, err = new2.DeleteLoadBalancer(t.Context(), &v2.DeleteLoadBalancerInput{LoadBalancerArn: &arn})
		must(t, err)
	}
	_, err = old.DescribeLoadBalancers(t.Context(), &classic.DescribeLoadBalancersInput{LoadBalancerNames: []string{"classic"}})
	refused(t, err, "LoadBalancerNotFound")
	_, err = new2.DescribeLoadBalancers(t.Context(), &v2.DescribeLoadBalancersInput{Names: []string{"net"}})
	refused(t, err, "LoadBalancerNotFound")
	_, err = new2.DescribeTags(t.Context(), &v2.DescribeTagsInput{ResourceArns: []string{arn}})
	refused(t, err, "LoadBalancerNotFound")
}

// TestPagesGoOnBehindTheLastShown lists load balancers of both generations while one that was shown is deleted.
func TestPagesGoOnBehindTheLastShown(t *testing.T) {
	t.Parallel()
	s := simtest.Start(t, aws.Options{})
	must(t, s.World.Do(true, func() error {
		for _, name := range []string{"a", "b", "c"} {
			s.ELB.Put(elb.Balancer{Name: name, VPC: "vpc-1", Scheme: "internal"})
			s.ELBv2.Put(elbv2.Balancer{Name: name, VPC: "vpc-1", Type: "network", Scheme: "internal"})
		}
		return nil
	}))
	old, new2 := classic.NewFromConfig(s.Config()), v2.NewFromConfig(s.Config())
	first, err := old.DescribeLoadBalancers(t.Context(), &classic.DescribeLoadBalancersInput{PageSize: sdk.Int32(2)})
	must(t, err)
	_, err = old.DeleteLoadBalancer(t.Context(), &classic.DeleteLoadBalancerInput{LoadBalancerName: sdk.String("b")})
	must(t, err)
	last, err := old.DescribeLoadBalancers(t.Context(), &classic.DescribeLoadBalancersInput{PageSize: sdk.Int32(2), Marker: first.NextMarker})
	must(t, err)
	if len(first.LoadBalancerDescriptions) != 2 || len(last.LoadBalancerDescriptions) != 1 || *last.LoadBalancerDescriptions[0].LoadBalancerName != "c" {
		t.Errorf("%+v %+v", first, last)
	}
	first2, err := new2.DescribeLoadBalancers(t.Context(), &v2.DescribeLoadBalancersInput{PageSize: sdk.Int32(2)})
	must(t, err)
	_, err = new2.DeleteLoadBalancer(t.Context(), &v2.DeleteLoadBalancerInput{LoadBalancerArn: first2.LoadBalancers[1].LoadBalancerArn})
	must(t, err)
	last2, err := new2.DescribeLoadBalancers(t.Context(), &v2.DescribeLoadBalancersInput{PageSize: sdk.Int32(2), Marker: first2.NextMarker})
	must(t, err)
	if len(first2.LoadBalancers) != 2 || len(last2.LoadBalancers) != 1 || *last2.LoadBalancers[0].LoadBalancerName != "c" {
		t.Errorf("%+v %+v", first2, last2)
	}
	_, err = old.DescribeLoadBalancers(t.Context(), &classic.DescribeLoadBalancersInput{Marker: sdk.String("a")})
	refused(t, err, "ValidationError")
	_, err = new2.DescribeLoadBalancers(t.Context(), &v2.DescribeLoadBalancersInput{Marker: sdk.String("a")})
	refused(t, err, "ValidationError")
}
