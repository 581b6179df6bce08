package sqs

import (
	"context"
	"crypto/md5" // SQS's own checksum of messages, not a secret
	"encoding/base64"
	"encoding/hex"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/eks-gitops/reconciler/internal/sim/aws/iam/policy"
	"github.com/eks-gitops/reconciler/internal/sim/aws/wire"
)

type message struct {
	ID, Body, Sender string
	Sent, First      time.Time
	// Visible is when it may be received, for the first time or again.
	Visible  time.Time
	Received int
	// Handle is that of the last receipt.
	Handle string
}

func (m *message) visible(now time.Time) bool { return !now.Before(m.Visible) }

// advance drops messages whose retention is over, and wakes those who wait for a message that can be received by now.
func (s *Service) advance(now time.Time) bool {
	changed := false
	for _, q := range s.state.Queues {
		kept := slices.DeleteFunc(q.Messages, func(m *message) bool { return !now.Before(m.Sent.Add(q.seconds("MessageRetentionPeriod"))) })
		changed = changed || len(kept) < len(q.Messages)
		q.Messages = kept
		if news := s.news[q.Name]; news != nil && slices.ContainsFunc(kept, func(m *message) bool { return m.visible(now) }) {
			close(news)
			delete(s.news, q.Name)
		}
	}
	return changed
}

func checksum(body string) string {
	sum := md5.Sum([]byte(body))
	return hex.EncodeToString(sum[:])
}

// SendMessageInput is a new message. Attributes of messages are not simulated.
type SendMessageInput struct {
	QueueURL     string `json:"QueueUrl"`
	MessageBody  string
	DelaySeconds *int
}

// SendMessageOutput tells what became of it.
type SendMessageOutput struct {
	MD5OfMessageBody string
	MessageID        string `json:"MessageId"`
}

func (s *Service) sendMessage(_ context.Context, c wire.Caller, in *SendMessageInput) (*SendMessageOutput, error) {
	q, err := s.find(in.QueueURL)
	if err != nil {
		return nil, err
	}
	delay := q.seconds("DelaySeconds")
	if in.DelaySeconds != nil {
		delay = time.Duration(*in.DelaySeconds) * time.Second
	}
	if delay < 0 || delay > 15*time.Minute {
		return nil, wire.Errorf("InvalidParameterValue", "Value %s for parameter DelaySeconds is invalid. Reason: DelaySeconds must be >= 0 and <= 900.", delay)
	}
	if limit := q.number("MaximumMessageSize"); in.MessageBody == "" || len(in.MessageBody) > limit {
		return nil, wire.Errorf("InvalidParameterValue", "One or more parameters are invalid. Reason: Message must be at least one character and at most %d bytes long.", limit)
	}
	return &SendMessageOutput{MD5OfMessageBody: checksum(in.MessageBody), MessageID: s.send(q, in.MessageBody, c.UserID, delay)}, nil
}

func (s *Service) send(q *queue, body, sender string, delay time.Duration) (id string) {
	now := s.world.Now()
	m := &message{ID: s.world.UUID(), Body: body, Sender: sender, Sent: now, Visible: now.Add(delay)}
	q.Messages = append(q.Messages, m)
	s.advance(now)
	return m.ID
}

// Deliver is how a service of AWS sends to a queue, by its ARN, for a resource of its own (the ARN of an EventBridge rule); it
// arrives after the delay. False says that there is no such queue, or that the policy of the queue does not let the service
// send: "the resource policy must allow events.amazonaws.com"
// (https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-use-resource-based.html).
func (s *Service) Deliver(queueARN, service, source, body string, delay time.Duration) bool {
	q, ok := s.state.Queues[queueARN[strings.LastIndexByte(queueARN, ':')+1:]]
	if !ok || s.arn(q.Name) != queueARN {
		return false
	}
	document, err := policy.Parse(q.Attributes["Policy"], policy.Resource)
	if err != nil || !document.Allows(policy.Request{
		Action: "sqs:SendMessage", Kind: "Service", Name: service, Resource: queueARN,
		Context: map[string]string{"aws:SourceArn": source, "aws:SourceAccount": s.world.Account},
	}) {
		return false
	}
	s.send(q, body, service, delay)
	return true
}

// ReceiveMessageInput asks for messages.
type ReceiveMessageInput struct {
	QueueURL                    string `json:"QueueUrl"`
	AttributeNames              []string
	MessageSystemAttributeNames []string
	MaxNumberOfMessages         *int
	VisibilityTimeout           *int
	WaitTimeSeconds             *int
}

// Message is a received message.
type Message struct {
	MessageID     string `json:"MessageId"`
	ReceiptHandle string
	MD5OfBody     string
	Body          string
	Attributes    map[string]string `json:",omitempty"`
}

// ReceiveMessageOutput is received messages.
type ReceiveMessageOutput struct {
	Messages []Message `json:",omitempty"`

	news <-chan struct{}
	wait time.Duration
}

// Pending implements long polling: without a message the answer waits for one.
func (o *ReceiveMessageOutput) Pending() (news <-chan struct{}, limit time.Duration) {
	return o.news, o.wait
}

func (s *Service) receiveMessage(_ context.Context, _ wire.Caller, in *ReceiveMessageInput) (*ReceiveMessageOutput, error) {
	q, err := s.find(in.QueueURL)
	if err != nil {
		return nil, err
	}
	most, hidden, wait := 1, q.number("VisibilityTimeout"), q.number("ReceiveMessageWaitTimeSeconds")
	for _, p := range []struct {
		name        string
		value       *int
		least, most int
		into        *int
	}{
		{"MaxNumberOfMessages", in.MaxNumberOfMessages, 1, 10, &most},
		{"VisibilityTimeout", in.VisibilityTimeout, 0, 43200, &hidden},
		{"WaitTimeSeconds", in.WaitTimeSeconds, 0, 20, &wait},
	} {
		if p.value == nil {
			continue
		}
		if *p.into = *p.value; *p.value < p.least || *p.value > p.most {
			return nil, wire.Errorf("InvalidParameterValue", "Value %d for parameter %s is invalid. Reason: Must be between %d and %d, if provided.", *p.value, p.name, p.least, p.most)
		}
	}
	out := &ReceiveMessageOutput{}
	for _, m := range q.Messages {
		if len(out.Messages) < most && m.visible(s.world.Now()) {
			out.Messages = append(out.Messages, s.receive(q, m, time.Duration(hidden)*time.Second, slices.Concat(in.AttributeNames, in.MessageSystemAttributeNames)))
		}
	}
	if len(out.Messages) == 0 && wait > 0 {
		if s.news[q.Name] == nil {
			s.news[q.Name] = make(chan struct{})
		}
		out.news, out.wait = s.news[q.Name], time.Duration(wait)*time.Second
	}
	return out, nil
}

func (s *Service) receive(q *queue, m *message, hidden time.Duration, names []string) Message {
	now := s.world.Now()
	m.Visible, m.Received = now.Add(hidden), m.Received+1
	if m.First.IsZero() {
		m.First = now
	}
	m.Handle = base64.StdEncoding.EncodeToString([]byte(q.Name + "|" + m.ID + "|" + s.world.Hex(16)))
	out := Message{MessageID: m.ID, ReceiptHandle: m.Handle, MD5OfBody: checksum(m.Body), Body: m.Body}
	all := map[string]string{
		"SenderId": m.Sender, "SentTimestamp": strconv.FormatInt(m.Sent.UnixMilli(), 10), "ApproximateReceiveCount": strconv.Itoa(m.Received),
		"ApproximateFirstReceiveTimestamp": strconv.FormatInt(m.First.UnixMilli(), 10),
	}
	for name, value := range all {
		if slices.Contains(names, name) || slices.Contains(names, "All") {
			if out.Attributes == nil {
				out.Attributes = map[string]string{}
			}
			out.Attributes[name] = value
		}
	}
	return out
}

// DeleteMessageInput names a message by a receipt.
type DeleteMessageInput struct {
	QueueURL      string `json:"QueueUrl"`
	ReceiptHandle string
}

func (s *Service) deleteMessage(_ context.Context, _ wire.Caller, in *DeleteMessageInput) (*Nothing, error) {
	q, err := s.find(in.QueueURL)
	if err != nil {
		return nil, err
	}
	if err := remove(q, in.ReceiptHandle); err != nil {
		return nil, err
	}
	return &Nothing{}, nil
}

// remove deletes a message. The handle of an earlier receipt is accepted and deletes nothing, and so is that of a message that
// is gone (https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_DeleteMessage.html).
func remove(q *queue, handle string) *wire.Error {
	raw, err := base64.StdEncoding.DecodeString(handle)
	if err != nil || !strings.HasPrefix(string(raw), q.Name+"|") {
		return wire.Errorf("ReceiptHandleIsInvalid", "The input receipt handle \"%s\" is not a valid receipt handle.", handle)
	}
	q.Messages = slices.DeleteFunc(q.Messages, func(m *message) bool { return m.Handle == handle })
	return nil
}

// DeleteMessageBatchEntry is one of several messages.
type DeleteMessageBatchEntry struct {
	ID            string `json:"Id"`
	ReceiptHandle string
}

// DeleteMessageBatchInput names messages by their receipts.
type DeleteMessageBatchInput struct {
	QueueURL string `json:"QueueUrl"`
	Entries  []DeleteMessageBatchEntry
}

// BatchDone is an entry that worked.
type BatchDone struct {
	ID string `json:"Id"`
}

// BatchFault is an entry that did not.
type BatchFault struct {
	ID          string `json:"Id"`
	SenderFault bool
	Code        string
	Message     string
}

// DeleteMessageBatchOutput tells what became of each.
type DeleteMessageBatchOutput struct {
	Successful []BatchDone
	Failed     []BatchFault
}

func (s *Service) deleteMessageBatch(_ context.Context, _ wire.Caller, in *DeleteMessageBatchInput) (*DeleteMessageBatchOutput, error) {
	q, err := s.find(in.QueueURL)
	if err != nil {
		return nil, err
	}
	const family = "AWS.SimpleQueueService."
	switch seen := map[string]bool{}; {
	case len(in.Entries) == 0:
		return nil, coded(family+"EmptyBatchRequest", wire.Errorf("EmptyBatchRequest", "There should be at least one DeleteMessageBatchRequestEntry in the request."))
	case len(in.Entries) > 10:
		return nil, coded(family+"TooManyEntriesInBatchRequest", wire.Errorf("TooManyEntriesInBatchRequest", "Maximum number of entries per request are 10. You have sent %d.", len(in.Entries)))
	default:
		for _, e := range in.Entries {
			if seen[e.ID] {
				return nil, coded(family+"BatchEntryIdsNotDistinct", wire.Errorf("BatchEntryIdsNotDistinct", "Id %s repeated.", e.ID))
			}
			seen[e.ID] = true
		}
	}
	out := &DeleteMessageBatchOutput{Successful: []BatchDone{}, Failed: []BatchFault{}}
	for _, e := range in.Entries {
		if fault := remove(q, e.ReceiptHandle); fault != nil {
			out.Failed = append(out.Failed, BatchFault{ID: e.ID, SenderFault: true, Code: fault.Code, Message: fault.Message})
			continue
		}
		out.Successful = append(out.Successful, BatchDone{e.ID})
	}
	return out, nil
}
