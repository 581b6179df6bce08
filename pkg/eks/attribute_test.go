package eks

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/eks"
	ekstypes "github.com/aws/aws-sdk-go-v2/service/eks/types"

	simaws "github.com/eks-gitops/reconciler/internal/sim/aws"
	simfault "github.com/eks-gitops/reconciler/internal/sim/aws/fault"
	simiam "github.com/eks-gitops/reconciler/internal/sim/aws/iam"
	"github.com/eks-gitops/reconciler/pkg/gitops"
)

// book puts what is live and wanted on the books, as the engine does after a pass.
func (r *rig) book() {
	r.t.Helper()
	seen, err := r.cloud.Observe(r.t.Context(), gitops.Desired{Cluster: "dev", Items: []gitops.Item{r.item}}, r.inv)
	if err != nil {
		r.t.Fatal(err)
	}
	for ref, o := range seen {
		if o.Live != nil && o.Spec != nil {
			r.inv[ref] = gitops.Entry{Spec: gitops.DigestOf(o.Spec)}
		}
	}
}

// asked counts the requests of an operation.
func (r *rig) asked(operation string) int {
	n := 0
	for _, q := range r.Requests(0) {
		if q.Operation == operation {
			n++
		}
	}
	return n
}

// drifted is a cluster with two nodegroups that Alice changed.
func drifted(t *testing.T) *rig {
	t.Helper()
	alice := simiam.Key{User: "alice", AccessKey: "AKIAI44QH8DHBEXAMPLE", Secret: "je7MtGbClwBF/2Zp9Utk/h3yCo8nvbEXAMPLEKEY"}
	r := newRigOn(t, fleet, simaws.Options{Keys: []simiam.Key{simaws.DefaultKey(), alice}})
	r.converge()
	r.book()
	hers := r.config()
	hers.Credentials = aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
		return aws.Credentials{AccessKeyID: alice.AccessKey, SecretAccessKey: alice.Secret}, nil
	})
	if _, err := eks.NewFromConfig(hers).UpdateNodegroupConfig(t.Context(), &eks.UpdateNodegroupConfigInput{
		ClusterName: aws.String("dev"), NodegroupName: aws.String("system"), ScalingConfig: &ekstypes.NodegroupScalingConfig{MaxSize: aws.Int32(9)},
	}); err != nil {
		t.Fatal(err)
	}
	if _, err := autoscaling.NewFromConfig(hers).UpdateAutoScalingGroup(t.Context(), &autoscaling.UpdateAutoScalingGroupInput{
		AutoScalingGroupName: r.cloud.world.Groups["batch"].Scaling.AutoScalingGroupName, MaxSize: aws.Int32(9),
	}); err != nil {
		t.Fatal(err)
	}
	for range 10 { // CloudTrail tells of it some minutes later
		r.tick()
	}
	r.cloud.touch()
	return r
}

// TestAttribution: drift is told with who brought it and when, after one lookup per drifted thing.
func TestAttribution(t *testing.T) {
	t.Parallel()
	r := drifted(t)
	p := r.plan()
	for _, name := range []string{"system", "batch"} {
		c := find(t, p, KindNodegroup, name)
		if !c.Drift || c.Why != "changed by user/alice" {
			t.Errorf("%s: drift %v, %s", name, c.Drift, c.Why)
		}
		if e := c.Edits[0]; e.Owner == nil || e.Owner.At == "" {
			t.Errorf("%s: %+v", name, e)
		}
	}
	r.cloud.touch()
	if r.plan(); r.asked("LookupEvents") != 2 {
		t.Errorf("CloudTrail was asked %d times about two groups in two passes", r.asked("LookupEvents"))
	}
	r.converge()
	r.settled("the correction")
	if n := r.asked("LookupEvents"); n != 2 {
		t.Errorf("CloudTrail was asked %d times, also without drift", n)
	}
	// What this program did last was nobody else's doing, whoever came before.
	for range 10 {
		r.tick()
	}
	if found := r.cloud.lookup(t.Context(), r.cloud.config.ref(KindNodegroup, "system"), []string{"system"}); len(found) == 0 || !found[0].by(r.cloud.caller) {
		t.Errorf("%+v", found)
	}
}

// TestAttributionFails: a plan is the same when CloudTrail may not be asked or does not answer, and CloudTrail is left alone for
// a while.
func TestAttributionFails(t *testing.T) {
	t.Parallel()
	r := drifted(t)
	rule := simfault.Rule{Service: "cloudtrail", Effect: simfault.Fail, Code: "AccessDeniedException", Message: "no", Status: 400}
	if _, err := r.Faults().Add(rule); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		p := r.plan()
		c := find(t, p, KindNodegroup, "system")
		if !p.Complete || !c.Drift || c.Why != "" || slices.ContainsFunc(p.Problems, func(e *gitops.Error) bool { return !e.Reason.Note() }) {
			t.Errorf("%s: %s", c.Why, describe(nil, p))
		}
	}
	if n := r.asked("LookupEvents"); n != 1 {
		t.Errorf("CloudTrail was asked %d times", n)
	}
	r.Faults().Clear("")
	r.Clock.Move(blindTime + time.Minute)
	if c := find(t, r.plan(), KindNodegroup, "system"); c.Why != "changed by user/alice" {
		t.Errorf("afterwards: %q", c.Why)
	}
}
