package catalog

import "slices"

// AccessPolicy is a set of Kubernetes permissions that EKS defines
// (https://docs.aws.amazon.com/eks/latest/userguide/access-policy-permissions.html).
type AccessPolicy struct {
	Name string
	// Role is the built-in ClusterRole of Kubernetes with the same reach, where there is one ("cluster-admin").
	Role string
}

// AccessPolicies lists the policies that can be associated, by name.
func AccessPolicies() []AccessPolicy {
	return []AccessPolicy{
		{Name: "AmazonEKSACKPolicy"},
		{Name: "AmazonEKSAdminPolicy", Role: "admin"},
		{Name: "AmazonEKSAdminViewPolicy"},
		{Name: "AmazonEKSArgoCDClusterPolicy"},
		{Name: "AmazonEKSArgoCDPolicy"},
		{Name: "AmazonEKSAutoNodePolicy"},
		{Name: "AmazonEKSBlockStorageClusterPolicy"},
		{Name: "AmazonEKSBlockStoragePolicy"},
		{Name: "AmazonEKSClusterAdminPolicy", Role: "cluster-admin"},
		{Name: "AmazonEKSClusterInsightsPolicy"},
		{Name: "AmazonEKSComputeClusterPolicy"},
		{Name: "AmazonEKSComputePolicy"},
		{Name: "AmazonEKSEditPolicy", Role: "edit"},
		{Name: "AmazonEKSHybridPolicy"},
		{Name: "AmazonEKSKROPolicy"},
		{Name: "AmazonEKSLoadBalancingClusterPolicy"},
		{Name: "AmazonEKSLoadBalancingPolicy"},
		{Name: "AmazonEKSNetworkingClusterPolicy"},
		{Name: "AmazonEKSNetworkingPolicy"},
		{Name: "AmazonEKSSecretReaderPolicy"},
		{Name: "AmazonEKSViewPolicy", Role: "view"},
	}
}

// ARN is the policy's ARN in a partition.
func (p AccessPolicy) ARN(partition string) string {
	return "arn:" + partition + ":eks::aws:cluster-access-policy/" + p.Name
}

// FindAccessPolicy finds a policy by its ARN.
func FindAccessPolicy(partition, arn string) (AccessPolicy, bool) {
	all := AccessPolicies()
	i := slices.IndexFunc(all, func(p AccessPolicy) bool { return p.ARN(partition) == arn })
	if i < 0 {
		return AccessPolicy{}, false
	}
	return all[i], true
}
