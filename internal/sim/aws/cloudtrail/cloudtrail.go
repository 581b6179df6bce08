// Package cloudtrail is AWS CloudTrail's event history of the simulator: what was changed through the APIs, by whom, and with
// what result.
//
// Inputs are the world's trail events; output is LookupEvents. Events of operations that only read are not kept, and of the
// others the newest thousand, where AWS keeps 90 days.
//
// Invariant: an event is delivered, that is found, only when the duration "cloudtrail.delivery" has passed since it happened.
package cloudtrail

import (
	"context"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/eks-gitops/reconciler/internal/sim/aws/wire"
	"github.com/eks-gitops/reconciler/internal/sim/aws/world"
)

const (
	maxEvents = 1000
	// maxParameters is the size above which CloudTrail leaves parameters out (100 KB there; a stack's template fits).
	maxParameters = 8 << 10
)

// Service is CloudTrail of one region. Its methods run under the world's lock.
type Service struct {
	world *world.World
	state state
}

type state struct {
	Events    []world.TrailEvent // oldest first
	Forgotten int                // how many there were before them
}

// New makes the service, registers it with the world and lets it watch the trail.
func New(w *world.World) *Service {
	s := &Service{world: w}
	w.Register(world.Part{Name: "cloudtrail", State: &s.state, Durations: map[string]time.Duration{"cloudtrail.delivery": 3 * time.Minute}})
	w.WatchTrail(s.keep)
	return s
}

func (s *Service) keep(e world.TrailEvent) {
	if e.ReadOnly {
		return
	}
	e = trimmed(e)
	if e.Resources == nil {
		e.Resources = resources(e)
	}
	if over := len(s.state.Events) - maxEvents + 1; over > 0 {
		s.state.Events = slices.Delete(s.state.Events, 0, over)
		s.state.Forgotten += over
	}
	s.state.Events = append(s.state.Events, e)
}

func trimmed(e world.TrailEvent) world.TrailEvent {
	e.Request, e.Response = bounded(e.Request), bounded(e.Response)
	return e
}

// bounded leaves out what is empty, as CloudTrail does, and all of what is too large.
func bounded(raw json.RawMessage) json.RawMessage {
	var tree any
	if len(raw) == 0 || json.Unmarshal(raw, &tree) != nil {
		return nil
	}
	small, err := json.Marshal(prune(tree))
	switch {
	case err != nil:
		return nil
	case len(small) > maxParameters:
		return json.RawMessage(`{"requestParameters":"omitted due to size"}`)
	}
	return small
}

// prune removes members that say nothing: null, "" and empty lists and objects.
func prune(tree any) any {
	object, ok := tree.(map[string]any)
	if !ok {
		return tree
	}
	for key, value := range object {
		value = prune(value)
		list, isList := value.([]any)
		inner, isObject := value.(map[string]any)
		if value == nil || value == "" || isList && len(list) == 0 || isObject && len(inner) == 0 {
			delete(object, key)
			continue
		}
		object[key] = value
	}
	return object
}

// resources finds what an event is about: the names, ids and ARNs at the top of its parameters and answer.
func resources(e world.TrailEvent) []world.TrailResource {
	var out []world.TrailResource
	for _, raw := range []json.RawMessage{e.Request, e.Response} {
		var tree map[string]any
		if json.Unmarshal(raw, &tree) != nil {
			continue
		}
		out = collect(out, tree, 2)
	}
	slices.SortFunc(out, func(a, b world.TrailResource) int { return strings.Compare(a.Name, b.Name) })
	return slices.Compact(out)
}

func collect(out []world.TrailResource, tree map[string]any, depth int) []world.TrailResource {
	for key, value := range tree {
		switch v := value.(type) {
		case string:
			lower := strings.ToLower(key)
			named := strings.HasSuffix(lower, "name") || strings.HasSuffix(lower, "id") || strings.HasSuffix(lower, "arn")
			if v != "" && named && !strings.Contains(lower, "token") && !strings.Contains(lower, "request") {
				out = append(out, world.TrailResource{Name: v})
			}
		case map[string]any:
			if depth > 1 {
				out = collect(out, v, depth-1)
			}
		}
	}
	return out
}

// API is the service as the wire sees it.
func (s *Service) API() *wire.Service {
	api := &wire.Service{Name: "cloudtrail", Protocol: wire.JSON, Target: "com.amazonaws.cloudtrail.v20131101.CloudTrail_20131101"}
	api.Operation("LookupEvents", wire.Handle(s.lookupEvents))
	return api
}

// LookupAttribute selects events.
type LookupAttribute struct{ AttributeKey, AttributeValue string }

// LookupEventsInput asks for events, the newest first.
type LookupEventsInput struct {
	LookupAttributes []LookupAttribute
	StartTime        *wire.Time
	EndTime          *wire.Time
	MaxResults       int
	NextToken        string
}

// Resource is what an event is about.
type Resource struct {
	ResourceType string `json:",omitempty"`
	ResourceName string
}

// Event is one event.
type Event struct {
	EventID         string `json:"EventId"`
	EventName       string
	ReadOnly        string
	AccessKeyID     string     `json:"AccessKeyId,omitempty"`
	EventTime       *wire.Time `json:",omitempty"`
	EventSource     string
	Username        string `json:",omitempty"`
	Resources       []Resource
	CloudTrailEvent string
}

// LookupEventsOutput is one page of events.
type LookupEventsOutput struct {
	Events    []Event
	NextToken string `json:",omitempty"`
}

func (s *Service) lookupEvents(_ context.Context, _ wire.Caller, in *LookupEventsInput) (*LookupEventsOutput, error) {
	size, err := window(in)
	if err != nil {
		return nil, err
	}
	matches, err := matcher(in.LookupAttributes)
	if err != nil {
		return nil, err
	}
	delivered := s.world.Now().Add(-s.world.Duration("cloudtrail.delivery"))
	var found []int
	for i, e := range s.state.Events {
		if !e.Time.After(delivered) && within(e.Time, in) && matches(e) {
			found = append(found, i)
		}
	}
	newest := func(i int) string { return wire.Descending(int64(s.state.Forgotten + i)) } // counted from the first that ever was
	part, next, ok := wire.Page(found, newest, size, in.NextToken)
	if !ok {
		return nil, wire.Errorf("InvalidNextTokenException", "The NextToken is not valid.")
	}
	out := &LookupEventsOutput{Events: []Event{}, NextToken: next}
	for _, i := range part {
		out.Events = append(out.Events, s.show(s.state.Events[i]))
	}
	return out, nil
}

// window checks how much is asked for, and of what time; it gives the size of a page.
func window(in *LookupEventsInput) (size int, err error) {
	if size = in.MaxResults; size == 0 {
		size = 50
	}
	if size < 1 || size > 50 {
		return 0, wire.Errorf("InvalidMaxResultsException", "A valid number for MaxResults is 1 to 50.")
	}
	if in.StartTime != nil && in.EndTime != nil && in.EndTime.Before(in.StartTime.Time) {
		return 0, wire.Errorf("InvalidTimeRangeException", "The start time must be before the end time.")
	}
	return size, nil
}

func within(t time.Time, in *LookupEventsInput) bool {
	return (in.StartTime == nil || !t.Before(in.StartTime.Time)) && (in.EndTime == nil || !t.After(in.EndTime.Time))
}

// matcher turns the one lookup attribute that CloudTrail allows into a test.
func matcher(attributes []LookupAttribute) (func(world.TrailEvent) bool, error) {
	if len(attributes) == 0 {
		return func(world.TrailEvent) bool { return true }, nil
	}
	if len(attributes) > 1 {
		return nil, wire.Errorf("InvalidLookupAttributesException", "You can only provide one lookup attribute.")
	}
	want := attributes[0].AttributeValue
	fields := map[string]func(world.TrailEvent) string{
		"EventId":     func(e world.TrailEvent) string { return e.ID },
		"EventName":   func(e world.TrailEvent) string { return e.Name },
		"EventSource": func(e world.TrailEvent) string { return e.Source },
		"Username":    func(e world.TrailEvent) string { return e.User },
		"AccessKeyId": func(e world.TrailEvent) string { return e.AccessKey },
		"ReadOnly":    func(e world.TrailEvent) string { return strconv.FormatBool(e.ReadOnly) },
	}
	if field, ok := fields[attributes[0].AttributeKey]; ok {
		return func(e world.TrailEvent) bool { return field(e) == want }, nil
	}
	switch attributes[0].AttributeKey {
	case "ResourceName":
		return func(e world.TrailEvent) bool {
			return slices.ContainsFunc(e.Resources, func(r world.TrailResource) bool { return r.Name == want })
		}, nil
	case "ResourceType":
		return func(e world.TrailEvent) bool {
			return slices.ContainsFunc(e.Resources, func(r world.TrailResource) bool { return r.Type == want })
		}, nil
	}
	return nil, wire.Errorf("InvalidLookupAttributesException", "%s is not a lookup attribute.", attributes[0].AttributeKey)
}

func (s *Service) show(e world.TrailEvent) Event {
	out := Event{
		EventID: e.ID, EventName: e.Name, ReadOnly: strconv.FormatBool(e.ReadOnly), AccessKeyID: e.AccessKey, EventTime: wire.At(e.Time),
		EventSource: e.Source, Username: e.User, Resources: []Resource{}, CloudTrailEvent: string(s.Record(e)),
	}
	for _, r := range e.Resources {
		out.Resources = append(out.Resources, Resource{ResourceType: r.Type, ResourceName: r.Name})
	}
	return out
}

// Record is an event in CloudTrail's own record format
// (https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-record-contents.html).
func (s *Service) Record(e world.TrailEvent) json.RawMessage {
	e = trimmed(e)
	record := map[string]any{
		"eventVersion": "1.11", "userIdentity": s.identity(e),
		"eventTime": e.Time.UTC().Format(time.RFC3339), "eventSource": e.Source, "eventName": e.Name, "awsRegion": s.world.Region,
		"sourceIPAddress": orText(e.InvokedBy, "127.0.0.1"), "userAgent": orText(e.InvokedBy, e.Agent), "requestID": e.RequestID, "eventID": e.ID, "readOnly": e.ReadOnly,
		"eventType": "AwsApiCall", "managementEvent": true, "recipientAccountId": s.world.Account, "eventCategory": "Management",
		"requestParameters": e.Request, "responseElements": e.Response,
	}
	if e.ErrorCode != "" {
		record["errorCode"], record["errorMessage"] = e.ErrorCode, e.ErrorMessage
	}
	raw, err := json.Marshal(record)
	if err != nil {
		return json.RawMessage("{}")
	}
	return raw
}

// identity is who called: a user, or a session of a role, maybe through a service that acts in its name
// (https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-user-identity.html).
func (s *Service) identity(e world.TrailEvent) map[string]any {
	who := map[string]any{"type": "IAMUser", "arn": e.Principal, "accountId": s.world.Account, "accessKeyId": e.AccessKey, "userName": e.User}
	if _, session, ok := strings.Cut(e.Principal, ":assumed-role/"); ok {
		role, _, _ := strings.Cut(session, "/")
		who["type"] = "AssumedRole"
		delete(who, "userName")
		who["sessionContext"] = map[string]any{"sessionIssuer": map[string]any{
			"type": "Role", "arn": s.world.GlobalARN("iam", "role/"+role), "accountId": s.world.Account, "userName": role,
		}}
	}
	if e.InvokedBy != "" {
		who["invokedBy"] = e.InvokedBy
	}
	return who
}

func orText(v, def string) string {
	if v == "" {
		return def
	}
	return v
}
