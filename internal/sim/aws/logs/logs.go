// Package logs is Amazon CloudWatch Logs of the simulator: log groups with their retention and tags. Nothing is logged into
// them.
//
// Inputs are the operations of the CloudWatch Logs API and Ensure, by which EKS makes the group of a cluster's control
// plane logs; outputs are log groups.
//
// Invariant: names are unique, and retention is one of the periods that the service offers.
package logs

import (
	"context"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/eks-gitops/reconciler/internal/sim/aws/wire"
	"github.com/eks-gitops/reconciler/internal/sim/aws/world"
)

// Service is CloudWatch Logs of one region. Its methods run under the world's lock.
type Service struct {
	world *world.World
	state state
}

type state struct{ Groups map[string]*group }

type group struct {
	Name      string
	Created   time.Time
	Retention int // days; 0 means for ever
	KeyID     string
	Class     string
	Tags      world.Tags
}

// New makes the service and registers it with the world.
func New(w *world.World) *Service {
	s := &Service{world: w, state: state{Groups: map[string]*group{}}}
	w.Register(world.Part{Name: "logs", State: &s.state, Loaded: func() error {
		if s.state.Groups == nil {
			s.state.Groups = map[string]*group{}
		}
		return nil
	}})
	return s
}

// API is the service as the wire sees it.
func (s *Service) API() *wire.Service {
	api := &wire.Service{Name: "logs", Protocol: wire.JSON, Target: "Logs_20140328"}
	api.Operation("CreateLogGroup", wire.Handle(s.createLogGroup))
	api.Operation("DeleteLogGroup", wire.Handle(s.deleteLogGroup))
	api.Operation("DescribeLogGroups", wire.Handle(s.describeLogGroups))
	api.Operation("PutRetentionPolicy", wire.Handle(s.putRetentionPolicy))
	api.Operation("DeleteRetentionPolicy", wire.Handle(s.deleteRetentionPolicy))
	api.Operation("TagResource", wire.Handle(s.tagResource))
	api.Operation("UntagResource", wire.Handle(s.untagResource))
	api.Operation("ListTagsForResource", wire.Handle(s.listTagsForResource))
	return api
}

var namePattern = regexp.MustCompile(`^[\.\-_/#A-Za-z0-9]{1,512}$`)

// retentions are the periods on offer
// (https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutRetentionPolicy.html).
func retentions() []int {
	return []int{1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653}
}

// Ensure makes a log group unless it exists.
func (s *Service) Ensure(name string) error {
	if _, ok := s.state.Groups[name]; ok {
		return nil
	}
	return s.create(CreateLogGroupInput{LogGroupName: name})
}

// Nothing is an empty answer.
type Nothing struct{}

// CreateLogGroupInput describes a new group.
type CreateLogGroupInput struct {
	LogGroupName  string            `json:"logGroupName"`
	KMSKeyID      string            `json:"kmsKeyId"`
	Tags          map[string]string `json:"tags"`
	LogGroupClass string            `json:"logGroupClass"`
}

func (s *Service) createLogGroup(_ context.Context, _ wire.Caller, in *CreateLogGroupInput) (*Nothing, error) {
	return &Nothing{}, s.create(*in)
}

func (s *Service) create(in CreateLogGroupInput) error {
	if !namePattern.MatchString(in.LogGroupName) {
		return wire.Errorf("InvalidParameterException", "1 validation error detected: Value '%s' at 'logGroupName' failed to satisfy constraint: Member must satisfy regular expression pattern: [\\.\\-_/#A-Za-z0-9]+", in.LogGroupName)
	}
	if _, ok := s.state.Groups[in.LogGroupName]; ok {
		return wire.Errorf("ResourceAlreadyExistsException", "The specified log group already exists")
	}
	class := in.LogGroupClass
	if class == "" {
		class = "STANDARD"
	}
	s.state.Groups[in.LogGroupName] = &group{Name: in.LogGroupName, Created: s.world.Now(), KeyID: in.KMSKeyID, Class: class, Tags: world.Tags(in.Tags).With()}
	return nil
}

func (s *Service) find(name string) (*group, error) {
	if g, ok := s.state.Groups[name]; ok {
		return g, nil
	}
	return nil, wire.Errorf("ResourceNotFoundException", "The specified log group does not exist.")
}

// GroupInput names a group.
type GroupInput struct {
	LogGroupName string `json:"logGroupName"`
}

func (s *Service) deleteLogGroup(_ context.Context, _ wire.Caller, in *GroupInput) (*Nothing, error) {
	g, err := s.find(in.LogGroupName)
	if err != nil {
		return nil, err
	}
	delete(s.state.Groups, g.Name)
	return &Nothing{}, nil
}

// PutRetentionPolicyInput sets how long a group keeps its events.
type PutRetentionPolicyInput struct {
	LogGroupName    string `json:"logGroupName"`
	RetentionInDays int    `json:"retentionInDays"`
}

func (s *Service) putRetentionPolicy(_ context.Context, _ wire.Caller, in *PutRetentionPolicyInput) (*Nothing, error) {
	if !slices.Contains(retentions(), in.RetentionInDays) {
		return nil, wire.Errorf("InvalidParameterException", "1 validation error detected: Value '%d' at 'retentionInDays' failed to satisfy constraint: Member must satisfy enum value set: %v", in.RetentionInDays, retentions())
	}
	g, err := s.find(in.LogGroupName)
	if err != nil {
		return nil, err
	}
	g.Retention = in.RetentionInDays
	return &Nothing{}, nil
}

func (s *Service) deleteRetentionPolicy(_ context.Context, _ wire.Caller, in *GroupInput) (*Nothing, error) {
	g, err := s.find(in.LogGroupName)
	if err != nil {
		return nil, err
	}
	g.Retention = 0
	return &Nothing{}, nil
}

// DescribeLogGroupsInput asks for groups by the beginning or a part of their names.
type DescribeLogGroupsInput struct {
	LogGroupNamePrefix  string `json:"logGroupNamePrefix"`
	LogGroupNamePattern string `json:"logGroupNamePattern"`
	LogGroupClass       string `json:"logGroupClass"`
	Limit               int    `json:"limit"`
	NextToken           string `json:"nextToken"`
}

// LogGroup is a group on the wire.
type LogGroup struct {
	LogGroupName      string `json:"logGroupName"`
	CreationTime      int64  `json:"creationTime"` // milliseconds since the epoch
	RetentionInDays   int    `json:"retentionInDays,omitempty"`
	MetricFilterCount int    `json:"metricFilterCount"`
	ARN               string `json:"arn"`
	StoredBytes       int64  `json:"storedBytes"`
	KMSKeyID          string `json:"kmsKeyId,omitempty"`
	LogGroupClass     string `json:"logGroupClass"`
	LogGroupARN       string `json:"logGroupArn"`
}

// DescribeLogGroupsOutput is one page of groups.
type DescribeLogGroupsOutput struct {
	LogGroups []LogGroup `json:"logGroups"`
	NextToken string     `json:"nextToken,omitempty"`
}

func (s *Service) describeLogGroups(_ context.Context, _ wire.Caller, in *DescribeLogGroupsInput) (*DescribeLogGroupsOutput, error) {
	limit := in.Limit
	if limit == 0 {
		limit = 50
	}
	if limit < 1 || limit > 50 || in.LogGroupNamePrefix != "" && in.LogGroupNamePattern != "" {
		return nil, wire.Errorf("InvalidParameterException", "limit is 1 to 50, and a prefix and a pattern exclude each other")
	}
	var found []*group
	for name, g := range s.state.Groups {
		if strings.HasPrefix(name, in.LogGroupNamePrefix) && strings.Contains(name, in.LogGroupNamePattern) && (in.LogGroupClass == "" || in.LogGroupClass == g.Class) {
			found = append(found, g)
		}
	}
	part, next, ok := wire.Page(found, func(g *group) string { return g.Name }, limit, in.NextToken)
	if !ok {
		return nil, wire.Errorf("InvalidParameterException", "The specified nextToken is invalid.")
	}
	out := &DescribeLogGroupsOutput{LogGroups: []LogGroup{}, NextToken: next}
	for _, g := range part {
		out.LogGroups = append(out.LogGroups, s.show(g))
	}
	return out, nil
}

func (s *Service) show(g *group) LogGroup {
	arn := s.world.ARN("logs", "log-group:"+g.Name)
	return LogGroup{
		LogGroupName: g.Name, CreationTime: g.Created.UnixMilli(), RetentionInDays: g.Retention, ARN: arn + ":*", KMSKeyID: g.KeyID,
		LogGroupClass: g.Class, LogGroupARN: arn,
	}
}

// TagResourceInput puts tags on a group.
type TagResourceInput struct {
	ResourceARN string            `json:"resourceArn"`
	Tags        map[string]string `json:"tags"`
}

func (s *Service) byARN(arn string) (*group, error) {
	name := strings.TrimPrefix(strings.TrimSuffix(arn, ":*"), s.world.ARN("logs", "log-group:"))
	return s.find(name)
}

func (s *Service) tagResource(_ context.Context, _ wire.Caller, in *TagResourceInput) (*Nothing, error) {
	g, err := s.byARN(in.ResourceARN)
	if err != nil {
		return nil, err
	}
	g.Tags = g.Tags.With(in.Tags)
	return &Nothing{}, nil
}

// UntagResourceInput takes tags off a group.
type UntagResourceInput struct {
	ResourceARN string   `json:"resourceArn"`
	TagKeys     []string `json:"tagKeys"`
}

func (s *Service) untagResource(_ context.Context, _ wire.Caller, in *UntagResourceInput) (*Nothing, error) {
	g, err := s.byARN(in.ResourceARN)
	if err != nil {
		return nil, err
	}
	g.Tags = g.Tags.Without(in.TagKeys...)
	return &Nothing{}, nil
}

// ListTagsForResourceInput asks for a group's tags.
type ListTagsForResourceInput struct {
	ResourceARN string `json:"resourceArn"`
}

// ListTagsForResourceOutput is a group's tags.
type ListTagsForResourceOutput struct {
	Tags map[string]string `json:"tags"`
}

func (s *Service) listTagsForResource(_ context.Context, _ wire.Caller, in *ListTagsForResourceInput) (*ListTagsForResourceOutput, error) {
	g, err := s.byARN(in.ResourceARN)
	if err != nil {
		return nil, err
	}
	return &ListTagsForResourceOutput{Tags: g.Tags.With()}, nil
}
