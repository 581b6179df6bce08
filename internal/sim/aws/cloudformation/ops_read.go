package cloudformation

import (
	"context"
	"maps"
	"slices"

	"github.com/eks-gitops/reconciler/internal/sim/aws/wire"
)

// pageSize is how many entries the list operations give at once; DescribeStackEvents and ListStacks document 1 MB or 100.
const pageSize = 100

// Stack is a stack as DescribeStacks shows it.
type Stack struct {
	StackID                     string `xml:"StackId"`
	StackName                   string
	ChangeSetID                 string                `xml:"ChangeSetId,omitempty"`
	Description                 string                `xml:"Description,omitempty"`
	Parameters                  []Parameter           `xml:"Parameters>member,omitempty"`
	CreationTime                *wire.Time            `xml:"CreationTime"`
	DeletionTime                *wire.Time            `xml:"DeletionTime,omitempty"`
	LastUpdatedTime             *wire.Time            `xml:"LastUpdatedTime,omitempty"`
	RollbackConfiguration       RollbackConfiguration `xml:"RollbackConfiguration"`
	StackStatus                 string
	StackStatusReason           string `xml:"StackStatusReason,omitempty"`
	DisableRollback             bool
	NotificationARNs            []string         `xml:"NotificationARNs>member,omitempty"`
	TimeoutInMinutes            int              `xml:"TimeoutInMinutes,omitempty"`
	Capabilities                []string         `xml:"Capabilities>member,omitempty"`
	Outputs                     []Output         `xml:"Outputs>member,omitempty"`
	RoleARN                     string           `xml:"RoleARN,omitempty"`
	Tags                        []Tag            `xml:"Tags>member,omitempty"`
	EnableTerminationProtection bool             `xml:"EnableTerminationProtection"`
	DriftInformation            DriftInformation `xml:"DriftInformation"`
}

// DriftInformation says that drift was never looked for.
type DriftInformation struct {
	StackDriftStatus string
}

// ResourceDrift is DriftInformation of a resource.
type ResourceDrift struct {
	StackResourceDriftStatus string
}

const notChecked = "NOT_CHECKED"

func (s *Service) show(st *stack) Stack {
	t, _ := st.Target.template() // nil before the first change set of a stack is executed
	out := Stack{
		StackID: st.ID, StackName: st.Name, ChangeSetID: st.ChangeSetID, CreationTime: wire.At(st.Created),
		DeletionTime: wire.At(st.Deleted), LastUpdatedTime: wire.At(st.Updated), StackStatus: st.Status, StackStatusReason: st.Reason,
		DisableRollback: st.DisableRollback, NotificationARNs: st.Target.Notifications, TimeoutInMinutes: st.TimeoutMinutes,
		Capabilities: st.Target.Capabilities, Outputs: st.Outputs, RoleARN: st.Target.RoleARN, Tags: st.Target.Tags,
		EnableTerminationProtection: st.Protected, DriftInformation: DriftInformation{StackDriftStatus: notChecked},
	}
	if t == nil {
		return out
	}
	out.Description = t.Description
	out.Parameters = shownParameters(&st.Target)
	return out
}

func shownParameters(want *target) []Parameter {
	t, err := want.template()
	if err != nil {
		return nil
	}
	var out []Parameter
	for _, name := range slices.Sorted(maps.Keys(t.Parameters)) {
		p := t.Parameters[name]
		value, ok := want.Parameters[name]
		if !ok && p.Default != nil {
			value = *p.Default
		}
		if p.NoEcho {
			value = "****"
		}
		out = append(out, Parameter{ParameterKey: name, ParameterValue: value})
	}
	return out
}

// StackNameInput is the request of operations that read one stack in pages.
type StackNameInput struct {
	StackName string
	NextToken string
}

// DescribeStacksOutput is the answer of DescribeStacks.
type DescribeStacksOutput struct {
	Stacks    []Stack `xml:"Stacks>member"`
	NextToken string  `xml:"NextToken,omitempty"`
}

// DescribeStacks shows one stack, or all that are not deleted.
func (s *Service) DescribeStacks(_ context.Context, _ wire.Caller, in *StackNameInput) (*DescribeStacksOutput, error) {
	if in.StackName != "" {
		st, ok := s.find(in.StackName)
		if !ok {
			return nil, noStackWithID(in.StackName)
		}
		return &DescribeStacksOutput{Stacks: []Stack{s.show(st)}}, nil
	}
	out := &DescribeStacksOutput{}
	live := slices.DeleteFunc(slices.Collect(maps.Values(s.state.Stacks)), func(st *stack) bool { return st.Status == "DELETE_COMPLETE" })
	part, next, err := page(live, (*stack).order, in.NextToken)
	if err != nil {
		return nil, err
	}
	for _, st := range part {
		out.Stacks = append(out.Stacks, s.show(st))
	}
	out.NextToken = next
	return out, nil
}

func noStackWithID(name string) error { return invalid("Stack with id %s does not exist", name) }

// ListStacksInput is the request of ListStacks.
type ListStacksInput struct {
	NextToken         string
	StackStatusFilter []string
}

// StackSummary is a stack as ListStacks shows it.
type StackSummary struct {
	StackID             string `xml:"StackId"`
	StackName           string
	TemplateDescription string     `xml:"TemplateDescription,omitempty"`
	CreationTime        *wire.Time `xml:"CreationTime"`
	LastUpdatedTime     *wire.Time `xml:"LastUpdatedTime,omitempty"`
	DeletionTime        *wire.Time `xml:"DeletionTime,omitempty"`
	StackStatus         string
	StackStatusReason   string           `xml:"StackStatusReason,omitempty"`
	DriftInformation    DriftInformation `xml:"DriftInformation"`
}

// ListStacksOutput is the answer of ListStacks.
type ListStacksOutput struct {
	StackSummaries []StackSummary `xml:"StackSummaries>member"`
	NextToken      string         `xml:"NextToken,omitempty"`
}

// ListStacks lists stacks, deleted ones included, newest first.
func (s *Service) ListStacks(_ context.Context, _ wire.Caller, in *ListStacksInput) (*ListStacksOutput, error) {
	found := slices.Collect(maps.Values(s.state.Stacks))
	if len(in.StackStatusFilter) > 0 {
		found = slices.DeleteFunc(found, func(st *stack) bool { return !slices.Contains(in.StackStatusFilter, st.Status) })
	}
	part, next, err := page(found, (*stack).order, in.NextToken)
	if err != nil {
		return nil, err
	}
	out := &ListStacksOutput{NextToken: next}
	for _, st := range part {
		full := s.show(st)
		out.StackSummaries = append(out.StackSummaries, StackSummary{
			StackID: st.ID, StackName: st.Name, TemplateDescription: full.Description, CreationTime: full.CreationTime,
			LastUpdatedTime: full.LastUpdatedTime, DeletionTime: full.DeletionTime, StackStatus: st.Status,
			StackStatusReason: st.Reason, DriftInformation: full.DriftInformation,
		})
	}
	return out, nil
}

// StackEvent is an event of a stack.
type StackEvent struct {
	StackID              string `xml:"StackId"`
	EventID              string `xml:"EventId"`
	StackName            string
	LogicalResourceID    string     `xml:"LogicalResourceId"`
	PhysicalResourceID   string     `xml:"PhysicalResourceId"`
	ResourceType         string     `xml:"ResourceType"`
	Timestamp            *wire.Time `xml:"Timestamp"`
	ResourceStatus       string     `xml:"ResourceStatus"`
	ResourceStatusReason string     `xml:"ResourceStatusReason,omitempty"`
	ResourceProperties   string     `xml:"ResourceProperties,omitempty"`
	ClientRequestToken   string     `xml:"ClientRequestToken,omitempty"`
}

// DescribeStackEventsOutput is the answer of DescribeStackEvents.
type DescribeStackEventsOutput struct {
	StackEvents []StackEvent `xml:"StackEvents>member"`
	NextToken   string       `xml:"NextToken,omitempty"`
}

// DescribeStackEvents lists a stack's events, newest first.
func (s *Service) DescribeStackEvents(_ context.Context, _ wire.Caller, in *StackNameInput) (*DescribeStackEventsOutput, error) {
	st, ok := s.find(in.StackName)
	if !ok {
		return nil, invalid("Stack [%s] does not exist", in.StackName)
	}
	var numbers []int // an event's place is for ever, since events are only added
	for n := range st.Events {
		numbers = append(numbers, n)
	}
	part, next, err := page(numbers, func(n int) string { return wire.Descending(int64(n)) }, in.NextToken)
	if err != nil {
		return nil, err
	}
	out := &DescribeStackEventsOutput{NextToken: next}
	for _, n := range part {
		e := st.Events[n]
		out.StackEvents = append(out.StackEvents, StackEvent{
			StackID: st.ID, EventID: e.ID, StackName: st.Name, LogicalResourceID: e.LogicalID, PhysicalResourceID: e.PhysicalID,
			ResourceType: e.Type, Timestamp: wire.At(e.Time), ResourceStatus: e.Status, ResourceStatusReason: e.Reason,
			ResourceProperties: e.Properties, ClientRequestToken: e.Token,
		})
	}
	return out, nil
}

// ExportsInput is the request of ListExports.
type ExportsInput struct {
	NextToken string
}

// Export is an exported output.
type Export struct {
	ExportingStackID string `xml:"ExportingStackId"`
	Name             string
	Value            string
}

// ListExportsOutput is the answer of ListExports.
type ListExportsOutput struct {
	Exports   []Export `xml:"Exports>member"`
	NextToken string   `xml:"NextToken,omitempty"`
}

// ListExports lists all exports of the region by name.
func (s *Service) ListExports(_ context.Context, _ wire.Caller, in *ExportsInput) (*ListExportsOutput, error) {
	exports := map[string]Export{}
	for _, st := range s.state.Stacks {
		for _, out := range st.Outputs {
			if out.ExportName != "" {
				exports[out.ExportName] = Export{ExportingStackID: st.ID, Name: out.ExportName, Value: out.OutputValue}
			}
		}
	}
	names, next, err := pageNames(slices.Collect(maps.Keys(exports)), in.NextToken)
	if err != nil {
		return nil, err
	}
	out := &ListExportsOutput{NextToken: next}
	for _, name := range names {
		out.Exports = append(out.Exports, exports[name])
	}
	return out, nil
}

// ListImportsInput is the request of ListImports.
type ListImportsInput struct {
	ExportName string
	NextToken  string
}

// ListImportsOutput is the answer of ListImports.
type ListImportsOutput struct {
	Imports   []string `xml:"Imports>member"`
	NextToken string   `xml:"NextToken,omitempty"`
}

// ListImports lists the stacks that import an export.
func (s *Service) ListImports(_ context.Context, _ wire.Caller, in *ListImportsInput) (*ListImportsOutput, error) {
	users := s.importers(nil, in.ExportName)
	if len(users) == 0 {
		return nil, invalid("Export '%s' is not imported by any stack.", in.ExportName)
	}
	part, next, err := pageNames(users, in.NextToken)
	return &ListImportsOutput{Imports: part, NextToken: next}, err
}
