package apply

import (
	"context"
	"fmt"
	"strings"
	"sync"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/eks-gitops/reconciler/pkg/gitops"
)

// balancing are the kinds for which controllers make load balancers in AWS: what eksctl deletes before a cluster (pkg/elb, Cleanup).
func balancing() []schema.GroupKind {
	return []schema.GroupKind{{Kind: "Service"}, {Group: "networking.k8s.io", Kind: "Ingress"}, {Group: "gateway.networking.k8s.io", Kind: "Gateway"}}
}

// hasBalancer reports whether an object has a load balancer, or gets one. That of a Service is promised by its type. An Ingress and a Gateway
// have one when their status tells an address, or a controller holds them (AWS Load Balancer Controller, "Ingress specification": the
// finalizer is set before anything is made).
func hasBalancer(u *unstructured.Unstructured) bool {
	switch u.GroupVersionKind().GroupKind() {
	case schema.GroupKind{Kind: "Service"}:
		return gitops.StringAt(u.Object, "spec", "type") == "LoadBalancer"
	case schema.GroupKind{Group: "networking.k8s.io", Kind: "Ingress"}:
		return len(u.GetFinalizers()) > 0 || len(gitops.ListAt(u.Object, "status", "loadBalancer", "ingress")) > 0
	case schema.GroupKind{Group: "gateway.networking.k8s.io", Kind: "Gateway"}:
		return len(u.GetFinalizers()) > 0 || len(gitops.ListAt(u.Object, "status", "addresses")) > 0
	}
	return false
}

// beside answers for what others made in a cluster that ends and that holds something in AWS. Load balancers cost money and keep the
// cluster's network from going, so what they are for goes, as eksctl does it. Volumes hold data: they stay, and are told.
func (p *pass) beside(ctx context.Context) {
	if !p.Ending {
		return
	}
	found := map[key]*unstructured.Unstructured{}
	for _, u := range p.everything(ctx, balancing()...) {
		if hasBalancer(u) && !p.planned(keyOf(u)) {
			found[keyOf(u)] = u
		}
	}
	for k, u := range found {
		p.out[k.ref()] = p.dismissal(ctx, u, found)
	}
	for _, u := range p.everything(ctx, schema.GroupKind{Kind: "PersistentVolume"}) {
		if inAWS(u) && !p.planned(keyOf(u)) && !p.planned(claimOf(u)) {
			p.out[keyOf(u).ref()] = gitops.Observation{Live: bare(u.Object, true), Extra: true}
		}
	}
}

// planned reports whether an object is one of ours, so that it has a line of its own in the plan.
func (p *pass) planned(k key) bool {
	seen := p.live[k]
	if seen == nil {
		return false
	}
	_, owned := p.owner(k.ref(), seen.whole())
	return owned
}

// dismissal is the end of an object that others made. What a controller made for another of them goes after that: it would be made anew.
func (p *pass) dismissal(ctx context.Context, u *unstructured.Unstructured, found map[key]*unstructured.Unstructured) gitops.Observation {
	o := gitops.Observation{Live: bare(u.Object, true), Owned: true, Extra: true, Effect: "its load balancer would stay"}
	if by := metav1.GetControllerOf(u); by != nil {
		group, _, _ := strings.Cut(by.APIVersion, "/")
		maker := key{schema.GroupKind{Group: group, Kind: by.Kind}, u.GetNamespace(), by.Name}
		if found[maker] != nil {
			o.Needs = []gitops.Ref{maker.ref()}
		}
	}
	if health := p.health(ctx, p.link, u); health.Status == gitops.Terminating {
		o.Progress = &health
	}
	return o
}

// everything lists all objects of kinds, of whoever they are; a kind that the server does not serve has none.
func (p *pass) everything(ctx context.Context, kinds ...schema.GroupKind) []*unstructured.Unstructured {
	var mu sync.Mutex
	var out []*unstructured.Unstructured
	each(len(kinds), width, func(i int) {
		found, e := p.ofGroupKind(ctx, kinds[i])
		mu.Lock()
		defer mu.Unlock()
		if e != nil {
			p.blind[kinds[i]] = e
		}
		for _, seen := range found {
			out = append(out, seen.whole())
		}
	})
	return out
}

func (p *pass) ofGroupKind(ctx context.Context, gk schema.GroupKind) ([]*stored, *gitops.Error) {
	k, served := p.link.catalog.serving(gk)
	switch {
	case !served && p.link.catalog.unknown(gk.Group):
		return nil, gitops.Errorf(gitops.ObserveFailed, "the server of API group %s does not answer", gk.Group)
	case !served:
		return nil, nil
	}
	found, err := lister{p.link}.members(ctx, query{kind: k})
	if err != nil && !apierrors.IsNotFound(err) {
		return nil, failure(fmt.Errorf("listing every %s: %w", gk.Kind, err), gitops.ObserveFailed, scrubber{})
	}
	return found, nil
}

// inAWS reports whether a volume is one of AWS: by the names of AWS's CSI drivers (ebs.csi.aws.com, efs.csi.aws.com, fsx.csi.aws.com, and
// ebs.csi.eks.amazonaws.com of Auto Mode), or by the type that the first of them took over.
func inAWS(pv *unstructured.Unstructured) bool {
	driver := gitops.StringAt(pv.Object, "spec", "csi", "driver")
	return strings.HasSuffix(driver, ".csi.aws.com") || strings.HasSuffix(driver, ".amazonaws.com") || gitops.TreeAt(pv.Object, "spec", "awsElasticBlockStore") != nil
}

// claimOf is the claim that a volume is bound to.
func claimOf(pv *unstructured.Unstructured) key {
	return key{schema.GroupKind{Kind: "PersistentVolumeClaim"}, gitops.StringAt(pv.Object, "spec", "claimRef", "namespace"), gitops.StringAt(pv.Object, "spec", "claimRef", "name")}
}

// dismisses reports whether an object that is not ours goes all the same, and remembers it then.
func (c *Cluster) dismisses(k key, live *unstructured.Unstructured) bool {
	if !c.Ending || !hasBalancer(live) {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.dismissed[k] = live.GetUID()
	return true
}

// succeeds reports whether an object was made anew after the one of its name was deleted because its cluster ends. Waiting for whoever
// does that would be for ever; the next look finds it, and AWS's side whatever load balancer is left.
func (c *Cluster) succeeds(k key, live *unstructured.Unstructured) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	was, dismissed := c.dismissed[k]
	return dismissed && was != live.GetUID()
}
