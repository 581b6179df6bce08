package eks

import (
	"context"

	"github.com/eks-gitops/reconciler/internal/sim/aws/wire"
)

// owner is what a request about updates names: the cluster, or one thing in it.
type owner struct{ nodegroup, addon, capability string }

func (u *updateRecord) of(o owner) bool {
	return u.Nodegroup == o.nodegroup && u.Addon == o.addon && u.Capability == o.capability
}

func (s *Service) checkOwner(c *clusterRecord, o owner) error {
	switch {
	case o.nodegroup != "":
		_, err := nodegroup(c, o.nodegroup)
		return err
	case o.addon != "":
		_, err := addon(c, o.addon)
		return err
	case o.capability != "":
		_, err := capability(c, o.capability)
		return err
	default:
		return nil
	}
}

func (s *Service) describeUpdate(_ context.Context, _ wire.Caller, in *DescribeUpdateInput) (*DescribeUpdateOutput, error) {
	c, err := s.cluster(in.Name)
	if err != nil {
		return nil, err
	}
	o := owner{in.NodegroupName, in.AddonName, in.CapabilityName}
	if err := s.checkOwner(c, o); err != nil {
		return nil, err
	}
	for _, u := range c.Updates {
		if u.Update.ID == in.UpdateID && u.of(o) {
			return &DescribeUpdateOutput{Update: &u.Update}, nil
		}
	}
	return nil, subject{cluster: in.Name, nodegroup: in.NodegroupName, addon: in.AddonName}.notFound("No update found for id: %s", in.UpdateID)
}

func (s *Service) listUpdates(_ context.Context, _ wire.Caller, in *ListUpdatesInput) (*ListUpdatesOutput, error) {
	c, err := s.cluster(in.Name)
	if err != nil {
		return nil, err
	}
	o := owner{in.NodegroupName, in.AddonName, in.CapabilityName}
	if err := s.checkOwner(c, o); err != nil {
		return nil, err
	}
	ids := []string{}
	for _, u := range c.Updates {
		if u.of(o) {
			ids = append(ids, u.Update.ID)
		}
	}
	found, next, err := pageNames(ids, in.MaxResults, in.NextToken)
	if err != nil {
		return nil, err
	}
	return &ListUpdatesOutput{UpdateIDs: found, NextToken: next}, nil
}

// cancelUpdate stops a version rollback, the one kind of update that can be cancelled; there are none here, so it only ever
// says why not.
func (s *Service) cancelUpdate(_ context.Context, _ wire.Caller, in *CancelUpdateInput) (*CancelUpdateOutput, error) {
	c, err := s.cluster(in.Name)
	if err != nil {
		return nil, err
	}
	on := subject{cluster: in.Name}
	for _, u := range c.Updates {
		if u.Update.ID != in.UpdateID || !u.ofCluster() {
			continue
		}
		if !u.running() {
			return nil, on.badState("Update %s is not in progress", in.UpdateID)
		}
		return nil, on.badRequest("Updates of type %s can't be cancelled", u.Update.Type)
	}
	return nil, on.notFound("No update found for id: %s", in.UpdateID)
}
