package eks

import (
	"slices"

	"github.com/eks-gitops/reconciler/internal/sim/aws/eks/catalog"
)

// checkCapabilityRole says whether capabilities may assume a role, with tags of the session
// (https://docs.aws.amazon.com/eks/latest/userguide/capability-role.html).
func (s *Service) checkCapabilityRole(on subject, arn string) error {
	p, ok := s.neighbours.Principals.Principal(arn)
	if !isRoleARN(arn) || !ok || !slices.Contains(p.Trusted, capabilityService) || !allows(p.Actions, "sts:AssumeRole") || !allows(p.Actions, "sts:TagSession") {
		return on.badParameter("The trust policy for the provided role is invalid. The policy must include sts:AssumeRole and sts:TagSession actions granting access to the AWS service %s", capabilityService)
	}
	return nil
}

// capabilityPolicies are the access policies that EKS gives the role of a capability by itself.
func capabilityPolicies(kind string) []string {
	switch kind {
	case "ACK":
		return []string{"AmazonEKSACKPolicy"}
	case "KRO":
		return []string{"AmazonEKSKROPolicy"}
	default:
		return []string{"AmazonEKSArgoCDClusterPolicy", "AmazonEKSArgoCDPolicy"}
	}
}

// admitCapability makes the access entry through which a capability works in the cluster, or adds to one that the role has already
// (https://docs.aws.amazon.com/eks/latest/userguide/capabilities-security.html).
func (s *Service) admitCapability(c *clusterRecord, r *capabilityRecord) {
	_, had := c.Entries[r.Capability.RoleARN]
	e := s.admit(c, r.Capability.RoleARN, "STANDARD")
	r.Admitted = !had
	for _, name := range capabilityPolicies(r.Capability.Type) {
		arn := catalog.AccessPolicy{Name: name}.ARN(s.world.Partition)
		scope := &AccessScope{Type: "cluster", Namespaces: []string{}}
		if k := r.Capability.Configuration; name == "AmazonEKSArgoCDPolicy" && k != nil && k.ArgoCd != nil {
			scope = &AccessScope{Type: "namespace", Namespaces: []string{k.ArgoCd.Namespace}}
		}
		if _, has := e.Policies[arn]; !has {
			e.Policies[arn] = AssociatedAccessPolicy{PolicyARN: arn, AccessScope: scope, AssociatedAt: s.now(), ModifiedAt: s.now()}
		}
	}
}

// dropCapability takes back what admitCapability gave, unless another capability works with the same role. AWS does not say what
// becomes of the entry; nothing is left of it here.
func (s *Service) dropCapability(c *clusterRecord, r *capabilityRecord) {
	role := r.Capability.RoleARN
	e, ok := c.Entries[role]
	if !ok {
		return
	}
	for name, other := range sorted(c.Capabilities) {
		if name != r.Capability.CapabilityName && other.Capability.RoleARN == role {
			other.Admitted = other.Admitted || r.Admitted
			return
		}
	}
	if r.Admitted {
		delete(c.Entries, role)
		return
	}
	for _, name := range capabilityPolicies(r.Capability.Type) {
		delete(e.Policies, catalog.AccessPolicy{Name: name}.ARN(s.world.Partition))
	}
}
