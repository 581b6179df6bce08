package eks

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	iamtypes "github.com/aws/aws-sdk-go-v2/service/iam/types"
	api "github.com/weaveworks/eksctl/pkg/apis/eksctl.io/v1alpha5"
)

// What carries a cluster's tags or name after it is gone. It is looked for only then: before, it may be in use.

// volumes are those that the EBS CSI driver, or the cloud provider before it, made for claims. eksctl leaves them, and so do we.
func (c *Cloud) volumes(ctx context.Context, cfg *Config, _ *world) ([]remnant, error) {
	p := ec2.NewDescribeVolumesPaginator(c.aws.ec2, &ec2.DescribeVolumesInput{Filters: []ec2types.Filter{{Name: aws.String("tag-key"), Values: markers(cfg.Name)}}})
	list, err := page(ctx, p.HasMorePages, func(ctx context.Context) (*ec2.DescribeVolumesOutput, error) { return p.NextPage(ctx) },
		func(o *ec2.DescribeVolumesOutput) []ec2types.Volume { return o.Volumes })
	if err != nil {
		return nil, err
	}
	var out []remnant
	for i := range list {
		v, tags := &list[i], tagMap(list[i].Tags)
		if !claimed(tags, cfg.Name) {
			continue
		}
		id := aws.ToString(v.VolumeId)
		what := fmt.Sprintf("volume %s of %d GiB", id, aws.ToInt32(v.Size))
		if claim := tags[tagClaim]; claim != "" {
			what += ", made for the claim " + tags[tagClaimSpace] + "/" + claim + ","
		}
		out = append(out, remnant{Kind: KindVolume, Name: id, What: what, Stays: "it may hold data; delete it when nobody needs that"})
	}
	return out, nil
}

// roles are those that stacks of the cluster made and left.
func (c *Cloud) roles(ctx context.Context, cfg *Config, _ *world) ([]remnant, error) {
	p := iam.NewListRolesPaginator(c.aws.iam, &iam.ListRolesInput{})
	list, err := page(ctx, p.HasMorePages, func(ctx context.Context) (*iam.ListRolesOutput, error) { return p.NextPage(ctx) },
		func(o *iam.ListRolesOutput) []iamtypes.Role { return o.Roles })
	if err != nil {
		return nil, err
	}
	var out []remnant
	for i := range list {
		// The name of another cluster may begin like that: tags tell.
		name := aws.ToString(list[i].RoleName)
		if !strings.HasPrefix(name, stackPrefix(cfg.Name)) {
			continue
		}
		tags, err := c.aws.iam.ListRoleTags(ctx, &iam.ListRoleTagsInput{RoleName: &name})
		if err != nil && !absent(err) {
			return nil, err
		}
		if err == nil && ofCluster(tags.Tags, cfg.Name) {
			out = append(out, remnant{Kind: KindRole, Name: name, What: "IAM role " + name, Stays: "the stack that made it did not delete it"})
		}
	}
	return out, nil
}

// providers are the identity providers that were made for the cluster: with the cluster, its issuer is not known any more.
func (c *Cloud) providers(ctx context.Context, cfg *Config, _ *world) ([]remnant, error) {
	list, err := c.aws.iam.ListOpenIDConnectProviders(ctx, &iam.ListOpenIDConnectProvidersInput{})
	if err != nil {
		return nil, err
	}
	var out []remnant
	for _, p := range list.OpenIDConnectProviderList {
		tags, err := c.aws.iam.ListOpenIDConnectProviderTags(ctx, &iam.ListOpenIDConnectProviderTagsInput{OpenIDConnectProviderArn: p.Arn})
		if err != nil && !absent(err) {
			return nil, err
		}
		if err == nil && ofCluster(tags.Tags, cfg.Name) {
			_, name, _ := strings.Cut(aws.ToString(p.Arn), "oidc-provider/")
			out = append(out, remnant{Kind: KindIdentityProvider, Name: name, What: "identity provider " + name, Stays: "it was found after the cluster was gone: delete it by hand"})
		}
	}
	return out, nil
}

// ofCluster reports whether tags of IAM say that a thing was made for a cluster, by eksctl or from here.
func ofCluster(tags []iamtypes.Tag, cluster string) bool {
	return slices.ContainsFunc(tags, func(t iamtypes.Tag) bool {
		return aws.ToString(t.Key) == api.ClusterNameTag && aws.ToString(t.Value) == cluster
	})
}
