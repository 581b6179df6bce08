package eks

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	ekstypes "github.com/aws/aws-sdk-go-v2/service/eks/types"
	api "github.com/weaveworks/eksctl/pkg/apis/eksctl.io/v1alpha5"
	"github.com/weaveworks/eksctl/pkg/cfn/outputs"

	"github.com/eks-gitops/reconciler/pkg/gitops"
)

// writeAccess writes what lets people, nodes and pods in.
func (d *draft) writeAccess() {
	d.writeEntries()
	d.writeProfiles()
	d.writeLogins()
}

// writeEntries writes the access entries, but for those that EKS and nodegroups' stacks make for nodes, and EKS for capabilities and itself.
func (d *draft) writeEntries() {
	var list []any
	for _, principal := range slices.Sorted(maps.Keys(d.w.Entries)) {
		e := d.w.Entries[principal]
		_, stacked := d.w.Stacks[entryStack(d.Name, principal)]
		kind := aws.ToString(e.Type)
		if !stacked && (kind != standardEntry || strings.Contains(principal, ":role/aws-service-role/") || d.w.worksAs(principal)) {
			continue
		}
		item := gitops.Tree{"principalARN": principal}
		if kind == standardEntry {
			d.tellPerson(item, e)
		} else {
			item["type"] = kind // EKS gives those their name and groups
		}
		list = append(list, item)
	}
	if len(list) > 0 {
		put(d.out, list, "accessConfig", "accessEntries")
	}
}

// tellPerson writes what an entry for people and programs grants.
func (d *draft) tellPerson(item gitops.Tree, e *accessEntry) {
	have := e.tree()
	say(item, "kubernetesGroups", have["kubernetesGroups"])
	say(item, "accessPolicies", have["accessPolicies"])
	var arn api.ARN
	if arn.Set(aws.ToString(e.PrincipalArn)) != nil || have["kubernetesUsername"] != defaultUsername(arn) {
		say(item, "kubernetesUsername", have["kubernetesUsername"])
	}
}

// writeProfiles writes the Fargate profiles, without the role and the subnets that a profile has by itself.
func (d *draft) writeProfiles() {
	var list []any
	usual := cmp.Or(output(d.stack, outputs.FargatePodExecutionRoleARN), output(d.w.Stacks[fargateStack(d.Name)], outputs.FargatePodExecutionRoleARN))
	for _, name := range slices.Sorted(maps.Keys(d.w.Profiles)) {
		p := d.w.Profiles[name]
		if p.Status == ekstypes.FargateProfileStatusDeleting || profileBroken(p) {
			d.note("Fargate profile %s is %s", name, p.Status)
			continue
		}
		item := profileTree(p)
		if item["podExecutionRoleARN"] == usual {
			delete(item, "podExecutionRoleARN")
		}
		if equal(item["subnets"], sortedStrings(d.ids("private"))) || empty(item["subnets"]) {
			delete(item, "subnets")
		}
		say(item, "tags", d.ownTags(p.Tags))
		list = append(list, item)
	}
	if len(list) > 0 {
		d.out["fargateProfiles"] = list
	}
}

// writeLogins writes the identity provider, of which a cluster has one at most.
func (d *draft) writeLogins() {
	var list []any
	for _, name := range slices.Sorted(maps.Keys(d.w.Logins)) {
		l := d.w.Logins[name]
		if l.Status == ekstypes.ConfigStatusDeleting {
			continue
		}
		item := loginTree(l)
		maps.DeleteFunc(item, func(_ string, v any) bool { return empty(v) })
		say(item, "tags", d.ownTags(l.Tags))
		list = append(list, item)
	}
	if len(list) > 0 {
		d.out["identityProviders"] = list
	}
}
