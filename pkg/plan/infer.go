package plan

import (
	"maps"
	"slices"
	"strings"

	"github.com/eks-gitops/reconciler/pkg/gitops"
)

// infer adds the edges that the content of objects implies. What is made:
//
//	an object                      needs
//	anything in a namespace        the namespace
//	a custom resource              its CustomResourceDefinition, and the backend of its conversion webhook
//	an object of an aggregated API its APIService
//	a workload, claim, ingress ... what it names: service account, config maps, secrets, classes, and claims that are bound
//	                               before they are used (names, readyOnlyWhenUsed)
//	a workload                     the bindings of its service account (and so their roles); its IAM role or pod identity
//	a binding                      its role
//	a webhook configuration,       its Service and the workloads behind it: before they answer, every write that the
//	an APIService                  webhook matches would fail
//	an object that a webhook in    the webhook configuration, unless the webhook's own backend needs the object; webhooks
//	git matches by name            that match everything (*) or may fail (failurePolicy Ignore) are waited for by nobody
//	anything                       what Observation.Needs and the annotation config.kubernetes.io/depends-on say
//	anything in a new cluster      the cluster (see cluster)
//	an overlay                     the overlays that reconcile.yaml puts before it (see overlays)
//
// Nothing needs a nodegroup: the API server takes workloads without nodes, and what needs running pods waits for its
// workload to be ready, which says the same without deadlock where nodes need a workload (a CNI) to become ready, and
// without waiting where pods run elsewhere (Fargate, Karpenter).
func (g *graph) infer(in Input) []*gitops.Error {
	if len(g.changes) == 0 {
		return nil
	}
	g.index = newIndex(g.wanted)
	problems := g.misread()
	g.observed(in)
	g.soft()
	g.deletions(newIndex(g.gone))
	return problems
}

// expand adds the edges that follow from what git wants an object to be, once.
func (g *graph) expand(ref gitops.Ref) {
	t, ok := g.wanted[ref]
	if !ok || g.expanded[ref] {
		return
	}
	g.expanded[ref] = true
	for _, n := range names(ref, t) {
		if !g.readyOnlyWhenUsed(n.to) {
			g.needWanted(ref, n.to, n.why)
		}
	}
	if crd, ok := g.index.definitions[kindOfRef(ref)]; ok {
		g.need(ref, crd, "its definition")
	}
	if api, ok := g.index.apis[gitops.StringAt(t, "apiVersion")]; ok {
		g.need(ref, api, "its API")
	}
	if pod := podSpec(ref, t); pod != nil {
		g.account(ref, serviceAccount(pod))
	}
	for _, service := range backends(ref, t) {
		g.needWanted(ref, service, "its backend")
		for _, w := range g.index.behind(service, g.wanted) {
			g.need(ref, w, "its backend")
		}
	}
	said, _ := g.said(t)
	for _, to := range said {
		g.need(ref, to, "depends-on")
	}
}

func (g *graph) needWanted(from, to gitops.Ref, why string) {
	if _, ok := g.wanted[to]; ok {
		g.need(from, to, why)
	}
}

// readyOnlyWhenUsed reports whether waiting for a thing could last for ever: a claim is bound only when a pod uses it unless
// its class says otherwise (volumeBindingMode), and a load balancer may need a controller that comes later. Pods wait for
// both by themselves.
func (g *graph) readyOnlyWhenUsed(ref gitops.Ref) bool {
	t := g.wanted[ref]
	switch ref.Group + "/" + ref.Kind {
	case "/PersistentVolumeClaim":
		class := g.wanted[object("storage.k8s.io", "StorageClass", "", gitops.StringAt(t, "spec", "storageClassName"))]
		immediate := class != nil && gitops.StringAt(class, "volumeBindingMode") != "WaitForFirstConsumer"
		return !immediate && gitops.StringAt(t, "spec", "volumeName") == ""
	case "/Service":
		return gitops.StringAt(t, "spec", "type") == "LoadBalancer"
	}
	return false
}

// account makes a workload need the rights of its service account, in the cluster and in AWS.
func (g *graph) account(workload gitops.Ref, name string) {
	for _, binding := range g.index.bindings[object("", "ServiceAccount", workload.Namespace, name)] {
		g.need(workload, binding, "rights of its service account")
	}
	for _, ref := range g.roles[workload.Namespace+"/"+name] {
		if g.changes[ref].Action != Delete {
			g.need(workload, ref, "IAM role of its service account")
		}
	}
}

// observed adds what observers say. In the cluster that is the server's answer to a trial ("not before the namespace", "the
// webhook does not answer"), which must not close a circle: what a webhook's backend needs is tried again instead.
func (g *graph) observed(in Input) {
	for _, ref := range slices.SortedFunc(maps.Keys(g.changes), gitops.Ref.Compare) {
		for _, to := range in.Observed[ref].Needs {
			if ref.Domain == gitops.EKS || !g.closure(to)[ref] {
				g.need(ref, to, "its observer")
			}
		}
	}
}

// said is what the annotation of an object says: what it needs, and what git does not hold or nobody can read.
func (g *graph) said(t gitops.Tree) (refs []gitops.Ref, bad []string) {
	value := gitops.StringAt(t, "metadata", "annotations", dependsOn)
	if value == "" {
		return nil, nil
	}
	named, bad := parseDependsOn(value)
	for _, to := range named {
		if _, ok := g.wanted[to]; ok {
			refs = append(refs, to)
		} else {
			bad = append(bad, to.Label())
		}
	}
	return refs, bad
}

// misread holds changes whose dependencies cannot be read, or are not in git: nobody knows what they were meant to wait for.
func (g *graph) misread() []*gitops.Error {
	var problems []*gitops.Error
	for _, ref := range slices.SortedFunc(maps.Keys(g.changes), gitops.Ref.Compare) {
		_, bad := g.said(g.wanted[ref])
		if len(bad) == 0 {
			continue
		}
		c := g.changes[ref]
		e := gitops.Errorf(gitops.ApplyInvalid, "the annotation %s names what git does not hold: %s", dependsOn, strings.Join(bad, ", ")).On(ref).At(c.From)
		e.Try = "name objects that are in git, as GROUP/KIND/NAME or GROUP/namespaces/NAMESPACE/KIND/NAME"
		problems = append(problems, e)
		c.Hold = &Hold{Reason: gitops.ApplyInvalid, Why: e.Message()}
	}
	return problems
}

// soft adds edges that only avoid failures which retrying would mend; those that would close a circle are left out: what
// a backend needs never waits for that backend.
func (g *graph) soft() {
	kinds := map[groupKind][]gitops.Ref{}
	if len(g.index.hooks)+len(g.index.definitions) > 0 {
		for ref := range g.wanted {
			kinds[kindOfRef(ref)] = append(kinds[kindOfRef(ref)], ref)
		}
	}
	for _, hook := range g.index.hooks {
		rules := matchRules(hook, g.wanted[hook])
		own := g.closure(hook)
		for kind, refs := range kinds {
			if slices.ContainsFunc(rules, func(r matchRule) bool { return r.matches(kind, g.index) }) {
				g.unlessIn(own, refs, hook, "its admission webhook")
			}
		}
	}
	for _, crd := range slices.SortedFunc(maps.Values(g.index.definitions), gitops.Ref.Compare) {
		service := gitops.TreeAt(g.wanted[crd], "spec", "conversion", "webhook", "clientConfig", "service")
		backend := g.index.behind(object("", "Service", gitops.StringAt(service, "namespace"), gitops.StringAt(service, "name")), g.wanted)
		for _, w := range backend {
			own := g.closure(w)
			for kind, definition := range g.index.definitions {
				if definition == crd {
					g.unlessIn(own, kinds[kind], w, "its conversion webhook")
				}
			}
		}
	}
}

// unlessIn makes all of some refs need another one, except for those among what that one needs itself.
func (g *graph) unlessIn(own map[gitops.Ref]bool, refs []gitops.Ref, to gitops.Ref, why string) {
	for _, ref := range refs {
		if !own[ref] {
			g.need(ref, to, why)
		}
	}
}

// cluster makes what is applied need the cluster: always while the cluster is made, and when a prediction rests on nothing
// else in this plan while the cluster changes. An update in place leaves the API server serving (EKS replaces its instances
// one by one), so it keeps nothing else waiting.
func (g *graph) cluster(p *Plan) {
	for ref, cluster := range g.changes {
		if ref.Domain != gitops.EKS || ref.Kind != "Cluster" || cluster.Action == Delete {
			continue
		}
		making := cluster.Action == Create || cluster.Action == Replace
		for i := range p.Changes {
			c := &p.Changes[i]
			if c.Ref.Domain != gitops.K8s || c.Action == Delete || (!making && !c.Predicted) {
				continue
			}
			// What needs another object needs the cluster through it.
			if !slices.ContainsFunc(c.Needs, func(r gitops.Ref) bool { return r.Domain == gitops.K8s }) {
				g.need(c.Ref, ref, "its cluster")
				c.Needs = g.planned(c.Ref)
			}
		}
	}
}
