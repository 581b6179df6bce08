package sqs_test

import (
	"context"
	"errors"
	"strconv"
	"testing"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/aws/smithy-go"

	"github.com/eks-gitops/reconciler/internal/sim/aws"
	"github.com/eks-gitops/reconciler/internal/sim/aws/simtest"
)

type rig struct {
	*simtest.Sim
	*sqs.Client
	t   *testing.T
	url *string
}

func start(t *testing.T, attributes map[string]string) *rig {
	t.Helper()
	s := simtest.Start(t, aws.Options{})
	r := &rig{Sim: s, Client: sqs.NewFromConfig(s.Config()), t: t}
	out, err := r.CreateQueue(t.Context(), &sqs.CreateQueueInput{QueueName: sdk.String("q"), Attributes: attributes})
	r.must(err)
	r.url = out.QueueUrl
	return r
}

func (r *rig) must(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) refused(err error, want string) {
	r.t.Helper()
	var e smithy.APIError
	if !errors.As(err, &e) || e.ErrorCode() != want {
		r.t.Errorf("error %v, want %s", err, want)
	}
}

func (r *rig) send(body string) {
	r.t.Helper()
	_, err := r.SendMessage(r.t.Context(), &sqs.SendMessageInput{QueueUrl: r.url, MessageBody: &body})
	r.must(err)
}

func (r *rig) receive() []types.Message {
	r.t.Helper()
	out, err := r.ReceiveMessage(r.t.Context(), &sqs.ReceiveMessageInput{
		QueueUrl: r.url, MaxNumberOfMessages: 10, MessageSystemAttributeNames: []types.MessageSystemAttributeName{types.MessageSystemAttributeNameAll},
	})
	r.must(err)
	return out.Messages
}

func (r *rig) count(name types.QueueAttributeName) string {
	r.t.Helper()
	out, err := r.GetQueueAttributes(r.t.Context(), &sqs.GetQueueAttributesInput{QueueUrl: r.url, AttributeNames: []types.QueueAttributeName{types.QueueAttributeNameAll}})
	r.must(err)
	return out.Attributes[string(name)]
}

// A message that was received is there for nobody until its visibility timeout is over, and for good until it is deleted.
func TestVisibility(t *testing.T) {
	t.Parallel()
	r := start(t, map[string]string{"VisibilityTimeout": "20"})
	r.send("a")
	first := r.receive()
	if len(first) != 1 || *first[0].Body != "a" || first[0].Attributes["ApproximateReceiveCount"] != "1" {
		t.Fatalf("%+v", first)
	}
	if again := r.receive(); len(again) != 0 || r.count(types.QueueAttributeNameApproximateNumberOfMessagesNotVisible) != "1" {
		t.Errorf("%+v", again)
	}
	r.Clock.Move(20 * time.Second)
	second := r.receive()
	if len(second) != 1 || *second[0].MessageId != *first[0].MessageId || *second[0].ReceiptHandle == *first[0].ReceiptHandle || second[0].Attributes["ApproximateReceiveCount"] != "2" {
		t.Fatalf("%+v", second)
	}
	// The handle of the earlier receipt is accepted and deletes nothing.
	_, err := r.DeleteMessage(t.Context(), &sqs.DeleteMessageInput{QueueUrl: r.url, ReceiptHandle: first[0].ReceiptHandle})
	r.must(err)
	if n := r.count(types.QueueAttributeNameApproximateNumberOfMessagesNotVisible); n != "1" {
		t.Errorf("%s messages", n)
	}
	for range 2 { // deleting what is deleted is no error
		_, err = r.DeleteMessage(t.Context(), &sqs.DeleteMessageInput{QueueUrl: r.url, ReceiptHandle: second[0].ReceiptHandle})
		r.must(err)
	}
	r.Clock.Move(time.Minute)
	if left := r.receive(); len(left) != 0 {
		t.Errorf("%+v", left)
	}
}

func TestDelayAndRetention(t *testing.T) {
	t.Parallel()
	r := start(t, map[string]string{"DelaySeconds": "5", "MessageRetentionPeriod": "60"})
	r.send("a")
	if n := r.count(types.QueueAttributeNameApproximateNumberOfMessagesDelayed); n != "1" || len(r.receive()) != 0 {
		t.Errorf("%s messages are delayed", n)
	}
	r.Clock.Move(5 * time.Second)
	if got := r.receive(); len(got) != 1 {
		t.Errorf("%+v", got)
	}
	r.Clock.Move(55 * time.Second)
	if got := r.receive(); len(got) != 0 || r.count(types.QueueAttributeNameApproximateNumberOfMessagesNotVisible) != "0" {
		t.Errorf("after its retention: %+v", got)
	}
}

// Long polling answers as soon as there is a message, and hangs up when the caller does.
func TestLongPolling(t *testing.T) {
	t.Parallel()
	r := start(t, nil)
	got := make(chan string)
	go func() {
		out, err := r.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: r.url, WaitTimeSeconds: 20})
		if err != nil || len(out.Messages) != 1 {
			got <- "nothing"
			return
		}
		got <- *out.Messages[0].Body
	}()
	r.send("news")
	if body := <-got; body != "news" {
		t.Errorf("received %q", body)
	}
	out, err := r.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: r.url, WaitTimeSeconds: 1})
	if err != nil || len(out.Messages) != 0 {
		t.Errorf("with nothing to come: %+v, %v", out, err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := r.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{QueueUrl: r.url, WaitTimeSeconds: 20}); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
}

// The codes are those of the query protocol, by which clients of SQS tell errors.
func TestErrors(t *testing.T) {
	t.Parallel()
	r := start(t, nil)
	ctx := t.Context()
	_, err := r.GetQueueUrl(ctx, &sqs.GetQueueUrlInput{QueueName: sdk.String("none")})
	r.refused(err, "AWS.SimpleQueueService.NonExistentQueue")
	if _, ok := errors.AsType[*types.QueueDoesNotExist](err); !ok {
		t.Errorf("%v is no QueueDoesNotExist", err)
	}
	_, err = r.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{QueueUrl: sdk.String("https://sqs.us-west-2.amazonaws.com/111122223333/none")})
	r.refused(err, "AWS.SimpleQueueService.NonExistentQueue")
	_, err = r.DeleteMessage(ctx, &sqs.DeleteMessageInput{QueueUrl: r.url, ReceiptHandle: sdk.String("x")})
	r.refused(err, "ReceiptHandleIsInvalid")
	_, err = r.CreateQueue(ctx, &sqs.CreateQueueInput{QueueName: sdk.String("q"), Attributes: map[string]string{"DelaySeconds": "3"}})
	r.refused(err, "QueueAlreadyExists")
	_, err = r.CreateQueue(ctx, &sqs.CreateQueueInput{QueueName: sdk.String("p"), Attributes: map[string]string{"VisibilityTimeout": "50000"}})
	r.refused(err, "InvalidAttributeValue")
	_, err = r.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{QueueUrl: r.url, MaxNumberOfMessages: 11})
	r.refused(err, "InvalidParameterValue")
	_, err = r.DeleteMessageBatch(ctx, &sqs.DeleteMessageBatchInput{QueueUrl: r.url, Entries: []types.DeleteMessageBatchRequestEntry{}})
	r.refused(err, "AWS.SimpleQueueService.EmptyBatchRequest")
	if same, err := r.CreateQueue(ctx, &sqs.CreateQueueInput{QueueName: sdk.String("q")}); err != nil || *same.QueueUrl != *r.url {
		t.Errorf("a queue that exists: %+v, %v", same, err)
	}
}

func TestDeleteBatch(t *testing.T) {
	t.Parallel()
	r := start(t, nil)
	var entries []types.DeleteMessageBatchRequestEntry
	for i := range 3 {
		r.send(strconv.Itoa(i))
	}
	for i, m := range r.receive() {
		entries = append(entries, types.DeleteMessageBatchRequestEntry{Id: sdk.String(strconv.Itoa(i)), ReceiptHandle: m.ReceiptHandle})
	}
	entries[1].ReceiptHandle = sdk.String("x")
	out, err := r.DeleteMessageBatch(t.Context(), &sqs.DeleteMessageBatchInput{QueueUrl: r.url, Entries: entries})
	r.must(err)
	if len(out.Successful) != 2 || len(out.Failed) != 1 || *out.Failed[0].Code != "ReceiptHandleIsInvalid" || *out.Failed[0].Id != "1" {
		t.Errorf("%+v", out)
	}
	_, err = r.DeleteQueue(t.Context(), &sqs.DeleteQueueInput{QueueUrl: r.url})
	r.must(err)
	_, err = r.DeleteQueue(t.Context(), &sqs.DeleteQueueInput{QueueUrl: r.url})
	r.refused(err, "AWS.SimpleQueueService.NonExistentQueue")
}
