package eks

import (
	"context"
	"fmt"
	"log/slog"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/eks-gitops/reconciler/pkg/gitops"
)

// FeedOptions wires a Feed. AWS and Queue are required.
type FeedOptions struct {
	// AWS is the identity that may read the queue, in the queue's region.
	AWS aws.Config
	// Queue is the URL of the SQS queue to which EventBridge sends what CloudTrail records.
	Queue string
	// Trouble is told why the queue cannot be read, once, and nil when it can be again; nil tells nobody.
	Trouble func(*gitops.Error)
	Log     *slog.Logger
}

// Feed tells the clusters of a region what others do to them in AWS, within seconds. It only says that a cluster should be
// looked at: nothing is believed that a message says, but for the name of who did it. Events may come late, twice or never;
// clusters are looked at in their interval all the same.
//
// Several daemons may read one queue. A message is deleted when a cluster that follows here was told; what is about other
// clusters is left to who has them, and in the end to the retention of the queue. While no cluster follows, nothing is read.
type Feed struct {
	FeedOptions
	inbox inbox

	mu   sync.Mutex
	here []follower
	// joined has room for one: somebody follows.
	joined chan struct{}
	// trouble is what was told last.
	trouble string
}

// letter is a message of the queue.
type letter struct{ body, receipt string }

// inbox is the queue.
type inbox interface {
	// receive waits a while for messages, and gives up to letters of them.
	receive(ctx context.Context) ([]letter, error)
	remove(ctx context.Context, done []letter) error
}

// How the queue is read.
const (
	// letters is the most that SQS gives at once.
	letters = 10
	// pollTime is how long an empty answer takes: less than what an HTTP client may wait for one.
	pollTime = 10 * time.Second
	// unseen is for how long other daemons do not see what this one received, and left to them.
	unseen = 20 * time.Second
	// feedPause is the rest after each answer that was not full: what happens meanwhile is told in one go.
	feedPause = 2 * time.Second
	// feedPauseMax bounds the pause after failures, which doubles.
	feedPauseMax = 5 * time.Minute
)

// NewFeed makes a Feed. It performs no I/O.
func NewFeed(o FeedOptions) *Feed {
	if o.Trouble == nil {
		o.Trouble = func(*gitops.Error) {}
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Feed{FeedOptions: o, inbox: queue{sqs: sqsService{client: hide(sqs.NewFromConfig(named(o.AWS)))}, url: o.Queue, log: o.Log}, joined: make(chan struct{}, 1)}
}

// Follow tells a cluster what others do to it, until the returned function is called.
func (f *Feed) Follow(cluster string, c *Cloud) (stop func()) {
	one := follower{name: cluster, cloud: c}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.here = append(f.here, one)
	nudge(f.joined)
	return func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.here = slices.DeleteFunc(f.here, func(other follower) bool { return other == one })
	}
}

// nudge leaves a note in a channel with room for one.
func nudge(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

func (f *Feed) followers() []follower {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.here)
}

// Run reads the queue until ctx ends.
func (f *Feed) Run(ctx context.Context) {
	var pause time.Duration
	for f.wanted(ctx) {
		full, err := f.read(ctx)
		if ctx.Err() != nil {
			return
		}
		f.tell(err)
		switch {
		case err != nil:
			pause = min(max(2*pause, 2*feedPause), feedPauseMax)
		case full:
			pause = 0
		default:
			pause = feedPause
		}
		rest(ctx, pause)
	}
}

// wanted waits until a cluster follows; false is the end.
func (f *Feed) wanted(ctx context.Context) bool {
	for len(f.followers()) == 0 && ctx.Err() == nil {
		select {
		case <-f.joined:
		case <-ctx.Done():
		}
	}
	return ctx.Err() == nil
}

func rest(ctx context.Context, pause time.Duration) {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// read receives once, tells, and deletes what was told. Full says that there may be more.
func (f *Feed) read(ctx context.Context) (full bool, err error) {
	got, err := f.inbox.receive(ctx)
	if err != nil {
		return false, err
	}
	done := slices.DeleteFunc(slices.Clone(got), func(l letter) bool { return !f.pass(l.body) })
	if len(done) > 0 {
		err = f.inbox.remove(ctx, done)
	}
	return len(got) == letters, err
}

// pass tells the clusters that a message is about. False leaves the message to the daemon that has its cluster.
func (f *Feed) pass(body string) bool {
	here := f.followers()
	d, ok := readEvent(body)
	if !ok {
		f.Log.Warn("a message of the queue is no event of CloudTrail; all clusters are looked at", "queue", f.Queue)
	}
	if d.idle() {
		return true
	}
	of, elsewhere := d.about(here)
	for _, one := range of {
		one.cloud.hear(d)
	}
	return !elsewhere
}

// tell says once what keeps the queue from being read, and once that nothing does any more.
func (f *Feed) tell(err error) {
	var e *gitops.Error
	said := ""
	if err != nil {
		e = failure(gitops.ObserveFailed, gitops.Ref{}, err)
		e.Err = fmt.Errorf("reading the queue %s: %w; until it can be read, changes of AWS are found at the interval", f.Queue, e.Err)
		e.Try = "aws sqs get-queue-attributes --queue-url " + f.Queue + " --attribute-names All"
		said = e.Error()
	}
	if said != f.trouble {
		f.trouble = said
		f.Trouble(e)
	}
}

// queue is an SQS queue.
type queue struct {
	sqs sqsService
	url string
	log *slog.Logger
}

func (q queue) receive(ctx context.Context) ([]letter, error) {
	out, err := q.sqs.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{
		QueueUrl: &q.url, MaxNumberOfMessages: letters, WaitTimeSeconds: int32(pollTime / time.Second), VisibilityTimeout: int32(unseen / time.Second),
	})
	if err != nil {
		return nil, err
	}
	got := make([]letter, 0, len(out.Messages))
	for _, m := range out.Messages {
		got = append(got, letter{body: aws.ToString(m.Body), receipt: aws.ToString(m.ReceiptHandle)})
	}
	return got, nil
}

func (q queue) remove(ctx context.Context, done []letter) error {
	in := &sqs.DeleteMessageBatchInput{QueueUrl: &q.url}
	for i, l := range done {
		in.Entries = append(in.Entries, sqstypes.DeleteMessageBatchRequestEntry{Id: aws.String(strconv.Itoa(i)), ReceiptHandle: &l.receipt})
	}
	out, err := q.sqs.DeleteMessageBatch(ctx, in)
	if err != nil {
		return err
	}
	for _, fault := range out.Failed { // it comes again, and is told again
		q.log.Warn("deleting a message", "queue", q.url, "code", aws.ToString(fault.Code), "message", aws.ToString(fault.Message))
	}
	return nil
}

var regionName = regexp.MustCompile(`^[a-z]{2}(-[a-z]+)+-[0-9]+$`)

// QueueRegion is the region that the URL of a queue names: https://sqs.REGION.amazonaws.com/ACCOUNT/NAME, and the forms of
// VPC endpoints; "" when it names none.
func QueueRegion(queue string) string {
	u, err := url.Parse(queue)
	if err != nil {
		return ""
	}
	for label := range strings.SplitSeq(u.Hostname(), ".") {
		if regionName.MatchString(label) {
			return label
		}
	}
	return ""
}
