package eks

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/eks-gitops/reconciler/internal/sim/aws/eks/catalog"
	"github.com/eks-gitops/reconciler/internal/sim/aws/wire"
)

// withEntries finds a cluster in which access entries can be used at all.
func (s *Service) withEntries(name string) (*clusterRecord, error) {
	c, err := s.cluster(name)
	if err != nil {
		return nil, err
	}
	if c.Cluster.AccessConfig.AuthenticationMode == "CONFIG_MAP" {
		return nil, subject{cluster: name}.badRequest("The cluster's authentication mode must be set to one of [API, API_AND_CONFIG_MAP] to perform this operation.")
	}
	return c, nil
}

func (s *Service) entry(cluster, principal string) (*clusterRecord, *entryRecord, error) {
	c, err := s.withEntries(cluster)
	if err != nil {
		return nil, nil, err
	}
	e, ok := c.Entries[principal]
	if !ok {
		return nil, nil, subject{cluster: cluster}.notFound("The specified principalArn could not be found. You can view your available access entries with 'list-access-entries'.")
	}
	return c, e, nil
}

func (s *Service) createAccessEntry(_ context.Context, _ wire.Caller, in *CreateAccessEntryInput) (*CreateAccessEntryOutput, error) {
	c, err := s.withEntries(in.ClusterName)
	if err != nil {
		return nil, err
	}
	on := subject{cluster: in.ClusterName}
	if have, ok := c.Entries[in.PrincipalARN]; ok {
		if in.ClientRequestToken != "" && have.Token == in.ClientRequestToken {
			return &CreateAccessEntryOutput{AccessEntry: &have.Entry}, nil
		}
		return nil, on.inUse("The specified access entry resource is already in use on this cluster.")
	}
	p, err := s.checkEntry(on, in)
	if err != nil {
		return nil, err
	}
	e := s.newEntry(c, in, p)
	c.Entries[in.PrincipalARN] = e
	return &CreateAccessEntryOutput{AccessEntry: &e.Entry}, nil
}

func entryTypes() []string {
	return []string{"STANDARD", "FARGATE_LINUX", "EC2_LINUX", "EC2_WINDOWS", "EC2", "HYBRID_LINUX", "HYPERPOD_LINUX"}
}

// checkEntry holds an access entry to the rules of
// https://docs.aws.amazon.com/eks/latest/userguide/creating-access-entries.html.
func (s *Service) checkEntry(on subject, in *CreateAccessEntryInput) (Principal, error) {
	p, ok := s.neighbours.Principals.Principal(in.PrincipalARN)
	if !ok || strings.Contains(in.PrincipalARN, ":sts:") {
		return p, on.badParameter("The specified principalArn is invalid: invalid principal.")
	}
	if err := checkEnum(on, "type", in.Type, entryTypes()...); err != nil {
		return p, err
	}
	standard := in.Type == "" || in.Type == "STANDARD"
	if !standard && !isRoleARN(in.PrincipalARN) {
		return p, on.badParameter("The specified principalArn is invalid: an access entry of type %s must be for an IAM role", in.Type)
	}
	if !standard && (len(in.KubernetesGroups) > 0 || in.Username != "") {
		return p, on.badParameter("The kubernetesGroups and username parameters are not supported for access entries of type %s", in.Type)
	}
	if err := checkSubjects(on, in.Username, in.KubernetesGroups); err != nil {
		return p, err
	}
	return p, checkTags(on, in.Tags)
}

// checkSubjects keeps users out of the names that Kubernetes and EKS reserve.
func checkSubjects(on subject, username string, groups []string) error {
	for _, reserved := range []string{"system:", "eks:", "aws:", "amazon:", "iam:"} {
		if strings.HasPrefix(username, reserved) {
			return on.badParameter("The username %s is invalid, it cannot start with %s", username, reserved)
		}
		for _, g := range groups {
			if strings.HasPrefix(g, reserved) {
				return on.badParameter("The kubernetes group name %s is invalid, it cannot start with %s", g, reserved)
			}
		}
	}
	if strings.Contains(username, "{{SessionName}}") && !strings.Contains(strings.SplitN(username, "{{SessionName}}", 2)[0], ":") {
		return on.badParameter("The username %s is invalid: a {{SessionName}} must be preceded by a colon", username)
	}
	return nil
}

func (s *Service) newEntry(c *clusterRecord, in *CreateAccessEntryInput, p Principal) *entryRecord {
	kind, user, groups := in.Type, in.Username, in.KubernetesGroups
	if kind == "" {
		kind = "STANDARD"
	}
	if user == "" {
		user = s.defaultUsername(kind, in.PrincipalARN)
	}
	if kind != "STANDARD" {
		groups = nodeGroups(kind)
	}
	class := "user"
	if isRoleARN(in.PrincipalARN) {
		class = "role"
	}
	return &entryRecord{
		Token: in.ClientRequestToken, PrincipalID: p.UniqueID, Policies: map[string]AssociatedAccessPolicy{},
		Entry: AccessEntry{
			ClusterName: c.Cluster.Name, PrincipalARN: in.PrincipalARN, KubernetesGroups: orEmpty(groups), Username: user, Type: kind,
			AccessEntryARN: s.world.ARN("eks", strings.Join([]string{"access-entry", c.Cluster.Name, class, s.world.Account, roleName(in.PrincipalARN), s.world.UUID()}, "/")),
			CreatedAt:      s.now(), ModifiedAt: s.now(), Tags: ownTags(in.Tags),
		},
	}
}

func ownTags(tags map[string]string) map[string]string {
	out := maps.Clone(tags)
	if out == nil {
		out = map[string]string{}
	}
	return out
}

// defaultUsername is what EKS sets where the user set nothing.
func (s *Service) defaultUsername(kind, principal string) string {
	switch kind {
	case "EC2_LINUX", "EC2_WINDOWS":
		return "system:node:{{EC2PrivateDNSName}}"
	case "EC2":
		return "system:node:{{EC2InstanceID}}"
	case "FARGATE_LINUX", "HYBRID_LINUX", "HYPERPOD_LINUX":
		return "system:node:{{SessionName}}"
	}
	if isRoleARN(principal) {
		return s.world.GlobalARN("sts", "assumed-role/"+roleName(principal)+"/{{SessionName}}")
	}
	return principal
}

func nodeGroups(kind string) []string {
	switch kind {
	case "EC2_LINUX", "HYBRID_LINUX", "HYPERPOD_LINUX", "EC2":
		return []string{"system:nodes"}
	case "EC2_WINDOWS":
		return []string{"eks:kube-proxy-windows", "system:nodes"}
	case "FARGATE_LINUX":
		return []string{"system:bootstrappers", "system:node-proxier", "system:nodes"}
	default:
		return []string{}
	}
}

func (s *Service) describeAccessEntry(_ context.Context, _ wire.Caller, in *DescribeAccessEntryInput) (*DescribeAccessEntryOutput, error) {
	_, e, err := s.entry(in.ClusterName, in.PrincipalARN)
	if err != nil {
		return nil, err
	}
	return &DescribeAccessEntryOutput{AccessEntry: &e.Entry}, nil
}

func (s *Service) listAccessEntries(_ context.Context, _ wire.Caller, in *ListAccessEntriesInput) (*ListAccessEntriesOutput, error) {
	c, err := s.withEntries(in.ClusterName)
	if err != nil {
		return nil, err
	}
	all := []string{}
	for arn, e := range sorted(c.Entries) {
		if _, has := e.Policies[in.AssociatedPolicyARN]; in.AssociatedPolicyARN == "" || has {
			all = append(all, arn)
		}
	}
	found, next, err := pageNames(all, in.MaxResults, in.NextToken)
	if err != nil {
		return nil, err
	}
	return &ListAccessEntriesOutput{AccessEntries: found, NextToken: next}, nil
}

func (s *Service) updateAccessEntry(_ context.Context, _ wire.Caller, in *UpdateAccessEntryInput) (*UpdateAccessEntryOutput, error) {
	_, e, err := s.entry(in.ClusterName, in.PrincipalARN)
	if err != nil {
		return nil, err
	}
	on := subject{cluster: in.ClusterName}
	if e.Entry.Type != "STANDARD" {
		return nil, on.badRequest("Access entries of type %s can't be updated", e.Entry.Type)
	}
	if err := checkSubjects(on, in.Username, in.KubernetesGroups); err != nil {
		return nil, err
	}
	if in.KubernetesGroups != nil {
		e.Entry.KubernetesGroups = in.KubernetesGroups
	}
	if in.Username != "" {
		e.Entry.Username = in.Username
	}
	e.Entry.ModifiedAt = s.now()
	return &UpdateAccessEntryOutput{AccessEntry: &e.Entry}, nil
}

func (s *Service) deleteAccessEntry(_ context.Context, _ wire.Caller, in *DeleteAccessEntryInput) (*DeleteAccessEntryOutput, error) {
	c, _, err := s.entry(in.ClusterName, in.PrincipalARN)
	if err != nil {
		return nil, err
	}
	delete(c.Entries, in.PrincipalARN)
	return &DeleteAccessEntryOutput{}, nil
}

// admit makes an entry on EKS's own account, unless there is one.
func (s *Service) admit(c *clusterRecord, principal, kind string) *entryRecord {
	if have, ok := c.Entries[principal]; ok {
		return have
	}
	p, _ := s.neighbours.Principals.Principal(principal)
	e := s.newEntry(c, &CreateAccessEntryInput{PrincipalARN: principal, Type: kind}, p)
	c.Entries[principal] = e
	return e
}

// admitCreator makes the creator of a cluster its administrator.
func (s *Service) admitCreator(c *clusterRecord) {
	principal, _ := s.principalOf(c.Creator)
	if principal == "" {
		return
	}
	admin := catalog.AccessPolicy{Name: "AmazonEKSClusterAdminPolicy"}.ARN(s.world.Partition)
	e := s.admit(c, principal, "STANDARD")
	e.Policies[admin] = AssociatedAccessPolicy{
		PolicyARN: admin, AccessScope: &AccessScope{Type: "cluster", Namespaces: []string{}}, AssociatedAt: s.now(), ModifiedAt: s.now(),
	}
}

// admitExisting makes the entries that a cluster gets when access entries are switched on: its creator's and those of the
// nodes it has.
func (s *Service) admitExisting(c *clusterRecord) {
	if c.BootstrapAdmin {
		s.admitCreator(c)
	}
	for _, g := range sorted(c.Nodegroups) {
		s.admitNodes(c, g.Nodegroup.NodeRole, g.Nodegroup.AMIType)
	}
	for _, p := range sorted(c.Profiles) {
		s.admit(c, p.Profile.PodExecutionRoleARN, "FARGATE_LINUX")
	}
}

// admitNodes lets the nodes of a role in, where access entries are in use.
func (s *Service) admitNodes(c *clusterRecord, role, amiType string) {
	if c.Cluster.AccessConfig.AuthenticationMode == "CONFIG_MAP" {
		return
	}
	kind := "EC2_LINUX"
	if strings.HasPrefix(amiType, "WINDOWS") {
		kind = "EC2_WINDOWS"
	}
	s.admit(c, role, kind)
}

// principalOf is the principal that access entries know: of an assumed role the role, else the ARN as it is. session is the
// name of the role's session.
func (s *Service) principalOf(arn string) (principal, session string) {
	rest, ok := strings.CutPrefix(arn, "arn:"+s.world.Partition+":sts::"+s.world.Account+":assumed-role/")
	if !ok {
		return arn, ""
	}
	role, session, _ := strings.Cut(rest, "/")
	principal = s.world.GlobalARN("iam", "role/"+role)
	// A role with a path has another ARN than its sessions tell.
	if p, found := s.neighbours.Principals.Principal(principal); found && p.ARN != "" {
		principal = p.ARN
	}
	return principal, session
}

func sortedPolicies(e *entryRecord) []AssociatedAccessPolicy {
	out := make([]AssociatedAccessPolicy, 0, len(e.Policies))
	for _, arn := range slices.Sorted(maps.Keys(e.Policies)) {
		out = append(out, e.Policies[arn])
	}
	return out
}
