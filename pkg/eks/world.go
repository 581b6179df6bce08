package eks

import (
	"maps"
	"slices"
	"strings"
	"time"

	astypes "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	cfntypes "github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	ekstypes "github.com/aws/aws-sdk-go-v2/service/eks/types"

	"github.com/eks-gitops/reconciler/pkg/gitops"
)

// world is what AWS says about one cluster at one time. It is a value: a refresh makes a new one. Field names are
// exported so that tests can write worlds as JSON.
type world struct {
	At time.Time
	// Account and Partition are the caller's.
	Account, Partition string
	// Cluster is nil when EKS says that there is none.
	Cluster *ekstypes.Cluster
	// Stacks are the stacks that carry the cluster's tag, by name. Deleted ones are not in it.
	Stacks map[string]cfntypes.Stack
	// Strangers are stacks with a name of this cluster that do not carry its tag.
	Strangers map[string]bool
	// Templates are the templates of stacks whose content is compared, by stack name.
	Templates map[string]gitops.Tree
	// Groups are the nodegroups, by their own (physical) names.
	Groups map[string]*group
	Addons map[string]*ekstypes.Addon
	// Associations are pod identity associations that no addon owns, by "namespace/serviceaccount".
	Associations map[string]*ekstypes.PodIdentityAssociation
	// Lent are the pod identity associations that addons own, by ARN.
	Lent map[string]*ekstypes.PodIdentityAssociation
	// Entries are the access entries, by principal.
	Entries  map[string]*accessEntry
	Profiles map[string]*ekstypes.FargateProfile
	// Logins are the identity provider configs, by name.
	Logins map[string]*ekstypes.OidcIdentityProviderConfig
	// Capabilities are the EKS Capabilities, by name; none when they were not asked for.
	Capabilities map[string]*capability
	// Provider says whether IAM knows the cluster's issuer.
	Provider bool
	// Retention is the retention of the control plane's log group in days; nil when it was not asked for or there is none.
	Retention *int32
	// Accounts are service accounts of the cluster's API, by "namespace/name"; nil when the cluster was not asked.
	Accounts map[string]serviceAccount
	// Auth is the ConfigMap aws-auth; nil when the cluster was not asked.
	Auth *authState
	// RolePolicies are the names of the managed policies of the cluster's role; nil when they were not asked for.
	RolePolicies []string
	// Versions are the Kubernetes versions EKS offers, newest first, when they were needed.
	Versions []clusterVersion
	// Latest is the newest version of an addon for this cluster, for addons whose file says "latest".
	Latest map[string]string
	// Preflight is what an upgrade of Kubernetes needs to know; nil when none is under way.
	Preflight *preflight
	// Burdens are what moving nodes means, of the groups whose nodes are to be moved, and Free the addresses that their subnets have
	// left; nil when it is not known.
	Burdens map[string]burden
	Free    map[string]int
	// Placing is where a cluster is made after EKS refused zones; nil when it refused none, or when nothing is to be made.
	Placing *placing
	// Selected are the instance types that instanceSelectors come to, for nodegroups that are to be made, by the file's names.
	Selected map[string]selection
	// LogGroup is the ARN of the control plane's log group and when it was made; "" when it was not asked for or there is none.
	LogGroup string
	// Remnants are what others made for a cluster that ends; none when they were not asked for.
	Remnants []remnant
	// Updates name the updates that EKS is carrying out, by what they are of: the cluster (""), "addon NAME", "nodegroup NAME".
	Updates map[string]string
	// Failures say why the last attempt of a stack failed, by stack name.
	Failures map[string]string
}

// clusterVersion is one Kubernetes version that EKS offers.
type clusterVersion struct {
	Version string
	Default bool
}

// serviceAccount is what the cluster's API says about a service account.
type serviceAccount struct {
	Found               bool
	Labels, Annotations map[string]string
	Err                 string
}

// group is one live nodegroup, of either kind.
type group struct {
	// Name is its own name; User is the name that the file gives it.
	Name, User string
	Managed    bool
	// Stack is nil when no stack of this cluster made it.
	Stack *cfntypes.Stack
	// Nodegroup is set for a managed group that EKS knows.
	Nodegroup *ekstypes.Nodegroup
	// Scaling is its Auto Scaling group, where there is one.
	Scaling *astypes.AutoScalingGroup
	// Launch is the content of its launch template, where there is one.
	Launch *ec2types.ResponseLaunchTemplateData
	// Template is the template of its stack; nil when it was not read.
	Template gitops.Tree
	// Around are the cluster's subnets.
	Around surroundings
	// Ordered are the instance types that its stack's template names.
	Ordered []string
	// Machines are what EC2 says of its instance types, where a selector of git asks.
	Machines map[string]machine
	// Image is the version of Kubernetes that its image was made for, of a self-managed group without a record of it; "" when it does not tell.
	Image string
	// Recorded is what its stack's template says it was made from; nil when something else made it.
	Recorded gitops.Tree
}

// clone copies the maps, so that a refresh can change its copy.
func (w *world) clone() *world {
	if w == nil {
		return newWorld()
	}
	out := *w
	out.Stacks, out.Strangers, out.Templates = maps.Clone(w.Stacks), maps.Clone(w.Strangers), maps.Clone(w.Templates)
	out.Groups, out.Addons, out.Associations = maps.Clone(w.Groups), maps.Clone(w.Addons), maps.Clone(w.Associations)
	out.Accounts, out.Latest, out.Failures, out.Lent = maps.Clone(w.Accounts), maps.Clone(w.Latest), maps.Clone(w.Failures), maps.Clone(w.Lent)
	out.Entries, out.Profiles, out.Logins, out.Capabilities = maps.Clone(w.Entries), maps.Clone(w.Profiles), maps.Clone(w.Logins), maps.Clone(w.Capabilities)
	out.Updates = maps.Clone(w.Updates)
	return &out
}

func newWorld() *world {
	return &world{
		Stacks: map[string]cfntypes.Stack{}, Strangers: map[string]bool{}, Templates: map[string]gitops.Tree{},
		Groups: map[string]*group{}, Addons: map[string]*ekstypes.Addon{},
		Associations: map[string]*ekstypes.PodIdentityAssociation{}, Lent: map[string]*ekstypes.PodIdentityAssociation{}, Accounts: map[string]serviceAccount{},
		Entries: map[string]*accessEntry{}, Profiles: map[string]*ekstypes.FargateProfile{}, Logins: map[string]*ekstypes.OidcIdentityProviderConfig{},
		Capabilities: map[string]*capability{}, Latest: map[string]string{}, Failures: map[string]string{}, Updates: map[string]string{},
	}
}

// generations are the live groups that the file knows by one name, oldest first.
func (w *world) generations(user string) []*group {
	var out []*group
	for _, g := range w.Groups {
		if g.User == user && !g.failed() {
			out = append(out, g)
		}
	}
	slices.SortFunc(out, func(a, b *group) int {
		if c := a.born().Compare(b.born()); c != 0 {
			return c
		}
		return strings.Compare(a.Name, b.Name)
	})
	return out
}

// born is when the group was made.
func (g *group) born() time.Time {
	if g.Stack != nil && g.Stack.CreationTime != nil {
		return *g.Stack.CreationTime
	}
	if g.Nodegroup != nil && g.Nodegroup.CreatedAt != nil {
		return *g.Nodegroup.CreatedAt
	}
	return time.Time{}
}

// failed says that its stack stands without the group: it never came to be, or EKS was told to delete it behind the
// stack's back. The stack has to go before the group can be made again.
func (g *group) failed() bool {
	return g.Stack != nil && (stackBroken(*g.Stack) || (g.Managed && g.Nodegroup == nil && stackDone(*g.Stack)))
}

// leaving says that it is being deleted.
func (g *group) leaving() bool {
	return g.Stack != nil && stackLeaving(*g.Stack) || g.Nodegroup != nil && g.Nodegroup.Status == ekstypes.NodegroupStatusDeleting
}

// instances are the ids of its EC2 instances.
func (g *group) instances() []string {
	if g.Scaling == nil {
		return nil
	}
	var out []string
	for _, i := range g.Scaling.Instances {
		if i.InstanceId != nil {
			out = append(out, *i.InstanceId)
		}
	}
	slices.Sort(out)
	return out
}

// stack states, after the CloudFormation user guide ("Stack status codes").

// stackMoving says that an operation on the stack is under way.
func stackMoving(s cfntypes.Stack) bool {
	return strings.HasSuffix(string(s.StackStatus), "_IN_PROGRESS") && s.StackStatus != cfntypes.StackStatusReviewInProgress
}

func stackLeaving(s cfntypes.Stack) bool {
	return s.StackStatus == cfntypes.StackStatusDeleteInProgress
}

// stackBroken says that the stack never made what it is for: it can only be deleted.
func stackBroken(s cfntypes.Stack) bool {
	switch s.StackStatus {
	case cfntypes.StackStatusCreateFailed, cfntypes.StackStatusRollbackComplete, cfntypes.StackStatusRollbackFailed,
		cfntypes.StackStatusRollbackInProgress, cfntypes.StackStatusReviewInProgress:
		return true
	default:
		return false
	}
}

// stackUseless says that the stack can only be deleted, be it that it never came to be or that it would not go.
func stackUseless(s cfntypes.Stack) bool {
	return stackBroken(s) || s.StackStatus == cfntypes.StackStatusDeleteFailed
}

// stackDone says that what the stack is for exists as its template says, or as the template before a failed update said.
func stackDone(s cfntypes.Stack) bool {
	switch s.StackStatus {
	case cfntypes.StackStatusCreateComplete, cfntypes.StackStatusUpdateComplete, cfntypes.StackStatusUpdateRollbackComplete,
		cfntypes.StackStatusUpdateCompleteCleanupInProgress, cfntypes.StackStatusImportComplete:
		return true
	default:
		return false
	}
}

// tag finds a stack's tag.
func tag(s cfntypes.Stack, key string) string {
	for _, t := range s.Tags {
		if t.Key != nil && *t.Key == key && t.Value != nil {
			return *t.Value
		}
	}
	return ""
}

// stackTags are all tags of a stack.
func stackTags(s cfntypes.Stack) map[string]string {
	out := make(map[string]string, len(s.Tags))
	for _, t := range s.Tags {
		if t.Key != nil && t.Value != nil {
			out[*t.Key] = *t.Value
		}
	}
	return out
}

// output finds a stack's output.
func output(s cfntypes.Stack, key string) string {
	for _, o := range s.Outputs {
		if o.OutputKey != nil && *o.OutputKey == key && o.OutputValue != nil {
			return *o.OutputValue
		}
	}
	return ""
}
