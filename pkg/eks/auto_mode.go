package eks

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eks"
	ekstypes "github.com/aws/aws-sdk-go-v2/service/eks/types"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	iamtypes "github.com/aws/aws-sdk-go-v2/service/iam/types"
	api "github.com/weaveworks/eksctl/pkg/apis/eksctl.io/v1alpha5"
	"github.com/weaveworks/eksctl/pkg/cfn/builder"

	"github.com/eks-gitops/reconciler/pkg/gitops"
)

// Auto Mode is switched by one update of the cluster, which says compute, load balancing and block storage together (API reference,
// UpdateClusterConfig). Around it, eksctl gives the cluster's role four policies and makes a role for the nodes in a stack of its own
// (pkg/actions/automode, pkg/automode); the role is in the cluster's stack when the cluster was made with Auto Mode.

// nodeRoleOutput is the output of a stack that holds the ARN of the nodes' role.
const nodeRoleOutput = "AutoModeNodeRoleARN"

func autoModeStack(cluster string) string { return stackPrefix(cluster) + "auto-mode-role" }

// roleStacks are the stacks that the control plane has beside its own.
func (c *Config) roleStacks() []string {
	if c.wantsAutoMode() == nil {
		return nil
	}
	return []string{autoModeStack(c.Name)}
}

// autoModeFields are the rows about Auto Mode.
func autoModeFields() []clusterField {
	return []clusterField{
		{path: []string{"autoModeConfig", "enabled"}, seen: "computeConfig.enabled", live: autoModeState, by: byAutoMode, note: "with load balancing and block storage, the policies of the cluster's role and the stack of the nodes' role"},
		{path: []string{"autoModeConfig", "nodePools"}, seen: "computeConfig.nodePools", wanted: wantedPools, form: pools, by: byAutoMode},
		{path: []string{"autoModeConfig", "nodeRoleARN"}, seen: "computeConfig.nodeRoleArn", by: byAutoMode, barred: nodeRoleBarred, note: "fixed while Auto Mode is on and has node pools"},
		{path: []string{"autoModeConfig", "permissionsBoundaryARN"}, from: "cloudformation:GetTemplate", live: liveBoundary, by: byNodeRole, barred: boundaryBarred, note: "of the nodes' role, where that has a stack of its own"},
	}
}

// wantsAutoMode is what the file says about it; nil when it says nothing.
func (c *Config) wantsAutoMode() any { return c.written("autoModeConfig", "enabled") }

func autoModeOn(w *world) bool {
	return w.Cluster != nil && w.Cluster.ComputeConfig != nil && aws.ToBool(w.Cluster.ComputeConfig.Enabled)
}

// autoModeState is whether Auto Mode is on, or in words what is missing or left over where git says which of both it should be.
func autoModeState(c *Config, w *world) any {
	on := autoModeOn(w)
	_, made := w.Stacks[autoModeStack(c.Name)]
	missing, held := c.autoModePolicies(w)
	switch wanted := c.wantsAutoMode(); {
	case wanted == true && on && len(missing) > 0:
		return "on, but the cluster's role lacks " + strings.Join(missing, ", ")
	case wanted == true && on && made && poolless(w) && wantedPools(c) == noPools:
		return "on, with a role for nodes that nothing uses"
	case wanted == false && !on && made, wanted == false && !on && len(held) > 0:
		return "off, but its roles and policies are left"
	}
	return on
}

// noPools stands for an empty list, which elsewhere means that nothing is said.
const noPools = "none"

func pools(v any) any {
	if list, _ := unordered(v).([]any); len(list) > 0 {
		return list
	}
	return noPools
}

func poolless(w *world) bool { return len(w.Cluster.ComputeConfig.NodePools) == 0 }

func wantedPools(c *Config) any {
	if v := c.written("autoModeConfig", "nodePools"); v != nil && c.wantsAutoMode() == true {
		return pools(v)
	}
	return nil
}

// nodeRoleBarred: the role cannot be changed once compute is enabled (API reference, ComputeConfigRequest).
func nodeRoleBarred(_ *world, live, next any) string {
	if empty(live) {
		return ""
	}
	return fmt.Sprintf("cannot be changed while Auto Mode is on: it is %v, and the file says %v", live, next)
}

// liveBoundary is the permissions boundary that the stack of the nodes' role gave it.
func liveBoundary(c *Config, w *world) any {
	for _, stack := range []string{clusterStack(c.Name), autoModeStack(c.Name)} {
		if v := gitops.StringAt(w.Templates[stack], "Resources", "AutoModeNodeRole", "Properties", "PermissionsBoundary"); v != "" {
			return v
		}
	}
	return ""
}

func boundaryBarred(w *world, live, next any) string {
	if !autoModeOn(w) {
		return ""
	}
	role := aws.ToString(w.Cluster.ComputeConfig.NodeRoleArn)
	if role == "" || role == output(w.Stacks[autoModeStack(aws.ToString(w.Cluster.Name))], nodeRoleOutput) {
		return ""
	}
	return fmt.Sprintf("cannot be changed: it is %q, and the file says %v, but the nodes' role %s has no stack of its own", live, next, role)
}

// autoModePolicies are the policies that Auto Mode wants on the cluster's role: those that it lacks, and those that it has. A role
// that the cluster's stack did not make is its owner's to look after, and what is not known is neither.
func (c *Config) autoModePolicies(w *world) (missing, held []string) {
	if w.RolePolicies == nil || !c.dedicatedRole(w) {
		return nil, nil
	}
	for _, name := range builder.AutoModeIAMPolicies {
		if slices.Contains(w.RolePolicies, name) {
			held = append(held, name)
		} else {
			missing = append(missing, name)
		}
	}
	return missing, held
}

// dedicatedRole says that the cluster's stack made the cluster's role.
func (c *Config) dedicatedRole(w *world) bool { return c.serviceRole(w) != nil }

func (c *Config) serviceRole(w *world) gitops.Tree {
	return gitops.TreeAt(w.Templates[clusterStack(c.Name)], "Resources", "ServiceRole")
}

func roleName(w *world) string {
	return lastPart(aws.ToString(w.Cluster.RoleArn))
}

// readRolePolicies asks for the policies of the cluster's role, when the file says something about Auto Mode, or somebody switched it on.
func (c *Cloud) readRolePolicies(ctx context.Context, cfg *Config, w *world) error {
	w.RolePolicies = nil
	_, made := w.Stacks[autoModeStack(cfg.Name)]
	if cfg.wantsAutoMode() == nil && !made || w.Cluster == nil || !cfg.dedicatedRole(w) {
		return nil
	}
	p := iam.NewListAttachedRolePoliciesPaginator(c.aws.iam, &iam.ListAttachedRolePoliciesInput{RoleName: aws.String(roleName(w))})
	list, err := page(ctx, p.HasMorePages, func(ctx context.Context) (*iam.ListAttachedRolePoliciesOutput, error) { return p.NextPage(ctx) },
		func(o *iam.ListAttachedRolePoliciesOutput) []iamtypes.AttachedPolicy { return o.AttachedPolicies })
	if absent(err) {
		return nil
	}
	w.RolePolicies = make([]string, 0, len(list))
	for _, policy := range list {
		w.RolePolicies = append(w.RolePolicies, aws.ToString(policy.PolicyName))
	}
	return err
}

// autoMode takes the next step of switching Auto Mode on, off, or over to other node pools. What it needs comes before the update of
// the cluster, and what it needed goes after that.
func (c *Cloud) autoMode(ctx context.Context, cfg *Config, w *world, _ comparison) (*ekstypes.Update, error) {
	if cfg.wantsAutoMode() != true {
		return c.leaveAutoMode(ctx, cfg, w)
	}
	if err := c.allowAutoMode(ctx, cfg, w); err != nil {
		return nil, err
	}
	next := cfg.nextPools(w)
	if autoModeOn(w) && equal(pools(next), pools(w.Cluster.ComputeConfig.NodePools)) {
		return nil, c.dropNodeRole(ctx, cfg, w)
	}
	compute := &ekstypes.ComputeConfigRequest{Enabled: aws.Bool(true), NodePools: next}
	if len(next) > 0 {
		arn, ready, err := c.nodeRole(ctx, cfg, w)
		if err != nil || !ready {
			return nil, err
		}
		compute.NodeRoleArn = &arn
	}
	return c.switchAutoMode(ctx, cfg, compute)
}

// nextPools are the node pools of the file; where it does not say, those that there are, or eksctl's defaults for a new start.
func (c *Config) nextPools(w *world) []string {
	if wantedPools(c) == nil && autoModeOn(w) {
		return w.Cluster.ComputeConfig.NodePools
	}
	return *c.full.AutoModeConfig.NodePools
}

// switchAutoMode says the three parts of Auto Mode, which EKS takes only together.
func (c *Cloud) switchAutoMode(ctx context.Context, cfg *Config, compute *ekstypes.ComputeConfigRequest) (*ekstypes.Update, error) {
	out, err := c.aws.eks.UpdateClusterConfig(ctx, &eks.UpdateClusterConfigInput{
		Name: &cfg.Name, ComputeConfig: compute,
		KubernetesNetworkConfig: &ekstypes.KubernetesNetworkConfigRequest{ElasticLoadBalancing: &ekstypes.ElasticLoadBalancing{Enabled: compute.Enabled}},
		StorageConfig:           &ekstypes.StorageConfigRequest{BlockStorage: &ekstypes.BlockStorage{Enabled: compute.Enabled}},
	})
	if err != nil {
		return nil, err
	}
	return out.Update, nil
}

func (c *Cloud) leaveAutoMode(ctx context.Context, cfg *Config, w *world) (*ekstypes.Update, error) {
	if autoModeOn(w) {
		return c.switchAutoMode(ctx, cfg, &ekstypes.ComputeConfigRequest{Enabled: aws.Bool(false)})
	}
	_, held := cfg.autoModePolicies(w)
	for _, name := range held {
		_, err := c.aws.iam.DetachRolePolicy(ctx, &iam.DetachRolePolicyInput{RoleName: aws.String(roleName(w)), PolicyArn: policyOfAWS(w, name)})
		if err != nil && !absent(err) {
			return nil, err
		}
	}
	return nil, c.dropNodeRole(ctx, cfg, w)
}

// endAutoMode switches off, before a cluster goes, the Auto Mode that it was not made with: the cluster's stack cannot delete a role that
// has more policies than it gave it, and while Auto Mode is on, it needs them. EKS ends its nodes and load balancers (EKS user guide,
// "Disable EKS Auto Mode").
func (c *Cloud) endAutoMode(ctx context.Context, cfg *Config, w *world) (over bool, err error) {
	_, made := w.Stacks[autoModeStack(cfg.Name)]
	_, held := cfg.autoModePolicies(w)
	given := fmt.Sprint(cfg.serviceRole(w))
	added := slices.ContainsFunc(held, func(policy string) bool { return !strings.Contains(given, policy) })
	if w.Cluster == nil || !made && !added {
		return true, nil
	}
	switch w.Cluster.Status {
	case ekstypes.ClusterStatusActive:
		_, err = c.leaveAutoMode(ctx, cfg, w)
		return !autoModeOn(w), err
	case ekstypes.ClusterStatusUpdating:
		return false, nil
	default:
		return true, nil
	}
}

// dropNodeRole ends the stack of the nodes' role where no nodes can have it any more.
func (c *Cloud) dropNodeRole(ctx context.Context, cfg *Config, w *world) error {
	s, ok := w.Stacks[autoModeStack(cfg.Name)]
	if !ok || autoModeOn(w) && !poolless(w) {
		return nil
	}
	return c.deleteStack(ctx, cfg, s)
}

func policyOfAWS(w *world, name string) *string {
	return aws.String(fmt.Sprintf("arn:%s:iam::aws:policy/%s", w.Partition, name))
}

// trustOfAutoMode lets EKS tag its sessions of the cluster's role, as roles of clusters that eksctl makes today do from the start.
// That stays when Auto Mode is switched off.
const trustOfAutoMode = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"eks.amazonaws.com"},"Action":["sts:AssumeRole","sts:TagSession"]}]}`

// allowAutoMode gives the cluster's role the rights that Auto Mode needs.
func (c *Cloud) allowAutoMode(ctx context.Context, cfg *Config, w *world) error {
	missing, _ := cfg.autoModePolicies(w)
	if !cfg.dedicatedRole(w) || autoModeOn(w) && len(missing) == 0 {
		return nil
	}
	if trust := gitops.TreeAt(cfg.serviceRole(w), "Properties", "AssumeRolePolicyDocument"); !strings.Contains(fmt.Sprint(trust), "sts:TagSession") {
		_, err := c.aws.iam.UpdateAssumeRolePolicy(ctx, &iam.UpdateAssumeRolePolicyInput{RoleName: aws.String(roleName(w)), PolicyDocument: aws.String(trustOfAutoMode)})
		if err != nil {
			return err
		}
	}
	for _, name := range missing {
		if _, err := c.aws.iam.AttachRolePolicy(ctx, &iam.AttachRolePolicyInput{RoleName: aws.String(roleName(w)), PolicyArn: policyOfAWS(w, name)}); err != nil {
			return err
		}
	}
	return nil
}

// nodeRole brings the role of the nodes to stand: the one that they have, which cannot change, the file's, the one in the cluster's
// stack, or one in a stack of its own.
func (c *Cloud) nodeRole(ctx context.Context, cfg *Config, w *world) (arn string, ready bool, err error) {
	own, live := autoModeStack(cfg.Name), ""
	if autoModeOn(w) {
		live = aws.ToString(w.Cluster.ComputeConfig.NodeRoleArn)
	}
	if live != "" && live != output(w.Stacks[own], nodeRoleOutput) {
		return live, true, nil
	}
	if given := cfg.full.AutoModeConfig.NodeRoleARN; !given.IsZero() {
		return given.String(), true, nil
	}
	if arn := output(w.Stacks[clusterStack(cfg.Name)], nodeRoleOutput); arn != "" {
		return arn, true, nil
	}
	body, err := renderNodeRole(cfg.full.AutoModeConfig.PermissionsBoundaryARN)
	if err != nil {
		return "", false, err
	}
	stage, err := c.ensureStack(ctx, cfg, w, stackOrder{name: own, body: body, iam: true})
	if err != nil || stage != standing {
		return "", false, err
	}
	if wanted := gitops.StringAt(cfg.Written, "autoModeConfig", "permissionsBoundaryARN"); wanted != "" && wanted != liveBoundary(cfg, w) {
		return "", false, c.updateStack(ctx, w.Stacks[own], role{stack: own, body: body})
	}
	return output(w.Stacks[own], nodeRoleOutput), true, nil
}

// templates guards eksctl's reader of templates, which it uses for Auto Mode only: each reading writes the tags of the template language
// (!Sub and so on) into one map of the process, without a lock (pkg/goformation/intrinsics/tags.go).
var templates sync.Mutex //nolint:gochecknoglobals // as what it guards is

// renderNodeRole is eksctl's stack of the nodes' role. eksctl gives it a boundary only where it is part of the cluster's stack.
func renderNodeRole(boundary api.ARN) (body []byte, err error) {
	templates.Lock()
	defer templates.Unlock()
	err = guarded(func() error {
		set, err := builder.CreateAutoModeResourceSet()
		if err != nil {
			return err
		}
		body, err = set.RenderJSON()
		return err
	})
	if err != nil || boundary.IsZero() {
		return body, err
	}
	template, err := parseTree(body)
	if err != nil {
		return nil, err
	}
	put(template, boundary.String(), "Resources", "AutoModeNodeRole", "Properties", "PermissionsBoundary")
	return json.Marshal(template)
}

// boundNodes gives the nodes' role its permissions boundary.
func (c *Cloud) boundNodes(ctx context.Context, cfg *Config, w *world, _ comparison) (*ekstypes.Update, error) {
	_, _, err := c.nodeRole(ctx, cfg, w)
	return nil, err
}
