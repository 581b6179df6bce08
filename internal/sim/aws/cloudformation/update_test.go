package cloudformation_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/eks-gitops/reconciler/internal/sim/aws/cloudformation"
)

func (r *rig) update(name, body string) {
	r.Helper()
	must(r, r.cfn.UpdateStack, &cloudformation.UpdateStackInput{StackName: name, TemplateBody: body})
}

func (r *rig) physical(stack, logical string) string {
	r.Helper()
	return must(r, r.cfn.DescribeStackResource, &cloudformation.DescribeStackResourceInput{StackName: stack, LogicalResourceID: logical}).StackResourceDetail.PhysicalResourceID
}

func TestUpdateInPlaceAndReplace(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.create("a", two)
	r.settled("a", "CREATE_COMPLETE")
	first, second := r.physical("a", "First"), r.physical("a", "Second")

	_, err := do(r, r.cfn.UpdateStack, &cloudformation.UpdateStackInput{StackName: "a", TemplateBody: two})
	r.wantCode(err, "ValidationError", "No updates are to be performed.")

	r.update("a", strings.Replace(two, `"Size": 1`, `"Size": 2`, 1))
	r.settled("a", "UPDATE_COMPLETE")
	if r.physical("a", "Second") != second || r.physical("a", "First") != first {
		t.Error("an update in place made a new resource")
	}
	if r.thing.live[second].props["Size"] != 2.0 {
		t.Errorf("Second is %v", r.thing.live[second].props)
	}

	// Replacing First reaches Second through its attribute, which is an update in place there.
	r.thing.calls = nil
	r.update("a", strings.Replace(two, `{"Size": {"Ref": "Size"}}`, `{"Size": 3, "Kind": "new"}`, 1))
	r.settled("a", "UPDATE_COMPLETE")
	now := r.physical("a", "First")
	if now == first || r.thing.live[first] != nil || r.thing.live[now] == nil {
		t.Errorf("First went from %s to %s", first, now)
	}
	if want := []string{"create First", "update Second 2 -> 1", "delete First"}; !slices.Equal(r.thing.calls, want) {
		t.Errorf("calls are %q", r.thing.calls)
	}
	if got := r.thing.live[second].props["Peer"]; got != "arn:thing/"+now {
		t.Errorf("Second's peer is %v", got)
	}
	events := strings.Join(r.events("a"), "\n")
	for _, want := range []string{
		"First UPDATE_IN_PROGRESS Requested update requires the creation of a new physical resource; hence creating one.",
		"a UPDATE_COMPLETE_CLEANUP_IN_PROGRESS", "First DELETE_COMPLETE",
	} {
		if !strings.Contains(events, want) {
			t.Errorf("no event %q in\n%s", want, events)
		}
	}

	// Taking First out deletes it in the cleanup; Second must not refer to it any more.
	r.update("a", `{"Resources": {"Second": {"Type": "Test::Thing", "Properties": {"Size": 1}}}}`)
	r.settled("a", "UPDATE_COMPLETE")
	if len(r.thing.live) != 1 || r.thing.live[second] == nil {
		t.Errorf("left are %v", r.thing.live)
	}
	if n := len(must(r, r.cfn.ListStackResources, &cloudformation.StackNameInput{StackName: "a"}).StackResourceSummaries); n != 1 {
		t.Errorf("%d resources are listed", n)
	}
}

func TestUpdateRollsBack(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.create("a", two)
	r.settled("a", "CREATE_COMPLETE")
	first, second := r.physical("a", "First"), r.physical("a", "Second")
	r.thing.calls = nil
	bad := strings.Replace(two, `{"Size": {"Ref": "Size"}}`, `{"Size": 9, "Kind": "new"}`, 1)
	bad = strings.Replace(bad, `"Size": 1`, `"Size": 8, "Fail": "update"`, 1)
	bad = strings.Replace(bad, `"Resources": {`, `"Resources": {"Extra": {"Type": "Test::Thing", "Properties": {"Size": 7}},`, 1)
	r.update("a", bad)
	r.settled("a", "UPDATE_ROLLBACK_COMPLETE")
	if r.physical("a", "First") != first || r.physical("a", "Second") != second || len(r.thing.live) != 2 {
		t.Errorf("left are %v", r.thing.live)
	}
	if got := r.thing.live[second].props["Size"]; got != 1.0 {
		t.Errorf("Second's size is %v", got)
	}
	if !slices.Contains(r.events("a"), "a UPDATE_ROLLBACK_IN_PROGRESS The following resource(s) failed to update: [Second]. ") {
		t.Errorf("events are\n%s", strings.Join(r.events("a"), "\n"))
	}
	if body := must(r, r.cfn.GetTemplate, &cloudformation.GetTemplateInput{StackName: "a"}).TemplateBody; body != two {
		t.Errorf("the template is\n%s", body)
	}
	// The stack is as usable as before.
	r.update("a", strings.Replace(two, `"Size": 1`, `"Size": 2`, 1))
	r.settled("a", "UPDATE_COMPLETE")
}

// An update in place that worked is taken back when a later one fails.
func TestRollbackRestoresValues(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.create("a", two)
	r.settled("a", "CREATE_COMPLETE")
	r.thing.calls = nil
	bad := strings.Replace(two, `{"Size": {"Ref": "Size"}}`, `{"Size": 9}`, 1)
	r.update("a", strings.Replace(bad, `"Size": 1`, `"Size": 8, "Fail": "update"`, 1))
	r.settled("a", "UPDATE_ROLLBACK_COMPLETE")
	if want := []string{"update First 3 -> 9", "update First 9 -> 3"}; !slices.Equal(r.thing.calls, want) {
		t.Errorf("calls are %q", r.thing.calls)
	}
}

func TestRollbackFailsAndContinues(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	body := `{"Resources": {
	  "First": {"Type": "Test::Thing", "Properties": {"Size": 1, "Fail": "settle-later"}},
	  "Second": {"Type": "Test::Thing", "DependsOn": "First", "Properties": {"Size": 1}}}}`
	r.create("a", body)
	r.settled("a", "CREATE_COMPLETE")
	first := r.physical("a", "First")
	// First changes in place, Second is refused, and First refuses the way back.
	bad := strings.Replace(body, `"Size": 1, "Fail": "settle-later"`, `"Size": 2`, 1)
	r.update("a", strings.Replace(bad, `{"Size": 1}`, `{"Size": 2, "Fail": "update"}`, 1))
	for r.stack("a").StackStatus != "UPDATE_ROLLBACK_IN_PROGRESS" {
		r.pass(time.Second)
	}
	delete(r.thing.live, first)
	r.settled("a", "UPDATE_ROLLBACK_FAILED")
	_, err := do(r, r.cfn.UpdateStack, &cloudformation.UpdateStackInput{StackName: "a", TemplateBody: body})
	r.wantCode(err, "ValidationError", "is in UPDATE_ROLLBACK_FAILED state and can not be updated.")
	must(r, r.cfn.ContinueUpdateRollback, &cloudformation.ContinueUpdateRollbackInput{StackName: "a", ResourcesToSkip: []string{"First"}})
	r.settled("a", "UPDATE_ROLLBACK_COMPLETE")
}

func TestCustomNamesCannotBeReplaced(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	body := `{"Resources": {"First": {"Type": "Test::Thing", "Properties": {"Size": 1, "Name": "mine", "Kind": "old"}}}}`
	r.create("a", body)
	r.settled("a", "CREATE_COMPLETE")
	r.update("a", strings.Replace(body, "old", "new", 1))
	r.settled("a", "UPDATE_ROLLBACK_COMPLETE")
	if !slices.Contains(r.events("a"), "First UPDATE_FAILED CloudFormation cannot update a stack when a custom-named resource requires replacing. Rename mine and update the stack again.") {
		t.Errorf("events are\n%s", strings.Join(r.events("a"), "\n"))
	}
	r.update("a", strings.Replace(body, "mine", "yours", 1))
	r.settled("a", "UPDATE_COMPLETE")
	if r.thing.live["yours"] == nil || r.thing.live["mine"] != nil {
		t.Errorf("left are %v", r.thing.live)
	}
}

func (r *rig) changeSet(name, body string, tags ...cloudformation.Tag) *cloudformation.DescribeChangeSetOutput {
	r.Helper()
	in := &cloudformation.CreateChangeSetInput{StackName: "a", ChangeSetName: name, TemplateBody: body, ChangeSetType: "UPDATE", Tags: tags}
	must(r, r.cfn.CreateChangeSet, in)
	r.pass(10 * time.Second)
	return must(r, r.cfn.DescribeChangeSet, &cloudformation.ChangeSetRef{StackName: "a", ChangeSetName: name})
}

func TestChangeSets(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.create("a", two)
	r.settled("a", "CREATE_COMPLETE")

	empty := r.changeSet("none", two)
	if empty.Status != "FAILED" || empty.ExecutionStatus != "UNAVAILABLE" || empty.StatusReason != "The submitted information didn't contain changes. Submit different information to create a change set." {
		t.Errorf("an empty change set is %+v", empty)
	}
	_, err := do(r, r.cfn.ExecuteChangeSet, &cloudformation.ExecuteChangeSetInput{StackName: "a", ChangeSetName: "none"})
	r.wantCode(err, "InvalidChangeSetStatus", "cannot be executed in its current status of [FAILED]")
	_, err = do(r, r.cfn.DescribeChangeSet, &cloudformation.ChangeSetRef{StackName: "a", ChangeSetName: "other"})
	r.wantCode(err, "ChangeSetNotFound", "ChangeSet [other] does not exist")

	full := r.changeSet("full", strings.Replace(two, `{"Size": {"Ref": "Size"}}`, `{"Size": 3, "Kind": "new", "Nested": {"Fixed": 1}}`, 1))
	if full.Status != "CREATE_COMPLETE" || full.ExecutionStatus != "AVAILABLE" || len(full.Changes) != 2 {
		t.Fatalf("the change set is %+v", full)
	}
	first, second := full.Changes[0].ResourceChange, full.Changes[1].ResourceChange
	if first.Action != "Modify" || first.Replacement != "True" || first.PhysicalResourceID == "" {
		t.Errorf("First's change is %+v", first)
	}
	if diff := cmp.Diff([]cloudformation.ResourceChangeDetail{{
		Target:     cloudformation.ResourceTarget{Attribute: "Properties", Name: "Peer", RequiresRecreation: "Never"},
		Evaluation: "Dynamic", ChangeSource: "ResourceAttribute", CausingEntity: "First.Arn",
	}}, second.Details); diff != "" {
		t.Errorf("Second's details (-want +got):\n%s", diff)
	}
	must(r, r.cfn.ExecuteChangeSet, &cloudformation.ExecuteChangeSetInput{StackName: "a", ChangeSetName: "full"})
	r.settled("a", "UPDATE_COMPLETE")
	if list := must(r, r.cfn.ListChangeSets, &cloudformation.StackNameInput{StackName: "a"}).Summaries; len(list) != 1 || list[0].ExecutionStatus != "EXECUTE_COMPLETE" {
		t.Errorf("change sets are %+v", list)
	}
	// A name may be used again once its change set was executed; tags alone are a change.
	again := r.changeSet("full", strings.Replace(two, `{"Size": {"Ref": "Size"}}`, `{"Size": 3, "Kind": "new", "Nested": {"Fixed": 1}}`, 1), cloudformation.Tag{Key: "team", Value: "x"})
	if again.Status != "CREATE_COMPLETE" || len(again.Changes) != 2 || !slices.Equal(again.Changes[0].ResourceChange.Scope, []string{"Tags"}) {
		t.Errorf("the change set of tags is %+v", again)
	}
	must(r, r.cfn.DeleteChangeSet, &cloudformation.DeleteChangeSetInput{StackName: "a", ChangeSetName: "full"})
}

func TestChangeSetCreatesStack(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	must(r, r.cfn.CreateChangeSet, &cloudformation.CreateChangeSetInput{StackName: "a", ChangeSetName: "c", TemplateBody: two, ChangeSetType: "CREATE"})
	if st := r.stack("a"); st.StackStatus != "REVIEW_IN_PROGRESS" {
		t.Fatalf("the stack is %s", st.StackStatus)
	}
	r.pass(10 * time.Second)
	if n := len(must(r, r.cfn.DescribeChangeSet, &cloudformation.ChangeSetRef{StackName: "a", ChangeSetName: "c"}).Changes); n != 2 {
		t.Errorf("%d changes", n)
	}
	must(r, r.cfn.ExecuteChangeSet, &cloudformation.ExecuteChangeSetInput{StackName: "a", ChangeSetName: "c"})
	r.settled("a", "CREATE_COMPLETE")
}
