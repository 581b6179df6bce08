package eks

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/ratelimit"
	"github.com/aws/aws-sdk-go-v2/aws/retry"

	"github.com/eks-gitops/reconciler/internal/sim/aws"
	"github.com/eks-gitops/reconciler/internal/sim/aws/simtest"
	simworld "github.com/eks-gitops/reconciler/internal/sim/aws/world"
	"github.com/eks-gitops/reconciler/pkg/gitops"
	"github.com/eks-gitops/reconciler/pkg/plan"
)

// rig is one cluster's git, AWS (the simulator) and cluster API (a stand-in), and a Cloud between them.
type rig struct {
	*simtest.Sim
	t     *testing.T
	cloud *Cloud
	kube  *kube
	item  gitops.Item
	inv   gitops.Inventory
	// restart makes a new Cloud before every call, as if the process had been killed after the last one.
	restart bool
	// teardown plans the end of everything.
	teardown bool
	// logGroups has it take the logs of the control plane.
	logGroups bool
	// statuses are those that stacks are said to have, by name, where the simulator knows no way into them.
	statuses map[string]string
	// nodes are what the simulator drains, where a test has a say in that.
	nodes *drainable
	// policies are what reconcile.yaml says.
	policies []plan.Policy
	// tolerant goes on after a failure, as the engine does after its backoff.
	tolerant bool
	// fuse kills the process at one of its calls.
	fuse *fuse
	// watch sees every state on the way.
	watch func(*world)
	// did lists the calls that were made, for messages.
	did []string
}

func newRig(t *testing.T, body string) *rig {
	t.Helper()
	return newRigOn(t, body, aws.Options{})
}

func newRigOn(t *testing.T, body string, o aws.Options) *rig {
	t.Helper()
	o.World = simworld.Options{Region: cmp.Or(o.World.Region, "eu-west-1"), Partition: o.World.Partition, Seed: 7}
	r := &rig{t: t, Sim: simtest.Start(t, o), inv: gitops.Inventory{}}
	r.kube = &kube{accounts: map[string]map[string]string{}, labels: map[string]map[string]string{}, pods: map[string]int{}, cordoned: map[string]bool{}}
	r.git(body)
	r.reboot()
	return r
}

// git is a push.
func (r *rig) git(body string) {
	r.t.Helper()
	item, problems := inGit([]byte(body))
	if len(problems) > 0 {
		r.t.Fatal(problems)
	}
	r.item = item
}

// reboot is a new process.
func (r *rig) reboot() {
	r.cloud = New(Options{AWS: r.config(), Nodes: r.kube, ServiceAccounts: r.kube, AuthMap: r.kube, Preflight: r.kube, Now: r.Clock.Now, Teardown: r.teardown, LogGroups: r.logGroups})
	r.kube.access = r.cloud.Access
}

// config is for clients in the simulator's own process, which retry at once: nobody is spared by waiting.
func (r *rig) config() sdk.Config {
	cfg := r.Config()
	cfg.HTTPClient = r.Client()
	if r.fuse != nil {
		cfg.APIOptions = append(cfg.APIOptions, r.fuse.in)
	}
	if len(r.statuses) > 0 {
		cfg.HTTPClient = &http.Client{Transport: pretence{r.Client().Transport, maps.Clone(r.statuses)}}
	}
	cfg.Retryer = func() sdk.Retryer {
		return retry.NewStandard(func(o *retry.StandardOptions) {
			o.MaxAttempts, o.RateLimiter = 6, ratelimit.None
			o.Backoff = retry.BackoffDelayerFunc(func(int, error) (time.Duration, error) { return 0, nil })
		})
	}
	return cfg
}

// plan looks and plans.
func (r *rig) plan() plan.Plan {
	r.t.Helper()
	if r.restart {
		r.reboot()
	}
	d := gitops.Desired{Cluster: "dev", Items: []gitops.Item{r.item}}
	seen, err := r.cloud.Observe(r.t.Context(), d, r.inv)
	for try := 0; err != nil && r.tolerant && try < 50; try++ {
		seen, err = r.cloud.Observe(r.t.Context(), d, r.inv)
	}
	if err != nil && r.burnt() {
		return r.plan()
	}
	if err != nil {
		r.t.Fatalf("observing: %v\nafter\n%s", err, strings.Join(r.did, "\n"))
	}
	r.watched()
	return plan.Build(plan.Input{Desired: d, Observed: seen, Inventory: r.inv})
}

func (r *rig) watched() {
	if r.watch != nil {
		r.watch(r.cloud.world)
	}
}

// tick lets AWS go on for a while.
func (r *rig) tick() {
	r.t.Helper()
	r.Clock.Move(30 * time.Second)
	if err := r.World.Advance(); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) apply(c plan.Change) error {
	r.did = append(r.did, fmt.Sprintf("%s %s", c.Action, c.Ref))
	return r.cloud.Apply(r.t.Context(), c)
}

// converge carries plans out until one is empty, the way the engine does: what needs nothing starts, what is ready lets
// others start, and what asks for a step gets one. With restart, every single call is made by a new process with a new
// plan. Every change goes ahead, as if approved.
func (r *rig) converge() {
	r.t.Helper()
	for began := r.Clock.Now(); ; {
		p := r.plan()
		for _, problem := range p.Problems {
			if !r.tolerant && !problem.Reason.Note() {
				r.t.Fatalf("%v\nafter\n%s", problem, strings.Join(r.did, "\n"))
			}
		}
		if p.Empty() || (len(p.Changes) == 0 && p.Complete) {
			return
		}
		if r.Clock.Now().Sub(began) > 6*time.Hour {
			r.t.Fatalf("not converged in six hours:\n%s\nafter\n%s", describe(nil, p), strings.Join(r.did, "\n"))
		}
		if r.restart {
			r.step(p)
		} else {
			r.run(p)
		}
	}
}

// step applies what can start of a plan, each change once, and forgets.
func (r *rig) step(p plan.Plan) {
	r.t.Helper()
	open := map[gitops.Ref]bool{}
	for _, c := range p.Changes {
		open[c.Ref] = true
	}
	for _, c := range p.Changes {
		if slices.ContainsFunc(c.Needs, func(n gitops.Ref) bool { return open[n] && n != c.Ref }) {
			continue
		}
		if err := r.apply(c); err != nil && !r.tolerant {
			r.t.Fatalf("%s %s: %v\nafter\n%s", c.Action, c.Ref, err, strings.Join(r.did, "\n"))
		}
	}
	r.tick()
}

// run carries one plan out to its end.
func (r *rig) run(p plan.Plan) {
	r.t.Helper()
	done, started := map[gitops.Ref]bool{}, map[gitops.Ref]bool{}
	open := map[gitops.Ref]bool{}
	for _, c := range p.Changes {
		open[c.Ref] = true
	}
	again := map[gitops.Ref]bool{}
	for began := r.Clock.Now(); len(done) < len(p.Changes); r.tick() {
		if r.Clock.Now().Sub(began) > 6*time.Hour {
			r.t.Fatalf("the plan is not done in six hours; done: %v\n%s\nafter\n%s", slices.Collect(maps.Keys(done)), describe(nil, p), strings.Join(r.did, "\n"))
		}
		for _, c := range p.Changes {
			waits := slices.ContainsFunc(c.Needs, func(n gitops.Ref) bool { return open[n] && !done[n] && n != c.Ref })
			if done[c.Ref] || waits {
				continue
			}
			if !started[c.Ref] || again[c.Ref] {
				if err := r.apply(c); err != nil {
					if r.burnt() {
						return
					}
					if r.tolerant {
						continue
					}
					r.t.Fatalf("%s %s: %v\nafter\n%s", c.Action, c.Ref, err, strings.Join(r.did, "\n"))
				}
				started[c.Ref] = true
			}
			h, err := r.cloud.Ready(r.t.Context(), c.Ref)
			if err != nil {
				if r.burnt() {
					return
				}
				if r.tolerant {
					continue
				}
				r.t.Fatalf("looking at %s: %v", c.Ref, err)
			}
			r.watched()
			again[c.Ref] = h.Step
			r.did = append(r.did, fmt.Sprintf("   %s: %s %s", c.Ref.Label(), h.Status, h.Message))
			goal := gitops.Ready
			if c.Action == plan.Delete {
				goal = gitops.Absent
			}
			if h.Status == goal {
				done[c.Ref] = true
			}
			if h.Status == gitops.Failed {
				r.t.Fatalf("%s %s failed: %s\nafter\n%s", c.Action, c.Ref, h.Message, strings.Join(r.did, "\n"))
			}
		}
	}
}

// kube stands in for the cluster's API, as far as there is a way to it: a node is ready when its instance is there, and each node has pods
// to evict.
type kube struct {
	mu sync.Mutex
	// accounts are the annotations of service accounts, and labels their labels.
	accounts, labels map[string]map[string]string
	// pods are left to evict, by instance; budget keeps them from going.
	pods    map[string]int
	perNode int
	// load is what upgrades are told that moves; when nil, perNode pods of each instance.
	load *plan.Load
	// scratch is how many pods have something on their node's disk; pace is of how many nodes at once pods were to go, in each step.
	scratch  int
	pace     []int
	budget   string
	cordoned map[string]bool
	drained  []string
	// auth is the data of aws-auth.
	auth map[string]string
	down error
	// access is how the way to the cluster is asked for before each call.
	access func() (Access, error)
	// kubelets are the versions of nodes by instance; asked counts the questions of upgrades.
	kubelets map[string]string
	asked    int
}

// trouble is why it does not answer.
func (k *kube) trouble() error {
	if k.down != nil || k.access == nil {
		return k.down
	}
	_, err := k.access()
	return err
}

func (k *kube) Kubelets(context.Context) (map[string]string, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.asked++
	return maps.Clone(k.kubelets), k.trouble()
}

func (k *kube) Written(context.Context, []plan.Removal) ([]plan.Written, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.asked++
	return nil, k.trouble()
}

func (k *kube) Load(_ context.Context, instances []string) (plan.Load, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.asked++
	if k.load != nil {
		return *k.load, k.trouble()
	}
	out := plan.Load{Pods: make([]plan.Pod, k.perNode*len(instances))}
	for i := range k.scratch {
		out.Pods[i].Scratch = true
	}
	if k.budget != "" {
		out.Budgets = []string{k.budget}
	}
	return out, k.trouble()
}

func (k *kube) ReadyNodes(_ context.Context, instances []string) (int, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return len(instances), k.trouble()
}

func (k *kube) DrainNodes(_ context.Context, instances []string, atOnce int) (int, string, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.pace = append(k.pace, atOnce)
	left := 0
	for _, i := range instances {
		if !k.cordoned[i] {
			k.cordoned[i], k.pods[i] = true, k.perNode
			k.drained = append(k.drained, i)
		}
		if k.pods[i] > 0 && k.budget == "" {
			k.pods[i]--
		}
		left += k.pods[i]
	}
	return left, k.budget, k.trouble()
}

func (k *kube) ReleaseNodes(_ context.Context, instances []string) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, i := range instances {
		delete(k.cordoned, i)
	}
	return k.trouble()
}

func (k *kube) ServiceAccountMeta(_ context.Context, namespace, name string) (labels, annotations map[string]string, found bool, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	a, ok := k.accounts[namespace+"/"+name]
	return maps.Clone(k.labels[namespace+"/"+name]), maps.Clone(a), ok, k.trouble()
}

func (k *kube) EnsureServiceAccount(_ context.Context, namespace, name string, labels, annotations map[string]string) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.trouble() == nil {
		k.accounts[namespace+"/"+name], k.labels[namespace+"/"+name] = maps.Clone(annotations), maps.Clone(labels)
	}
	return k.trouble()
}

func (k *kube) DeleteServiceAccount(_ context.Context, namespace, name string) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.accounts, namespace+"/"+name)
	return k.trouble()
}

func (k *kube) AuthMap(context.Context) (map[string]string, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return maps.Clone(k.auth), k.trouble()
}

func (k *kube) EditAuthMap(_ context.Context, edit func(map[string]string) error) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if err := k.trouble(); err != nil {
		return err
	}
	data := map[string]string{}
	maps.Copy(data, k.auth)
	if err := edit(data); err != nil {
		return err
	}
	k.auth = data
	return nil
}
