// Package sqs is Amazon Simple Queue Service of the simulator: standard queues with visibility timeouts, receipt handles, delays
// and long polling.
//
// Inputs are the operations of the SQS API (AWS JSON 1.0), queues and queue policies of stacks, and Deliver, by which EventBridge
// sends; outputs are messages.
//
// Invariants: a message is there until it is deleted with the receipt handle of its last receipt, or its retention is over; while
// its visibility timeout runs nobody else receives it; a service of AWS may send only what the policy of the queue allows.
package sqs

import (
	"context"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/eks-gitops/reconciler/internal/sim/aws/wire"
	"github.com/eks-gitops/reconciler/internal/sim/aws/world"
)

// Service is SQS of one region. Its methods run under the world's lock.
type Service struct {
	world *world.World
	state state
	// news are closed when a queue that somebody waits at may have a message, by the queue's name.
	news map[string]chan struct{}
}

type state struct{ Queues map[string]*queue }

type queue struct {
	Name             string
	Created, Changed time.Time
	Attributes       map[string]string // as set
	Tags             world.Tags
	Messages         []*message // oldest first
}

// New makes the service and registers it with the world.
func New(w *world.World) *Service {
	s := &Service{world: w, state: state{Queues: map[string]*queue{}}, news: map[string]chan struct{}{}}
	w.Register(world.Part{Name: "sqs", State: &s.state, Advance: s.advance, Loaded: func() error {
		if s.state.Queues == nil {
			s.state.Queues = map[string]*queue{}
		}
		return nil
	}})
	return s
}

// API is the service as the wire sees it. Sending, receiving and deleting messages are data events, which CloudTrail keeps only
// where a trail is told to.
func (s *Service) API() *wire.Service {
	api := &wire.Service{Name: "sqs", Protocol: wire.JSON, Target: "AmazonSQS"}
	api.Operation("CreateQueue", wire.Handle(s.createQueue))
	api.Operation("DeleteQueue", wire.Handle(s.deleteQueue))
	api.Operation("GetQueueAttributes", wire.Handle(s.getQueueAttributes))
	api.Operation("GetQueueUrl", wire.Handle(s.getQueueURL))
	for name, h := range map[string]wire.Handler{
		"DeleteMessage":      wire.Handle(s.deleteMessage),
		"DeleteMessageBatch": wire.Handle(s.deleteMessageBatch),
		"ReceiveMessage":     wire.Handle(s.receiveMessage),
		"SendMessage":        wire.Handle(s.sendMessage),
	} {
		api.Operation(name, h).Data = true
	}
	return api
}

// bounds are the attributes of a queue that are numbers, with their least, their greatest and their default value
// (https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SetQueueAttributes.html).
func bounds() map[string][3]int {
	return map[string][3]int{
		"DelaySeconds":                  {0, 900, 0},
		"MaximumMessageSize":            {1 << 10, 1 << 20, 1 << 20},
		"MessageRetentionPeriod":        {60, 1209600, 345600},
		"ReceiveMessageWaitTimeSeconds": {0, 20, 0},
		"VisibilityTimeout":             {0, 43200, 30},
	}
}

// check refuses attributes that AWS refuses, and those that are not simulated.
func check(attributes map[string]string) error {
	for name, value := range attributes {
		limits, numeric := bounds()[name]
		n, err := strconv.Atoi(value)
		switch {
		case numeric && (err != nil || n < limits[0] || n > limits[1]):
			return wire.Errorf("InvalidAttributeValue", "Invalid value for the parameter %s.", name)
		case numeric, name == "Policy", name == "SqsManagedSseEnabled":
		case slices.Contains([]string{"FifoQueue", "ContentBasedDeduplication", "RedrivePolicy", "RedriveAllowPolicy", "KmsMasterKeyId"}, name):
			return wire.Unsupported("attribute %s of queues", name)
		default:
			return wire.Errorf("InvalidAttributeName", "Unknown Attribute %s.", name)
		}
	}
	return nil
}

// number is a numeric attribute of a queue.
func (q *queue) number(name string) int {
	if n, err := strconv.Atoi(q.Attributes[name]); err == nil {
		return n
	}
	return bounds()[name][2]
}

// seconds is a numeric attribute as a time.
func (q *queue) seconds(name string) time.Duration {
	return time.Duration(q.number(name)) * time.Second
}

// coded gives an error the code that it had in the query protocol, which clients of SQS still tell it by
// (awsQueryCompatible in the service's model).
func coded(query string, err *wire.Error) *wire.Error {
	err.Query = query
	return err
}

func noQueue() error {
	return coded("AWS.SimpleQueueService.NonExistentQueue", wire.Errorf("QueueDoesNotExist", "The specified queue does not exist."))
}

// find takes the URL of a queue: its path is /ACCOUNT/NAME whatever the host.
func (s *Service) find(url string) (*queue, error) {
	parts := strings.Split(url, "/")
	if len(parts) < 2 {
		return nil, wire.StatusErrorf(404, "InvalidAddress", "The address %s is not valid for this endpoint.", url)
	}
	q, ok := s.state.Queues[parts[len(parts)-1]]
	if !ok || parts[len(parts)-2] != s.world.Account {
		return nil, noQueue()
	}
	return q, nil
}

// url is where a queue is.
func (s *Service) url(name string) string {
	return "https://sqs." + s.world.Region + "." + s.world.DNSSuffix() + "/" + s.world.Account + "/" + name
}

func (s *Service) arn(name string) string { return s.world.ARN("sqs", name) }

// CreateQueueInput describes a new queue.
type CreateQueueInput struct {
	QueueName  string
	Attributes map[string]string
	Tags       map[string]string `json:"tags"`
}

// QueueURLOutput is the URL of a queue.
type QueueURLOutput struct {
	QueueURL string `json:"QueueUrl"`
}

var queueName = regexp.MustCompile(`^[A-Za-z0-9_-]{1,80}$`)

func (s *Service) createQueue(_ context.Context, _ wire.Caller, in *CreateQueueInput) (*QueueURLOutput, error) {
	if have, ok := s.state.Queues[in.QueueName]; ok {
		for name, value := range in.Attributes {
			if have.Attributes[name] != value {
				return nil, coded("QueueAlreadyExists", wire.Errorf("QueueNameExists", "A queue already exists with the same name and a different value for attribute %s", name))
			}
		}
		return &QueueURLOutput{s.url(in.QueueName)}, nil
	}
	if err := s.create(in.QueueName, in.Attributes, in.Tags); err != nil {
		return nil, err
	}
	return &QueueURLOutput{s.url(in.QueueName)}, nil
}

func (s *Service) create(name string, attributes map[string]string, tags world.Tags) error {
	if !queueName.MatchString(name) {
		return wire.Errorf("InvalidParameterValue", "Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length")
	}
	if err := check(attributes); err != nil {
		return err
	}
	now := s.world.Now()
	s.state.Queues[name] = &queue{Name: name, Created: now, Changed: now, Attributes: maps.Clone(attributes), Tags: tags.With()}
	if s.state.Queues[name].Attributes == nil {
		s.state.Queues[name].Attributes = map[string]string{}
	}
	return nil
}

// QueueInput names a queue.
type QueueInput struct {
	QueueURL string `json:"QueueUrl"`
}

// Nothing is an empty answer.
type Nothing struct{}

func (s *Service) deleteQueue(_ context.Context, _ wire.Caller, in *QueueInput) (*Nothing, error) {
	q, err := s.find(in.QueueURL)
	if err != nil {
		return nil, err
	}
	delete(s.state.Queues, q.Name)
	return &Nothing{}, nil
}

// GetQueueURLInput names a queue by its name.
type GetQueueURLInput struct {
	QueueName              string
	QueueOwnerAWSAccountID string `json:"QueueOwnerAWSAccountId"`
}

func (s *Service) getQueueURL(_ context.Context, _ wire.Caller, in *GetQueueURLInput) (*QueueURLOutput, error) {
	if _, ok := s.state.Queues[in.QueueName]; !ok || in.QueueOwnerAWSAccountID != "" && in.QueueOwnerAWSAccountID != s.world.Account {
		return nil, noQueue()
	}
	return &QueueURLOutput{s.url(in.QueueName)}, nil
}

// GetQueueAttributesInput asks for attributes of a queue.
type GetQueueAttributesInput struct {
	QueueURL       string `json:"QueueUrl"`
	AttributeNames []string
}

// GetQueueAttributesOutput is attributes of a queue.
type GetQueueAttributesOutput struct {
	Attributes map[string]string `json:",omitempty"`
}

func (s *Service) getQueueAttributes(_ context.Context, _ wire.Caller, in *GetQueueAttributesInput) (*GetQueueAttributesOutput, error) {
	q, err := s.find(in.QueueURL)
	if err != nil {
		return nil, err
	}
	all := s.show(q)
	out := &GetQueueAttributesOutput{Attributes: map[string]string{}}
	for _, name := range in.AttributeNames {
		if name == "All" {
			return &GetQueueAttributesOutput{Attributes: all}, nil
		}
		if value, ok := all[name]; ok {
			out.Attributes[name] = value
		}
	}
	return out, nil
}

// show is every attribute of a queue.
func (s *Service) show(q *queue) map[string]string {
	out := map[string]string{
		"QueueArn": s.arn(q.Name), "CreatedTimestamp": strconv.FormatInt(q.Created.Unix(), 10), "LastModifiedTimestamp": strconv.FormatInt(q.Changed.Unix(), 10),
		"SqsManagedSseEnabled": "true",
	}
	for name, limits := range bounds() {
		out[name] = strconv.Itoa(limits[2])
	}
	maps.Copy(out, q.Attributes)
	var visible, delayed, flying int
	for _, m := range q.Messages {
		switch {
		case m.visible(s.world.Now()):
			visible++
		case m.Received == 0:
			delayed++
		default:
			flying++
		}
	}
	out["ApproximateNumberOfMessages"] = strconv.Itoa(visible)
	out["ApproximateNumberOfMessagesDelayed"] = strconv.Itoa(delayed)
	out["ApproximateNumberOfMessagesNotVisible"] = strconv.Itoa(flying)
	return out
}
