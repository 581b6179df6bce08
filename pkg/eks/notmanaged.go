package eks

import (
	"fmt"
	"strings"

	api "github.com/weaveworks/eksctl/pkg/apis/eksctl.io/v1alpha5"

	"github.com/eks-gitops/reconciler/pkg/gitops"
)

// uncomparedField is a field of a ClusterConfig that nothing compares, outside of nodegroups; [] marks lists on the way to it.
type uncomparedField struct {
	path  []string
	class class
	note  string
}

// uncomparedFields is their table.
func uncomparedFields() []uncomparedField {
	return []uncomparedField{
		{[]string{"apiVersion"}, steering, ""},
		{[]string{"kind"}, steering, ""},
		{[]string{"metadata", "annotations"}, steering, "other annotations mean nothing here"},
		{adoption(), steering, `"true": the cluster is managed although eksctl did not make it; it is neither made nor deleted`},
		{[]string{"metadata", "forceUpdateVersion"}, steering, "goes with eks:UpdateClusterVersion"},
		{[]string{"addonsConfig", "autoApplyPodIdentityAssociations"}, steering, "addons that are made get the pod identities that EKS recommends"},
		{[]string{"addonsConfig", "disableDefaultAddons"}, steering, "without it a cluster gets the addons that eksctl makes by default"},
		{[]string{"gitops"}, unmanaged, "Flux bootstrap"},
		{[]string{"karpenter"}, unmanaged, ""},
		{[]string{"iamIdentityMappings[]", "serviceName"}, unmanaged, "eksctl makes a role and a binding in the namespace for it, too"},
		{[]string{"iamIdentityMappings[]", "namespace"}, steering, "goes with serviceName"},
		{[]string{"iamIdentityMappings[]", "noDuplicateARNs"}, steering, "an ARN has one entry in any case"},
		{[]string{"outpost"}, created, ""},
		{[]string{"vpc", "subnets"}, settled, "new nodegroups use them as the file has them; every plan notes where they are not those that the cluster was made with"},
	}
}

// Notes are the fields that the file sets and this version does not manage, as NotManaged problems: they change nothing
// and keep nothing from being complete, but they are never silent.
func (c *Config) Notes() []*gitops.Error { return c.notes }

func (c *Config) notManaged() []*gitops.Error {
	var out []*gitops.Error
	note := func(path, text string) {
		from := gitops.Origin{Position: position(c.From, path)}
		out = append(out, gitops.Errorf(gitops.NotManaged, "%s: %s", path, text).On(c.ref(ConfigKind, path)).At(from))
	}
	for _, f := range uncomparedFields() {
		for _, path := range said(c.Written, "", f.path) {
			switch f.class {
			case unmanaged:
				note(path, "not managed by this version: it is neither created nor changed")
			case created:
				note(path, "used when the cluster is created; later changes of it are not managed by this version")
			default:
			}
		}
	}
	for _, g := range c.nodegroups() {
		for _, f := range fields() {
			if empty(g.written[f.name]) {
				continue
			}
			switch path := join(g.path, f.name); f.class(g.managed != nil) {
			case unmanaged:
				note(path, "not managed by this version: it is neither set nor changed")
			case created:
				note(path, "used when the nodegroup is created; later changes of it are not managed by this version")
			default:
			}
		}
	}
	return out
}

// said are the places where the file says something at a path, in which [] marks lists.
func said(v any, at string, path []string) []string {
	if len(path) == 0 {
		if empty(v) {
			return nil
		}
		return []string{at}
	}
	t, _ := v.(gitops.Tree)
	key, list := strings.CutSuffix(path[0], "[]")
	if !list {
		return said(t[key], join(at, key), path[1:])
	}
	var out []string
	for i, item := range gitops.ListAt(t, key) {
		out = append(out, said(item, fmt.Sprintf("%s[%d]", join(at, key), i), path[1:])...)
	}
	return out
}

// refused are wishes that cannot be carried out at all by this version; the nodegroup is an error, not a silent half.
func (g nodegroup) refused() string {
	base := g.base()
	switch {
	case base.SSH != nil && api.IsEnabled(base.SSH.Allow) && !api.IsSetAndNonEmptyString(base.SSH.PublicKeyName):
		return "ssh.publicKey and ssh.publicKeyPath are not managed by this version: import the key and set ssh.publicKeyName"
	case base.OutpostARN != "":
		return "outpostARN is not managed by this version"
	case api.IsWindowsImage(base.AMIFamily):
		return "Windows nodegroups are not managed by this version"
	}
	return ""
}

func empty(v any) bool {
	switch v := v.(type) {
	case nil:
		return true
	case string:
		return v == ""
	case []any:
		return len(v) == 0
	case gitops.Tree:
		return len(v) == 0
	}
	return false
}
