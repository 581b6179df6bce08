package ec2_test

import (
	"encoding/base64"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/ssm"

	"github.com/eks-gitops/reconciler/internal/sim/aws"
	"github.com/eks-gitops/reconciler/internal/sim/aws/ec2/machinetest"
)

const userData = `MIME-Version: 1.0
Content-Type: multipart/mixed; boundary="//"

--//
Content-Type: application/node.eks.aws

apiVersion: node.eks.aws/v1alpha1
kind: NodeConfig
spec:
  cluster: {name: demo, apiServerEndpoint: "https://127.0.0.1:6443"}
  kubelet:
    config: {maxPods: 17}
    flags: ["--node-labels=role=web", "--register-with-taints=a=b:NoSchedule"]
--//--
`

func (c *cloud) image(architecture string) *string {
	c.Helper()
	name := "/aws/service/eks/optimized-ami/1.34/amazon-linux-2023/" + architecture + "/standard/recommended/image_id"
	out, err := ssm.NewFromConfig(c.sim.Config()).GetParameter(c.Context(), &ssm.GetParameterInput{Name: &name})
	if err != nil {
		c.Fatal(err)
	}
	return out.Parameter.Value
}

func TestLaunchTemplates(t *testing.T) {
	t.Parallel()
	c := newCloud(t, aws.Options{})
	image := c.image("x86_64")
	made := call(c, c.CreateLaunchTemplate, &ec2.CreateLaunchTemplateInput{
		LaunchTemplateName: new("nodes"), VersionDescription: new("first"),
		LaunchTemplateData: &types.RequestLaunchTemplateData{
			ImageId: image, InstanceType: types.InstanceTypeM5Large, UserData: new(base64.StdEncoding.EncodeToString([]byte("hello"))),
			BlockDeviceMappings: []types.LaunchTemplateBlockDeviceMappingRequest{{DeviceName: new("/dev/xvda"), Ebs: &types.LaunchTemplateEbsBlockDeviceRequest{
				VolumeSize: new(int32(80)), VolumeType: types.VolumeTypeGp3, Encrypted: new(true),
			}}},
			NetworkInterfaces: []types.LaunchTemplateInstanceNetworkInterfaceSpecificationRequest{{DeviceIndex: new(int32(0)), Groups: []string{"sg-1"}}},
			MetadataOptions:   &types.LaunchTemplateInstanceMetadataOptionsRequest{HttpTokens: types.LaunchTemplateHttpTokensStateRequired, HttpPutResponseHopLimit: new(int32(2))},
			TagSpecifications: []types.LaunchTemplateTagSpecificationRequest{{ResourceType: types.ResourceTypeInstance, Tags: []types.Tag{{Key: new("Name"), Value: new("node")}}}},
		},
	}).LaunchTemplate
	refused(c, "InvalidLaunchTemplateName.AlreadyExistsException", c.CreateLaunchTemplate, &ec2.CreateLaunchTemplateInput{
		LaunchTemplateName: new("nodes"), LaunchTemplateData: &types.RequestLaunchTemplateData{ImageId: image},
	})
	refused(c, "InvalidUserData.Malformed", c.CreateLaunchTemplateVersion, &ec2.CreateLaunchTemplateVersionInput{
		LaunchTemplateName: new("nodes"), LaunchTemplateData: &types.RequestLaunchTemplateData{UserData: new("%%%")},
	})
	next := call(c, c.CreateLaunchTemplateVersion, &ec2.CreateLaunchTemplateVersionInput{
		LaunchTemplateId: made.LaunchTemplateId, SourceVersion: new("1"), LaunchTemplateData: &types.RequestLaunchTemplateData{InstanceType: types.InstanceTypeM5Xlarge},
	}).LaunchTemplateVersion
	data := next.LaunchTemplateData
	if *next.VersionNumber != 2 || data.InstanceType != types.InstanceTypeM5Xlarge || *data.ImageId != *image || *data.BlockDeviceMappings[0].Ebs.VolumeSize != 80 ||
		data.NetworkInterfaces[0].Groups[0] != "sg-1" || *data.TagSpecifications[0].Tags[0].Value != "node" {
		t.Errorf("version 2 is %+v", data)
	}
	versions := call(c, c.DescribeLaunchTemplateVersions, &ec2.DescribeLaunchTemplateVersionsInput{LaunchTemplateId: made.LaunchTemplateId, Versions: []string{"$Latest", "$Default"}}).LaunchTemplateVersions
	if len(versions) != 2 || *versions[0].VersionNumber != 2 || !*versions[1].DefaultVersion {
		t.Errorf("versions are %v", versions)
	}
	refused(c, "InvalidLaunchTemplateId.VersionNotFound", c.DescribeLaunchTemplateVersions, &ec2.DescribeLaunchTemplateVersionsInput{LaunchTemplateId: made.LaunchTemplateId, Versions: []string{"9"}})
	call(c, c.ModifyLaunchTemplate, &ec2.ModifyLaunchTemplateInput{LaunchTemplateId: made.LaunchTemplateId, DefaultVersion: new("2")})
	if shown := call(c, c.DescribeLaunchTemplates, &ec2.DescribeLaunchTemplatesInput{LaunchTemplateNames: []string{"nodes"}}).LaunchTemplates[0]; *shown.DefaultVersionNumber != 2 || *shown.LatestVersionNumber != 2 {
		t.Errorf("the template is %v", shown)
	}
	call(c, c.DeleteLaunchTemplate, &ec2.DeleteLaunchTemplateInput{LaunchTemplateName: new("nodes")})
	refused(c, "InvalidLaunchTemplateId.NotFound", c.DescribeLaunchTemplates, &ec2.DescribeLaunchTemplatesInput{LaunchTemplateIds: []string{*made.LaunchTemplateId}})
}

func TestInstanceLifeAndMachines(t *testing.T) {
	t.Parallel()
	machines := &machinetest.Recorder{}
	c := newCloud(t, aws.Options{Machines: machines})
	vpc := c.vpc()
	subnet := c.subnet(vpc, "10.0.0.0/24", "us-west-2a")
	run := &ec2.RunInstancesInput{
		ImageId: c.image("x86_64"), InstanceType: types.InstanceTypeM5Large, MinCount: new(int32(2)), MaxCount: new(int32(2)), SubnetId: &subnet,
		UserData: new(base64.StdEncoding.EncodeToString([]byte(userData))),
	}
	wrong := *run
	wrong.ImageId = c.image("arm64")
	refused(c, "InvalidParameterValue", c.RunInstances, &wrong)
	wrong = *run
	wrong.IamInstanceProfile = &types.IamInstanceProfileSpecification{Name: new("nobody")}
	refused(c, "InvalidParameterValue", c.RunInstances, &wrong)
	wrong = *run
	wrong.KeyName = new("nobody")
	refused(c, "InvalidKeyPair.NotFound", c.RunInstances, &wrong)

	out := call(c, c.RunInstances, run)
	var ids []string
	for _, i := range out.Instances {
		ids = append(ids, *i.InstanceId)
		if i.State.Name != types.InstanceStateNamePending || *i.PrivateIpAddress == "" || len(i.BlockDeviceMappings) != 1 {
			t.Errorf("a new instance is %v", i)
		}
	}
	states := func() []types.InstanceStateName {
		var names []types.InstanceStateName
		for _, r := range call(c, c.DescribeInstances, &ec2.DescribeInstancesInput{InstanceIds: ids}).Reservations {
			for _, i := range r.Instances {
				names = append(names, i.State.Name)
			}
		}
		return slices.Compact(names)
	}
	settle := func(want types.InstanceStateName) {
		t.Helper()
		c.sim.Settle(t, 5*time.Second, 5*time.Minute, func() bool { return slices.Equal(states(), []types.InstanceStateName{want}) })
	}
	settle(types.InstanceStateNameRunning)
	if got := machines.Events(); len(got) != 0 {
		t.Errorf("machines booted before their time: %q", got)
	}
	c.sim.Settle(t, 5*time.Second, 5*time.Minute, func() bool { return len(machines.Events()) == 2 })
	m, _ := machines.Machine(ids[0])
	if m.Cluster != "demo" || m.Labels["role"] != "web" || len(m.Taints) != 1 || m.MaxPods != 17 || m.Version != "1.34" || m.ZoneID != "usw2-az2" ||
		m.ProviderID != "aws:///us-west-2a/"+ids[0] || !strings.HasPrefix(m.PrivateDNS, "ip-10-0-0-") || m.VCPU != 2 || m.MemoryMiB != 8192 {
		t.Errorf("machine is %+v", m)
	}
	call(c, c.TerminateInstances, &ec2.TerminateInstancesInput{InstanceIds: ids})
	settle(types.InstanceStateNameTerminated)
	if got := machines.Events(); len(got) != 4 || !strings.HasPrefix(got[3], "terminated ") {
		t.Errorf("machines heard %q", got)
	}
	if left := call(c, c.DescribeVolumes, &ec2.DescribeVolumesInput{}).Volumes; len(left) != 0 {
		t.Errorf("volumes are left: %v", left)
	}
	call(c, c.DeleteSubnet, &ec2.DeleteSubnetInput{SubnetId: &subnet})
	c.sim.Clock.Move(2 * time.Hour)
	refused(c, "InvalidInstanceID.NotFound", c.DescribeInstances, &ec2.DescribeInstancesInput{InstanceIds: ids})
}

func TestKeyPairsAndImages(t *testing.T) {
	t.Parallel()
	c := newCloud(t, aws.Options{})
	key := []byte("ssh-ed25519 " + base64.StdEncoding.EncodeToString([]byte("a key of thirty-two bytes or so")) + " me@here")
	pair := call(c, c.ImportKeyPair, &ec2.ImportKeyPairInput{KeyName: new("mine"), PublicKeyMaterial: key})
	if *pair.KeyName != "mine" || *pair.KeyFingerprint == "" {
		t.Errorf("key pair is %v", pair)
	}
	refused(c, "InvalidKeyPair.Duplicate", c.ImportKeyPair, &ec2.ImportKeyPairInput{KeyName: new("mine"), PublicKeyMaterial: key})
	refused(c, "InvalidKey.Format", c.ImportKeyPair, &ec2.ImportKeyPairInput{KeyName: new("other"), PublicKeyMaterial: []byte("nonsense")})
	if n := len(call(c, c.DescribeKeyPairs, &ec2.DescribeKeyPairsInput{Filters: []types.Filter{filter("key-name", "mine")}}).KeyPairs); n != 1 {
		t.Errorf("%d key pairs", n)
	}
	call(c, c.DeleteKeyPair, &ec2.DeleteKeyPairInput{KeyName: new("mine")})
	call(c, c.DeleteKeyPair, &ec2.DeleteKeyPairInput{KeyName: new("mine")})
	refused(c, "InvalidKeyPair.NotFound", c.DescribeKeyPairs, &ec2.DescribeKeyPairsInput{KeyNames: []string{"mine"}})

	image := call(c, c.DescribeImages, &ec2.DescribeImagesInput{ImageIds: []string{*c.image("arm64")}}).Images[0]
	if image.Architecture != types.ArchitectureValuesArm64 || *image.RootDeviceName != "/dev/xvda" || image.RootDeviceType != types.DeviceTypeEbs || len(image.BlockDeviceMappings) == 0 {
		t.Errorf("image is %v", image)
	}
	refused(c, "InvalidAMIID.NotFound", c.DescribeImages, &ec2.DescribeImagesInput{ImageIds: []string{"ami-0abc"}})
}

// TestMachinesHearAgainAfterRestart keeps the state on disk and starts a second simulator over it.
func TestMachinesHearAgainAfterRestart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	o := aws.Options{Machines: &machinetest.Recorder{}}
	o.World.Dir = dir
	c := newCloud(t, o)
	vpc := c.vpc()
	subnet := c.subnet(vpc, "10.0.0.0/24", "us-west-2a")
	id := *call(c, c.RunInstances, &ec2.RunInstancesInput{
		ImageId: c.image("x86_64"), InstanceType: types.InstanceTypeM5Large, MinCount: new(int32(1)), MaxCount: new(int32(1)), SubnetId: &subnet,
	}).Instances[0].InstanceId
	c.sim.Settle(t, 5*time.Second, 5*time.Minute, func() bool { return len(o.Machines.(*machinetest.Recorder).Events()) == 1 })

	again := &machinetest.Recorder{}
	o.Machines = again
	second := cloudAt(t, c.sim.Clock, o)
	if err := second.sim.World.Advance(); err != nil {
		t.Fatal(err)
	}
	if got := again.Events(); !slices.Equal(got, []string{"started " + id}) {
		t.Errorf("after a restart machines heard %q", got)
	}
	if m, ok := again.Machine(id); !ok || m.Cluster != "" {
		t.Errorf("machine is %+v", m)
	}
}
