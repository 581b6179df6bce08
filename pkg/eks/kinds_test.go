package eks

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	gocmp "github.com/google/go-cmp/cmp"

	"github.com/eks-gitops/reconciler/internal/sim/aws"
	"github.com/eks-gitops/reconciler/internal/sim/kinds"
)

// TestKinds makes a cluster of every kind that eksctl's public examples show, finds nothing left to do, neither when nothing recorded what
// its nodegroups were made from, imports it, and takes it down until nothing is left but what was there before.
func TestKinds(t *testing.T) {
	t.Parallel()
	all, err := kinds.Names()
	if err != nil {
		t.Fatal(err)
	}
	for _, kind := range all {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			o := aws.Options{}
			o.World.Region = "us-west-2"
			r := newRigOn(t, bare, o)
			ground, err := kinds.Prepare(t.Context(), r.config(), r.tick)
			r.does(err)
			before := r.holdings()
			body, err := kinds.Config(ground, "dev", "us-west-2", kind)
			r.does(err)
			r.git(body)
			r.reboot()
			r.explained()
			r.converge()
			r.settled("creation")

			r.settledUnrecorded()

			got := r.imported()
			if len(got.Left) > 0 || len(got.Problems) > 0 || got.Adopted {
				t.Errorf("importing leaves: %v %v\n%s", got.Left, got.Problems, got.File)
			}
			r.git(string(got.File))
			r.settledOn(got)

			r.teardown = true
			r.reboot()
			r.converge()
			r.Clock.Move(2 * time.Hour) // terminated instances stay visible for an hour
			r.does(r.World.Advance())
			if diff := gocmp.Diff(before, r.holdings()); diff != "" {
				t.Errorf("AWS has other things than before (-before +after):\n%s", diff)
			}
		})
	}
}

// holdings are the ids and names of what the simulator keeps, by part and kind.
func (r *rig) holdings() map[string][]string {
	r.t.Helper()
	dump, err := r.World.Dump()
	r.does(err)
	out := map[string][]string{}
	for _, part := range []string{"ec2", "autoscaling", "iam", "eks"} {
		var kinds map[string]json.RawMessage
		r.does(json.Unmarshal(dump[part], &kinds))
		for kind, body := range kinds {
			var things map[string]json.RawMessage
			if json.Unmarshal(body, &things) != nil || kind == "StackCreators" || kind == "StackTags" { // what EKS remembers of stacks that are gone
				continue
			}
			for name := range things {
				out[part+" "+kind] = append(out[part+" "+kind], name)
			}
			slices.Sort(out[part+" "+kind])
		}
	}
	return out
}

// explained tells, when the test has failed, what resources of stacks did.
func (r *rig) explained() {
	r.t.Cleanup(func() {
		if !r.t.Failed() {
			return
		}
		client := cloudformation.NewFromConfig(r.config())
		ctx := context.WithoutCancel(r.t.Context())
		list, err := client.ListStacks(ctx, &cloudformation.ListStacksInput{})
		if err != nil {
			r.t.Log(err)
			return
		}
		for _, st := range list.StackSummaries {
			events, err := client.DescribeStackEvents(ctx, &cloudformation.DescribeStackEventsInput{StackName: st.StackId})
			if err != nil {
				r.t.Log(err)
				continue
			}
			for _, e := range events.StackEvents {
				if strings.HasSuffix(string(e.ResourceStatus), "_FAILED") {
					r.t.Logf("%s: %s %s %s", *st.StackName, *e.LogicalResourceId, e.ResourceStatus, sdk.ToString(e.ResourceStatusReason))
				}
			}
		}
	})
}
