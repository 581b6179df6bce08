package cloudformation

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/eks-gitops/reconciler/internal/sim/aws/wire"
)

// CreateChangeSetInput is the request of CreateChangeSet.
type CreateChangeSetInput struct {
	StackName             string
	TemplateBody          string
	TemplateURL           string
	UsePreviousTemplate   bool
	Parameters            []Parameter
	Capabilities          []string
	ResourceTypes         []string
	RoleARN               string
	RollbackConfiguration *RollbackConfiguration
	NotificationARNs      []string
	Tags                  []Tag
	ChangeSetName         string
	ClientToken           string
	Description           string
	ChangeSetType         string
	OnStackFailure        string
	IncludeNestedStacks   bool
}

// CreateChangeSetOutput is the answer of CreateChangeSet.
type CreateChangeSetOutput struct {
	ID      string `xml:"Id"`
	StackID string `xml:"StackId"`
}

// CreateChangeSet works out, in its own time, what an update or a creation would do.
func (s *Service) CreateChangeSet(_ context.Context, _ wire.Caller, in *CreateChangeSetInput) (*CreateChangeSetOutput, error) {
	if !stackName.MatchString(in.ChangeSetName) {
		return nil, invalid("1 validation error detected: Value '%s' at 'changeSetName' failed to satisfy constraint: Member must satisfy regular expression pattern: [a-zA-Z][-a-zA-Z0-9]*", in.ChangeSetName)
	}
	st, err := s.changeSetStack(in)
	if err != nil {
		return nil, err
	}
	want, err := s.target(st, request{
		body: in.TemplateBody, url: in.TemplateURL, previous: in.UsePreviousTemplate, parameters: in.Parameters,
		capabilities: in.Capabilities, tags: in.Tags, role: in.RoleARN, notifications: in.NotificationARNs,
	})
	if err != nil {
		return nil, err
	}
	if st == nil {
		st = s.newStack(in.StackName)
		s.setStack(st, "REVIEW_IN_PROGRESS", "User Initiated")
	}
	if old := s.changeSetNamed(st.ID, in.ChangeSetName); old != nil {
		if old.Execution != "EXECUTE_COMPLETE" && old.Execution != "EXECUTE_FAILED" {
			return nil, wire.Errorf("AlreadyExistsException", "ChangeSet %s already exists", in.ChangeSetName)
		}
		delete(s.state.ChangeSets, old.ID)
	}
	cs := &changeSet{
		ID:   s.world.ARN("cloudformation", "changeSet/"+in.ChangeSetName+"/"+s.world.UUID()),
		Name: in.ChangeSetName, StackID: st.ID, StackName: st.Name, Type: in.ChangeSetType, Description: in.Description,
		OnStackFailure: in.OnStackFailure, Want: want, Status: "CREATE_PENDING", Execution: "UNAVAILABLE", Created: s.world.Now(),
	}
	s.state.ChangeSets[cs.ID] = cs
	return &CreateChangeSetOutput{ID: cs.ID, StackID: st.ID}, nil
}

// changeSetStack finds the stack a change set is for; nil means it is to be made.
func (s *Service) changeSetStack(in *CreateChangeSetInput) (*stack, error) {
	st, ok := s.find(in.StackName)
	switch {
	case in.ChangeSetType == "IMPORT":
		return nil, wire.Unsupported("change sets of type IMPORT")
	case in.ChangeSetType == "CREATE" && !ok:
		return nil, checkStackName(in.StackName)
	case in.ChangeSetType == "CREATE" && st.Status != "REVIEW_IN_PROGRESS":
		return nil, invalid("Stack [%s] already exists and cannot be created again with the changeSet [%s].", st.Name, in.ChangeSetName)
	case in.ChangeSetType == "CREATE":
		return st, nil
	case !ok || st.Status == "DELETE_COMPLETE":
		return nil, invalid("Stack [%s] does not exist", in.StackName)
	}
	return st, updatable(st)
}

// settleChangeSet computes a change set whose time has come.
func (s *Service) settleChangeSet(cs *changeSet) bool {
	if cs.Status != "CREATE_PENDING" && cs.Status != "CREATE_IN_PROGRESS" {
		return false
	}
	if s.before(cs.Created, "cloudformation.changeset") {
		moved := cs.Status == "CREATE_PENDING"
		cs.Status = "CREATE_IN_PROGRESS"
		return moved
	}
	st := s.state.Stacks[cs.StackID]
	changes, differs, err := s.compare(st, &cs.Want)
	switch {
	case err != nil:
		cs.Status, cs.Reason = "FAILED", failureText(err)
	case len(changes) == 0 && !differs:
		cs.Status, cs.Reason = "FAILED", "The submitted information didn't contain changes. Submit different information to create a change set."
	default:
		cs.Status, cs.Execution, cs.Changes = "CREATE_COMPLETE", "AVAILABLE", changes
	}
	return true
}

func (s *Service) changeSetNamed(stackID, name string) *changeSet {
	for _, cs := range s.state.ChangeSets {
		if cs.StackID == stackID && cs.Name == name {
			return cs
		}
	}
	return nil
}

// ChangeSetRef names a change set.
type ChangeSetRef struct {
	ChangeSetName         string
	StackName             string
	NextToken             string
	IncludePropertyValues bool
}

func (s *Service) changeSet(in *ChangeSetRef) (*changeSet, error) {
	if strings.HasPrefix(in.ChangeSetName, "arn:") {
		if cs, ok := s.state.ChangeSets[in.ChangeSetName]; ok {
			return cs, nil
		}
		return nil, noChangeSet(in.ChangeSetName)
	}
	if in.StackName == "" {
		return nil, invalid("StackName must be specified if ChangeSetName is not specified as an ARN.")
	}
	st, ok := s.find(in.StackName)
	if !ok {
		return nil, invalid("Stack [%s] does not exist", in.StackName)
	}
	if cs := s.changeSetNamed(st.ID, in.ChangeSetName); cs != nil {
		return cs, nil
	}
	return nil, noChangeSet(in.ChangeSetName)
}

func noChangeSet(name string) error {
	return wire.StatusErrorf(404, "ChangeSetNotFound", "ChangeSet [%s] does not exist", name)
}

// DescribeChangeSetOutput is the answer of DescribeChangeSet.
type DescribeChangeSetOutput struct {
	ChangeSetName       string
	ChangeSetID         string                `xml:"ChangeSetId"`
	StackID             string                `xml:"StackId"`
	StackName           string                `xml:"StackName"`
	Description         string                `xml:"Description,omitempty"`
	Parameters          []Parameter           `xml:"Parameters>member,omitempty"`
	CreationTime        *wire.Time            `xml:"CreationTime"`
	ExecutionStatus     string                `xml:"ExecutionStatus"`
	Status              string                `xml:"Status"`
	StatusReason        string                `xml:"StatusReason,omitempty"`
	NotificationARNs    []string              `xml:"NotificationARNs>member,omitempty"`
	RollbackConfig      RollbackConfiguration `xml:"RollbackConfiguration"`
	Capabilities        []string              `xml:"Capabilities>member,omitempty"`
	Tags                []Tag                 `xml:"Tags>member,omitempty"`
	Changes             []Change              `xml:"Changes>member"`
	NextToken           string                `xml:"NextToken,omitempty"`
	IncludeNestedStacks bool                  `xml:"IncludeNestedStacks"`
	OnStackFailure      string                `xml:"OnStackFailure,omitempty"`
}

// DescribeChangeSet shows a change set.
func (s *Service) DescribeChangeSet(_ context.Context, _ wire.Caller, in *ChangeSetRef) (*DescribeChangeSetOutput, error) {
	cs, err := s.changeSet(in)
	if err != nil {
		return nil, err
	}
	changes, next, err := page(cs.Changes, func(c Change) string { return c.ResourceChange.LogicalResourceID }, in.NextToken)
	if err != nil {
		return nil, err
	}
	return &DescribeChangeSetOutput{
		ChangeSetName: cs.Name, ChangeSetID: cs.ID, StackID: cs.StackID, StackName: cs.StackName, Description: cs.Description,
		Parameters: shownParameters(&cs.Want), CreationTime: wire.At(cs.Created), ExecutionStatus: cs.Execution, Status: cs.Status,
		StatusReason: cs.Reason, NotificationARNs: cs.Want.Notifications, Capabilities: cs.Want.Capabilities, Tags: cs.Want.Tags,
		Changes: changes, NextToken: next, OnStackFailure: cs.OnStackFailure,
	}, nil
}

// ExecuteChangeSetInput is the request of ExecuteChangeSet.
type ExecuteChangeSetInput struct {
	ChangeSetName      string
	StackName          string
	ClientRequestToken string
	DisableRollback    bool
}

// ExecuteChangeSet does what a change set says. All other change sets of the stack are void by that, and are deleted.
func (s *Service) ExecuteChangeSet(_ context.Context, _ wire.Caller, in *ExecuteChangeSetInput) (*Nothing, error) {
	cs, err := s.changeSet(&ChangeSetRef{ChangeSetName: in.ChangeSetName, StackName: in.StackName})
	if err != nil {
		return nil, err
	}
	st := s.state.Stacks[cs.StackID]
	if cs.Execution != "AVAILABLE" {
		status := cs.Status
		if cs.Status == "CREATE_COMPLETE" {
			status = cs.Execution
		}
		return nil, wire.Errorf("InvalidChangeSetStatus", "ChangeSet [%s] cannot be executed in its current status of [%s]", cs.ID, status)
	}
	kind := kindUpdate
	if st.Status == "REVIEW_IN_PROGRESS" {
		kind = kindCreate
		st.Target, st.OnFailure, st.DisableRollback = cs.Want, cs.OnStackFailure, in.DisableRollback
		st.Created = s.world.Now()
	} else if err := updatable(st); err != nil {
		return nil, err
	}
	for _, id := range slices.Sorted(maps.Keys(s.state.ChangeSets)) {
		if other := s.state.ChangeSets[id]; other.StackID == st.ID && other != cs {
			delete(s.state.ChangeSets, id)
		}
	}
	cs.Execution = "EXECUTE_COMPLETE"
	st.ChangeSetID = cs.ID
	s.start(st, kind, cs.Want, in.ClientRequestToken, in.DisableRollback)
	return &Nothing{}, nil
}

// DeleteChangeSetInput names a change set to delete.
type DeleteChangeSetInput struct {
	ChangeSetName string
	StackName     string
}

// DeleteChangeSet deletes a change set that was not executed.
func (s *Service) DeleteChangeSet(_ context.Context, _ wire.Caller, in *DeleteChangeSetInput) (*Nothing, error) {
	cs, err := s.changeSet(&ChangeSetRef{ChangeSetName: in.ChangeSetName, StackName: in.StackName})
	if wire.Code(err) == "ChangeSetNotFound" {
		return &Nothing{}, nil
	}
	if err != nil {
		return nil, err
	}
	if cs.Execution == "EXECUTE_COMPLETE" && s.state.Stacks[cs.StackID].Op != nil {
		return nil, wire.Errorf("InvalidChangeSetStatus", "An operation on ChangeSet [%s] is currently in progress.", cs.ID)
	}
	delete(s.state.ChangeSets, cs.ID)
	return &Nothing{}, nil
}

// ChangeSetSummary is a change set as ListChangeSets shows it.
type ChangeSetSummary struct {
	StackID         string     `xml:"StackId"`
	StackName       string     `xml:"StackName"`
	ChangeSetID     string     `xml:"ChangeSetId"`
	ChangeSetName   string     `xml:"ChangeSetName"`
	ExecutionStatus string     `xml:"ExecutionStatus"`
	Status          string     `xml:"Status"`
	StatusReason    string     `xml:"StatusReason,omitempty"`
	CreationTime    *wire.Time `xml:"CreationTime"`
	Description     string     `xml:"Description,omitempty"`
}

// ListChangeSetsOutput is the answer of ListChangeSets.
type ListChangeSetsOutput struct {
	Summaries []ChangeSetSummary `xml:"Summaries>member"`
	NextToken string             `xml:"NextToken,omitempty"`
}

// ListChangeSets lists the change sets of a stack, oldest first.
func (s *Service) ListChangeSets(_ context.Context, _ wire.Caller, in *StackNameInput) (*ListChangeSetsOutput, error) {
	st, ok := s.find(in.StackName)
	if !ok {
		return nil, invalid("Stack [%s] does not exist", in.StackName)
	}
	var own []*changeSet
	for _, cs := range s.state.ChangeSets {
		if cs.StackID == st.ID {
			own = append(own, cs)
		}
	}
	order := func(cs *changeSet) string { return wire.Key(wire.Ascending(cs.Created.UnixNano()), cs.ID) }
	part, next, err := page(own, order, in.NextToken)
	if err != nil {
		return nil, err
	}
	out := &ListChangeSetsOutput{NextToken: next}
	for _, cs := range part {
		out.Summaries = append(out.Summaries, ChangeSetSummary{
			StackID: cs.StackID, StackName: cs.StackName, ChangeSetID: cs.ID, ChangeSetName: cs.Name, ExecutionStatus: cs.Execution,
			Status: cs.Status, StatusReason: cs.Reason, CreationTime: wire.At(cs.Created), Description: cs.Description,
		})
	}
	return out, nil
}
