package cloudformation_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/eks-gitops/reconciler/internal/sim/aws/cloudformation"
	"github.com/eks-gitops/reconciler/internal/sim/aws/wire"
	"github.com/eks-gitops/reconciler/internal/sim/aws/world"
)

// thing is a resource type of the tests: it takes time to be made and to go, and does as its properties tell:
// Fail: "create", "update", "delete", "settle", "twice".
type thing struct {
	w     *world.World
	now   func() time.Time
	live  map[string]*thingState
	calls []string
	tries int
}

type thingState struct {
	props   map[string]any
	since   time.Time
	going   bool
	takes   time.Duration
	updates int
	tags    map[string]string
}

func (p *thing) note(format string, args ...any) {
	p.calls = append(p.calls, fmt.Sprintf(format, args...))
}

func (p *thing) Create(_ context.Context, r cloudformation.Resource) (string, error) {
	switch r.Properties["Fail"] {
	case "create":
		return "", wire.Errorf("InvalidThing", "the thing is wrong")
	case "twice":
		if p.tries++; p.tries < 3 {
			return "", cloudformation.TryAgain(errors.New("not yet"))
		}
	}
	id := strings.ToLower(r.LogicalID) + "-" + r.Token
	if name, ok := r.Properties["Name"].(string); ok {
		id = name
	}
	if p.live[id] != nil {
		return "", wire.Errorf("ThingAlreadyExists", "there is a thing %s", id)
	}
	p.note("create %s", r.LogicalID)
	p.live[id] = &thingState{props: r.Properties, since: p.now(), takes: 10 * time.Second, tags: r.Tags}
	return id, nil
}

func (p *thing) Update(_ context.Context, r cloudformation.Resource, old map[string]any) error {
	if r.Properties["Fail"] == "update" {
		return wire.Errorf("InvalidThing", "no such size")
	}
	s := p.live[r.PhysicalID]
	if s == nil {
		return wire.Errorf("ThingNotFound", "there is no thing %s", r.PhysicalID)
	}
	p.note("update %s %v -> %v", r.LogicalID, old["Size"], r.Properties["Size"])
	s.props, s.since, s.tags = r.Properties, p.now(), r.Tags
	s.updates++
	return nil
}

func (p *thing) Delete(_ context.Context, r cloudformation.Resource) error {
	s := p.live[r.PhysicalID]
	if s == nil {
		return nil
	}
	if s.props["Fail"] == "delete" {
		return wire.Errorf("ThingInUse", "somebody uses it")
	}
	p.note("delete %s", r.LogicalID)
	s.going, s.since = true, p.now()
	return nil
}

func (p *thing) Status(_ context.Context, r cloudformation.Resource) (cloudformation.Status, error) {
	s := p.live[r.PhysicalID]
	if s == nil {
		return cloudformation.Status{Phase: cloudformation.Absent}, nil
	}
	switch {
	case p.now().Sub(s.since) < s.takes:
		return cloudformation.Status{Phase: cloudformation.InProgress}, nil
	case s.going:
		delete(p.live, r.PhysicalID)
		return cloudformation.Status{Phase: cloudformation.Absent}, nil
	case s.props["Fail"] == "settle":
		return cloudformation.Status{Phase: cloudformation.Failed, Reason: "it never settled"}, nil
	}
	return cloudformation.Status{Phase: cloudformation.Ready, Attributes: map[string]any{
		"Arn": "arn:thing/" + r.PhysicalID, "Updates": float64(s.updates),
	}}, nil
}

// rig is CloudFormation alone in a world, with things to make stacks of.
type rig struct {
	*testing.T
	clock time.Time
	world *world.World
	cfn   *cloudformation.Service
	thing *thing
	dir   string
}

func newRig(t *testing.T) *rig {
	t.Helper()
	r := &rig{T: t, clock: time.Date(2026, 11, 21, 8, 0, 0, 0, time.UTC), dir: t.TempDir()}
	r.thing = &thing{live: map[string]*thingState{}, now: func() time.Time { return r.clock }}
	r.boot()
	return r
}

// boot starts the service over the state on disk: what a restart of the simulator does.
func (r *rig) boot() {
	r.Helper()
	w, err := world.New(world.Options{Clock: func() time.Time { return r.clock }, Dir: r.dir})
	if err != nil {
		r.Fatal(err)
	}
	r.world, r.thing.w = w, w
	r.cfn = cloudformation.New(w, func() []string { return []string{"us-west-2a", "us-west-2b"} })
	r.cfn.Provide(
		cloudformation.ResourceType{
			Name: "Test::Thing", Provider: r.thing, Tagged: true, NameProperty: "Name",
			Properties: []string{"Name", "Size", "Kind", "Fail", "Peer", "Nested"}, Required: []string{"Size"},
			CreateOnly: []string{"Name", "Kind", "Nested/Fixed"}, Attributes: []string{"Arn", "Updates"},
		},
		cloudformation.ResourceType{Name: "AWS::IAM::Role", Provider: r.thing, Properties: []string{"RoleName", "Size"}, NameProperty: "RoleName"},
	)
	if err := w.Load(); err != nil {
		r.Fatal(err)
	}
}

func do[In, Out any](r *rig, fn func(context.Context, wire.Caller, *In) (*Out, error), in *In) (*Out, error) {
	var out *Out
	err := r.world.Do(true, func() (err error) {
		out, err = fn(context.Background(), wire.Caller{}, in)
		return err
	})
	return out, err
}

func must[In, Out any](r *rig, fn func(context.Context, wire.Caller, *In) (*Out, error), in *In) *Out {
	r.Helper()
	out, err := do(r, fn, in)
	if err != nil {
		r.Fatal(err)
	}
	return out
}

// pass lets time pass in small steps.
func (r *rig) pass(d time.Duration) {
	r.Helper()
	for end := r.clock.Add(d); r.clock.Before(end); {
		r.clock = r.clock.Add(time.Second)
		if err := r.world.Advance(); err != nil {
			r.Fatal(err)
		}
	}
}

func (r *rig) create(name, body string) string {
	r.Helper()
	return must(r, r.cfn.CreateStack, &cloudformation.CreateStackInput{StackName: name, TemplateBody: body}).StackID
}

func (r *rig) stack(name string) cloudformation.Stack {
	r.Helper()
	return must(r, r.cfn.DescribeStacks, &cloudformation.StackNameInput{StackName: name}).Stacks[0]
}

// settled waits until the stack is at rest and checks where it came to rest.
func (r *rig) settled(name, status string) cloudformation.Stack {
	r.Helper()
	for range 1000 {
		st := r.stack(name)
		if !strings.HasSuffix(st.StackStatus, "_IN_PROGRESS") {
			if st.StackStatus != status {
				r.Fatalf("stack %s is %s (%s), want %s\n%s", name, st.StackStatus, st.StackStatusReason, status, strings.Join(r.events(name), "\n"))
			}
			return st
		}
		r.pass(time.Second)
	}
	r.Fatalf("stack %s never settled", name)
	return cloudformation.Stack{}
}

// events lists a stack's events, oldest first, one line each.
func (r *rig) events(name string) []string {
	r.Helper()
	var lines []string
	for _, e := range must(r, r.cfn.DescribeStackEvents, &cloudformation.StackNameInput{StackName: name}).StackEvents {
		line := e.LogicalResourceID + " " + e.ResourceStatus
		if e.ResourceStatusReason != "" {
			line += " " + e.ResourceStatusReason
		}
		lines = append(lines, line)
	}
	slices.Reverse(lines)
	return lines
}

func (r *rig) outputs(name string) map[string]string {
	r.Helper()
	out := map[string]string{}
	for _, o := range r.stack(name).Outputs {
		out[o.OutputKey] = o.OutputValue
	}
	return out
}

func (r *rig) wantCode(err error, code, message string) {
	r.Helper()
	if wire.Code(err) != code || !strings.Contains(err.Error(), message) {
		r.Fatalf("error is %v, want %s with %q", err, code, message)
	}
}
