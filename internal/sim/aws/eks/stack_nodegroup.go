package eks

import (
	"context"
	"slices"
	"strings"

	cfn "github.com/eks-gitops/reconciler/internal/sim/aws/cloudformation"
	"github.com/eks-gitops/reconciler/internal/sim/aws/wire"
)

// noCaller stands for CloudFormation calling in a user's name where the operation does not ask whose.
func noCaller() wire.Caller { return wire.Caller{} }

// gone lets the deletion of what is not there pass, and lets what is busy be tried again.
func gone(err error) error {
	switch wire.Code(err) {
	case "ResourceNotFoundException", "NotFoundException":
		return nil
	case "ResourceInUseException":
		return cfn.TryAgain(err)
	default:
		return err
	}
}

// alreadySo says that an update was refused because there is nothing to change.
func alreadySo(err error) bool {
	return err != nil && wire.Code(err) == "InvalidParameterException" &&
		(strings.Contains(err.Error(), "already at the desired configuration") || strings.Contains(err.Error(), "No changes needed"))
}

// nodegroupProvider is AWS::EKS::Nodegroup. The physical id is CLUSTER/NODEGROUP.
type nodegroupProvider struct{ s *Service }

func (p nodegroupProvider) Create(ctx context.Context, r cfn.Resource) (string, error) {
	in := &CreateNodegroupInput{}
	if err := decode(r.Properties, in, "Tags", "ForceUpdateEnabled"); err != nil {
		return "", err
	}
	if in.NodegroupName == "" {
		in.NodegroupName = r.GeneratedName(63)
	}
	in.Tags, _ = resourceTags(r)
	made, err := p.s.createNodegroup(ctx, noCaller(), in)
	if err != nil {
		return "", err
	}
	p.s.tag(made.Nodegroup.NodegroupARN, &made.Nodegroup.Tags, r)
	return in.ClusterName + "/" + in.NodegroupName, nil
}

func (p nodegroupProvider) find(id string) (*clusterRecord, *nodegroupRecord, error) {
	cluster, name, _ := strings.Cut(id, "/")
	c, err := p.s.cluster(cluster)
	if err != nil {
		return nil, nil, err
	}
	g, err := nodegroup(c, name)
	return c, g, err
}

// Update turns what changed into an update of the API. CloudFormation's handler refuses to combine a change of version with
// another one.
func (p nodegroupProvider) Update(ctx context.Context, r cfn.Resource, old map[string]any) error {
	c, g, err := p.find(r.PhysicalID)
	if err != nil {
		return err
	}
	version := changed(old, r.Properties, "Version", "ReleaseVersion")
	config := changed(old, r.Properties, "Labels", "Taints", "ScalingConfig", "UpdateConfig", "NodeRepairConfig")
	if version && config {
		return subject{}.badRequest("Version and ReleaseVersion updates cannot be combined with other updates")
	}
	want, have := &CreateNodegroupInput{}, &CreateNodegroupInput{}
	if err := decode(r.Properties, want, "Tags", "ForceUpdateEnabled"); err != nil {
		return err
	}
	if err := decode(old, have, "Tags", "ForceUpdateEnabled"); err != nil {
		return err
	}
	p.s.tag(g.Nodegroup.NodegroupARN, &g.Nodegroup.Tags, r)
	if config {
		if _, err := p.s.updateNodegroupConfig(ctx, noCaller(), nodegroupChange(c, g, have, want)); err != nil {
			return err
		}
	}
	if !version && !changed(old, r.Properties, "LaunchTemplate") {
		return nil
	}
	next := &UpdateNodegroupVersionInput{ClusterName: c.Cluster.Name, NodegroupName: g.Nodegroup.NodegroupName, Force: new(flag(r.Properties["ForceUpdateEnabled"]))}
	if version {
		next.Version, next.ReleaseVersion = want.Version, want.ReleaseVersion
	}
	if changed(old, r.Properties, "LaunchTemplate") {
		next.LaunchTemplate = want.LaunchTemplate
	}
	if config {
		g.NextVersion = next
		return nil
	}
	_, err = p.s.updateNodegroupVersion(ctx, noCaller(), next)
	return err
}

func nodegroupChange(c *clusterRecord, g *nodegroupRecord, have, want *CreateNodegroupInput) *UpdateNodegroupConfigInput {
	in := &UpdateNodegroupConfigInput{
		ClusterName: c.Cluster.Name, NodegroupName: g.Nodegroup.NodegroupName, ScalingConfig: want.ScalingConfig,
		UpdateConfig: want.UpdateConfig, NodeRepairConfig: want.NodeRepairConfig,
		Labels: &UpdateLabelsPayload{AddOrUpdateLabels: want.Labels}, Taints: &UpdateTaintsPayload{AddOrUpdateTaints: want.Taints},
	}
	for k := range sorted(have.Labels) {
		if _, stays := want.Labels[k]; !stays {
			in.Labels.RemoveLabels = append(in.Labels.RemoveLabels, k)
		}
	}
	for _, t := range have.Taints {
		if !slices.ContainsFunc(want.Taints, func(n Taint) bool { return n.Key == t.Key && n.Effect == t.Effect }) {
			in.Taints.RemoveTaints = append(in.Taints.RemoveTaints, t)
		}
	}
	return in
}

func (p nodegroupProvider) Delete(ctx context.Context, r cfn.Resource) error {
	cluster, name, _ := strings.Cut(r.PhysicalID, "/")
	_, err := p.s.deleteNodegroup(ctx, noCaller(), &DeleteNodegroupInput{ClusterName: cluster, NodegroupName: name})
	return gone(err)
}

func (p nodegroupProvider) Status(_ context.Context, r cfn.Resource) (cfn.Status, error) {
	c, g, err := p.find(r.PhysicalID)
	if err != nil {
		return cfn.Status{Phase: cfn.Absent}, nil //nolint:nilerr // not there is an answer
	}
	n := g.Nodegroup
	out := cfn.Status{Phase: cfn.InProgress, Attributes: map[string]any{
		"Arn": n.NodegroupARN, "ClusterName": n.ClusterName, "NodegroupName": n.NodegroupName, "Id": r.PhysicalID,
	}}
	switch n.Status {
	case "CREATE_FAILED", "DELETE_FAILED":
		out.Phase = cfn.Failed
		for _, i := range n.Health.Issues {
			out.Reason = "[Issue(Code=" + i.Code + ", Message=" + i.Message + ", ResourceIds=[" + strings.Join(i.ResourceIDs, ", ") + "])]"
		}
	case "ACTIVE", "DEGRADED":
		if g.NextVersion != nil {
			return out, nil
		}
		out.Phase = cfn.Ready
		if u := c.lastOf(owner{nodegroup: n.NodegroupName}); u != nil && u.Update.Status == "Failed" {
			out.Phase, out.Reason = cfn.Failed, updateReason(u)
		}
	}
	return out, nil
}

// lastOf is the last update of something in the cluster.
func (c *clusterRecord) lastOf(o owner) *updateRecord {
	var last *updateRecord
	for _, u := range c.Updates {
		if u.of(o) {
			last = u
		}
	}
	return last
}
