package eks

import (
	"context"
	"regexp"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/eks-gitops/reconciler/pkg/gitops"
)

// imageNames finds the minor version of Kubernetes in the names of public node images: Amazon Linux (amazon-eks-node-1.32-v20250519,
// amazon-eks-node-al2023-x86_64-standard-1.34-v20261106), Bottlerocket (bottlerocket-aws-k8s-1.34-nvidia-x86_64-v1.50.0-0a1b2c3d), Ubuntu
// (ubuntu-eks/k8s_1.34/images/...) and Windows (Windows_Server-2022-English-Core-EKS_Optimized-1.34-2026.11.06), each after its
// publisher's pages (EKS user guide, "Create nodes with optimized AMIs").
var imageNames = regexp.MustCompile(`^(?:amazon-eks-(?:\w+-)+|bottlerocket-aws-k8s-|ubuntu-eks(?:-pro)?/k8s_|Windows_Server-[\w-]+-EKS_Optimized-)(1\.\d+)[-/]`)

// versionIn is the minor version of Kubernetes for which an image was made, by its name; "" for an image of somebody's own.
func versionIn(image string) string {
	if found := imageNames.FindStringSubmatch(image); found != nil {
		return found[1]
	}
	return ""
}

// madeFor is the version of Kubernetes that a self-managed nodegroup's nodes were made for: what was recorded, else what its image is for; ""
// when neither tells.
func (g *group) madeFor() string {
	if recorded := gitops.StringAt(g.Recorded, "version"); recorded != "" {
		return recorded
	}
	return g.Image
}

// readImages fills in what the images of self-managed nodegroups are for, where no record tells the version: of those that eksctl made, and of
// those whose image git names.
func (c *Cloud) readImages(ctx context.Context, groups []*group) error {
	var ids []string
	for _, g := range groups {
		if id := g.asksImage(); id != "" {
			ids = append(ids, id)
		}
	}
	versions, err := askedOnce(ctx, &c.mu, c.images, ids, c.imageVersions)
	if err != nil {
		return err
	}
	for _, g := range groups {
		g.Image = versions[g.asksImage()]
	}
	return nil
}

// imageVersions are the versions of Kubernetes that images were made for, "" for one that does not tell or is gone.
func (c *Cloud) imageVersions(ctx context.Context, ids []string) (map[string]string, error) {
	out, err := c.aws.ec2.DescribeImages(ctx, &ec2.DescribeImagesInput{
		Filters: []ec2types.Filter{{Name: aws.String("image-id"), Values: ids}}, IncludeDeprecated: aws.Bool(true), IncludeDisabled: aws.Bool(true),
	})
	if err != nil {
		return nil, err
	}
	versions := map[string]string{}
	for _, id := range ids {
		versions[id] = ""
	}
	for _, i := range out.Images {
		versions[aws.ToString(i.ImageId)] = versionIn(aws.ToString(i.Name))
	}
	return versions, nil
}

// asksImage is the image that tells the version of a group; "" where something else does.
func (g *group) asksImage() string {
	if g.Managed || g.Launch == nil || gitops.StringAt(g.Recorded, "version") != "" {
		return ""
	}
	return aws.ToString(g.Launch.ImageId)
}
