package apply_test

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/yaml"

	"github.com/eks-gitops/reconciler/internal/labbin"
	"github.com/eks-gitops/reconciler/internal/sim/fault"
	"github.com/eks-gitops/reconciler/internal/sim/ground"
	"github.com/eks-gitops/reconciler/pkg/apply"
	"github.com/eks-gitops/reconciler/pkg/engine"
	"github.com/eks-gitops/reconciler/pkg/gitops"
	"github.com/eks-gitops/reconciler/pkg/ledger"
	"github.com/eks-gitops/reconciler/pkg/plan"
	"github.com/eks-gitops/reconciler/pkg/render"
	"github.com/eks-gitops/reconciler/pkg/run"
)

// partOf labels what is in a set of ours.
const partOf = "applyset.kubernetes.io/part-of"

// process is one run of the program: what it keeps in memory ends with it. Books and objects are in the cluster, behind the proxy.
type process struct {
	engine  *engine.Engine
	objects *apply.Cluster
	home    *apply.Cluster
	ledger  *ledger.Ledger
}

// site is where processes run: a real API server behind a proxy, with namespaces of its own.
type site struct {
	testing.TB
	id    string
	proxy *fault.Proxy
	// direct goes past the proxy: people, other controllers and the test itself.
	direct dynamic.Interface
	// events tells what processes do; it may be nil.
	events run.Sinks
}

func newSite(t testing.TB, id string, o fault.Options) *site {
	t.Helper()
	config, err := clientcmd.BuildConfigFromFlags("", labbin.ControlPlane(t))
	if err != nil {
		t.Fatal(err)
	}
	config.QPS, config.WarningHandler = -1, rest.NoWarnings{}
	s := &site{TB: t, id: id}
	o.Server = config
	if s.proxy, err = fault.Start(o); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.proxy.Close)
	if s.direct, err = dynamic.NewForConfig(config); err != nil {
		t.Fatal(err)
	}
	return s
}

// start begins a process, with the policy of its cluster.
func (s *site) start(watch bool, timeout time.Duration, policy string) *process {
	s.Helper()
	spec := object(s, "apiVersion: v1\nkind: Policy\n"+policy)
	delete(spec, "apiVersion")
	delete(spec, "kind")
	rules, problems := plan.DecodeRules(&gitops.Item{Spec: spec}, checks())
	for _, problem := range problems {
		s.Fatal(problem)
	}
	access := func(context.Context) (apply.Access, error) {
		return apply.Access{Server: s.proxy.URL(), CA: s.proxy.CA(), Token: func(context.Context) (string, error) { return "t", nil }}, nil
	}
	options := apply.Options{Cluster: s.id, Namespace: s.id + "-sets", Now: time.Now, Access: access, Watch: watch, Timeout: timeout, Rules: rules, Log: slog.New(slog.DiscardHandler)}
	p := &process{objects: apply.New(options)}
	options.Watch = false
	p.home = apply.New(options)
	p.ledger = ledger.New(p.home.Blobs("ledger", apply.InSecrets), ledger.Options{Keep: 10})
	p.engine = engine.New(engine.Options{
		Renderer: render.New(render.Options{}), Ledger: p.ledger, Sink: s.events, Now: time.Now,
		Checks: checks(),
	})
	return p
}

func checks() plan.Checks {
	return plan.Checks{Zone: time.LoadLocation, Condition: apply.Condition, Message: apply.Message}
}

// target is the cluster as the engine reaches it: it has no infrastructure.
func (p *process) target() engine.Target {
	return engine.Target{Infra: ground.Infra{}, Facts: ground.Infra{}, Objects: p.objects, Redactor: gitops.Redactor{Key: []byte("test")}}
}

func (p *process) stop() {
	p.objects.Close()
	p.home.Close()
}

// passEnd bounds a pass. It is there to find out that one does not end.
const passEnd = 3 * time.Minute

// pass makes one pass, or only looks.
func (p *process) pass(t testing.TB, snapshot gitops.Snapshot, preview bool) (run.Record, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), passEnd)
	defer cancel()
	record, err := p.passUntil(ctx, t, snapshot, preview)
	if ctx.Err() != nil {
		t.Errorf("a pass did not end within %s: %v", passEnd, err)
	}
	return record, err
}

// passUntil makes one pass that may be stopped before its end.
func (p *process) passUntil(ctx context.Context, t testing.TB, snapshot gitops.Snapshot, preview bool) (run.Record, error) {
	t.Helper()
	clusters, err := p.engine.Renderer.Clusters(ctx, snapshot)
	if err != nil || len(clusters) != 1 {
		t.Fatalf("the repository has %d clusters: %v", len(clusters), err)
	}
	waits := make(chan struct{})
	close(waits) // a pass that only waits ends
	return p.engine.RunOnce(ctx, engine.Job{
		Snapshot: snapshot, Cluster: clusters[0], Cause: "test", Preview: preview, Yield: waits, Target: p.target(),
	})
}

func (s *site) at(t thing) dynamic.ResourceInterface {
	group, version, resource := t.resource()
	all := s.direct.Resource(schema.GroupVersionResource{Group: group, Version: version, Resource: resource})
	if t.namespace == "" {
		return all
	}
	return all.Namespace(t.namespace)
}

// get reads a thing past the proxy; nil when it is not there.
func (s *site) get(t thing) *unstructured.Unstructured {
	s.Helper()
	u, err := s.at(t).Get(context.WithoutCancel(s.Context()), t.name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		s.Fatalf("reading %v: %v", t, err)
	}
	return u
}

// settle makes passes until nothing is left to do.
func (s *site) settle(p *process, snapshot gitops.Snapshot) {
	s.Helper()
	const most = 20
	var record run.Record
	var err error
	for range most {
		if record, err = p.pass(s, snapshot, false); err == nil && record.Outcome == run.Converged && record.Plan.Empty() {
			return
		}
	}
	s.Fatalf("%s: not settled after %d passes that nothing disturbs: %v: %s", s.id, most, err, tell(record))
}

// tell is a record in short.
func tell(r run.Record) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s, complete %v", r.Outcome, r.Plan.Complete)
	for _, problem := range r.Plan.Problems {
		fmt.Fprintf(&b, "\n  problem: %v", problem)
	}
	for _, c := range r.Plan.Changes {
		res, _ := r.Result(c.ID)
		fmt.Fprintf(&b, "\n  %s %s: %s %v %v", c.Action, c.Ref.Label(), res.State, res.Error, res.Health)
		for _, e := range c.Edits {
			fmt.Fprintf(&b, "\n    %s: %v > %v", e.Path, e.Before, e.After)
		}
	}
	return b.String()
}

// asGitSays checks that what git wants is live with the content that git gives it, in the overlay that git has it in, that nothing else of ours
// is, and that the books say the same.
func (s *site) asGitSays(p *process, h *history) {
	s.Helper()
	sets := map[string]string{}
	for t, want := range h.things {
		live := s.get(t)
		if live == nil {
			s.Errorf("%s: %v is not live", s.id, t)
			continue
		}
		if live.GetDeletionTimestamp() != nil {
			s.Errorf("%s: %v is being deleted", s.id, t)
		}
		if why := lacks(object(s, t.manifest(want)), live.Object, ""); why != "" {
			s.Errorf("%s: %v: %s", s.id, t, why)
		}
		if live.GetAnnotations()["person"] != "" {
			s.Errorf("%s: %v keeps what a person added", s.id, t)
		}
		set := live.GetLabels()[partOf]
		if other, ok := sets[set]; set == "" || ok && other != want.overlay {
			s.Errorf("%s: %v of overlay %s is in the set %q of overlay %q", s.id, t, want.overlay, set, other)
		}
		sets[set] = want.overlay
	}
	inv, err := p.ledger.Inventory(s.Context(), s.id)
	if err != nil {
		s.Fatal(err)
	}
	var want, have []string
	for t := range h.things {
		want = append(want, t.ref().String())
	}
	for ref := range inv {
		have = append(have, ref.String())
	}
	slices.Sort(want)
	slices.Sort(have)
	if !slices.Equal(want, have) {
		s.Errorf("%s: the books have\n%s\ngit has\n%s", s.id, strings.Join(have, "\n"), strings.Join(want, "\n"))
	}
}

func (t thing) ref() gitops.Ref {
	group, _, _ := t.resource()
	kind := t.kind
	if kind == "Frozen" {
		kind = "ConfigMap"
	}
	return gitops.Ref{Domain: gitops.K8s, Group: group, Kind: kind, Namespace: t.namespace, Name: t.name}
}

func object(t testing.TB, manifest string) gitops.Tree {
	t.Helper()
	body, err := yaml.YAMLToJSON([]byte(manifest))
	if err != nil {
		t.Fatal(err)
	}
	u := &unstructured.Unstructured{}
	if err := u.UnmarshalJSON(body); err != nil {
		t.Fatal(err)
	}
	return u.Object
}

// lacks says what of a value is not in another; "" when all is.
func lacks(want, have any, at string) string {
	switch want := want.(type) {
	case gitops.Tree:
		tree, ok := have.(gitops.Tree)
		if !ok {
			return fmt.Sprintf("%s is %v, want %v", at, have, want)
		}
		for _, k := range slices.Sorted(maps.Keys(want)) {
			if k == "stringData" {
				if len(gitops.TreeAt(tree, "data")) == 0 {
					return "the Secret has no data"
				}
				continue
			}
			if why := lacks(want[k], tree[k], at+"."+k); why != "" {
				return why
			}
		}
		return ""
	case []any:
		list, ok := have.([]any)
		if !ok || len(list) != len(want) {
			return fmt.Sprintf("%s is %v, want %v", at, have, want)
		}
		for i := range want {
			if why := lacks(want[i], list[i], fmt.Sprintf("%s[%d]", at, i)); why != "" {
				return why
			}
		}
		return ""
	}
	if !reflect.DeepEqual(want, have) {
		return fmt.Sprintf("%s is %v, want %v", at, have, want)
	}
	return ""
}

// strangers are objects that are nobody's of ours, and must stay as they are.
type strangers struct {
	mu   sync.Mutex
	have map[thing]string
}

func (x *strangers) make(s *site, t thing, labels map[string]string) {
	s.Helper()
	u := &unstructured.Unstructured{Object: gitops.Tree{"apiVersion": "v1", "kind": "ConfigMap", "data": gitops.Tree{"value": "theirs"}}}
	u.SetName(t.name)
	u.SetLabels(labels)
	made, err := s.at(t).Create(s.Context(), u, metav1.CreateOptions{FieldManager: "somebody"})
	if err != nil {
		s.Fatal(err)
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	x.have[t] = made.GetResourceVersion()
}

func (x *strangers) untouched(s *site) {
	s.Helper()
	for t, version := range x.have {
		if u := s.get(t); u == nil || u.GetResourceVersion() != version {
			s.Errorf("%s: %v, which is not ours, was touched", s.id, t)
		}
	}
}
