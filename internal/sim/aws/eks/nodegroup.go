package eks

import (
	"context"
	"slices"
	"time"

	"github.com/eks-gitops/reconciler/internal/sim/aws/wire"
)

func (s *Service) describeNodegroup(_ context.Context, _ wire.Caller, in *DescribeNodegroupInput) (*DescribeNodegroupOutput, error) {
	c, err := s.cluster(in.ClusterName)
	if err != nil {
		return nil, err
	}
	g, err := nodegroup(c, in.NodegroupName)
	if err != nil {
		return nil, err
	}
	return &DescribeNodegroupOutput{Nodegroup: &g.Nodegroup}, nil
}

func (s *Service) listNodegroups(_ context.Context, _ wire.Caller, in *ListNodegroupsInput) (*ListNodegroupsOutput, error) {
	c, err := s.cluster(in.ClusterName)
	if err != nil {
		return nil, err
	}
	found, next, err := pageNames(names(c.Nodegroups), in.MaxResults, in.NextToken)
	if err != nil {
		return nil, err
	}
	return &ListNodegroupsOutput{Nodegroups: found, NextToken: next}, nil
}

func (s *Service) deleteNodegroup(_ context.Context, _ wire.Caller, in *DeleteNodegroupInput) (*DeleteNodegroupOutput, error) {
	c, err := s.cluster(in.ClusterName)
	if err != nil {
		return nil, err
	}
	g, err := nodegroup(c, in.NodegroupName)
	if err != nil {
		return nil, err
	}
	if c.nodegroupUpdate(in.NodegroupName) != nil {
		return nil, subject{cluster: in.ClusterName, nodegroup: in.NodegroupName}.inUse("Nodegroup cannot be deleted as it is currently being updated")
	}
	if g.Nodegroup.Status != "DELETING" {
		g.Nodegroup.Status, g.Nodegroup.ModifiedAt = "DELETING", s.now()
		g.Since, g.Due, g.Draining = s.world.Now(), s.in("eks.nodegroup.delete"), map[string]time.Time{}
	}
	return &DeleteNodegroupOutput{Nodegroup: &g.Nodegroup}, nil
}

func (s *Service) advanceNodegroups(now time.Time, c *clusterRecord) bool {
	changed := false
	for name, g := range sorted(c.Nodegroups) {
		switch g.Nodegroup.Status {
		case "CREATING":
			changed = s.settleNodegroup(now, c, g) || changed
		case "UPDATING":
			changed = s.advanceNodegroupUpdate(now, c, g) || changed
		case "DELETING":
			changed = s.emptyNodegroup(now, c, name, g) || changed
		case "ACTIVE", "DEGRADED":
			changed = s.watchNodegroup(g) || changed
		}
	}
	return changed
}

// settleNodegroup ends a creation: all nodes have joined, or they do not come.
func (s *Service) settleNodegroup(now time.Time, c *clusterRecord, g *nodegroupRecord) bool {
	state, ok := s.neighbours.Groups.Show(g.Group)
	ready, ids := 0, []string{}
	for _, i := range state.Instances {
		ids = append(ids, i.ID)
		if i.InService && s.nodes.Ready(c.Cluster.Name, i.ID) {
			ready++
		}
	}
	if ok && ready >= *g.Nodegroup.ScalingConfig.DesiredSize && due(now, g.Due) {
		g.Nodegroup.Status = "ACTIVE"
		return true
	}
	if now.Sub(g.Since) <= s.world.Patience("eks.nodegroup.node.timeout", joinTime) {
		return false
	}
	g.Nodegroup.Status = "CREATE_FAILED"
	issue := NodegroupIssue{Code: "NodeCreationFailure", Message: "Instances failed to join the kubernetes cluster", ResourceIDs: ids}
	if len(ids) == 0 {
		issue = NodegroupIssue{Code: "AsgInstanceLaunchFailures", Message: "Could not launch instances: " + state.Trouble, ResourceIDs: []string{g.Group}}
	}
	g.Nodegroup.Health.Issues = []NodegroupIssue{issue}
	return true
}

func (s *Service) advanceNodegroupUpdate(now time.Time, c *clusterRecord, g *nodegroupRecord) bool {
	u := c.nodegroupUpdate(g.Nodegroup.NodegroupName)
	if u == nil {
		g.Nodegroup.Status = "ACTIVE"
		return true
	}
	if u.Roll != nil {
		return s.advanceRoll(now, c, g, u)
	}
	if !due(now, u.Due) {
		return false
	}
	u.Update.Status = "Successful"
	g.Nodegroup.Status = "ACTIVE"
	s.startNextVersion(c, g, u)
	return true
}

// startNextVersion starts what a stack wanted beside a change of the configuration.
func (s *Service) startNextVersion(c *clusterRecord, g *nodegroupRecord, done *updateRecord) {
	next := g.NextVersion
	if next == nil {
		return
	}
	g.NextVersion = nil
	next.ClusterName, next.NodegroupName = c.Cluster.Name, g.Nodegroup.NodegroupName
	if _, err := s.startNodegroupVersion(next); err != nil {
		done.fail("OperationNotPermitted", err.Error(), g.Nodegroup.NodegroupName)
	}
}

// emptyNodegroup drains the nodes of a group that goes away, ends its instances, and removes what EKS made for it. Pods that
// cannot be evicted do not stop it (https://docs.aws.amazon.com/eks/latest/userguide/delete-managed-node-group.html).
func (s *Service) emptyNodegroup(now time.Time, c *clusterRecord, name string, g *nodegroupRecord) bool {
	state, ok := s.neighbours.Groups.Show(g.Group)
	if ok && !state.Deleting {
		force := now.Sub(g.Since) > s.world.Patience("eks.nodegroup.drain.timeout", leaveTime)
		for _, i := range state.Instances {
			if i.Leaving {
				continue
			}
			if empty, err := s.nodes.Drain(c.Cluster.Name, i.ID, force); err == nil && !empty && !force {
				return false
			}
		}
		if err := s.neighbours.Groups.Delete(g.Group); err != nil {
			g.Nodegroup.Status = "DELETE_FAILED"
			g.Nodegroup.Health.Issues = []NodegroupIssue{{Code: "InternalFailure", Message: err.Error(), ResourceIDs: []string{g.Group}}}
		}
		return true
	}
	if ok || !due(now, g.Due) {
		return false
	}
	s.neighbours.Templates.Delete(g.TemplateID)
	delete(c.Nodegroups, name)
	c.Updates = slices.DeleteFunc(c.Updates, func(u *updateRecord) bool { return u.Nodegroup == name })
	return true
}

// watchNodegroup shows what others did to what the group is made of: sizes that an autoscaler set are the group's own, and
// what is missing makes it unhealthy (https://docs.aws.amazon.com/eks/latest/APIReference/API_Issue.html).
func (s *Service) watchNodegroup(g *nodegroupRecord) bool {
	issues := []NodegroupIssue{}
	state, ok := s.neighbours.Groups.Show(g.Group)
	if !ok {
		issues = append(issues, NodegroupIssue{Code: "AutoScalingGroupNotFound", ResourceIDs: []string{g.Group}, Message: "We couldn't find the Auto Scaling group associated with the managed node group. You may be able to recreate an Auto Scaling group with the same settings to recover."})
	}
	if _, ok := s.neighbours.Principals.Principal(g.Nodegroup.NodeRole); !ok {
		issues = append(issues, NodegroupIssue{Code: "IamNodeRoleNotFound", ResourceIDs: []string{g.Nodegroup.NodeRole}, Message: "We couldn't find the node role for your managed node group."})
	}
	if t := g.Nodegroup.LaunchTemplate; t != nil {
		if _, err := s.neighbours.Templates.Resolve(LaunchTemplateSpecification{ID: t.ID, Version: t.Version}); err != nil {
			issues = append(issues, NodegroupIssue{Code: "Ec2LaunchTemplateNotFound", ResourceIDs: []string{t.ID}, Message: "We couldn't find the Amazon EC2 launch template for your managed node group."})
		}
	}
	for _, id := range g.Nodegroup.Subnets {
		if _, ok := s.neighbours.Network.Subnet(id); !ok {
			issues = append(issues, NodegroupIssue{Code: "Ec2SubnetNotFound", ResourceIDs: []string{id}, Message: "We couldn't find one or more subnets of your managed node group."})
		}
	}
	if ok && state.Trouble != "" && len(state.Instances) < state.Desired {
		issues = append(issues, NodegroupIssue{Code: "AsgInstanceLaunchFailures", ResourceIDs: []string{g.Group}, Message: state.Trouble})
	}
	changed := s.followGroup(g, state, ok)
	status := "ACTIVE"
	if len(issues) > 0 {
		status = "DEGRADED"
	}
	same := slices.EqualFunc(issues, g.Nodegroup.Health.Issues, func(a, b NodegroupIssue) bool {
		return a.Code == b.Code && a.Message == b.Message && slices.Equal(a.ResourceIDs, b.ResourceIDs)
	})
	if same && status == g.Nodegroup.Status {
		return changed
	}
	g.Nodegroup.Status, g.Nodegroup.Health.Issues = status, issues
	return true
}

func (s *Service) followGroup(g *nodegroupRecord, state GroupState, ok bool) bool {
	size := g.Nodegroup.ScalingConfig
	if !ok || (*size.MinSize == state.Min && *size.MaxSize == state.Max && *size.DesiredSize == state.Desired) {
		return false
	}
	g.Nodegroup.ScalingConfig = &NodegroupScalingConfig{MinSize: &state.Min, MaxSize: &state.Max, DesiredSize: &state.Desired}
	return true
}
