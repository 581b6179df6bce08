package eks

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	api "github.com/weaveworks/eksctl/pkg/apis/eksctl.io/v1alpha5"
	"github.com/weaveworks/eksctl/pkg/cfn/builder"
	"github.com/weaveworks/eksctl/pkg/cfn/outputs"
	iamoidc "github.com/weaveworks/eksctl/pkg/iam/oidc"

	"github.com/eks-gitops/reconciler/pkg/gitops"
)

// roleOutput is the output of a role stack that holds the role's ARN.
const roleOutput = outputs.IAMServiceAccountRoleName

// role is one IAM role that a stack of eksctl's makes.
type role struct {
	// stack is the stack's name; tags are its tags beside the shared ones.
	stack string
	tags  map[string]string
	// body is the template; named says that the role's name is given (CAPABILITY_NAMED_IAM).
	body  []byte
	named bool
}

// template is the body as a tree.
func (r role) template() (gitops.Tree, error) { return parseTree(r.body) }

// issuerOf is eksctl's view of the cluster's identity provider; it makes no call.
func issuerOf(w *world) (*iamoidc.OpenIDConnectManager, error) {
	m, err := iamoidc.NewOpenIDConnectManager(nil, w.Account, issuer(w), w.Partition, nil)
	if err != nil {
		return nil, err
	}
	m.ProviderARN = providerARN(w)
	return m, nil
}

// accountRole renders the role of a service account (IRSA).
func (c *Config) accountRole(w *world, sa *api.ClusterIAMServiceAccount) (role, error) {
	issuer, err := issuerOf(w)
	if err != nil {
		return role{}, err
	}
	sa = sa.DeepCopy()
	tags := withTag(sa.Tags, tagIRSA, sa.NameString())
	return renderRole(irsaStack(c.Name, sa.NameString()), tags, builder.NewIAMRoleResourceSetForServiceAccount(sa, issuer))
}

// podRole renders the role of a pod identity association.
func (c *Config) podRole(p *api.PodIdentityAssociation) (role, error) {
	p = p.DeepCopy()
	tags := withTag(p.Tags, tagPodIdentity, p.NameString())
	return renderRole(podIdentityStack(c.Name, p.NameString()), tags, builder.NewIAMRoleResourceSetForPodIdentity(p))
}

// addonAccountRole renders the role that an addon's service account assumes through the cluster's issuer, after eksctl's
// pkg/actions/addon/create.go.
func (c *Config) addonAccountRole(w *world, a *api.Addon) (role, error) {
	issuer, err := issuerOf(w)
	if err != nil {
		return role{}, err
	}
	namespace, account := "", ""
	if a.CanonicalName() == api.VPCCNIAddon {
		namespace, account = api.AWSNodeMeta.Namespace, api.AWSNodeMeta.Name
	}
	var set *builder.IAMRoleResourceSet
	switch {
	case len(a.AttachPolicyARNs) != 0:
		set = builder.NewIAMRoleResourceSetWithAttachPolicyARNs(a.Name, namespace, account, a.PermissionsBoundary, a.AttachPolicyARNs, issuer)
	case a.WellKnownPolicies.HasPolicy():
		set = builder.NewIAMRoleResourceSetWithWellKnownPolicies(a.Name, namespace, account, a.PermissionsBoundary, a.WellKnownPolicies, issuer)
	default:
		set = builder.NewIAMRoleResourceSetWithAttachPolicy(a.Name, namespace, account, a.PermissionsBoundary, a.AttachPolicy, issuer)
	}
	return renderRole(addonStack(c.Name, a.Name), withTag(nil, tagAddon, a.Name), set)
}

// addonPodRole renders the role of a pod identity association that an addon owns.
func (c *Config) addonPodRole(a *api.Addon, p *api.PodIdentityAssociation) (role, error) {
	p = p.DeepCopy()
	tags := withTag(p.Tags, tagAddon, a.Name)
	// eksctl names it without a namespace, which the addon alone decides.
	tags[api.AddonPodIdentityAssociationNameTag] = strings.TrimPrefix(p.NameString(), "/")
	return renderRole(addonIdentityStack(c.Name, a.Name, p.ServiceAccountName), tags, builder.NewIAMRoleResourceSetForPodIdentity(p))
}

func renderRole(stack string, tags map[string]string, set *builder.IAMRoleResourceSet) (role, error) {
	out := role{stack: stack, tags: tags}
	err := guarded(func() error {
		if err := set.AddAllResources(); err != nil {
			return err
		}
		out.named = set.WithNamedIAM()
		body, err := set.RenderJSON()
		out.body = body
		return err
	})
	if err != nil {
		return role{}, fmt.Errorf("rendering stack %s: %w", stack, err)
	}
	return out, nil
}

func withTag(tags map[string]string, key, value string) map[string]string {
	out := maps.Clone(tags)
	if out == nil {
		out = map[string]string{}
	}
	out[key] = value
	return out
}

// recommended are the policies that eksctl gives the roles of addons that need some, when the file names none.
func (c *Config) recommended(w *world, a *api.Addon) bool {
	switch a.CanonicalName() {
	case api.VPCCNIAddon:
		a.AttachPolicyARNs = []string{fmt.Sprintf("arn:%s:iam::aws:policy/%s", w.Partition, api.IAMPolicyAmazonEKSCNIPolicy)}
		return !c.full.IPv6Enabled()
	case api.AWSEBSCSIDriverAddon:
		a.WellKnownPolicies = api.WellKnownPolicies{EBSCSIController: true}
	case api.AWSEFSCSIDriverAddon:
		a.WellKnownPolicies = api.WellKnownPolicies{EFSCSIController: true}
	default:
		return false
	}
	return true
}

// roleView is what a role's template says of its rights, for people and for comparing: managed policies, inline
// policies, who may assume it, its name and its boundary.
func roleView(template gitops.Tree) gitops.Tree {
	view := gitops.Tree{}
	policies := gitops.Tree{}
	resources := gitops.TreeAt(template, "Resources")
	for _, name := range slices.Sorted(maps.Keys(resources)) {
		r, _ := resources[name].(gitops.Tree)
		properties := gitops.TreeAt(r, "Properties")
		switch r["Type"] {
		case "AWS::IAM::Role":
			for field, as := range map[string]string{
				"ManagedPolicyArns": "managedPolicies", "AssumeRolePolicyDocument": "assumedBy", "RoleName": "roleName", "PermissionsBoundary": "permissionsBoundary",
			} {
				if v := properties[field]; !empty(v) {
					view[as] = v
				}
			}
		case "AWS::IAM::Policy":
			policies[name] = properties["PolicyDocument"]
		}
	}
	if len(policies) > 0 {
		view["policies"] = policies
	}
	return view
}

// compareRole adds the difference between a live role and the rendered one. policies is the file's own word for the list
// of managed policies; what the file has no word for is shown as the role's own properties.
func (c *comparison) compareRole(live gitops.Tree, r role, policies string) error {
	rendered, err := r.template()
	if err != nil {
		return err
	}
	was, is := roleView(live), roleView(rendered)
	if _, ok := c.next[policies]; ok {
		c.live[policies] = was["managedPolicies"]
		delete(was, "managedPolicies")
		delete(is, "managedPolicies")
	}
	if !equal(was, is) {
		c.live["role"], c.next["role"] = was, is
	}
	return nil
}
