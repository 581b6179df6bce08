package eks

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	ekstypes "github.com/aws/aws-sdk-go-v2/service/eks/types"
	"github.com/aws/smithy-go/middleware"
	gocmp "github.com/google/go-cmp/cmp"

	"github.com/eks-gitops/reconciler/internal/sim/aws"
	"github.com/eks-gitops/reconciler/internal/sim/aws/simtest"
	simworld "github.com/eks-gitops/reconciler/internal/sim/aws/world"
	"github.com/eks-gitops/reconciler/pkg/gitops"
)

// fuse kills a process at one of the calls by which it changes something: just before the call, or when AWS has accepted it and the answer
// has not arrived. Nothing that the process calls after that gets through.
type fuse struct {
	mu sync.Mutex
	// at counts down to the call, 0 being the next; below zero no call kills. accepted says that the call is made.
	at       int
	accepted bool
	dead     bool
	// every kills at every call, before it the first time and after it the second; kills counts.
	every bool
	kills int
	// made are the calls that were made or tried, in order.
	made []string
}

var errKilled = errors.New("kill -9")

// in puts the fuse before everything else of a call, the SDK's retries included.
func (f *fuse) in(s *middleware.Stack) error {
	return s.Initialize.Add(middleware.InitializeMiddlewareFunc("fuse", func(ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler) (middleware.InitializeOutput, middleware.Metadata, error) {
		f.mu.Lock()
		dead, falls := f.dead, false
		if operation := middleware.GetOperationName(ctx); !dead && !reads(operation) {
			f.made = append(f.made, operation)
			if f.at--; f.every {
				f.at, f.accepted = -1, f.kills%2 == 1
			}
			falls = f.at == -1
			f.dead = falls
			if falls {
				f.kills++
			}
		}
		accepted := f.accepted
		f.mu.Unlock()
		if dead || falls && !accepted {
			return middleware.InitializeOutput{}, middleware.Metadata{}, errKilled
		}
		out, metadata, err := next.HandleInitialize(ctx, in)
		if falls {
			return middleware.InitializeOutput{}, middleware.Metadata{}, errKilled
		}
		return out, metadata, err
	}), middleware.Before)
}

func reads(operation string) bool {
	return slices.ContainsFunc([]string{"Describe", "List", "Get", "Lookup", "Simulate"}, func(verb string) bool { return strings.HasPrefix(operation, verb) })
}

// burnt tells whether the process was killed, and if it was starts another: AWS, the cluster's API and git are all that it finds.
func (r *rig) burnt() bool {
	if r.fuse == nil {
		return false
	}
	r.fuse.mu.Lock()
	defer r.fuse.mu.Unlock()
	if !r.fuse.dead {
		return false
	}
	r.fuse.dead = false
	r.did = append(r.did, "killed at "+r.fuse.made[len(r.fuse.made)-1])
	r.reboot()
	return true
}

// moment is a rig's AWS and cluster as they were at one time, to go on from there again and again.
type moment struct {
	aws   map[string]json.RawMessage
	clock *simtest.Clock
	kube  *kube
}

func (r *rig) moment() moment {
	r.t.Helper()
	state, err := r.World.Dump()
	r.does(err)
	return moment{aws: state, clock: r.Clock, kube: r.kube}
}

// resume is a rig that goes on from a moment, with a new process.
func (m moment) resume(t *testing.T, body string, f *fuse, o aws.Options) *rig {
	t.Helper()
	o.World = simworld.Options{Region: "eu-west-1", Seed: 7, From: m.aws}
	r := &rig{t: t, Sim: simtest.StartAt(t, simtest.NewClock(m.clock.Now()), o), inv: gitops.Inventory{}, fuse: f}
	r.kube = &kube{
		accounts: maps.Clone(m.kube.accounts), labels: maps.Clone(m.kube.labels), pods: maps.Clone(m.kube.pods), cordoned: maps.Clone(m.kube.cordoned), perNode: m.kube.perNode,
	}
	r.git(body)
	r.reboot()
	return r
}

// steps are the calls that AWS accepted and that move something; addons that came together are sorted.
func (r *rig) steps() []string {
	var out, addons []string
	flush := func() {
		slices.Sort(addons)
		out, addons = append(out, addons...), nil
	}
	said := map[string]func(q aws.Request) string{
		"UpdateClusterVersion":   func(q aws.Request) string { return "control plane " + inputOf(q.Input, "version") },
		"UpdateNodegroupVersion": func(q aws.Request) string { return "managed nodes " + inputOf(q.Input, "version") },
		"CreateStack":            func(aws.Request) string { return "new self-managed nodes" },
		"DeleteStack":            func(aws.Request) string { return "the old ones go" },
	}
	for _, q := range r.Requests(0) {
		step, other := said[q.Operation]
		switch {
		case q.Status != 200:
		case q.Operation == "UpdateAddon":
			addons = append(addons, "addon "+lastPart(strings.TrimSuffix(q.Path, "/update"))+" "+inputOf(q.Input, "addonVersion"))
		case other:
			flush()
			out = append(out, step(q))
		}
	}
	flush()
	return out
}

// standing is what an upgrade leaves behind.
func (r *rig) standing() map[string]string {
	w := r.cloud.world
	out := map[string]string{"control plane": sdk.ToString(w.Cluster.Version)}
	for name, a := range w.Addons {
		out["addon "+name] = sdk.ToString(a.AddonVersion)
	}
	for name, g := range w.Groups {
		s, _ := g.scale()
		out["nodegroup "+name] = fmt.Sprintf("%s: %d nodes at 1.%d, %d there", g.User, s.desired, g.minor(), len(g.instances()))
	}
	for name := range w.Stacks {
		out["stack "+name] = string(w.Stacks[name].StackStatus)
	}
	for account, annotations := range r.kube.accounts {
		out["service account "+account] = fmt.Sprint(annotations)
	}
	return out
}

// alone says what moves beside what it must wait for: nodes beside their control plane, self-managed nodes beside managed ones.
func alone(w *world) string {
	if w == nil || w.Cluster == nil {
		return ""
	}
	var moving []string
	if w.Cluster.Status == ekstypes.ClusterStatusUpdating {
		moving = append(moving, "the control plane")
	}
	generations := map[string]int{}
	for _, g := range w.Groups {
		if g.Nodegroup != nil && g.Nodegroup.Status == ekstypes.NodegroupStatusUpdating {
			moving = append(moving, "nodegroup "+g.Name)
		}
		if generations[g.User]++; generations[g.User] == 2 {
			moving = append(moving, "the generations of "+g.User)
		}
		if generations[g.User] > 2 {
			return "three generations of " + g.User
		}
	}
	if len(moving) > 1 {
		return strings.Join(moving, " and ") + " move at once"
	}
	return ""
}

// refused are the calls since a request that AWS turned down because something else was under way in their lock domain, or was made before.
func (r *rig) refused(since int) []string {
	var out []string
	for _, q := range r.Requests(since) {
		if !q.ReadOnly && q.Status >= 400 {
			out = append(out, fmt.Sprintf("%s: %s %s", q.Operation, q.Code, q.Message))
		}
	}
	return out
}

// TestWaveInterrupted takes a cluster up by one minor version, and kills the process at each call by which it changes something, before the
// call and after it. Another process, which finds nothing but AWS, the cluster's API and git, takes the upgrade to the same end, in the same
// order, and orders nothing twice. Then the process is killed at every one of the calls of one upgrade, before it and after it.
func TestWaveInterrupted(t *testing.T) {
	t.Parallel()
	// vpc-cni is pinned to a version that does not run on 1.36, and let go; kube-proxy gets one that runs on nothing else; and what pods on
	// nodes are for changes with them.
	made := edited(t, `"1.34"`, `"1.35"`, "- name: vpc-cni\n", "- name: vpc-cni\n  version: v1.20.4-eksbuild.1\n",
		"- name: eks-pod-identity-agent\n", "- name: eks-pod-identity-agent\n- name: snapshot-controller\n  configurationValues: '{\"replicaCount\": 1}'\n")
	after := strings.NewReplacer(`"1.35"`, `"1.36"`, "  version: v1.20.4-eksbuild.1\n", "", "- name: kube-proxy\n", "- name: kube-proxy\n  version: v1.36.0-eksbuild.14\n",
		`"replicaCount": 1`, `"replicaCount": 2`).Replace(made)
	before := newRig(t, made)
	before.kube.perNode = 1
	before.converge()
	before.settled("creation")
	m := before.moment()
	wave := func(t *testing.T, f *fuse) *rig {
		t.Helper()
		r := m.resume(t, after, f, aws.Options{})
		r.watch = func(w *world) {
			if why := skewed(w) + alone(w); why != "" {
				t.Fatalf("%s\nafter\n%s", why, strings.Join(r.did, "\n"))
			}
		}
		r.converge()
		r.settled("the upgrade")
		if refused := r.refused(0); len(refused) > 0 {
			t.Errorf("AWS turned down %v", refused)
		}
		return r
	}
	whole := wave(t, &fuse{at: -1})
	end, calls := whole.standing(), slices.Clone(whole.fuse.made)
	want := []string{
		"addon vpc-cni v1.22.4-eksbuild.3", "control plane 1.36", "addon kube-proxy v1.36.0-eksbuild.14",
		"managed nodes 1.36", "new self-managed nodes", "the old ones go", "addon snapshot-controller v8.3.0-eksbuild.1",
	}
	same := func(t *testing.T, r *rig) {
		t.Helper()
		if diff := gocmp.Diff(want, r.steps()); diff != "" {
			t.Errorf("the order (-whole +interrupted):\n%s\n%s", diff, strings.Join(r.did, "\n"))
		}
		if diff := gocmp.Diff(end, r.standing()); diff != "" {
			t.Errorf("the end (-whole +interrupted):\n%s", diff)
		}
	}
	same(t, whole)
	for at, operation := range calls {
		for when, accepted := range map[string]bool{"before": false, "after": true} {
			t.Run(fmt.Sprintf("%s call %d %s", when, at+1, operation), func(t *testing.T) {
				t.Parallel()
				r := wave(t, &fuse{at: at, accepted: accepted})
				if r.fuse.kills != 1 {
					t.Errorf("the process was not killed: it made %v", r.fuse.made)
				}
				same(t, r)
			})
		}
	}
	t.Run("at every call", func(t *testing.T) {
		t.Parallel()
		r := wave(t, &fuse{every: true})
		if kills := r.fuse.kills; kills < 2*len(calls) {
			t.Errorf("it was killed %d times, at %v; %d calls were to be interrupted twice", kills, r.fuse.made, len(calls))
		}
		same(t, r)
	})
}
