// Package events is Amazon EventBridge of the simulator, as far as it delivers what CloudTrail records: rules on the default event
// bus, whose targets are SQS queues.
//
// Inputs are rules of stacks and the world's trail events; outputs are messages in queues.
//
// Invariants: calls that only read are not delivered, as on AWS by default; events of IAM, which has no regions, are in us-east-1
// alone; a rule delivers what matches its whole pattern, if the policy of the queue lets it.
package events

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/eks-gitops/reconciler/internal/sim/aws/world"
)

// Options are what the service needs of its neighbours.
type Options struct {
	World *world.World
	// Record is an event as CloudTrail writes it.
	Record func(world.TrailEvent) json.RawMessage
	// Deliver sends a message to a queue in the name of a service and one of its resources.
	Deliver func(queueARN, service, source, body string, delay time.Duration) bool
}

// Service is EventBridge of one region.
type Service struct {
	Options
	state state
}

type state struct{ Rules map[string]*rule }

type rule struct {
	Name     string
	Pattern  string
	Disabled bool
	Targets  []target
}

type target struct{ Id, Arn string } //nolint:revive // the properties' own names

// New makes the service, registers it with the world and lets it watch the trail.
func New(o Options) *Service {
	s := &Service{Options: o, state: state{Rules: map[string]*rule{}}}
	o.World.Register(world.Part{
		Name: "events", State: &s.state, Durations: map[string]time.Duration{"events.delivery": 2 * time.Second},
		Loaded: func() error {
			if s.state.Rules == nil {
				s.state.Rules = map[string]*rule{}
			}
			return nil
		},
	})
	o.World.WatchTrail(s.tell)
	return s
}

// event is the envelope of every event
// (https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-events-structure.html).
type event struct {
	Version    string          `json:"version"`
	ID         string          `json:"id"`
	DetailType string          `json:"detail-type"`
	Source     string          `json:"source"`
	Account    string          `json:"account"`
	Time       string          `json:"time"`
	Region     string          `json:"region"`
	Resources  []string        `json:"resources"`
	Detail     json.RawMessage `json:"detail"`
}

// tell delivers a call to the queues of every rule that it matches.
func (s *Service) tell(e world.TrailEvent) {
	service, _, _ := strings.Cut(e.Source, ".")
	if e.ReadOnly || len(s.state.Rules) == 0 || service == "iam" && s.World.Region != "us-east-1" {
		return
	}
	out := event{
		Version: "0", ID: e.ID, DetailType: "AWS API Call via CloudTrail", Source: "aws." + service, Account: s.World.Account,
		Time: e.Time.UTC().Format(time.RFC3339), Region: s.World.Region, Resources: []string{}, Detail: s.Record(e),
	}
	body, err := json.Marshal(out)
	if err != nil {
		s.World.Log().Warn("encoding an event", "event", e.Name, "error", err)
		return
	}
	var tree map[string]any
	if err := json.Unmarshal(body, &tree); err != nil {
		s.World.Log().Warn("reading an event", "event", e.Name, "error", err)
		return
	}
	for _, name := range slices.Sorted(maps.Keys(s.state.Rules)) {
		r := s.state.Rules[name]
		pattern, err := parse(r.Pattern)
		if err != nil || r.Disabled || !pattern.matches(tree) {
			continue
		}
		for _, t := range r.Targets {
			if !s.Deliver(t.Arn, "events.amazonaws.com", s.arn(r.Name), string(body), s.World.Duration("events.delivery")) {
				s.World.Log().Warn("an event could not be delivered", "rule", r.Name, "target", t.Arn)
			}
		}
	}
}

func (s *Service) arn(rule string) string { return s.World.ARN("events", "rule/"+rule) }
