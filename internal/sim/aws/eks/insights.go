package eks

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/eks-gitops/reconciler/internal/sim/aws/eks/catalog"
	"github.com/eks-gitops/reconciler/internal/sim/aws/wire"
)

// insightMemory is what a cluster remembers of an insight between two refreshes.
type insightMemory struct {
	ID, Status, Reason string
	Since              time.Time
	Resources          []string
}

// check is one thing that insights look at (https://docs.aws.amazon.com/eks/latest/userguide/cluster-insights.html).
type check struct {
	name, category, description, recommendation string
	blocks                                      bool // an ERROR keeps the control plane from being upgraded
	find                                        func(s *Service, c *clusterRecord) (status, reason string, resources []string)
}

func checks() []check {
	return []check{
		{
			name: "Kubelet version skew", category: "UPGRADE_READINESS", blocks: true, find: (*Service).kubeletSkew,
			description:    "Checks for kubelet versions of worker nodes in the cluster to see if upgrade would cause non compliance with supported Kubernetes kubelet version skew policy.",
			recommendation: "Upgrade your worker nodes to match the Kubernetes version of your cluster control plane.",
		},
		{
			name: "kube-proxy version skew", category: "UPGRADE_READINESS", blocks: true, find: (*Service).proxySkew,
			description:    "Checks version of kube-proxy in cluster to see if upgrade would cause non compliance with supported Kubernetes kube-proxy version skew policy.",
			recommendation: "Upgrade your kube-proxy to match the Kubernetes version of your cluster control plane.",
		},
		{
			name: "EKS add-on version compatibility", category: "UPGRADE_READINESS", find: (*Service).addonCompatibility,
			description:    "Checks version of installed EKS add-ons to ensure compatibility with the next version of Kubernetes.",
			recommendation: "Upgrade EKS add-on to a version that is compatible with the Kubernetes version you are planning to upgrade to.",
		},
		{
			name: "Cluster health issues", category: "UPGRADE_READINESS", find: (*Service).clusterHealth,
			description:    "Checks for any cluster health issues that prevent successful upgrade to the next Kubernetes version on EKS.",
			recommendation: "Review the health of the cluster and resolve its issues.",
		},
	}
}

func (s *Service) kubeletSkew(c *clusterRecord) (status, reason string, resources []string) {
	status = "PASSING"
	next := catalog.Minor(c.Cluster.Version) + 1
	for _, g := range sorted(c.Nodegroups) {
		switch skew := next - catalog.Minor(g.Nodegroup.Version); {
		case skew > maxKubeletSkew:
			status = "ERROR"
			resources = append(resources, g.Nodegroup.NodegroupARN)
		case skew == maxKubeletSkew && status == "PASSING":
			status = "WARNING"
			resources = append(resources, g.Nodegroup.NodegroupARN)
		}
	}
	if status != "PASSING" {
		return status, "Node(s) with kubelet versions too far behind the cluster's version detected.", resources
	}
	return status, "Node kubelet versions match the cluster control plane version, or are within the supported skew.", nil
}

func (s *Service) proxySkew(c *clusterRecord) (status, reason string, resources []string) {
	a, ok := c.Addons["kube-proxy"]
	if !ok {
		return "UNKNOWN", "The version of kube-proxy could not be determined.", nil
	}
	version := catalog.Minor(a.Addon.AddonVersion[1:])
	if catalog.Minor(c.Cluster.Version)+1-version > maxKubeletSkew {
		return "ERROR", "kube-proxy versions too far behind the cluster's version detected.", []string{a.Addon.AddonARN}
	}
	return "PASSING", "kube-proxy versions match the cluster control plane version, or are within the supported skew.", nil
}

func (s *Service) addonCompatibility(c *clusterRecord) (status, reason string, resources []string) {
	next := catalog.Next(c.Cluster.Version)
	if _, ok := catalog.FindVersion(next); !ok {
		return "PASSING", "There is no later Kubernetes version to upgrade to.", nil
	}
	for name, a := range sorted(c.Addons) {
		offered, _ := catalog.FindAddon(name)
		if v, ok := offered.Find(a.Addon.AddonVersion); !ok || !v.Compatible(next) {
			resources = append(resources, a.Addon.AddonARN)
		}
	}
	if len(resources) > 0 {
		return "WARNING", "Installed EKS add-on version(s) are incompatible with Kubernetes version " + next + ".", resources
	}
	return "PASSING", "All installed EKS add-on versions are compatible with next Kubernetes version.", nil
}

func (s *Service) clusterHealth(c *clusterRecord) (status, reason string, resources []string) {
	if len(c.Cluster.Health.Issues) > 0 {
		return "ERROR", "Cluster health issues detected.", []string{c.Cluster.ARN}
	}
	return "PASSING", "No cluster health issues detected.", nil
}

// blocksUpgrade looks at the cluster as it is now, whenever insights were last refreshed.
func (s *Service) blocksUpgrade(c *clusterRecord) bool {
	for _, k := range checks() {
		if status, _, _ := k.find(s, c); k.blocks && status == "ERROR" {
			return true
		}
	}
	return false
}

// advanceInsights refreshes insights once a day, and when asked to.
func (s *Service) advanceInsights(now time.Time, c *clusterRecord) bool {
	if c.Cluster.Status != "ACTIVE" {
		return false
	}
	asked := !c.InsightsStart.IsZero() && due(now, c.InsightsStart.Add(s.world.Duration("eks.insights.refresh")))
	if !asked && !c.InsightsAt.IsZero() && now.Before(c.InsightsAt.Add(s.world.Duration("eks.insights.interval"))) {
		return false
	}
	if asked {
		c.InsightsStart = time.Time{}
	}
	c.InsightsAt = now
	for _, k := range checks() {
		status, reason, resources := k.find(s, c)
		have, known := c.Shown[k.name]
		if !known {
			have.ID = s.world.UUID()
		}
		if have.Status != status {
			have.Since = now
		}
		have.Status, have.Reason, have.Resources = status, reason, resources
		c.Shown[k.name] = have
	}
	return true
}

func (c *clusterRecord) insight(k check) InsightSummary {
	m := c.Shown[k.name]
	return InsightSummary{
		ID: m.ID, Name: k.name, Category: k.category, KubernetesVersion: catalog.Next(c.Cluster.Version), Description: k.description,
		LastRefreshTime: wire.Time{Time: c.InsightsAt}, LastTransitionTime: wire.Time{Time: m.Since},
		InsightStatus: &InsightStatus{Status: m.Status, Reason: m.Reason},
	}
}

func (s *Service) listInsights(_ context.Context, _ wire.Caller, in *ListInsightsInput) (*ListInsightsOutput, error) {
	c, err := s.cluster(in.ClusterName)
	if err != nil {
		return nil, err
	}
	all := []InsightSummary{}
	for _, k := range checks() {
		if i := c.insight(k); i.ID != "" && matches(in.Filter, i) {
			all = append(all, i)
		}
	}
	found, next, err := page(all, func(i InsightSummary) string { return i.ID }, in.MaxResults, in.NextToken)
	if err != nil {
		return nil, err
	}
	return &ListInsightsOutput{Insights: found, NextToken: next}, nil
}

func matches(f *InsightsFilter, i InsightSummary) bool {
	if f == nil {
		return true
	}
	return (len(f.Categories) == 0 || slices.Contains(f.Categories, i.Category)) &&
		(len(f.KubernetesVersions) == 0 || slices.Contains(f.KubernetesVersions, i.KubernetesVersion)) &&
		(len(f.Statuses) == 0 || slices.Contains(f.Statuses, i.InsightStatus.Status))
}

func (s *Service) describeInsight(_ context.Context, _ wire.Caller, in *DescribeInsightInput) (*DescribeInsightOutput, error) {
	c, err := s.cluster(in.ClusterName)
	if err != nil {
		return nil, err
	}
	for _, k := range checks() {
		i := c.insight(k)
		if i.ID == "" || i.ID != in.ID {
			continue
		}
		out := &Insight{
			ID: i.ID, Name: i.Name, Category: i.Category, KubernetesVersion: i.KubernetesVersion, LastRefreshTime: i.LastRefreshTime,
			LastTransitionTime: i.LastTransitionTime, Description: i.Description, InsightStatus: i.InsightStatus,
			Recommendation: k.recommendation, AdditionalInfo: map[string]string{}, Resources: []InsightResourceDetail{},
			CategorySpecificSummary: &InsightCategorySpecificSummary{DeprecationDetails: []DeprecationDetail{}, AddonCompatibilityDetails: []AddonCompatibilityDetail{}},
		}
		for _, arn := range c.Shown[k.name].Resources {
			out.Resources = append(out.Resources, InsightResourceDetail{ARN: arn, InsightStatus: i.InsightStatus})
		}
		return &DescribeInsightOutput{Insight: out}, nil
	}
	return nil, subject{cluster: in.ClusterName}.notFound("No insight found with id: %s", in.ID)
}

func (s *Service) startInsightsRefresh(_ context.Context, _ wire.Caller, in *StartInsightsRefreshInput) (*StartInsightsRefreshOutput, error) {
	c, err := s.settled(in.ClusterName, subject{cluster: in.ClusterName})
	if err != nil {
		return nil, err
	}
	if c.InsightsStart.IsZero() {
		c.InsightsStart = s.world.Now()
	}
	return &StartInsightsRefreshOutput{Message: "Insights refresh is in progress", Status: "IN_PROGRESS"}, nil
}

func (s *Service) describeInsightsRefresh(_ context.Context, _ wire.Caller, in *DescribeInsightsRefreshInput) (*DescribeInsightsRefreshOutput, error) {
	c, err := s.cluster(in.ClusterName)
	if err != nil {
		return nil, err
	}
	if !c.InsightsStart.IsZero() {
		return &DescribeInsightsRefreshOutput{Message: "Insights refresh is in progress", Status: "IN_PROGRESS", StartedAt: wire.Time{Time: c.InsightsStart}}, nil
	}
	if c.InsightsAt.IsZero() {
		return nil, subject{cluster: in.ClusterName}.notFound("No insights refresh found for cluster: %s", in.ClusterName)
	}
	return &DescribeInsightsRefreshOutput{
		Message: fmt.Sprintf("Insights refresh of cluster %s completed", in.ClusterName), Status: "COMPLETED",
		StartedAt: wire.Time{Time: c.InsightsAt}, EndedAt: wire.Time{Time: c.InsightsAt},
	}, nil
}
