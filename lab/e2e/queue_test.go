package e2e

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/eks-gitops/reconciler/lab/story"
	"github.com/eks-gitops/reconciler/pkg/plan"
	"github.com/eks-gitops/reconciler/pkg/run"
)

// TestQueueTellsOfDrift runs the daemon with the rule and the queue of deploy/events.yaml, and an hour between two looks at AWS. What
// somebody does to the cluster with the AWS CLI and with eksctl is heard through EventBridge and SQS, put right, and told with their name;
// nothing else could have told it within the patience of the test.
func TestQueueTellsOfDrift(t *testing.T) {
	t.Parallel()
	s := begin(t, 300)
	lean(t, s)
	write(t, s, "clusters/dev/reconcile.yaml", "interval: 1h\n")
	push(t, s, "Run the sample fleet")
	s.R.Env = append(slices.Clone(s.R.Env), "RECONCILER_EVENTS_QUEUE="+eventsQueue(t, s))
	if err := s.R.Start("clusters/dev"); err != nil {
		t.Fatal(err)
	}
	settle(t, s, run.Converged)

	mallory, trent := person(t, s, "mallory"), person(t, s, "trent")
	began := time.Now()
	if _, err := mallory.Must(t.Context(), "aws", "eks", "update-nodegroup-config", "--cluster-name", "dev", "--nodegroup-name", "system", "--scaling-config", "maxSize=9"); err != nil {
		t.Fatal(err)
	}
	corrected(t, s, began, "Nodegroup", "system", "maxSize", "user/mallory")

	began = time.Now()
	if _, err := trent.Must(t.Context(), "eksctl", "utils", "update-cluster-logging", "--cluster", "dev", "--enable-types", "scheduler", "--disable-types", "audit", "--approve"); err != nil {
		t.Fatal(err)
	}
	corrected(t, s, began, "Cluster", "dev", "cloudWatch.clusterLogging", "user/trent")
}

// eventsQueue makes the stack of deploy/events.yaml as that file says, and gives the queue.
func eventsQueue(t *testing.T, s *story.Story) string {
	t.Helper()
	template := filepath.Join(checkout(t), "deploy", "events.yaml")
	if _, err := s.Lab.Must(t.Context(), "aws", "cloudformation", "deploy", "--stack-name", "reconciler-events", "--template-file", template); err != nil {
		t.Fatal(err)
	}
	var out struct {
		Stacks []struct {
			Outputs []struct{ OutputKey, OutputValue string }
		}
	}
	if err := s.Lab.AWS(t.Context(), &out, "cloudformation", "describe-stacks", "--stack-name", "reconciler-events"); err != nil {
		t.Fatal(err)
	}
	if len(out.Stacks) != 1 || len(out.Stacks[0].Outputs) != 1 || out.Stacks[0].Outputs[0].OutputKey != "QueueUrl" {
		t.Fatalf("the stack has %+v", out)
	}
	return out.Stacks[0].Outputs[0].OutputValue
}

// person is somebody with an IAM user of their own, and what they run programs with. The lab's AWS lets every user do everything.
func person(t *testing.T, s *story.Story, name string) story.Programs {
	t.Helper()
	if _, err := s.Lab.Must(t.Context(), "aws", "iam", "create-user", "--user-name", name); err != nil {
		t.Fatal(err)
	}
	var out struct {
		AccessKey struct {
			ID     string `json:"AccessKeyId"`
			Secret string `json:"SecretAccessKey"`
		}
	}
	if err := s.Lab.AWS(t.Context(), &out, "iam", "create-access-key", "--user-name", name); err != nil {
		t.Fatal(err)
	}
	p := s.Lab.Programs
	p.Env = append(slices.Clone(p.Env), "AWS_ACCESS_KEY_ID="+out.AccessKey.ID, "AWS_SECRET_ACCESS_KEY="+out.AccessKey.Secret)
	return p
}

// corrected waits for the run that put a field back after somebody changed it, and looks for their name where people do.
func corrected(t *testing.T, s *story.Story, began time.Time, kind, name, field, by string) {
	t.Helper()
	var record run.Record
	await(t, fmt.Sprintf("%s %s to be put back", kind, name), func(ctx context.Context) (bool, error) {
		records, err := s.R.History(ctx, "dev")
		found := false
		record, _, found = story.Changed(records, func(r run.Record, c plan.Change) bool {
			return c.Ref.Kind == kind && c.Ref.Name == name && c.Drift && r.Began.After(began)
		})
		return found && record.Outcome == run.Converged, err
	})
	t.Logf("%s %s was put back %s after %s", kind, name, record.Ended.Sub(began).Round(time.Second/10), by)
	if record.Cause != "drift" {
		t.Errorf("the run was for %s", record.Cause)
	}
	for _, c := range record.Plan.Changes {
		if c.Ref.Kind != kind || c.Ref.Name != name {
			t.Errorf("the run also wants to %s %s: %s", c.Action, c.Ref.Label(), c.Why)
			continue
		}
		if c.Action != plan.Update || !strings.Contains(c.Why, by) {
			t.Errorf("%s %s: %s, want the name of %s", c.Action, c.Ref.Label(), c.Why, by)
		}
		if !slices.ContainsFunc(c.Edits, func(e plan.Edit) bool {
			return strings.HasPrefix(e.Path, field) && e.Owner != nil && strings.Contains(e.Owner.Manager, by)
		}) {
			t.Errorf("no edit of %s is said to be by %s: %+v", field, by, c.Edits)
		}
	}
	expect(t, cli(t, s, 0, "history", "why", "eks/"+kind+"/dev/"+name, "--cluster", "dev"), 0, by)
}
