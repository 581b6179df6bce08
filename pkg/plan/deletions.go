package plan

import (
	"maps"
	"slices"
	"strings"

	"github.com/eks-gitops/reconciler/pkg/gitops"
)

// deletions adds the edges of what is deleted: the reverse of what made it necessary, read from what is live.
//
//	a deletion of                       waits for
//	what live objects name              the deletion or the update of those objects
//	a definition, an APIService         the deletion of the objects of its kinds
//	a binding                           the deletion of the workloads that use its rights
//	a webhook's or API's backend        the deletion of the webhook configuration or APIService
//	config, secrets, accounts, claims   rollouts in flight in the same overlay and namespace: old pods still use them
//	a workload                          custom resources with finalizers that the same overlay defines: their controller
//	                                    must be there to let them go; with the cluster, all objects with finalizers
//	an IAM role of a service account    the deletion of the workloads that use it
//	a nodegroup or anything else of a   everything in the cluster: controllers clean up load balancers and volumes
//	cluster that is itself deleted
//	a cluster                           everything that does not wait for it
func (g *graph) deletions(idx index) {
	if !slices.ContainsFunc(slices.Collect(maps.Values(g.changes)), func(c *Change) bool { return c.Action == Delete }) {
		return
	}
	cluster := g.ending()
	for _, ref := range slices.SortedFunc(maps.Keys(g.gone), gitops.Ref.Compare) {
		live := g.gone[ref]
		g.unused(ref, live)
		if crd, ok := idx.definitions[kindOfRef(ref)]; ok {
			g.need(crd, ref, "deleted after its objects")
		}
		if api, ok := idx.apis[gitops.StringAt(live, "apiVersion")]; ok {
			g.need(api, ref, "deleted after its objects")
		}
		g.released(ref, live, idx)
		for _, service := range backends(ref, live) {
			g.needGone(service, ref, "deleted after what it answers for")
			for _, w := range idx.behind(service, g.gone) {
				g.need(w, ref, "deleted after what it answers for")
			}
		}
	}
	for _, c := range g.changes {
		switch {
		case c.Ref.Domain != gitops.K8s:
		case c.Action == Update || c.Action == Replace:
			g.unused(c.Ref, c.Live)
			g.released(c.Ref, c.Live, idx)
		case c.Action == Wait && workload(c.Ref):
			g.rollout(c)
		}
	}
	// Last, because it must see all other edges to close no circle.
	for _, ref := range slices.SortedFunc(maps.Keys(g.gone), gitops.Ref.Compare) {
		g.finalized(ref, g.gone[ref], idx, !cluster.IsZero())
	}
	if !cluster.IsZero() {
		g.teardown(cluster)
	}
}

// unused makes the deletions of what a live object names wait for that object's own change.
func (g *graph) unused(ref gitops.Ref, live gitops.Tree) {
	for _, n := range names(ref, live) {
		g.needGone(n.to, ref, "deleted after what uses it")
	}
}

// released makes the deletion of the rights that a live workload uses wait for the workload's own change.
func (g *graph) released(ref gitops.Ref, live gitops.Tree, idx index) {
	pod := podSpec(ref, live)
	if pod == nil {
		return
	}
	account := serviceAccount(pod)
	for _, binding := range idx.bindings[object("", "ServiceAccount", ref.Namespace, account)] {
		g.need(binding, ref, "deleted after what uses it")
	}
	for _, role := range g.roles[ref.Namespace+"/"+account] {
		if g.changes[role].Action == Delete {
			g.need(role, ref, "deleted after what uses it")
		}
	}
}

func (g *graph) needGone(from, to gitops.Ref, why string) {
	if _, ok := g.gone[from]; ok {
		g.need(from, to, why)
	}
}

// rollout keeps what the old pods of a workload may still use until its new ones are ready: the live object names the new
// things already.
func (g *graph) rollout(c *Change) {
	for ref := range g.gone {
		if ref.Namespace != c.Ref.Namespace || ref.Group != "" || g.changes[ref].From.Overlay != c.From.Overlay {
			continue
		}
		switch ref.Kind {
		case "ConfigMap", "Secret", "ServiceAccount", "PersistentVolumeClaim":
			g.need(ref, c.Ref, "deleted after the rollout in flight")
		}
	}
}

// finalized makes workloads stay until objects that a controller must let go are gone.
func (g *graph) finalized(ref gitops.Ref, live gitops.Tree, idx index, teardown bool) {
	crd, custom := idx.definitions[kindOfRef(ref)]
	if workload(ref) || precious(ref) || !slices.ContainsFunc(stringsOf(gitops.ListAt(live, "metadata", "finalizers")), foreignFinalizer) {
		return
	}
	own := g.closure(ref)
	for _, w := range idx.workloads {
		if w == ref || (!teardown && (!custom || g.changes[w].From.Overlay != g.changes[crd].From.Overlay)) {
			continue
		}
		// An object that the workload itself needs goes after it in any case.
		if !own[w] {
			g.need(w, ref, "deleted after what its controller lets go")
		}
	}
}

// foreignFinalizer reports whether a finalizer belongs to a controller outside Kubernetes: built-in ones have no domain of
// their own or one of kubernetes.io.
func foreignFinalizer(name string) bool {
	domain, _, ok := strings.Cut(name, "/")
	return ok && domain != "kubernetes.io" && domain != "foregroundDeletion" && domain != "orphan"
}

// ending is the cluster that this plan deletes; zero when there is none.
func (g *graph) ending() gitops.Ref {
	var found gitops.Ref
	for ref, c := range g.changes {
		if EndsCluster(*c) && (found.IsZero() || ref.Compare(found) < 0) {
			found = ref
		}
	}
	return found
}

// teardown orders the end of a whole cluster: what runs in it, then its infrastructure, then itself.
func (g *graph) teardown(cluster gitops.Ref) {
	var inside, infra []gitops.Ref
	for ref, c := range g.changes {
		switch {
		case c.Action != Delete || ref == cluster || g.closure(ref)[cluster]: // what the cluster uses to its end goes after it
		case ref.Domain == gitops.EKS:
			infra = append(infra, ref)
		default:
			inside = append(inside, ref)
		}
	}
	last := g.last(inside)
	for _, ref := range infra {
		for _, object := range last {
			g.need(ref, object, "deleted after what runs in the cluster")
		}
	}
	for _, ref := range g.last(append(inside, infra...)) {
		g.need(cluster, ref, "deleted last")
	}
}

// last lists those of some deletions that cover all of them: who waits for these waits for all.
func (g *graph) last(of []gitops.Ref) []gitops.Ref {
	slices.SortFunc(of, gitops.Ref.Compare)
	needed := map[gitops.Ref]bool{}
	for _, ref := range of {
		for to := range g.of(ref) {
			needed[to] = true
		}
	}
	covered := map[gitops.Ref]bool{}
	var out []gitops.Ref
	cover := func(ref gitops.Ref) {
		out = append(out, ref)
		maps.Copy(covered, g.closure(ref))
	}
	for _, ref := range of {
		if !needed[ref] {
			cover(ref)
		}
	}
	for _, ref := range of {
		if !covered[ref] { // only in a circle
			cover(ref)
		}
	}
	return out
}
