package eks

import (
	"context"
	"errors"
	"os"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	cfntypes "github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
	"github.com/aws/aws-sdk-go-v2/service/eks"
	ekstypes "github.com/aws/aws-sdk-go-v2/service/eks/types"
	"github.com/google/go-cmp/cmp"

	"github.com/eks-gitops/reconciler/pkg/gitops"
)

// box is an inbox whose answers a test decides.
type box struct {
	asked   int
	answer  func(asked int) ([]letter, error)
	removed []string
}

func (b *box) receive(context.Context) ([]letter, error) {
	b.asked++
	return b.answer(b.asked)
}

func (b *box) remove(_ context.Context, done []letter) error {
	for _, l := range done {
		b.removed = append(b.removed, l.receipt)
	}
	return nil
}

// feeding runs a feed of a box for a while, with a cluster that follows.
func feeding(t *testing.T, b *box, span time.Duration) (c *Cloud, told []string) {
	t.Helper()
	f := NewFeed(FeedOptions{Queue: "https://sqs.eu-west-1.amazonaws.com/111122223333/q", Trouble: func(e *gitops.Error) {
		if e == nil {
			told = append(told, "over")
			return
		}
		told = append(told, string(e.Reason))
	}})
	f.inbox = b
	c = New(Options{Now: time.Now})
	c.stale = false
	defer f.Follow("dev", c)()
	ctx, cancel := context.WithTimeout(t.Context(), span)
	defer cancel()
	f.Run(ctx)
	return c, told
}

// TestFeedBacksOff: a queue that cannot be read is told once, asked ever less often, and its end is told.
func TestFeedBacksOff(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := &box{answer: func(n int) ([]letter, error) {
			if n <= 15 {
				return nil, errors.New("no")
			}
			return nil, nil
		}}
		_, told := feeding(t, b, 30*time.Minute)
		if diff := cmp.Diff([]string{"ObserveFailed"}, told); diff != "" || b.asked > 15 {
			t.Errorf("asked %d times: %s", b.asked, diff)
		}
		b.asked = 14
		if _, told = feeding(t, b, time.Minute); !slices.Equal(told, []string{"ObserveFailed", "over"}) {
			t.Errorf("told %v", told)
		}
	})
}

// TestFeedRests: a queue that answers at once, with nothing or with little, is not asked in a hot loop.
func TestFeedRests(t *testing.T) {
	t.Parallel()
	for name, got := range map[string][]letter{"nothing": nil, "little": {{body: told("eks", "UpdateClusterConfig", `{"name": "dev"}`), receipt: "1"}}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := &box{answer: func(int) ([]letter, error) { return got, nil }}
				if feeding(t, b, time.Minute); b.asked > 31 {
					t.Errorf("asked %d times in a minute", b.asked)
				}
			})
		})
	}
}

// TestFeedTells: the cluster that a message is about is looked at again, and then the message is deleted; what is about a
// cluster that is not here is left to others; what failed or changed nothing is no news.
func TestFeedTells(t *testing.T) {
	t.Parallel()
	failed := `{"detail": {"eventSource": "eks.amazonaws.com", "eventName": "DeleteCluster", "errorCode": "AccessDenied", "requestParameters": {"name": "dev"}}}`
	for name, tt := range map[string]struct {
		body          string
		nudged, stays bool
	}{
		"this cluster":    {told("eks", "UpdateNodegroupConfig", `{"name": "dev", "nodegroupName": "system"}`), true, false},
		"another cluster": {told("eks", "UpdateNodegroupConfig", `{"name": "prod"}`), false, true},
		"no cluster":      {told("cloudformation", "UpdateStack", `{"stackName": "website"}`), false, false},
		"unknown":         {told("ec2", "ModifyLaunchTemplate", `{}`), true, false},
		"no event":        {"hello", true, false},
		"refused":         {failed, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := &box{answer: func(n int) ([]letter, error) {
					if n == 1 {
						return []letter{{body: tt.body, receipt: "1"}}, nil
					}
					return nil, nil
				}}
				c, _ := feeding(t, b, time.Minute)
				nudged := false
				select {
				case <-c.Changed():
					nudged = true
				default:
				}
				if nudged != tt.nudged || c.stale != tt.nudged || slices.Contains(b.removed, "1") == tt.stays {
					t.Errorf("nudged %v, stale %v, removed %v", nudged, c.stale, b.removed)
				}
			})
		})
	}
}

// TestFeedWaitsForClusters: while no cluster follows, nothing is read, so that nothing is taken from those who have one.
func TestFeedWaitsForClusters(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := &box{answer: func(int) ([]letter, error) { return nil, nil }}
		f := NewFeed(FeedOptions{})
		f.inbox = b
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		time.AfterFunc(30*time.Minute, func() {
			stop := f.Follow("dev", New(Options{Now: time.Now}))
			time.AfterFunc(10*time.Second, stop)
		})
		if f.Run(ctx); b.asked == 0 || b.asked > 6 {
			t.Errorf("asked %d times", b.asked)
		}
	})
}

// withQueue makes the stack of deploy/events.yaml and a feed of its queue that the rig's Cloud follows.
func withQueue(t *testing.T, r *rig) {
	t.Helper()
	body, err := os.ReadFile("../../deploy/events.yaml")
	if err != nil {
		t.Fatal(err)
	}
	cfn := cloudformation.NewFromConfig(r.config())
	if _, err := cfn.CreateStack(t.Context(), &cloudformation.CreateStackInput{StackName: aws.String("reconciler-events"), TemplateBody: aws.String(string(body))}); err != nil {
		t.Fatal(err)
	}
	var stack cfntypes.Stack
	for stack.StackStatus != cfntypes.StackStatusCreateComplete {
		r.tick()
		out, err := cfn.DescribeStacks(t.Context(), &cloudformation.DescribeStacksInput{StackName: aws.String("reconciler-events")})
		if err != nil || out.Stacks[0].StackStatus == cfntypes.StackStatusRollbackComplete {
			t.Fatalf("%v, %v", out, err)
		}
		stack = out.Stacks[0]
	}
	queue := output(stack, "QueueUrl")
	if QueueRegion(queue) != "eu-west-1" {
		t.Errorf("the queue is %s", queue)
	}
	feed := NewFeed(FeedOptions{AWS: r.config(), Queue: queue, Trouble: func(e *gitops.Error) { t.Errorf("trouble: %v", e) }})
	feed.Follow("dev", r.cloud)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); feed.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
}

// TestEventDrivenDrift: with the stack of deploy/events.yaml, what somebody does with a plain SDK is heard, found without waiting
// for the interval, told with its author, and put right.
func TestEventDrivenDrift(t *testing.T) {
	t.Parallel()
	r := newRig(t, small)
	r.converge()
	r.cloud.Fresh = 24 * time.Hour
	withQueue(t, r)
	r.book()
	if p := r.plan(); !p.Empty() {
		t.Fatalf("before:\n%s", describe(nil, p))
	}
	if _, err := eks.NewFromConfig(r.config()).UpdateNodegroupConfig(t.Context(), &eks.UpdateNodegroupConfigInput{
		ClusterName: aws.String("dev"), NodegroupName: aws.String("system"), ScalingConfig: &ekstypes.NodegroupScalingConfig{MaxSize: aws.Int32(9)},
	}); err != nil {
		t.Fatal(err)
	}
	for range 4 {
		r.tick()
	}
	<-r.cloud.Changed()
	system := find(t, r.plan(), KindNodegroup, "system")
	if !system.Drift || system.Why != "changed by user/admin" {
		t.Errorf("drift %v: %s", system.Drift, system.Why)
	}
	if e := system.Edits[0]; e.Owner == nil || e.Owner.At == "" || e.Path != "maxSize" {
		t.Errorf("%+v", e)
	}
	for _, q := range r.Requests(0) {
		if q.Operation == "LookupEvents" {
			t.Error("CloudTrail was asked about what was heard already")
		}
	}
	r.converge()
	r.settled("the correction")
}
