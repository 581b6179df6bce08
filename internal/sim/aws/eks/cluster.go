package eks

import (
	"context"
	"slices"
	"time"

	"github.com/eks-gitops/reconciler/internal/sim/aws/wire"
)

func (s *Service) describeCluster(_ context.Context, _ wire.Caller, in *DescribeClusterInput) (*DescribeClusterOutput, error) {
	c, err := s.cluster(in.Name)
	if err != nil {
		return nil, err
	}
	return &DescribeClusterOutput{Cluster: &c.Cluster}, nil
}

func (s *Service) listClusters(_ context.Context, _ wire.Caller, in *ListClustersInput) (*ListClustersOutput, error) {
	if slices.ContainsFunc(in.Include, func(i string) bool { return i != "all" }) {
		return nil, subject{}.badParameter("Invalid value of include: the only allowed value is all")
	}
	found, next, err := pageNames(names(s.state.Clusters), in.MaxResults, in.NextToken)
	if err != nil {
		return nil, err
	}
	return &ListClustersOutput{Clusters: found, NextToken: next}, nil
}

func (s *Service) deleteCluster(_ context.Context, _ wire.Caller, in *DeleteClusterInput) (*DeleteClusterOutput, error) {
	c, err := s.cluster(in.Name)
	if err != nil {
		return nil, err
	}
	if err := s.checkDelete(c); err != nil {
		return nil, err
	}
	if c.Cluster.Status != "DELETING" {
		c.Cluster.Status = "DELETING"
		c.Due = s.in("eks.cluster.delete")
		s.tellPlane(c)
	}
	return &DeleteClusterOutput{Cluster: &c.Cluster}, nil
}

// checkDelete names what stands in the way of deleting a cluster
// (https://docs.aws.amazon.com/eks/latest/APIReference/API_DeleteCluster.html).
func (s *Service) checkDelete(c *clusterRecord) error {
	on := subject{cluster: c.Cluster.Name}
	if c.Cluster.Status == "ACTIVE" || c.Cluster.Status == "UPDATING" {
		if isTrue(c.Cluster.DeletionProtection) {
			return on.badRequest("Cluster %s cannot be deleted because deletion protection is enabled. Disable deletion protection before deleting the cluster.", c.Cluster.Name)
		}
	}
	if len(c.Nodegroups) > 0 {
		return on.inUse("Cluster has nodegroups attached")
	}
	if len(c.Profiles) > 0 {
		return on.inUse("Cluster has fargate profiles attached")
	}
	if len(c.Capabilities) > 0 {
		return on.inUse("Cluster has capabilities attached")
	}
	if c.inFlight() != nil {
		return on.inUse("Cannot delete because cluster %s currently has an update in progress", c.Cluster.Name)
	}
	return nil
}

// advanceStatus settles creation and deletion of a cluster, and shows what its control plane has become.
func (s *Service) advanceStatus(now time.Time, c *clusterRecord) bool {
	switch c.Cluster.Status {
	case "CREATING":
		return s.settleCreation(now, c)
	case "DELETING":
		if !due(now, c.Due) || !s.planes.Status(c.Cluster.Name).Gone {
			return false
		}
		s.neighbours.Network.Detach(c.Attachment)
		delete(s.state.Clusters, c.Cluster.Name)
		delete(s.told, c.Cluster.Name)
		return true
	default:
		return s.showPlane(c, s.planes.Status(c.Cluster.Name))
	}
}

func (s *Service) settleCreation(now time.Time, c *clusterRecord) bool {
	plane := s.planes.Status(c.Cluster.Name)
	if plane.Err != nil {
		c.Cluster.Status = "FAILED"
		c.Cluster.Health.Issues = []ClusterIssue{{Code: "InternalFailure", Message: plane.Err.Error(), ResourceIDs: []string{c.Cluster.Name}}}
		return true
	}
	if !due(now, c.Due) || !plane.Ready {
		return false
	}
	s.showPlane(c, plane)
	c.Cluster.Status = "ACTIVE"
	if c.BootstrapAdmin && c.Cluster.AccessConfig.AuthenticationMode != "CONFIG_MAP" {
		s.admitCreator(c)
	}
	return true
}

// showPlane takes over where the control plane is reached. It may move when real processes behind it are started anew.
func (s *Service) showPlane(c *clusterRecord, plane PlaneStatus) bool {
	if plane.Endpoint == "" || (plane.Endpoint == c.Cluster.Endpoint && plane.CAData == c.Cluster.CertificateAuthority.Data) {
		return false
	}
	c.Cluster.Endpoint = plane.Endpoint
	c.Cluster.CertificateAuthority = &Certificate{Data: plane.CAData}
	return true
}

// ensureLogGroup makes the log group that control-plane logs go to.
func (s *Service) ensureLogGroup(c *clusterRecord) error {
	if len(enabledLogs(c.Cluster.Logging)) == 0 {
		return nil
	}
	return s.neighbours.LogGroups.Ensure("/aws/eks/" + c.Cluster.Name + "/cluster")
}
