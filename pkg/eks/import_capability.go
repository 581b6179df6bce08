package eks

import (
	"maps"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	ekstypes "github.com/aws/aws-sdk-go-v2/service/eks/types"
	api "github.com/weaveworks/eksctl/pkg/apis/eksctl.io/v1alpha5"

	"github.com/eks-gitops/reconciler/pkg/gitops"
)

// writeCapabilities writes the capabilities, without what EKS gives each by itself.
func (d *draft) writeCapabilities() {
	var list []any
	for _, name := range slices.Sorted(maps.Keys(d.w.Capabilities)) {
		k := d.w.Capabilities[name]
		if k.Status == ekstypes.CapabilityStatusDeleting || k.broken() {
			d.note("capability %s is %s", name, k.Status)
			continue
		}
		list = append(list, d.capability(name, k))
	}
	if len(list) > 0 {
		d.out["capabilities"] = list
	}
}

// capability is a live capability as a file says it, with what its role may do where a stack of ours made that, else with the role.
func (d *draft) capability(name string, k *capability) gitops.Tree {
	item := gitops.Tree{"name": name, "type": string(k.Type)}
	own := d.capabilityRights(item, name, k)
	if argo := gitops.TreeAt(k.tree(), "configuration", "argocd"); argo != nil {
		for _, field := range []string{"rbacRoleMappings", "networkAccess"} {
			if empty(argo[field]) || empty(gitops.ListAt(argo, field, "vpceIds")) && field == "networkAccess" {
				delete(argo, field)
			}
		}
		put(item, argo, "configuration", "argocd")
	}
	want := &api.Capability{Name: name}
	if !own {
		item["roleArn"] = aws.ToString(k.RoleArn)
	}
	say(item, "accessPolicies", k.rights(want))
	say(item, "tags", d.ownTags(k.Tags))
	return item
}

// capabilityRights writes what the role of a capability may do, unless it is not its own: then it is false.
func (d *draft) capabilityRights(item gitops.Tree, name string, k *capability) bool {
	stack := capabilityRoleStack(d.Name, name)
	s, ok := d.w.Stacks[stack]
	if !ok || output(s, roleOutput) != aws.ToString(k.RoleArn) {
		return false
	}
	render := func(t gitops.Tree) (role, error) {
		want, err := decoded[api.Capability](t)
		if err != nil {
			return role{}, err
		}
		return d.capabilityRole(want)
	}
	is, start := roleView(d.w.Templates[stack]), gitops.Tree{"name": name}
	if r, err := render(start); err == nil {
		if template, err := r.template(); err == nil && equal(roleView(template), is) {
			return true // without rights, as most of kro and Argo CD are
		}
	}
	words := vocabulary{arns: "attachPolicyARNs", policy: "attachPolicy", boundary: "permissionsBoundary"}
	rights, ok := words.rights(is, start, render)
	if ok {
		maps.Copy(item, rights)
	}
	return ok
}
