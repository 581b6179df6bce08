package cloudformation_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/eks-gitops/reconciler/internal/sim/aws/cloudformation"
)

const two = `{
  "Description": "two things",
  "Parameters": {"Size": {"Type": "Number", "Default": "3"}},
  "Resources": {
    "First": {"Type": "Test::Thing", "Properties": {"Size": {"Ref": "Size"}}},
    "Second": {"Type": "Test::Thing", "Properties": {"Size": 1, "Peer": {"Fn::GetAtt": ["First", "Arn"]}}}
  },
  "Outputs": {
    "Both": {"Value": {"Fn::Join": ["+", [{"Ref": "First"}, {"Ref": "Second"}]]}, "Export": {"Name": {"Fn::Sub": "${AWS::StackName}::Both"}}},
    "Flag": {"Value": true}
  }
}`

func TestCreateAndDelete(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	id := r.create("a", two)
	if st := r.stack("a"); st.StackStatus != "CREATE_IN_PROGRESS" || st.StackStatusReason != "User Initiated" {
		t.Fatalf("a new stack is %s, %s", st.StackStatus, st.StackStatusReason)
	}
	st := r.settled("a", "CREATE_COMPLETE")
	if st.Description != "two things" || st.StackID != id || len(st.Parameters) != 1 || st.Parameters[0].ParameterValue != "3" {
		t.Errorf("stack is %+v", st)
	}
	want := []string{
		"a CREATE_IN_PROGRESS User Initiated",
		"First CREATE_IN_PROGRESS", "First CREATE_IN_PROGRESS Resource creation Initiated", "First CREATE_COMPLETE",
		"Second CREATE_IN_PROGRESS", "Second CREATE_IN_PROGRESS Resource creation Initiated", "Second CREATE_COMPLETE",
		"a CREATE_COMPLETE",
	}
	if diff := cmp.Diff(want, r.events("a")); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
	if out := r.outputs("a"); !strings.HasPrefix(out["Both"], "first-") || !strings.Contains(out["Both"], "+second-") || out["Flag"] != "true" {
		t.Errorf("outputs are %v", out)
	}
	resources := must(r, r.cfn.DescribeStackResources, &cloudformation.DescribeStackResourcesInput{StackName: "a"}).StackResources
	if len(resources) != 2 || r.thing.live[resources[1].PhysicalResourceID].props["Peer"] != "arn:thing/"+resources[0].PhysicalResourceID {
		t.Errorf("resources are %+v", resources)
	}
	tags := r.thing.live[resources[0].PhysicalResourceID].tags
	if tags["aws:cloudformation:stack-name"] != "a" || tags["aws:cloudformation:logical-id"] != "First" || tags["aws:cloudformation:stack-id"] != id {
		t.Errorf("tags are %v", tags)
	}

	must(r, r.cfn.DeleteStack, &cloudformation.DeleteStackInput{StackName: "a"})
	r.pass(time.Minute)
	_, err := do(r, r.cfn.DescribeStacks, &cloudformation.StackNameInput{StackName: "a"})
	r.wantCode(err, "ValidationError", "Stack with id a does not exist")
	if st := r.stack(id); st.StackStatus != "DELETE_COMPLETE" || st.DeletionTime == nil {
		t.Errorf("by its id the stack is %s", st.StackStatus)
	}
	if want := []string{"create First", "create Second", "delete Second", "delete First"}; !slices.Equal(r.thing.calls, want) {
		t.Errorf("calls are %q", r.thing.calls)
	}
	if len(r.thing.live) != 0 {
		t.Errorf("left behind: %v", r.thing.live)
	}
}

func TestCreateFailures(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, fail, onFailure, status, reason string
		left                                  int
	}{
		{"refused", "create", "", "ROLLBACK_COMPLETE", `Resource handler returned message: "the thing is wrong (Service: CloudFormation, Status Code: 400, Request ID: `, 0},
		{"never settles", "settle", "", "ROLLBACK_COMPLETE", "it never settled", 0},
		{"kept for a look", "create", "DO_NOTHING", "CREATE_FAILED", "the thing is wrong", 1},
		{"deleted", "create", "DELETE", "DELETE_COMPLETE", "the thing is wrong", 0},
		{"works the third time", "twice", "", "CREATE_COMPLETE", "", 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			body := strings.Replace(two, `{"Size": 1,`, `{"Size": 1, "Fail": "`+tt.fail+`",`, 1)
			id := must(r, r.cfn.CreateStack, &cloudformation.CreateStackInput{StackName: "a", TemplateBody: body, OnFailure: tt.onFailure}).StackID
			r.settled(id, tt.status)
			events := strings.Join(r.events(id), "\n")
			if !strings.Contains(events, tt.reason) {
				t.Errorf("no event says %q:\n%s", tt.reason, events)
			}
			if tt.status == "ROLLBACK_COMPLETE" && !strings.Contains(events, "a ROLLBACK_IN_PROGRESS The following resource(s) failed to create: [Second]. Rollback requested by user.") {
				t.Errorf("no event tells why the stack rolls back:\n%s", events)
			}
			if len(r.thing.live) != tt.left {
				t.Errorf("%d things are left", len(r.thing.live))
			}
		})
	}
}

// A resource that is still being made when another fails is cancelled, and only deleted once it has settled.
func TestFailureCancelsOthers(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.create("a", `{"Resources": {
	  "Slow": {"Type": "Test::Thing", "Properties": {"Size": 1}},
	  "Quick": {"Type": "Test::Thing", "Properties": {"Size": 1}},
	  "Wrong": {"Type": "Test::Thing", "DependsOn": "Quick", "Properties": {"Size": 1, "Fail": "create"}}}}`)
	r.pass(3 * time.Second)
	for id, s := range r.thing.live {
		if strings.HasPrefix(id, "slow") {
			s.takes = time.Minute
		}
	}
	r.settled("a", "ROLLBACK_COMPLETE")
	events := r.events("a")
	if !slices.Contains(events, "Slow CREATE_FAILED Resource creation cancelled") {
		t.Errorf("events are\n%s", strings.Join(events, "\n"))
	}
	if !slices.Contains(events, "a ROLLBACK_IN_PROGRESS The following resource(s) failed to create: [Slow, Wrong]. Rollback requested by user.") {
		t.Errorf("events are\n%s", strings.Join(events, "\n"))
	}
	if len(r.thing.live) != 0 {
		t.Errorf("left behind: %v", r.thing.live)
	}
}

func TestDeleteFailsAndRetains(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.create("a", strings.Replace(two, `{"Size": {"Ref": "Size"}}`, `{"Size": 1, "Fail": "delete"}`, 1))
	r.settled("a", "CREATE_COMPLETE")
	_, err := do(r, r.cfn.DeleteStack, &cloudformation.DeleteStackInput{StackName: "a", RetainResources: []string{"First"}})
	r.wantCode(err, "ValidationError", "only allowed if the stack is in the DELETE_FAILED state")
	must(r, r.cfn.DeleteStack, &cloudformation.DeleteStackInput{StackName: "a"})
	st := r.settled("a", "DELETE_FAILED")
	if st.StackStatusReason != "The following resource(s) failed to delete: [First]. " {
		t.Errorf("reason is %q", st.StackStatusReason)
	}
	must(r, r.cfn.DeleteStack, &cloudformation.DeleteStackInput{StackName: "a", RetainResources: []string{"First"}})
	r.pass(time.Minute)
	if st := r.stack(st.StackID); st.StackStatus != "DELETE_COMPLETE" || len(r.thing.live) != 1 {
		t.Errorf("stack is %s, %d things are left", st.StackStatus, len(r.thing.live))
	}
}

func TestTerminationProtection(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	must(r, r.cfn.CreateStack, &cloudformation.CreateStackInput{StackName: "a", TemplateBody: two, EnableTerminationProtection: true})
	r.settled("a", "CREATE_COMPLETE")
	_, err := do(r, r.cfn.DeleteStack, &cloudformation.DeleteStackInput{StackName: "a"})
	r.wantCode(err, "ValidationError", "Stack [a] cannot be deleted while TerminationProtection is enabled")
	must(r, r.cfn.UpdateTerminationProtection, &cloudformation.UpdateTerminationProtectionInput{StackName: "a"})
	must(r, r.cfn.DeleteStack, &cloudformation.DeleteStackInput{StackName: "a"})
	r.pass(time.Minute)
	if len(r.thing.live) != 0 {
		t.Errorf("left behind: %v", r.thing.live)
	}
}

func TestExportsAndImports(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	importer := `{"Resources": {"Third": {"Type": "Test::Thing", "Properties": {"Size": 1, "Peer": {"Fn::ImportValue": "a::Both"}}}}}`
	r.create("early", importer)
	st := r.settled("early", "ROLLBACK_COMPLETE")
	if !slices.Contains(r.events(st.StackID), "early ROLLBACK_IN_PROGRESS No export named a::Both found. Rollback requested by user.") {
		t.Errorf("events are\n%s", strings.Join(r.events(st.StackID), "\n"))
	}
	r.create("a", two)
	r.settled("a", "CREATE_COMPLETE")
	r.create("b", importer)
	r.settled("b", "CREATE_COMPLETE")
	if users := must(r, r.cfn.ListImports, &cloudformation.ListImportsInput{ExportName: "a::Both"}).Imports; !slices.Equal(users, []string{"b"}) {
		t.Errorf("importers are %q", users)
	}
	if exports := must(r, r.cfn.ListExports, &cloudformation.ExportsInput{}).Exports; len(exports) != 1 || exports[0].Value != r.outputs("a")["Both"] {
		t.Errorf("exports are %+v", exports)
	}

	// Deleting the exporter is accepted and called off.
	must(r, r.cfn.DeleteStack, &cloudformation.DeleteStackInput{StackName: "a"})
	r.pass(time.Minute)
	if st := r.stack("a"); st.StackStatus != "CREATE_COMPLETE" || st.StackStatusReason != "Export a::Both cannot be deleted as it is in use by b" {
		t.Errorf("the exporter is %s, %q", st.StackStatus, st.StackStatusReason)
	}
	// So is an update that takes the export away.
	must(r, r.cfn.UpdateStack, &cloudformation.UpdateStackInput{StackName: "a", TemplateBody: strings.Replace(two, "::Both", "::Other", 1)})
	r.settled("a", "UPDATE_ROLLBACK_COMPLETE")
	if !slices.Contains(r.events("a"), "a UPDATE_ROLLBACK_IN_PROGRESS Export a::Both cannot be deleted as it is in use by b") {
		t.Errorf("events are\n%s", strings.Join(r.events("a"), "\n"))
	}
	// A second stack may not export the same name.
	r.create("c", strings.Replace(two, "${AWS::StackName}", "a", 1))
	r.settled("c", "ROLLBACK_COMPLETE")

	must(r, r.cfn.DeleteStack, &cloudformation.DeleteStackInput{StackName: "b"})
	r.pass(time.Minute)
	must(r, r.cfn.DeleteStack, &cloudformation.DeleteStackInput{StackName: "a"})
	r.pass(time.Minute)
	_, err := do(r, r.cfn.ListImports, &cloudformation.ListImportsInput{ExportName: "a::Both"})
	r.wantCode(err, "ValidationError", "Export 'a::Both' is not imported by any stack.")
	if len(r.thing.live) != 0 {
		t.Errorf("left behind: %v", r.thing.live)
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.create("a", two)
	for _, tt := range []struct{ name, body, code, message string }{
		{"a", two, "AlreadyExistsException", "Stack [a] already exists"},
		{"1x", two, "ValidationError", "Value '1x' at 'stackName' failed to satisfy constraint"},
		{"b", "", "ValidationError", "Either Template URL or Template Body must be specified."},
		{"b", `{"Resources": {"X": {"Type": "AWS::No::Thing"}}}`, "ValidationError", "Template format error: Unrecognized resource types: [AWS::No::Thing]"},
		{"b", `{"Resources": {"R": {"Type": "AWS::IAM::Role", "Properties": {}}}}`, "InsufficientCapabilitiesException", "Requires capabilities : [CAPABILITY_IAM]"},
		{"b", `{"Resources": {"R": {"Type": "AWS::IAM::Role", "Properties": {"RoleName": "r"}}}}`, "InsufficientCapabilitiesException", "Requires capabilities : [CAPABILITY_NAMED_IAM]"},
	} {
		_, err := do(r, r.cfn.CreateStack, &cloudformation.CreateStackInput{StackName: tt.name, TemplateBody: tt.body})
		r.wantCode(err, tt.code, tt.message)
	}
	_, err := do(r, r.cfn.UpdateStack, &cloudformation.UpdateStackInput{StackName: "a", TemplateBody: two})
	r.wantCode(err, "ValidationError", "is in CREATE_IN_PROGRESS state and can not be updated.")
	_, err = do(r, r.cfn.UpdateStack, &cloudformation.UpdateStackInput{StackName: "none", TemplateBody: two})
	r.wantCode(err, "ValidationError", "Stack [none] does not exist")
	_, err = do(r, r.cfn.DescribeStackResource, &cloudformation.DescribeStackResourceInput{StackName: "a", LogicalResourceID: "Nobody"})
	r.wantCode(err, "ValidationError", "Resource Nobody does not exist for stack a")
	must(r, r.cfn.DeleteStack, &cloudformation.DeleteStackInput{StackName: "none"})
}

// TestRestart stops the simulator at every second of a stack's life: the outcome is the same as without.
func TestRestart(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	id := r.create("a", two)
	for range 60 {
		r.pass(time.Second)
		r.boot()
	}
	r.settled("a", "CREATE_COMPLETE")
	must(r, r.cfn.UpdateStack, &cloudformation.UpdateStackInput{StackName: "a", TemplateBody: strings.Replace(two, `"Size": 1`, `"Size": 2, "Kind": "new"`, 1)})
	for range 60 {
		r.pass(time.Second)
		r.boot()
	}
	r.settled("a", "UPDATE_COMPLETE")
	must(r, r.cfn.DeleteStack, &cloudformation.DeleteStackInput{StackName: "a"})
	for range 60 {
		r.pass(time.Second)
		r.boot()
	}
	r.settled(id, "DELETE_COMPLETE")
	want := []string{"create First", "create Second", "create Second", "delete Second", "delete Second", "delete First"}
	if !slices.Equal(r.thing.calls, want) {
		t.Errorf("calls are %q", r.thing.calls)
	}
}
