package eks

import (
	"fmt"

	api "github.com/weaveworks/eksctl/pkg/apis/eksctl.io/v1alpha5"

	"github.com/eks-gitops/reconciler/pkg/gitops"
)

// nodegroup is one nodegroup of the file, of either kind.
type nodegroup struct {
	name string
	// path is where it stands: "managedNodeGroups[0]".
	path string
	// written is the nodegroup as the file has it.
	written gitops.Tree
	// managed or self is set, with defaults.
	managed *api.ManagedNodeGroup
	self    *api.NodeGroup
}

// nodegroups lists the file's nodegroups in its order, the managed ones first.
func (c *Config) nodegroups() []nodegroup {
	var out []nodegroup
	for i, ng := range c.full.ManagedNodeGroups {
		out = append(out, nodegroup{name: ng.Name, path: fmt.Sprintf("managedNodeGroups[%d]", i), written: listItem(c.Written, i, "managedNodeGroups"), managed: ng})
	}
	for i, ng := range c.full.NodeGroups {
		out = append(out, nodegroup{name: ng.Name, path: fmt.Sprintf("nodeGroups[%d]", i), written: listItem(c.Written, i, "nodeGroups"), self: ng})
	}
	return out
}

// nodegroup finds a nodegroup by the name the file gives it.
func (c *Config) nodegroup(name string) (nodegroup, bool) {
	for _, g := range c.nodegroups() {
		if g.name == name {
			return g, true
		}
	}
	return nodegroup{}, false
}

func (g nodegroup) base() *api.NodeGroupBase {
	if g.managed != nil {
		return g.managed.NodeGroupBase
	}
	return g.self.NodeGroupBase
}

// pool is eksctl's view of it.
func (g nodegroup) pool() api.NodePool {
	if g.managed != nil {
		return g.managed
	}
	return g.self
}

func (g nodegroup) taints() []api.NodeGroupTaint {
	if g.managed != nil {
		return g.managed.Taints
	}
	return g.self.Taints
}

func listItem(t gitops.Tree, i int, path ...string) gitops.Tree {
	list := gitops.ListAt(t, path...)
	if i >= len(list) {
		return nil
	}
	item, _ := list[i].(gitops.Tree)
	return item
}
