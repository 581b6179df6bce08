package apply

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	faults "github.com/eks-gitops/reconciler/internal/sim/fault"
	"github.com/eks-gitops/reconciler/pkg/gitops"
	"github.com/eks-gitops/reconciler/pkg/plan"
)

// others are what people and controllers made with kubectl and the like: of each kind one that AWS holds something for, and one for which
// it does not.
const others = `
apiVersion: v1
kind: Service
metadata: {name: web, namespace: NS, finalizers: [service.k8s.aws/resources]}
spec: {type: LoadBalancer, loadBalancerClass: service.k8s.aws/nlb, ports: [{port: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: inside, namespace: NS}
spec: {ports: [{port: 80}]}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: shop, namespace: NS, finalizers: [ingress.k8s.aws/resources]}
spec: {ingressClassName: alb, defaultBackend: {service: {name: inside, port: {number: 80}}}}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: idle, namespace: NS}
spec: {ingressClassName: none, defaultBackend: {service: {name: inside, port: {number: 80}}}}
---
apiVersion: v1
kind: PersistentVolume
metadata: {name: NS-data}
spec:
  accessModes: [ReadWriteOnce]
  capacity: {storage: 8Gi}
  csi: {driver: ebs.csi.aws.com, volumeHandle: vol-0123456789abcdef0}
  claimRef: {namespace: NS, name: data}
---
apiVersion: v1
kind: PersistentVolume
metadata: {name: NS-local}
spec:
  accessModes: [ReadWriteOnce]
  capacity: {storage: 8Gi}
  hostPath: {path: /tmp/NS}
`

// gatewayDefinition stands in for that of the Gateway API (gateway.networking.k8s.io/v1).
const gatewayDefinition = `
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata:
  name: gateways.gateway.networking.k8s.io
  annotations: {api-approved.kubernetes.io: "https://github.com/kubernetes-sigs/gateway-api/pull/2466"}
spec:
  group: gateway.networking.k8s.io
  scope: Namespaced
  names: {plural: gateways, singular: gateway, kind: Gateway, listKind: GatewayList}
  versions:
  - {name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}}
`

const edge = `
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: edge, namespace: NS, finalizers: [gateway.k8s.aws/alb]}
spec: {gatewayClassName: alb}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: unused, namespace: NS}
spec: {gatewayClassName: none}
`

func object(t gitops.Tree) *unstructured.Unstructured { return &unstructured.Unstructured{Object: t} }

func namespaceOf(name string) *unstructured.Unstructured {
	return object(gitops.Tree{"apiVersion": "v1", "kind": "Namespace", "metadata": gitops.Tree{"name": name}})
}

// newEnding is a lab whose cluster ends, in which nothing of other tests is seen.
func newEnding(t *testing.T, change ...func(*Options)) *lab {
	t.Helper()
	return newLab(t, append(change, func(o *Options) { o.Ending = true })...)
}

// end plans the end of what is in the test's namespace, or is named after it: the control plane is shared.
func (l *lab) end() plan.Plan {
	l.Helper()
	seen := l.observe(desired())
	for ref := range seen {
		if ref.Namespace != l.id && !strings.HasPrefix(ref.Name, l.id+"-") && ref.Name != "" {
			delete(seen, ref)
		}
	}
	return plan.Build(plan.Input{Desired: desired(), Observed: seen, Inventory: l.inv})
}

func planned(p plan.Plan) []string {
	var out []string
	for _, c := range p.Changes {
		out = append(out, string(c.Action)+" "+c.Ref.Kind+" "+c.Ref.Name+": "+c.Why)
	}
	slices.Sort(out)
	return out
}

// put creates manifests as somebody else does.
func (l *lab) put(manifests string) {
	l.Helper()
	for _, item := range l.items("", manifests) {
		l.create("kubectl-create", object(item.Spec))
	}
}

func (l *lab) letGo(gvr schema.GroupVersionResource, name string) {
	l.Helper()
	body := []byte(`{"metadata":{"finalizers":null}}`)
	if _, err := l.raw().client.Resource(gvr).Namespace(l.id).Patch(l.Context(), name, types.MergePatchType, body, metav1.PatchOptions{}); err != nil {
		l.Fatalf("letting %s go: %v", name, err)
	}
}

var (
	services  = schema.GroupVersionResource{Version: "v1", Resource: "services"}
	ingresses = schema.GroupVersionResource{Group: "networking.k8s.io", Version: "v1", Resource: "ingresses"}
	gateways  = schema.GroupVersionResource{Group: "gateway.networking.k8s.io", Version: "v1", Resource: "gateways"}
)

// TestTheEndTakesWhatHasLoadBalancers: eksctl's delete cluster deletes Services of type LoadBalancer and Ingresses before the nodes
// (pkg/elb, Cleanup), and waits for their load balancers. Volumes of others' claims are told.
func TestTheEndTakesWhatHasLoadBalancers(t *testing.T) {
	l := newEnding(t)
	l.create("kubectl-create", namespaceOf(l.id))
	l.put(others)
	p := l.end()
	want := []string{
		"delete Ingress shop: made beside git; its load balancer would stay",
		"delete Service web: made beside git; its load balancer would stay",
	}
	if got := planned(p); !slices.Equal(got, want) {
		t.Fatalf("the plan is\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	var told []string
	for _, problem := range p.Problems {
		told = append(told, string(problem.Reason)+": "+problem.Message())
	}
	if note := "Extra: live, not in git, and left alone: PersistentVolume " + l.id + "-data"; !slices.Equal(told, []string{note}) {
		t.Errorf("told %q, want %q", told, note)
	}
	for _, c := range p.Changes {
		if c.Risk != plan.Disruptive {
			t.Errorf("%s: risk %s", c.Ref.Label(), c.Risk)
		}
		if err := l.Cluster.Apply(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		if h, err := l.Ready(t.Context(), c.Ref); err != nil || h.Status != gitops.Terminating {
			t.Errorf("%s, while its controller has its load balancer: %+v %v", c.Ref.Label(), h, err)
		}
	}
	again := l.end()
	l.letGo(services, "web")
	l.letGo(ingresses, "shop")
	for _, c := range again.Changes {
		l.await(c)
	}
	if p := l.end(); len(p.Changes) > 0 {
		t.Errorf("left to do: %q", planned(p))
	}
	l.live(services, "inside")
	l.live(ingresses, "idle")
}

// TestTheLivingKeepOthersLoadBalancers: only the end of a cluster takes what others made.
func TestTheLivingKeepOthersLoadBalancers(t *testing.T) {
	l := newLab(t)
	l.create("kubectl-create", namespaceOf(l.id))
	l.put(others)
	if p := l.end(); len(p.Changes) > 0 || len(p.Problems) > 0 {
		t.Errorf("planned %q, told %v", planned(p), p.Problems)
	}
	ref := gitops.Ref{Domain: gitops.K8s, Kind: "Service", Namespace: l.id, Name: "web"}
	err := l.Cluster.Apply(t.Context(), plan.Change{Ref: ref, Action: plan.Delete})
	if e := gitops.AsError("", err); err == nil || e.Reason != gitops.Foreign {
		t.Errorf("deleting somebody's Service: %v, want %s", err, gitops.Foreign)
	}
	l.live(services, "web")
}

// TestTheEndTakesGateways: what the controller of a Gateway made for it goes after the Gateway, or it would be made anew at once.
func TestTheEndTakesGateways(t *testing.T) {
	l := newEnding(t)
	l.create("kubectl-create", namespaceOf(l.id))
	for _, item := range l.items("", gatewayDefinition) {
		l.create("kubectl-create", object(item.Spec))
	}
	t.Cleanup(func() {
		definitions := schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"}
		if err := l.raw().client.Resource(definitions).Delete(l.background(), "gateways.gateway.networking.k8s.io", metav1.DeleteOptions{}); err != nil {
			t.Error(err)
		}
	})
	l.eventually("the Gateway API", func() (string, bool) {
		raw := l.raw()
		_, ok := raw.catalog.kind(schema.GroupVersionKind{Group: "gateway.networking.k8s.io", Version: "v1", Kind: "Gateway"})
		return "not served", ok
	})
	l.put(edge)
	gateway, err := l.raw().client.Resource(gateways).Namespace(l.id).Get(t.Context(), "edge", getOptions())
	if err != nil {
		t.Fatal(err)
	}
	yes := true
	service := object(l.items("", others)[0].Spec)
	service.SetOwnerReferences([]metav1.OwnerReference{{APIVersion: "gateway.networking.k8s.io/v1", Kind: "Gateway", Name: "edge", UID: gateway.GetUID(), Controller: &yes}})
	l.create("operator", service)
	p := l.end()
	want := []string{
		"delete Gateway edge: made beside git; its load balancer would stay",
		"delete Service web: made beside git; its load balancer would stay",
	}
	if got := planned(p); !slices.Equal(got, want) {
		t.Fatalf("the plan is\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	for _, c := range p.Changes {
		if c.Ref.Kind == "Service" && (len(c.Needs) != 1 || c.Needs[0].Kind != "Gateway") {
			t.Errorf("the Service of the Gateway waits for %v", c.Needs)
		}
	}
	l.letGo(gateways, "edge")
	l.letGo(services, "web")
}

// TestTheEndDoesNotWaitForSuccessors: an operator that makes a Service anew for as long as it runs does not keep the cluster, and what is
// made anew is found by the next look.
func TestTheEndDoesNotWaitForSuccessors(t *testing.T) {
	l := newEnding(t, func(o *Options) { o.Watch = true })
	l.create("kubectl-create", namespaceOf(l.id))
	l.put(others)
	l.letGo(services, "web")
	l.letGo(ingresses, "shop")
	p := l.end()
	for _, c := range p.Changes {
		if err := l.Cluster.Apply(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
	service := object(l.items("", others)[0].Spec)
	service.SetFinalizers(nil)
	l.create("operator", service)
	for _, c := range p.Changes {
		l.await(c)
	}
	if got, want := planned(l.end()), []string{"delete Service web: made beside git; its load balancer would stay"}; !slices.Equal(got, want) {
		t.Errorf("the next plan is %q, want %q", got, want)
	}
}

// TestTheEndSaysWhatItCannotSee: what cannot be listed is not taken for absent.
func TestTheEndSaysWhatItCannotSee(t *testing.T) {
	l, proxy := newLabBehind(t, func(o *Options) { o.Ending = true })
	proxy.Decide(func(r *http.Request) faults.Effect {
		if r.Method == http.MethodGet && r.URL.Path == "/api/v1/services" {
			return faults.Denied
		}
		return faults.None
	})
	seen := l.observe(desired())
	o := seen[gitops.Ref{Domain: gitops.K8s, Kind: "Service"}]
	if o.Err == nil || o.Err.Reason != gitops.AccessDenied {
		t.Errorf("the kind is observed as %+v", o)
	}
}
