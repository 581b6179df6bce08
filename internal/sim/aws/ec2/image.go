package ec2

import (
	"context"
	"maps"
	"slices"

	"github.com/eks-gitops/reconciler/internal/sim/aws/wire"
)

// Image is a machine image.
type Image struct {
	PlatformDetails    string        `xml:"platformDetails"`
	UsageOperation     string        `xml:"usageOperation"`
	BlockDevices       []BlockDevice `xml:"blockDeviceMapping>item"`
	Description        string        `xml:"description,omitempty"`
	EnaSupport         bool          `xml:"enaSupport"`
	Hypervisor         string        `xml:"hypervisor"`
	ImageOwnerAlias    string        `xml:"imageOwnerAlias,omitempty"`
	Name               string        `xml:"name"`
	RootDeviceName     string        `xml:"rootDeviceName"`
	RootDeviceType     string        `xml:"rootDeviceType"`
	SriovNetSupport    string        `xml:"sriovNetSupport"`
	Tags               []Tag         `xml:"tagSet>item,omitempty"`
	VirtualizationType string        `xml:"virtualizationType"`
	ImageID            string        `xml:"imageId"`
	ImageLocation      string        `xml:"imageLocation"`
	State              string        `xml:"imageState"`
	OwnerID            string        `xml:"imageOwnerId"`
	CreationDate       string        `xml:"creationDate"`
	Public             bool          `xml:"isPublic"`
	Architecture       string        `xml:"architecture"`
	ImageType          string        `xml:"imageType"`
	Platform           string        `xml:"platform,omitempty"`

	// KubernetesVersion and Family say what a node of this image runs: "1.34", "al2023" or "bottlerocket".
	KubernetesVersion string `xml:"-"`
	Family            string `xml:"-"`
}

// NodeImage describes an image as AWS publishes them for EKS nodes. created is a date ("2026-07-01T10:00:00.000Z").
func NodeImage(id, name, family, architecture, kubernetes, created string) Image {
	gib := map[string]int{"al2023": 20, "bottlerocket": 2}[family]
	if gib == 0 {
		gib = 20
	}
	yes, no := true, false
	return Image{
		PlatformDetails: "Linux/UNIX", UsageOperation: "RunInstances", EnaSupport: true, Hypervisor: "xen", ImageOwnerAlias: "amazon", Name: name,
		Description:    "EKS node image for Kubernetes " + kubernetes + " (" + family + ", " + architecture + ")",
		RootDeviceName: "/dev/xvda", RootDeviceType: "ebs", SriovNetSupport: "simple", VirtualizationType: "hvm", ImageID: id, ImageLocation: "amazon/" + name,
		State: "available", OwnerID: "602401143452", CreationDate: created, Public: true, Architecture: architecture, ImageType: "machine",
		BlockDevices: []BlockDevice{{DeviceName: "/dev/xvda", Ebs: &EbsDevice{
			DeleteOnTermination: &yes, Encrypted: &no, SnapshotID: "snap-0" + id[len("ami-0"):], VolumeSize: gib, VolumeType: "gp3",
		}}},
		KubernetesVersion: kubernetes, Family: family,
	}
}

// Image finds an image.
func (s *Service) Image(id string) (Image, bool) {
	image, ok := s.images[id]
	return image, ok
}

// DescribeImagesInput is the request of DescribeImages.
type DescribeImagesInput struct {
	Query
	ImageIDs          []string `form:"ImageId"`
	Owners            []string `form:"Owner"`
	ExecutableUsers   []string `form:"ExecutableBy"`
	IncludeDeprecated bool
	IncludeDisabled   bool
}

// DescribeImagesOutput is the answer of DescribeImages.
type DescribeImagesOutput struct {
	NextToken string  `xml:"nextToken,omitempty"`
	Images    []Image `xml:"imagesSet>item"`
}

// DescribeImages lists images.
func (s *Service) DescribeImages(_ context.Context, _ wire.Caller, in *DescribeImagesInput) (*DescribeImagesOutput, error) {
	ids := in.ImageIDs
	for _, id := range ids {
		if _, ok := s.images[id]; !ok {
			return nil, wire.Errorf("InvalidAMIID.NotFound", "The image id '[%s]' does not exist", id)
		}
	}
	if len(ids) == 0 {
		ids = slices.Sorted(maps.Keys(s.images))
	}
	var found []Image
	for _, id := range ids {
		image := s.images[id]
		if len(in.Owners) > 0 && !slices.Contains(in.Owners, image.OwnerID) && !slices.Contains(in.Owners, image.ImageOwnerAlias) {
			continue
		}
		pass, err := passes(image, nil, in.Filters, imageValues)
		if err != nil {
			return nil, err
		}
		if pass {
			found = append(found, image)
		}
	}
	part, next, err := page(found, func(i Image) string { return i.ImageID }, in.Query)
	return &DescribeImagesOutput{Images: part, NextToken: next}, err
}

func imageValues(i Image, name string) ([]string, bool) {
	v, ok := map[string]string{
		"image-id": i.ImageID, "name": i.Name, "owner-id": i.OwnerID, "owner-alias": i.ImageOwnerAlias, "architecture": i.Architecture, "state": i.State,
		"root-device-type": i.RootDeviceType, "virtualization-type": i.VirtualizationType, "image-type": i.ImageType, "is-public": yesNo(i.Public)[0],
		"description": i.Description, "hypervisor": i.Hypervisor, "platform": i.Platform, "root-device-name": i.RootDeviceName, "creation-date": i.CreationDate,
	}[name]
	return one(v), ok
}
