package cloudformation

import (
	"context"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/eks-gitops/reconciler/internal/sim/aws/cloudformation/template"
	"github.com/eks-gitops/reconciler/internal/sim/aws/wire"
)

// Parameter is a parameter of a request or a stack.
type Parameter struct {
	ParameterKey     string
	ParameterValue   string `xml:"ParameterValue,omitempty"`
	UsePreviousValue bool   `xml:"-"`
	ResolvedValue    string `xml:"ResolvedValue,omitempty"`
}

// RollbackConfiguration is accepted, and shown again, without triggers.
type RollbackConfiguration struct {
	RollbackTriggers []struct {
		Arn  string
		Type string
	} `xml:"RollbackTriggers>member,omitempty"`
	MonitoringTimeInMinutes *int `xml:"MonitoringTimeInMinutes,omitempty"`
}

// StackID answers operations on a stack.
type StackID struct {
	StackID string `xml:"StackId"`
}

// Nothing answers operations without a result.
type Nothing struct{}

// CreateStackInput is the request of CreateStack.
type CreateStackInput struct {
	StackName                   string
	TemplateBody                string
	TemplateURL                 string
	Parameters                  []Parameter
	DisableRollback             bool
	RollbackConfiguration       *RollbackConfiguration
	TimeoutInMinutes            int
	NotificationARNs            []string
	Capabilities                []string
	ResourceTypes               []string
	RoleARN                     string
	OnFailure                   string
	Tags                        []Tag
	ClientRequestToken          string
	EnableTerminationProtection bool
}

var stackName = regexp.MustCompile(`^[a-zA-Z][-a-zA-Z0-9]{0,127}$`)

// CreateStack starts the creation of a stack.
func (s *Service) CreateStack(_ context.Context, _ wire.Caller, in *CreateStackInput) (*StackID, error) {
	if err := checkStackName(in.StackName); err != nil {
		return nil, err
	}
	if _, ok := s.find(in.StackName); ok {
		return nil, wire.Errorf("AlreadyExistsException", "Stack [%s] already exists", in.StackName)
	}
	if in.DisableRollback && in.OnFailure != "" {
		return nil, invalid("You can specify either DisableRollback or OnFailure, but not both.")
	}
	want, err := s.target(nil, request{
		body: in.TemplateBody, url: in.TemplateURL, parameters: in.Parameters, capabilities: in.Capabilities,
		tags: in.Tags, role: in.RoleARN, notifications: in.NotificationARNs,
	})
	if err != nil {
		return nil, err
	}
	st := s.newStack(in.StackName)
	st.Target, st.Protected, st.TimeoutMinutes, st.OnFailure = want, in.EnableTerminationProtection, in.TimeoutInMinutes, in.OnFailure
	st.DisableRollback = in.DisableRollback
	s.start(st, kindCreate, want, in.ClientRequestToken, in.DisableRollback)
	return &StackID{StackID: st.ID}, nil
}

func checkStackName(name string) error {
	if !stackName.MatchString(name) {
		return invalid("1 validation error detected: Value '%s' at 'stackName' failed to satisfy constraint: Member must satisfy regular expression pattern: [a-zA-Z][-a-zA-Z0-9]*", name)
	}
	return nil
}

func (s *Service) newStack(name string) *stack {
	st := &stack{
		ID:      s.world.ARN("cloudformation", "stack/"+name+"/"+s.world.UUID()),
		Name:    name,
		Created: s.world.Now(),
		Members: map[string]*member{},
	}
	s.state.Stacks[st.ID] = st
	return st
}

// start begins an operation; Advance carries it out.
func (s *Service) start(st *stack, kind string, want target, token string, disableRollback bool) {
	st.Op = &operation{
		Kind: kind, Stage: stageApply, Want: want, Steps: map[string]*step{}, Began: s.world.Now(),
		Token: token, DisableRollback: disableRollback,
	}
	status := "CREATE_IN_PROGRESS"
	if kind == kindUpdate {
		status = "UPDATE_IN_PROGRESS"
		st.Updated = s.world.Now()
	}
	s.setStack(st, status, "User Initiated")
	st.Reason = "User Initiated"
}

// request is what the operations that set a stack's target have in common.
type request struct {
	body, url     string
	previous      bool
	parameters    []Parameter
	capabilities  []string
	tags          []Tag
	role          string
	notifications []string
}

// target checks a request as the real service does before it accepts an operation.
func (s *Service) target(st *stack, r request) (target, error) {
	want := target{Body: r.body, Capabilities: r.capabilities, Tags: uniqueTags(r.tags), RoleARN: r.role, Notifications: r.notifications}
	switch {
	case r.previous && st != nil && st.Target.Body != "":
		want.Body = st.Target.Body
	case r.url != "":
		return want, invalid("S3 error: Access Denied\nFor more information check http://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html")
	case r.body == "":
		return want, invalid("Either Template URL or Template Body must be specified.")
	}
	if len(want.Body) > maxBody {
		return want, invalid("1 validation error detected: Value at 'templateBody' failed to satisfy constraint: Member must have length less than or equal to %d", maxBody)
	}
	t, err := s.check(want.Body)
	if err != nil {
		return want, err
	}
	want.parsed = t
	if want.Parameters, err = givenParameters(st, r.parameters); err != nil {
		return want, err
	}
	if _, err := t.Values(want.Parameters); err != nil {
		return want, refused(err)
	}
	if r.tags == nil && st != nil {
		want.Tags = st.Target.Tags // absent tags leave the stack's as they are
	}
	for _, tag := range want.Tags {
		if strings.HasPrefix(tag.Key, "aws:") {
			return want, invalid("aws: prefixed tag key names are not allowed for external use.")
		}
	}
	return want, checkCapabilities(t, r.capabilities)
}

// maxBody is the documented limit of TemplateBody.
const maxBody = 51200

func (s *Service) check(body string) (*template.Template, error) {
	t, err := template.Parse(body)
	if err != nil {
		return nil, refused(err)
	}
	return t, refused(t.Check(s.attributes))
}

// uniqueTags keeps one tag a key. Clients such as eksctl send a key twice; the later value counts.
func uniqueTags(tags []Tag) []Tag {
	var out []Tag
	for _, tag := range tags {
		if i := slices.IndexFunc(out, func(t Tag) bool { return t.Key == tag.Key }); i >= 0 {
			out[i].Value = tag.Value
			continue
		}
		out = append(out, tag)
	}
	return out
}

func givenParameters(st *stack, parameters []Parameter) (map[string]string, error) {
	given := map[string]string{}
	for _, p := range parameters {
		if !p.UsePreviousValue {
			given[p.ParameterKey] = p.ParameterValue
			continue
		}
		if st == nil {
			return nil, invalid("Invalid input for parameter key %s. Cannot specify usePreviousValue as true for a parameter key not in the previous template", p.ParameterKey)
		}
		if value, ok := st.Target.Parameters[p.ParameterKey]; ok {
			given[p.ParameterKey] = value
		}
	}
	return given, nil
}

func checkCapabilities(t *template.Template, given []string) error {
	needed, _ := t.Capabilities()
	for _, capability := range needed {
		if slices.Contains(given, capability) || slices.Contains(given, "CAPABILITY_NAMED_IAM") {
			continue
		}
		return wire.Errorf("InsufficientCapabilitiesException", "Requires capabilities : [%s]", capability)
	}
	return nil
}

// UpdateStackInput is the request of UpdateStack.
type UpdateStackInput struct {
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
	DisableRollback       bool
	ClientRequestToken    string
}

// UpdateStack starts an update, or refuses one that changes nothing.
func (s *Service) UpdateStack(_ context.Context, _ wire.Caller, in *UpdateStackInput) (*StackID, error) {
	st, ok := s.find(in.StackName)
	if !ok || st.Status == "DELETE_COMPLETE" {
		return nil, invalid("Stack [%s] does not exist", in.StackName)
	}
	if err := updatable(st); err != nil {
		return nil, err
	}
	want, err := s.target(st, request{
		body: in.TemplateBody, url: in.TemplateURL, previous: in.UsePreviousTemplate, parameters: in.Parameters,
		capabilities: in.Capabilities, tags: in.Tags, role: in.RoleARN, notifications: in.NotificationARNs,
	})
	if err != nil {
		return nil, err
	}
	changes, differs, err := s.compare(st, &want)
	if err != nil {
		return nil, err
	}
	if len(changes) == 0 && !differs {
		return nil, invalid("No updates are to be performed.")
	}
	s.start(st, kindUpdate, want, in.ClientRequestToken, in.DisableRollback)
	return &StackID{StackID: st.ID}, nil
}

func updatable(st *stack) error {
	switch st.Status {
	case "CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE", "UPDATE_FAILED", "CREATE_FAILED", "IMPORT_COMPLETE":
		return nil
	}
	return invalid("Stack:%s is in %s state and can not be updated.", st.ID, st.Status)
}

// DeleteStackInput is the request of DeleteStack.
type DeleteStackInput struct {
	StackName          string
	RetainResources    []string
	RoleARN            string
	ClientRequestToken string
	DeletionMode       string
}

// DeleteStack starts the deletion of a stack. Deleting what is not there is no error.
func (s *Service) DeleteStack(_ context.Context, _ wire.Caller, in *DeleteStackInput) (*Nothing, error) {
	st, ok := s.find(in.StackName)
	if !ok || st.Status == "DELETE_COMPLETE" || st.Status == "DELETE_IN_PROGRESS" {
		return &Nothing{}, nil
	}
	if st.Protected {
		return nil, invalid("Stack [%s] cannot be deleted while TerminationProtection is enabled", st.Name)
	}
	if st.Op != nil && st.Op.Kind == kindUpdate {
		return nil, invalid("Stack [%s] cannot be deleted while in status %s", st.ID, st.Status)
	}
	if len(in.RetainResources) > 0 && st.Status != "DELETE_FAILED" && in.DeletionMode != "FORCE_DELETE_STACK" {
		return nil, invalid("Invalid operation on stack [%s]. Specifying RetainResources is only allowed if the stack is in the DELETE_FAILED state.", st.ID)
	}
	for _, out := range st.Outputs {
		if users := s.importers(st, out.ExportName); out.ExportName != "" && len(users) > 0 {
			// The deletion is accepted and called off: the stack keeps its status, and the reason says why.
			s.setStack(st, st.Status, "Export "+out.ExportName+" cannot be deleted as it is in use by "+strings.Join(users, ", "))
			return &Nothing{}, nil
		}
	}
	st.Op = &operation{Kind: kindDelete, Began: s.world.Now(), Retain: in.RetainResources, Token: in.ClientRequestToken}
	s.startSweep(st, s.present(st), "DELETE_IN_PROGRESS", "User Initiated")
	for _, id := range slices.Sorted(maps.Keys(s.state.ChangeSets)) {
		if s.state.ChangeSets[id].StackID == st.ID {
			delete(s.state.ChangeSets, id)
		}
	}
	return &Nothing{}, nil
}

// CancelUpdateStackInput is the request of CancelUpdateStack.
type CancelUpdateStackInput struct {
	StackName          string
	ClientRequestToken string
}

// CancelUpdateStack rolls a running update back.
func (s *Service) CancelUpdateStack(_ context.Context, _ wire.Caller, in *CancelUpdateStackInput) (*Nothing, error) {
	st, ok := s.find(in.StackName)
	if !ok {
		return nil, invalid("Stack [%s] does not exist", in.StackName)
	}
	if st.Status != "UPDATE_IN_PROGRESS" {
		return nil, invalid("CancelUpdateStack cannot be called from current stack status")
	}
	st.Op.Failure = "User Initiated"
	return &Nothing{}, nil
}

// ContinueUpdateRollbackInput is the request of ContinueUpdateRollback.
type ContinueUpdateRollbackInput struct {
	StackName          string
	RoleARN            string
	ResourcesToSkip    []string
	ClientRequestToken string
}

// ContinueUpdateRollback tries a failed rollback of an update again.
func (s *Service) ContinueUpdateRollback(_ context.Context, _ wire.Caller, in *ContinueUpdateRollbackInput) (*Nothing, error) {
	st, ok := s.find(in.StackName)
	if !ok {
		return nil, invalid("Stack [%s] does not exist", in.StackName)
	}
	if st.Status != "UPDATE_ROLLBACK_FAILED" {
		return nil, invalid("Stack [%s] is in %s state and can not be continued.", st.ID, st.Status)
	}
	st.Op = &operation{Skip: in.ResourcesToSkip, Token: in.ClientRequestToken}
	s.startRestoring(st, "User Initiated")
	return &Nothing{}, nil
}

// UpdateTerminationProtectionInput is the request of UpdateTerminationProtection.
type UpdateTerminationProtectionInput struct {
	StackName                   string
	EnableTerminationProtection bool
}

// UpdateTerminationProtection switches the protection against deletion.
func (s *Service) UpdateTerminationProtection(_ context.Context, _ wire.Caller, in *UpdateTerminationProtectionInput) (*StackID, error) {
	st, ok := s.find(in.StackName)
	if !ok || st.Status == "DELETE_COMPLETE" {
		return nil, invalid("Stack [%s] does not exist", in.StackName)
	}
	if st.Status == "DELETE_IN_PROGRESS" {
		return nil, invalid("Stack [%s] cannot be modified while in status %s", st.ID, st.Status)
	}
	st.Protected = in.EnableTerminationProtection
	return &StackID{StackID: st.ID}, nil
}
