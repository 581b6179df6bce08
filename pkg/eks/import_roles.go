package eks

import (
	"maps"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	cfntypes "github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
	ekstypes "github.com/aws/aws-sdk-go-v2/service/eks/types"
	api "github.com/weaveworks/eksctl/pkg/apis/eksctl.io/v1alpha5"

	"github.com/eks-gitops/reconciler/pkg/gitops"
)

// vocabulary is how a part of the file says what a role may do.
type vocabulary struct {
	arns, policy, boundary string
	// policyName is the field for the name of the policy, where there is one.
	policyName string
	// known says that well-known policies can be named.
	known bool
}

// The vocabularies of service accounts, addons, pod identity associations and those of addons.
func accountWords() vocabulary {
	return vocabulary{arns: "attachPolicyARNs", policy: "attachPolicy", boundary: "permissionsBoundary", known: true}
}

func podWords() vocabulary {
	return vocabulary{arns: "permissionPolicyARNs", policy: "permissionPolicy", boundary: "permissionsBoundaryARN", policyName: "permissionPolicyName", known: true}
}

// rights finds what the file has to say for a role to be made as the live one was: render makes one of a part of the file. Words that
// make another role, and a role without rights, which eksctl takes for a mistake, are none: then it is false.
func (v vocabulary) rights(live, start gitops.Tree, render func(gitops.Tree) (role, error)) (gitops.Tree, bool) {
	see := func(t gitops.Tree) gitops.Tree {
		r, err := render(t)
		if err != nil {
			return nil
		}
		template, err := r.template()
		if err != nil {
			return nil
		}
		return roleView(template)
	}
	out := gitops.Clone(start)
	policies, managed := maps.Clone(gitops.TreeAt(live, "policies")), slices.Clone(gitops.ListAt(live, "managedPolicies"))
	var names []string
	if v.known {
		names = wellKnown()
	}
	for _, name := range names {
		try := gitops.Clone(start)
		put(try, true, "wellKnownPolicies", name)
		if is := see(try); is != nil && within(is, policies, managed) {
			put(out, true, "wellKnownPolicies", name)
			maps.DeleteFunc(policies, func(name string, _ any) bool { return gitops.TreeAt(is, "policies", name) != nil })
			managed = slices.DeleteFunc(managed, func(arn any) bool { return holds(gitops.ListAt(is, "managedPolicies"), arn) })
		}
	}
	say(out, v.arns, managed)
	for _, name := range slices.Sorted(maps.Keys(policies)) {
		out[v.policy] = policies[name]
		if name != "Policy1" && v.policyName != "" {
			out[v.policyName] = name
		}
	}
	say(out, v.boundary, live["permissionsBoundary"])
	say(out, "roleName", live["roleName"])
	spoken := !empty(out[v.arns]) || !empty(out[v.policy]) || !empty(out["wellKnownPolicies"])
	return out, spoken && equal(see(out), live)
}

// wellKnown are the names of the policies that eksctl knows.
func wellKnown() []string {
	t, _ := treeOf(api.WellKnownPolicies{}).(gitops.Tree)
	return slices.Sorted(maps.Keys(t))
}

// within says that a role has all that another one has.
func within(is, policies gitops.Tree, managed []any) bool {
	for name, document := range gitops.TreeAt(is, "policies") {
		if !equal(policies[name], document) {
			return false
		}
	}
	return !slices.ContainsFunc(gitops.ListAt(is, "managedPolicies"), func(arn any) bool { return !holds(managed, arn) })
}

func holds(list []any, v any) bool {
	return slices.ContainsFunc(list, func(item any) bool { return equal(item, v) })
}

// writeAccounts writes the roles of service accounts, which are their stacks. Whether a service account uses its role is not known, and
// may not be so for a reason: pointing one at its role would change what its pods may do.
func (d *draft) writeAccounts() {
	var list []any
	for _, stack := range slices.Sorted(maps.Keys(d.w.Stacks)) {
		s := d.w.Stacks[stack]
		full := tag(s, tagIRSA)
		switch {
		case full == "":
			continue
		case stackBroken(s), stackLeaving(s):
			d.note("service account %s: its stack is %s", full, s.StackStatus)
			continue
		}
		list = append(list, d.account(full, s, at("iam.serviceAccounts", len(list))))
	}
	if len(list) == 0 {
		return
	}
	put(d.out, list, "iam", "serviceAccounts")
	put(d.out, true, "iam", "withOIDC")
	d.note("iam.serviceAccounts[].roleOnly: which service accounts use their roles is in the cluster, and AWS does not tell it; they are left as they are, unless the line is removed")
}

// account is a service account as a file says it, from the stack of its role.
func (d *draft) account(full string, s cfntypes.Stack, path string) gitops.Tree {
	stack := aws.ToString(s.StackName)
	namespace, name, _ := strings.Cut(full, "/")
	start := gitops.Tree{"metadata": gitops.Tree{"name": name, "namespace": namespace}}
	live := roleView(d.w.Templates[stack])
	if pattern := subjectPattern(live, namespace); pattern != "" {
		start["subjectPattern"] = pattern
	}
	item, ok := accountWords().rights(live, start, func(t gitops.Tree) (role, error) {
		sa, err := decoded[api.ClusterIAMServiceAccount](t)
		if err != nil {
			return role{}, err
		}
		return d.accountRole(d.w, sa)
	})
	if !ok {
		item = gitops.Tree{"metadata": start["metadata"], "attachRoleARN": output(s, roleOutput)}
		d.remarks[path] = "the role of stack " + stack + ", which a ClusterConfig has no words for"
	}
	item["roleOnly"] = true
	return item
}

// subjectPattern is the pattern of names that may assume a role through the issuer, where it is no plain name.
func subjectPattern(role gitops.Tree, namespace string) string {
	for _, item := range gitops.ListAt(role, "assumedBy", "Statement") {
		statement, _ := item.(gitops.Tree)
		for key, v := range gitops.StringsAt(statement, "Condition", "StringLike") {
			if pattern, ok := strings.CutPrefix(v, "system:serviceaccount:"+namespace+":"); ok && strings.HasSuffix(key, ":sub") {
				return pattern
			}
		}
	}
	return ""
}

// writeAssociations writes the pod identity associations that no addon owns. A file may name them only together with the addon that
// they need. Where that is not installed, those that are not ours are left out and stay. Ours would go, roles and all, and so they are
// named, and the file is refused until it has the addon.
func (d *draft) writeAssociations() {
	var list []any
	needy := d.w.Addons[api.PodIdentityAgentAddon] == nil && d.out["autoModeConfig"] == nil
	for _, full := range slices.Sorted(maps.Keys(d.w.Associations)) {
		p := d.w.Associations[full]
		if needy && !d.w.ownsAssociation(d.Name, full) {
			d.note("iam.podIdentityAssociations: %s is left out, for the addon %s, which eksctl asks for, is not installed", full, api.PodIdentityAgentAddon)
			continue
		}
		item := d.podRights(podWords(), podIdentityStack(d.Name, full), p, d.podRole)
		say(item, "targetRoleARN", aws.ToString(p.TargetRoleArn))
		if aws.ToBool(p.DisableSessionTags) {
			item["disableSessionTags"] = true
		}
		say(item, "policy", aws.ToString(p.Policy))
		say(item, "tags", d.ownTags(p.Tags))
		list = append(list, item)
	}
	if len(list) > 0 {
		put(d.out, list, "iam", "podIdentityAssociations")
	}
}

// podRights writes an association, with what its role may do where a stack of ours made that, else with the role.
func (d *draft) podRights(words vocabulary, stack string, p *ekstypes.PodIdentityAssociation, render func(*api.PodIdentityAssociation) (role, error)) gitops.Tree {
	start := gitops.Tree{"namespace": aws.ToString(p.Namespace), "serviceAccountName": aws.ToString(p.ServiceAccount)}
	if s, ok := d.w.Stacks[stack]; ok && output(s, roleOutput) == aws.ToString(p.RoleArn) {
		item, ok := words.rights(roleView(d.w.Templates[stack]), start, func(t gitops.Tree) (role, error) {
			want, err := decoded[api.PodIdentityAssociation](t)
			if err != nil {
				return role{}, err
			}
			return render(want)
		})
		if ok {
			return item
		}
	}
	start["roleARN"] = aws.ToString(p.RoleArn)
	return start
}

// writeAddons writes the addons. Those of eksctl's default ones that are missing are not to come.
func (d *draft) writeAddons() {
	var list []any
	for _, name := range slices.Sorted(maps.Keys(d.w.Addons)) {
		live := d.w.Addons[name]
		if live.Status == ekstypes.AddonStatusDeleting || live.Status == ekstypes.AddonStatusCreateFailed {
			d.note("addons: %s is %s", name, live.Status)
			continue
		}
		item := gitops.Tree{"name": name}
		if v := aws.ToString(live.AddonVersion); v != d.offers[name].version {
			item["version"] = v
		}
		say(item, "configurationValues", aws.ToString(live.ConfigurationValues))
		if n := live.NamespaceConfig; n != nil && aws.ToString(n.Namespace) != "" && aws.ToString(n.Namespace) != d.offers[name].namespace {
			put(item, *n.Namespace, "namespaceConfig", "namespace")
		}
		say(item, "tags", d.ownTags(live.Tags))
		d.addonRights(item, live)
		list = append(list, item)
	}
	if len(list) > 0 {
		d.out["addons"] = list
	}
	if slices.ContainsFunc(d.addons(), func(a addon) bool { return d.w.Addons[a.want.Name] == nil }) {
		put(d.out, true, "addonsConfig", "disableDefaultAddons")
	}
}

// addonRights writes what an addon may do, unless it is what eksctl gives such an addon by itself.
func (d *draft) addonRights(item gitops.Tree, live *ekstypes.Addon) {
	name := gitops.StringAt(item, "name")
	words := podWords()
	words.known = false // eksctl takes no well-known policies here
	var pods []any
	for _, arn := range live.PodIdentityAssociations {
		if p := d.w.Lent[arn]; p != nil {
			pods = append(pods, d.podRights(words, addonIdentityStack(d.Name, name, aws.ToString(p.ServiceAccount)), p, func(p *api.PodIdentityAssociation) (role, error) {
				return d.addonPodRole(&api.Addon{Name: name}, p)
			}))
		}
	}
	if len(pods) > 0 {
		item["podIdentityAssociations"] = sortBy(pods, "serviceAccountName")
		return
	}
	arn, stack := aws.ToString(live.ServiceAccountRoleArn), addonStack(d.Name, name)
	if s, ok := d.w.Stacks[stack]; arn == "" || !ok || output(s, roleOutput) != arn {
		say(item, "serviceAccountRoleARN", arn)
		return
	}
	is := roleView(d.w.Templates[stack])
	render := func(t gitops.Tree) (role, error) {
		want, err := decoded[api.Addon](t)
		if err != nil {
			return role{}, err
		}
		if !want.HasIRSAPoliciesSet() {
			d.recommended(d.w, want)
		}
		return d.addonAccountRole(d.w, want)
	}
	start := gitops.Tree{"name": name}
	if r, err := render(start); err == nil {
		if template, err := r.template(); err == nil && equal(roleView(template), is) {
			return
		}
	}
	rights, ok := accountWords().rights(is, start, render)
	delete(rights, "name")
	if !ok {
		rights = gitops.Tree{"serviceAccountRoleARN": arn}
	}
	maps.Copy(item, rights)
}
