package aws

import (
	"github.com/eks-gitops/reconciler/internal/sim/aws/ec2"
	"github.com/eks-gitops/reconciler/internal/sim/aws/ssm"
	"github.com/eks-gitops/reconciler/internal/sim/aws/wire"
)

// images are the public images that parameters point to, for EC2.
func images(region string) []ec2.Image {
	var out []ec2.Image
	for _, i := range ssm.Images(region) {
		image := ec2.NodeImage(i.ID, i.Name, i.Family, i.Arch, i.Kubernetes, wire.Time{Time: i.Created}.String())
		image.Description, image.OwnerID, image.ImageOwnerAlias, image.RootDeviceName = i.Description, i.OwnerID, i.OwnerAlias, i.RootDevice
		if i.Platform == "windows" {
			image.Platform, image.PlatformDetails, image.UsageOperation = "windows", "Windows", "RunInstances:0002"
		}
		image.BlockDevices = []ec2.BlockDevice{disk(i.RootDevice, i.ID, i.DiskGiB)}
		if i.DataDevice != "" {
			image.BlockDevices = append(image.BlockDevices, disk(i.DataDevice, "ami-0d"+i.ID[len("ami-00"):], i.DataDiskGiB))
		}
		out = append(out, image)
	}
	return out
}

// disk is a device of an image; its snapshot's id is made of id's digits.
func disk(device, id string, gib int) ec2.BlockDevice {
	yes, no := true, false
	return ec2.BlockDevice{DeviceName: device, Ebs: &ec2.EbsDevice{
		DeleteOnTermination: &yes, Encrypted: &no, SnapshotID: "snap-0" + id[len("ami-0"):], VolumeSize: gib, VolumeType: "gp3",
	}}
}
