package ec2_test

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/google/go-cmp/cmp"

	"github.com/eks-gitops/reconciler/internal/sim/aws"
)

// TestInstanceTypesByWhatTheyHave: filters choose instance types, and each is described as far as those that choose among them need.
func TestInstanceTypesByWhatTheyHave(t *testing.T) {
	t.Parallel()
	c := newCloud(t, aws.Options{})
	names := func(filters ...types.Filter) []string {
		var out []string
		for _, i := range call(c, c.DescribeInstanceTypes, &ec2.DescribeInstanceTypesInput{Filters: filters}).InstanceTypes {
			out = append(out, string(i.InstanceType))
		}
		return out
	}
	arm := filter("processor-info.supported-architecture", "arm64")
	if diff := cmp.Diff([]string{"c6g.large", "c7g.large", "t4g.medium"}, names(arm, filter("vcpu-info.default-vcpus", "2"), filter("memory-info.size-in-mib", "4096"))); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"g5.12xlarge", "g5.2xlarge", "g5.xlarge"}, names(filter("instance-type", "g5.*"))); diff != "" {
		t.Error(diff)
	}
	if got := names(filter("instance-type", "z9.huge")); got != nil {
		t.Errorf("a filter finds %v", got)
	}
	refused(c, "InvalidInstanceType", c.DescribeInstanceTypes, &ec2.DescribeInstanceTypesInput{InstanceTypes: []types.InstanceType{"z9.huge"}})
	refused(c, "InvalidParameterValue", c.DescribeInstanceTypes, &ec2.DescribeInstanceTypesInput{Filters: []types.Filter{filter("gpu-info.gpus.count", "1")}})

	info := call(c, c.DescribeInstanceTypes, &ec2.DescribeInstanceTypesInput{InstanceTypes: []types.InstanceType{"g5.12xlarge"}}).InstanceTypes[0]
	gpu := info.GpuInfo.Gpus[0]
	if *gpu.Count != 4 || *gpu.MemoryInfo.SizeInMiB != 24576 || *info.GpuInfo.TotalGpuMemoryInMiB != 4*24576 {
		t.Errorf("its GPUs are %+v", info.GpuInfo)
	}
	if info.EbsInfo.EbsOptimizedSupport != types.EbsOptimizedSupportDefault || len(info.PlacementGroupInfo.SupportedStrategies) != 3 || info.NetworkInfo.EnaSupport == "" {
		t.Errorf("it is %+v", info)
	}
	if i := call(c, c.DescribeInstanceTypes, &ec2.DescribeInstanceTypesInput{InstanceTypes: []types.InstanceType{"t3.micro"}}).InstanceTypes[0]; i.GpuInfo != nil || len(i.PlacementGroupInfo.SupportedStrategies) != 2 {
		t.Errorf("t3.micro is %+v", i)
	}
}
