package eks

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"

	api "github.com/weaveworks/eksctl/pkg/apis/eksctl.io/v1alpha5"
	"github.com/weaveworks/eksctl/pkg/cfn/builder"
	"github.com/weaveworks/eksctl/pkg/vpc"

	"github.com/eks-gitops/reconciler/pkg/gitops"
)

// stackOrder is everything a stack is created from.
type stackOrder struct {
	name       string
	body       []byte
	tags       map[string]string
	iam, named bool
}

// resourceSet is what eksctl's builders have in common.
type resourceSet interface {
	RenderJSON() ([]byte, error)
	WithIAM() bool
	WithNamedIAM() bool
}

func order(name string, tags map[string]string, s resourceSet) (stackOrder, error) {
	body, err := s.RenderJSON()
	return stackOrder{name: name, body: body, tags: tags, iam: s.WithIAM(), named: s.WithNamedIAM()}, err
}

// renderCluster renders the stack of the control plane and its network.
func (c *Cloud) renderCluster(ctx context.Context, cfg *Config, w *world) (stackOrder, error) {
	spec := cfg.full.DeepCopy()
	first, err := cfg.firstVersion(w)
	if err != nil {
		return stackOrder{}, err
	}
	spec.Metadata.Version = first
	spec.Metadata.AccountID = w.Account // without it, eksctl leaves out the role of Fargate profiles
	if spec.HasAnySubnets() {
		if err := guarded(func() error { return vpc.ImportSubnetsFromSpec(ctx, c.aws.ec2, spec) }); err != nil {
			return stackOrder{}, fmt.Errorf("importing the subnets of the file: %w", err)
		}
	} else {
		if len(spec.AvailabilityZones) == 0 {
			if spec.AvailabilityZones, err = c.zones(ctx, spec, w); err != nil {
				return stackOrder{}, fmt.Errorf("choosing availability zones: %w", err)
			}
		}
		if err := vpc.SetSubnets(spec.VPC, spec.AvailabilityZones, spec.LocalZones); err != nil {
			return stackOrder{}, fmt.Errorf("dividing the VPC into subnets: %w", err)
		}
	}
	if spec.IsAutoModeEnabled() {
		templates.Lock()
		defer templates.Unlock()
	}
	var out stackOrder
	err = guarded(func() (err error) {
		rs := builder.NewClusterResourceSet(c.aws.ec2, c.aws.sts, cfg.Region, spec, nil, false)
		if err := rs.AddAllResources(ctx); err != nil {
			return err
		}
		tags := map[string]string{api.ClusterOIDCEnabledTag: strconv.FormatBool(api.IsEnabled(spec.IAM.WithOIDC))}
		out, err = order(clusterStack(cfg.Name), tags, rs)
		return err
	})
	return out, err
}

// firstVersion is the Kubernetes version a new cluster gets: the file's, or the one EKS gives by default.
func (c *Config) firstVersion(w *world) (string, error) {
	wanted := c.full.Metadata.Version
	if wanted != "" && wanted != "auto" && wanted != latest {
		return wanted, nil
	}
	if len(w.Versions) == 0 {
		return "", fmt.Errorf("EKS offers no Kubernetes version")
	}
	if i := slices.IndexFunc(w.Versions, func(v clusterVersion) bool { return v.Default }); i >= 0 && wanted != latest {
		return w.Versions[i].Version, nil
	}
	return w.Versions[0].Version, nil
}

// record writes into a template what it was made from, so that the next observation can tell what the file said then.
// CloudFormation keeps Metadata and ignores it (user guide, "Template anatomy"), and so does eksctl.
func record(body []byte, written gitops.Tree) ([]byte, error) {
	var template map[string]json.RawMessage
	if err := json.Unmarshal(body, &template); err != nil {
		return nil, err
	}
	metadata, err := json.Marshal(gitops.Tree{tagUserName: written})
	if err != nil {
		return nil, err
	}
	template["Metadata"] = metadata
	return json.Marshal(template)
}
