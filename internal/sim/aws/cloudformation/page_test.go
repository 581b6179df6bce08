package cloudformation_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/eks-gitops/reconciler/internal/sim/aws/cloudformation"
)

// pages asks for one page after the other until there is none left; change is what happens behind the first.
func pages(ask func(token string) (names []string, next string), change func()) [][]string {
	names, next := ask("")
	out := [][]string{names}
	change()
	for next != "" {
		names, next = ask(next)
		out = append(out, names)
	}
	return out
}

// stacks asks ListStacks for stacks of a status, or of any.
func (r *rig) stacks(status ...string) func(string) ([]string, string) {
	return func(token string) (names []string, next string) {
		r.Helper()
		out := must(r, r.cfn.ListStacks, &cloudformation.ListStacksInput{NextToken: token, StackStatusFilter: status})
		for _, st := range out.StackSummaries {
			names = append(names, st.StackName)
		}
		return names, out.NextToken
	}
}

// many makes n stacks, the last first in lists, and returns their names in that order.
func (r *rig) many(n int) []string {
	r.Helper()
	var names []string
	for i := range n {
		name := fmt.Sprintf("s%03d", i)
		r.create(name, two)
		r.clock = r.clock.Add(time.Millisecond)
		names = append(names, name)
	}
	slices.Reverse(names)
	return names
}

func TestPagination(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	names := r.many(105)
	got := pages(r.stacks("CREATE_IN_PROGRESS"), func() {})
	if diff := cmp.Diff([][]string{names[:100], names[100:]}, got); diff != "" {
		t.Error(diff)
	}
	_, err := do(r, r.cfn.ListStacks, &cloudformation.ListStacksInput{NextToken: "nonsense"})
	r.wantCode(err, "ValidationError", "NextToken is invalid")
}

// TestStacksLeaveBetweenPages lists stacks by status while those already shown get another status: the token goes on behind
// the last stack shown, although the list is shorter than what was shown.
func TestStacksLeaveBetweenPages(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	names := r.many(110)
	got := pages(r.stacks("CREATE_IN_PROGRESS"), func() {
		for _, name := range names[:95] {
			must(r, r.cfn.DeleteStack, &cloudformation.DeleteStackInput{StackName: name})
		}
	})
	if diff := cmp.Diff([][]string{names[:100], names[100:]}, got); diff != "" {
		t.Errorf("while some leave:\n%s", diff)
	}
	got = pages(r.stacks("CREATE_IN_PROGRESS", "DELETE_IN_PROGRESS"), func() { r.pass(5 * time.Minute) })
	if diff := cmp.Diff([][]string{names[:100], nil}, got); diff != "" {
		t.Errorf("while all leave:\n%s", diff)
	}
}

// TestStacksComeBetweenPages lists all stacks while new ones come, which belong before those already shown.
func TestStacksComeBetweenPages(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	names := r.many(110)
	got := pages(func(token string) (names []string, next string) {
		out := must(r, r.cfn.DescribeStacks, &cloudformation.StackNameInput{NextToken: token})
		for _, st := range out.Stacks {
			names = append(names, st.StackName)
		}
		return names, out.NextToken
	}, func() { r.create("new", two) })
	if diff := cmp.Diff([][]string{names[:100], names[100:]}, got); diff != "" {
		t.Error(diff)
	}
}

// TestEventsComeBetweenPages lists a stack's events while it is at work: events that come neither repeat nor hide others.
func TestEventsComeBetweenPages(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.create("a", two)
	r.settled("a", "CREATE_COMPLETE")
	update := func(size int) {
		must(r, r.cfn.UpdateStack, &cloudformation.UpdateStackInput{StackName: "a", TemplateBody: two, Parameters: []cloudformation.Parameter{{ParameterKey: "Size", ParameterValue: fmt.Sprint(size)}}})
		r.settled("a", "UPDATE_COMPLETE")
	}
	ask := func(token string) (ids []string, next string) {
		out := must(r, r.cfn.DescribeStackEvents, &cloudformation.StackNameInput{StackName: "a", NextToken: token})
		for _, e := range out.StackEvents {
			ids = append(ids, e.EventID)
		}
		return ids, out.NextToken
	}
	for size := range 30 {
		update(100 + size)
	}
	want := slices.Concat(pages(ask, func() {})...)
	if len(want) < 110 {
		t.Fatalf("%d events are too few for two pages", len(want))
	}
	got := pages(ask, func() { update(1000) })
	if diff := cmp.Diff(want, slices.Concat(got...)); diff != "" {
		t.Error(diff)
	}
}
