package eks

import (
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/weaveworks/eksctl/pkg/ami"
	api "github.com/weaveworks/eksctl/pkg/apis/eksctl.io/v1alpha5"
	"github.com/weaveworks/eksctl/pkg/cfn/builder"
	"github.com/weaveworks/eksctl/pkg/nodebootstrap"
	"github.com/weaveworks/eksctl/pkg/vpc"

	"github.com/eks-gitops/reconciler/pkg/gitops"
)

// renderGroup renders the stack of a nodegroup under the given name.
func (c *Cloud) renderGroup(ctx context.Context, cfg *Config, w *world, want nodegroup, name string) (stackOrder, error) {
	spec, err := c.liveSpec(ctx, cfg, w)
	if err != nil {
		return stackOrder{}, err
	}
	// The builder changes what it is given, and must see the group inside the config that it was given.
	fresh, err := (&Config{full: spec, Written: cfg.Written}).renamed(want, name)
	if err != nil {
		return stackOrder{}, err
	}
	if err := c.fillTypes(ctx, cfg, w, want, fresh); err != nil {
		return stackOrder{}, err
	}
	if err := c.resolveImage(ctx, cfg, spec, fresh); err != nil {
		return stackOrder{}, err
	}
	var out stackOrder
	err = guarded(func() (err error) {
		out, err = c.buildGroup(ctx, cfg, w, spec, fresh, name)
		return err
	})
	if err != nil {
		return stackOrder{}, err
	}
	written := cfg.wantedGroup(want)
	if want.self != nil {
		written["version"] = aws.ToString(w.Cluster.Version)
	}
	out.body, err = record(out.body, written)
	return out, err
}

// renamed finds the group in the config's own copy and gives it the name of the new generation. Its nodes keep the label
// with the name that the file gives, because workloads select by it.
func (c *Config) renamed(want nodegroup, name string) (nodegroup, error) {
	g, ok := c.nodegroup(want.name)
	if !ok {
		return g, fmt.Errorf("nodegroup %s is not in the file", want.name)
	}
	base := g.base()
	base.Name = name
	if base.Tags == nil {
		base.Tags = map[string]string{}
	}
	base.Tags[tagNodegroup] = name
	base.Tags[tagUserName] = want.name
	if g.managed != nil {
		base.Tags[api.NodeGroupTypeTag] = string(api.NodeGroupTypeManaged)
	}
	base.Labels[api.NodeGroupNameLabel] = want.name
	return g, nil
}

func (c *Cloud) buildGroup(ctx context.Context, cfg *Config, w *world, spec *api.ClusterConfig, g nodegroup, name string) (stackOrder, error) {
	importer, cni := cfg.importer(w, spec), cfg.nodesNeedCNIPolicy()
	_, stacked := w.Stacks[clusterStack(cfg.Name)]
	if g.managed != nil {
		bootstrapper, err := nodebootstrap.NewManagedBootstrapper(spec, g.managed)
		if err != nil {
			return stackOrder{}, err
		}
		rs := builder.NewManagedNodeGroup(c.aws.ec2, spec, g.managed, builder.NewLaunchTemplateFetcher(c.aws.ec2), bootstrapper, cni, importer)
		if err := rs.AddAllResources(ctx); err != nil {
			return stackOrder{}, err
		}
		return order(nodegroupStack(cfg.Name, name), g.managed.Tags, rs)
	}
	bootstrapper, err := nodebootstrap.NewBootstrapper(spec, g.self)
	if err != nil {
		return stackOrder{}, err
	}
	rs := builder.NewNodeGroupResourceSet(c.aws.ec2, c.aws.iam, builder.NodeGroupOptions{
		ClusterConfig: spec, NodeGroup: g.self, Bootstrapper: bootstrapper, ForceAddCNIPolicy: cni, VPCImporter: importer,
		DisableAccessEntry:         spec.AccessConfig.AuthenticationMode == "CONFIG_MAP",
		DisableAccessEntryResource: g.self.IAM.InstanceRoleARN != "",
		SkipEgressRules:            !stacked, // EKS's own security group lets everything out
	})
	if err := rs.AddAllResources(ctx); err != nil {
		return stackOrder{}, err
	}
	// After AddAllResources, as eksctl does: these tags are the stack's, not the launch template's.
	g.self.Tags[tagNodegroup] = name
	g.self.Tags[api.OldNodeGroupNameTag] = name
	g.self.Tags[api.NodeGroupTypeTag] = string(api.NodeGroupTypeUnmanaged)
	return order(nodegroupStack(cfg.Name, name), g.self.Tags, rs)
}

// nodesNeedCNIPolicy says that nothing else gives the VPC CNI its rights: with an identity provider eksctl takes them off
// the nodes' role, because the vpc-cni addon has a role of its own.
func (c *Config) nodesNeedCNIPolicy() bool {
	for _, a := range c.addons() {
		if a.want.CanonicalName() == api.VPCCNIAddon {
			return false
		}
	}
	return true
}

// liveSpec is the file with what is live of the cluster: its network, endpoint and version.
func (c *Cloud) liveSpec(ctx context.Context, cfg *Config, w *world) (*api.ClusterConfig, error) {
	stack, ok := w.Stacks[clusterStack(cfg.Name)]
	if !ok && !cfg.adopted() || w.Cluster == nil {
		return nil, gitops.Errorf(gitops.Blocked, "the cluster is not there yet")
	}
	if !ok {
		if err := cfg.networkGiven(); err != nil {
			return nil, err
		}
	}
	spec := cfg.full.DeepCopy()
	spec.Metadata.Version = aws.ToString(w.Cluster.Version)
	spec.Status = &api.ClusterStatus{}
	err := guarded(func() error {
		if err := spec.SetClusterState(w.Cluster); err != nil {
			return err
		}
		if spec.HasAnySubnets() {
			if ok {
				spec.VPC.SecurityGroup = output(stack, "SecurityGroup")
				spec.VPC.SharedNodeSecurityGroup = output(stack, "SharedNodeSecurityGroup")
			}
			return vpc.ImportSubnetsFromSpec(ctx, c.aws.ec2, spec)
		}
		spec.VPC = nil
		return vpc.UseFromClusterStack(ctx, provider{c.aws}, &stack, spec, true)
	})
	if err != nil {
		return nil, fmt.Errorf("reading the cluster's network: %w", err)
	}
	return spec, nil
}

// resolveImage decides instance type and image, after eksctl's pkg/eks/nodegroup_service.go.
func (c *Cloud) resolveImage(ctx context.Context, cfg *Config, spec *api.ClusterConfig, g nodegroup) error {
	base := g.base()
	resolve := g.self != nil && !api.IsAMI(base.AMI)
	if m := g.managed; m != nil {
		if m.LaunchTemplate == nil && m.InstanceType == "" && len(m.InstanceTypes) == 0 {
			m.InstanceType = api.DefaultNodeType
		}
		native := base.AMIFamily == api.NodeImageFamilyAmazonLinux2023 || base.AMIFamily == api.NodeImageFamilyAmazonLinux2 ||
			base.AMIFamily == api.NodeImageFamilyBottlerocket
		resolve = !native && !api.IsAMI(base.AMI)
	} else if base.InstanceType == "" {
		base.InstanceType = api.DefaultNodeType
		if api.HasMixedInstances(g.self) {
			base.InstanceType = mixed
		}
	}
	if resolve {
		id, err := c.image(ctx, cfg.Region, spec.Metadata.Version, g)
		if err != nil {
			return fmt.Errorf("finding the image: %w", err)
		}
		base.AMI = id
	}
	if base.AMI == "" {
		return nil
	}
	if err := guarded(func() error { return ami.Use(ctx, c.aws.ec2, base) }); err != nil {
		return fmt.Errorf("using the image: %w", err)
	}
	return nil
}

func (c *Cloud) image(ctx context.Context, region, version string, g nodegroup) (string, error) {
	var resolver ami.Resolver
	switch g.base().AMI {
	case api.NodeImageResolverAuto:
		resolver = ami.NewAutoResolver(c.aws.ec2)
	case api.NodeImageResolverAutoSSM:
		resolver = ami.NewSSMResolver(c.aws.ssm)
	case "":
		resolver = ami.NewMultiResolver(ami.NewSSMResolver(c.aws.ssm), ami.NewAutoResolver(c.aws.ec2))
	default:
		return "", fmt.Errorf("ami %q is neither an id nor auto nor auto-ssm", g.base().AMI)
	}
	kind := api.SelectInstanceType(g.pool())
	id, err := resolver.Resolve(ctx, region, version, kind, g.base().AMIFamily)
	if err != nil {
		return "", err
	}
	if id == "" {
		return "", fmt.Errorf("there is none of family %s for Kubernetes %s on %s in %s", g.base().AMIFamily, version, kind, region)
	}
	return id, nil
}
