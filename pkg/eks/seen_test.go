package eks

import (
	"cmp"
	"slices"
	"strings"
	"testing"

	astypes "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	ekstypes "github.com/aws/aws-sdk-go-v2/service/eks/types"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// TestSeenByKind: the inventory says of each kind of nodegroup where a field is read for that kind: what AWS tells where a reader finds it there,
// else what its stack recorded.
func TestSeenByKind(t *testing.T) {
	t.Parallel()
	launch := &ec2types.ResponseLaunchTemplateData{
		InstanceType: "m5.large", EbsOptimized: aws.Bool(true), BlockDeviceMappings: []ec2types.LaunchTemplateBlockDeviceMapping{{Ebs: &ec2types.LaunchTemplateEbsBlockDevice{
			VolumeSize: aws.Int32(80), VolumeType: "gp3", Iops: aws.Int32(3000), Throughput: aws.Int32(125), Encrypted: aws.Bool(true),
		}}},
	}
	for _, managed := range []bool{true, false} {
		told := &group{Managed: managed, Launch: launch, Scaling: &astypes.AutoScalingGroup{}}
		list, stranger := "nodeGroups[].", "eks:DescribeNodegroup"
		if managed {
			list, stranger = "managedNodeGroups[].", ""
			told.Nodegroup = &ekstypes.Nodegroup{InstanceTypes: []string{"m5.large"}, AmiType: "AL2023_x86_64_STANDARD", CapacityType: "SPOT"}
		}
		for _, e := range groupEntries(leaves(t), managed) {
			f := row(strings.TrimPrefix(e.path, list))
			if stranger != "" && strings.Contains(e.seen, stranger) {
				t.Errorf("%s is seen by %s, which nothing asks for such a nodegroup", e.path, stranger)
			}
			if f.live == nil || e.class != replaced {
				continue
			}
			if _, known := f.live(told); known == (e.seen == recordedByStack) {
				t.Errorf("%s: AWS tells it: %v, and the inventory says %q", e.path, known, e.seen)
			}
			if f.launch && !slices.Contains(strings.Split(e.seen, ", "), byLaunchTemplate) {
				t.Errorf("%s is read from the launch template, and the inventory says %q", e.path, cmp.Or(e.seen, "nothing"))
			}
		}
	}
}
