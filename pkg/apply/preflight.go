package apply

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/eks-gitops/reconciler/pkg/gitops"
	"github.com/eks-gitops/reconciler/pkg/plan"
)

// Preflight is the cluster as an upgrade of it sees it before it begins.
type Preflight struct{ cluster *Cluster }

// Preflight gives the port through which upgrades ask.
func (c *Cluster) Preflight() Preflight { return Preflight{c} }

// Kubelets tells the version of every node's kubelet, by the node's instance.
func (p Preflight) Kubelets(ctx context.Context) (map[string]string, error) {
	_, nodes, err := Nodes(p).all(ctx)
	if err != nil {
		return nil, err
	}
	out := map[string]string{}
	for _, node := range nodes {
		instance := node.GetName() // a node that no cloud made is known by its name
		if gitops.StringAt(node.Object, "spec", "providerID") != "" {
			instance = instanceOf(node)
		}
		out[instance] = gitops.StringAt(node.Object, "status", "nodeInfo", "kubeletVersion")
	}
	return out, nil
}

// Written lists the live objects of which some manager wrote fields in versions of the API that go. What the server does not serve
// any more, or never did, nobody can have written lately.
func (p Preflight) Written(ctx context.Context, going []plan.Removal) ([]plan.Written, error) {
	l, _, err := p.cluster.connect(ctx)
	if err != nil {
		return nil, gitops.AsError(gitops.Unreachable, err)
	}
	if err := l.catalog.refresh(ctx, catalogAge); err != nil {
		return nil, failure(err, gitops.ObserveFailed, scrubber{})
	}
	var out []plan.Written
	for _, r := range going {
		gv, err := schema.ParseGroupVersion(r.APIVersion)
		if err != nil {
			return nil, fmt.Errorf("reading the table of removals: %w", err)
		}
		for _, name := range r.Kinds {
			k, served := l.catalog.kind(gv.WithKind(name))
			if !served || !k.Listable {
				continue
			}
			found, err := l.written(ctx, k, r)
			if err != nil {
				return nil, failure(fmt.Errorf("listing %s: %w", name, err), gitops.ObserveFailed, scrubber{})
			}
			out = append(out, found...)
		}
	}
	return out, nil
}

// written lists the objects of a kind of which fields were written in a version of the API. Only their metadata is read.
func (l *link) written(ctx context.Context, k kind, r plan.Removal) ([]plan.Written, error) {
	var out []plan.Written
	for o := (metav1.ListOptions{Limit: page}); ; {
		list, err := l.names.Resource(k.gvr()).List(ctx, o)
		if err != nil {
			return nil, err
		}
		for _, object := range list.Items {
			ref := key{k.GroupKind(), object.Namespace, object.Name}.ref()
			for manager, at := range writers(object.ManagedFields, r.APIVersion) {
				out = append(out, plan.Written{Removal: r, Ref: ref, Manager: manager, At: at})
			}
		}
		if o.Continue = list.GetContinue(); o.Continue == "" {
			slices.SortFunc(out, func(a, b plan.Written) int { return cmp.Or(a.Ref.Compare(b.Ref), cmp.Compare(a.Manager, b.Manager)) })
			return out, nil
		}
	}
}

// fairness is how the managers begin as which the API server keeps its own FlowSchemas and PriorityLevelConfigurations
// (https://kubernetes.io/docs/concepts/cluster-administration/flow-control/#maintenance-of-the-mandatory-and-suggested-configuration-objects).
const fairness = "api-priority-and-fairness-"

// writers are the managers that wrote fields in a version of the API, and when they last did. The API server is none of them: what it
// wrote long ago keeps the version of then, and it moves with the upgrade.
func writers(fields []metav1.ManagedFieldsEntry, apiVersion string) map[string]string {
	out := map[string]string{}
	for _, f := range fields {
		if f.APIVersion != apiVersion || strings.HasPrefix(f.Manager, fairness) {
			continue
		}
		at := ""
		if f.Time != nil {
			at = f.Time.UTC().Format("2006-01-02T15:04:05Z")
		}
		out[f.Manager] = max(out[f.Manager], at)
	}
	return out
}
