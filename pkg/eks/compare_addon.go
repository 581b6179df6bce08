package eks

import (
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	ekstypes "github.com/aws/aws-sdk-go-v2/service/eks/types"
	api "github.com/weaveworks/eksctl/pkg/apis/eksctl.io/v1alpha5"
	"sigs.k8s.io/yaml"

	"github.com/eks-gitops/reconciler/pkg/gitops"
)

// compareAddon compares an addon. Only what the file says is compared: versions, roles and configuration that EKS chose
// by default are left as they are. The exception is configuration that this product set and git no longer has.
func (c *Config) compareAddon(w *world, a addon) (comparison, error) {
	a = c.placed(w, a)
	out := comparison{next: c.wantedAddon(w, a)}
	live := w.Addons[a.want.Name]
	if live == nil {
		return out, nil
	}
	out.compareAddonFields(w, live)
	if err := c.comparePodRoles(&out, w, a.want); err != nil {
		return out, err
	}
	if !a.want.HasIRSAPoliciesSet() || !api.IsEnabled(c.full.IAM.WithOIDC) || issuer(w) == "" {
		return out, nil
	}
	r, err := c.addonAccountRole(w, a.want)
	if err != nil {
		return out, err
	}
	if s, ok := w.Stacks[r.stack]; ok && output(s, roleOutput) != "" {
		out.live["serviceAccountRoleARN"], out.next["serviceAccountRoleARN"] = aws.ToString(live.ServiceAccountRoleArn), output(s, roleOutput)
		return out, out.compareRole(w.Templates[r.stack], r, "attachPolicyARNs")
	}
	out.next["serviceAccountRoleARN"] = "known after apply"
	if have := aws.ToString(live.ServiceAccountRoleArn); have != "" {
		out.live["serviceAccountRoleARN"] = have
	}
	return out, nil
}

// comparePodRoles adds where the roles of an addon's associations are not as the file says. Which roles the addon has is told by the
// list of associations.
func (c *Config) comparePodRoles(out *comparison, w *world, a *api.Addon) error {
	if a.PodIdentityAssociations == nil {
		return nil
	}
	for i := range *a.PodIdentityAssociations {
		p := &(*a.PodIdentityAssociations)[i]
		stack := addonIdentityStack(c.Name, a.Name, p.ServiceAccountName)
		if s, ok := w.Stacks[stack]; p.RoleARN != "" || !ok || output(s, roleOutput) == "" {
			continue
		}
		r, err := c.addonPodRole(a, p)
		if err != nil {
			return err
		}
		rendered, err := r.template()
		if err != nil {
			return err
		}
		if was, is := roleView(w.Templates[stack]), roleView(rendered); !equal(was, is) {
			put(out.live, was, "podIdentityRoles", p.ServiceAccountName)
			put(out.next, is, "podIdentityRoles", p.ServiceAccountName)
		}
	}
	return nil
}

// compareAddonFields fills in the live fields of an addon.
func (c *comparison) compareAddonFields(w *world, live *ekstypes.Addon) {
	c.live = pick(c.next, c.next)
	if wanted, ok := c.next["version"].(string); ok && !versionMatches(aws.ToString(live.AddonVersion), wanted) {
		c.live["version"] = aws.ToString(live.AddonVersion)
	}
	values := configuration(aws.ToString(live.ConfigurationValues))
	if _, ok := c.next["configurationValues"]; ok || (live.Tags[tagMade] != "" && !empty(values)) {
		c.live["configurationValues"] = values
	}
	if _, ok := c.next["serviceAccountRoleARN"]; ok {
		c.live["serviceAccountRoleARN"] = aws.ToString(live.ServiceAccountRoleArn)
	}
	if wanted := gitops.TreeAt(c.next, "tags"); wanted != nil {
		c.live["tags"] = pick(stringTree(live.Tags), wanted)
	}
	if _, ok := c.next["podIdentityAssociations"]; ok {
		c.live["podIdentityAssociations"] = lentTo(w, live)
	}
	if n := gitops.StringAt(c.next, "namespaceConfig", "namespace"); n != "" && live.NamespaceConfig != nil && aws.ToString(live.NamespaceConfig.Namespace) != n {
		c.live["namespaceConfig"] = gitops.Tree{"namespace": aws.ToString(live.NamespaceConfig.Namespace)}
		c.replace = append(c.replace, "namespaceConfig is immutable on an addon")
	}
}

// wantedAddon is what the file says of an addon, in the form that compares.
func (c *Config) wantedAddon(w *world, a addon) gitops.Tree {
	out := gitops.Clone(a.written)
	// These choose among addons or steer calls; they are no state of an addon.
	for _, name := range addonSteering() {
		delete(out, name)
	}
	if a.want.Version == latest && w.Latest[a.want.Name] != "" {
		out["version"] = w.Latest[a.want.Name]
	}
	if m, ok := c.move(a.want.Name); ok {
		out["version"] = m.version
	}
	if _, ok := out["configurationValues"]; ok {
		out["configurationValues"] = configuration(a.want.ConfigurationValues)
	}
	if p := a.want.PodIdentityAssociations; p != nil {
		list := make([]any, 0, len(*p))
		for _, item := range *p {
			entry := gitops.Tree{"serviceAccountName": item.ServiceAccountName}
			if item.RoleARN != "" {
				entry["roleARN"] = item.RoleARN
			} else if s, ok := w.Stacks[addonIdentityStack(c.Name, a.want.Name, item.ServiceAccountName)]; ok && output(s, roleOutput) != "" {
				entry["roleARN"] = output(s, roleOutput)
			}
			list = append(list, entry)
		}
		out["podIdentityAssociations"] = sortBy(list, "serviceAccountName")
	}
	return out
}

// addonSteering are the fields of an addon that choose among addons or steer calls.
func addonSteering() []string {
	return []string{"publishers", "types", "owners", "resolveConflicts", "useDefaultPodIdentityAssociations"}
}

// lentTo lists the associations that an addon owns.
func lentTo(w *world, a *ekstypes.Addon) []any {
	list := []any{}
	for _, arn := range a.PodIdentityAssociations {
		if p := w.Lent[arn]; p != nil {
			list = append(list, gitops.Tree{"serviceAccountName": aws.ToString(p.ServiceAccount), "roleARN": aws.ToString(p.RoleArn)})
		}
	}
	return sortBy(list, "serviceAccountName")
}

func sortBy(list []any, field string) []any {
	slices.SortFunc(list, func(a, b any) int {
		x, _ := a.(gitops.Tree)
		y, _ := b.(gitops.Tree)
		return strings.Compare(gitops.StringAt(x, field), gitops.StringAt(y, field))
	})
	return list
}

// versionMatches says that a live version is one of those the file's word stands for: eksctl takes "1.20" for any
// version that contains it, and which of them is newest changes over time, so the live one stays.
func versionMatches(live, wanted string) bool {
	return live == wanted || (wanted != latest && live != "" && strings.Contains(live, wanted))
}

// configuration gives configuration values, which are text in JSON or YAML, the form that compares field by field. Text
// that is neither stays text: EKS will say what is wrong with it.
func configuration(text string) any {
	if strings.TrimSpace(text) == "" {
		return nil
	}
	body, err := yaml.YAMLToJSON([]byte(text))
	if err != nil {
		return text
	}
	t, err := parseTree(body)
	if err != nil {
		return text
	}
	return t
}
