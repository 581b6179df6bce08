package cloudformation

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/eks-gitops/reconciler/internal/sim/aws/wire"
)

// advance carries every operation as far as it goes at this moment.
func (s *Service) advance() bool {
	changed := false
	for _, id := range slices.Sorted(maps.Keys(s.state.ChangeSets)) {
		if s.settleChangeSet(s.state.ChangeSets[id]) {
			changed = true
		}
	}
	for _, id := range slices.Sorted(maps.Keys(s.state.Stacks)) {
		if st := s.state.Stacks[id]; st.Op != nil && s.progress(st) {
			changed = true
		}
	}
	return changed
}

func (s *Service) progress(st *stack) bool {
	if s.before(st.Op.Began, "cloudformation.start") {
		return false
	}
	if st.Op.Stage == stageApply {
		return s.apply(st)
	}
	return s.sweep(st)
}

// before tells whether the named duration after since has not passed yet.
func (s *Service) before(since time.Time, name string) bool {
	return s.world.Now().Before(since.Add(s.world.Duration(name)))
}

// setStack puts the stack into a status and tells it in an event.
func (s *Service) setStack(st *stack, status, reason string) {
	st.Status, st.Reason = status, reason
	token := ""
	if st.Op != nil {
		token = st.Op.Token
	}
	st.Events = append(st.Events, event{
		ID: s.world.UUID(), LogicalID: st.Name, PhysicalID: st.ID, Type: "AWS::CloudFormation::Stack",
		Status: status, Reason: reason, Token: token, Time: s.world.Now(),
	})
}

// setMember puts a resource of the stack into a status and tells it in an event.
func (s *Service) setMember(st *stack, m *member, status, reason string) {
	m.Status, m.Reason, m.Since = status, reason, s.world.Now()
	s.tell(st, &m.physical, status, reason)
}

func (s *Service) tell(st *stack, p *physical, status, reason string) {
	properties, _ := json.Marshal(p.Properties) // resolved properties are JSON values
	at := s.world.Now()
	token := ""
	if st.Op != nil {
		token = st.Op.Token
	}
	st.Events = append(st.Events, event{
		ID:        fmt.Sprintf("%s-%s-%s-%d", p.LogicalID, status, at.UTC().Format("2006-01-02T15:04:05.000Z"), len(st.Events)),
		LogicalID: p.LogicalID, PhysicalID: p.PhysicalID, Type: p.Type,
		Status: status, Reason: reason, Properties: string(properties), Token: token, Time: at,
	})
}

// resource is what the provider is told about p.
func (s *Service) resource(st *stack, p *physical) Resource {
	return Resource{
		Type: p.Type, LogicalID: p.LogicalID, PhysicalID: p.PhysicalID, StackName: st.Name, StackID: st.ID, Token: p.Token,
		Properties: p.Properties, Tags: p.Tags, UpdatePolicy: p.UpdatePolicy, CreationPolicy: p.CreationPolicy,
	}
}

// resourceTags are the tags CloudFormation puts on a resource: the stack's and its own three.
func resourceTags(st *stack, want *target, logical string) map[string]string {
	tags := want.tags()
	tags["aws:cloudformation:stack-name"] = st.Name
	tags["aws:cloudformation:stack-id"] = st.ID
	tags["aws:cloudformation:logical-id"] = logical
	return tags
}

// handlerReason words a provider's error as the events of resource handlers do.
func (s *Service) handlerReason(resourceType string, err error) string {
	service := "CloudFormation"
	if parts := strings.Split(resourceType, "::"); len(parts) == 3 {
		service = parts[1]
		if strings.ToUpper(service) == service {
			service = service[:1] + strings.ToLower(service[1:])
		}
	}
	message, status, code := err.Error(), 400, wire.Code(err)
	if e, ok := asWire(err); ok {
		message, status = e.Message, e.StatusCode()
	}
	return fmt.Sprintf("Resource handler returned message: %q (RequestToken: %s, HandlerErrorCode: %s)",
		fmt.Sprintf("%s (Service: %s, Status Code: %d, Request ID: %s)", message, service, status, s.world.UUID()),
		s.world.UUID(), handlerCode(code, status))
}

// handlerCode is the error code of the handler contract
// (https://docs.aws.amazon.com/cloudformation-cli/latest/userguide/resource-type-test-contract-errors.html).
func handlerCode(code string, status int) string {
	for _, rule := range []struct{ part, handler string }{
		{"NotFound", "NotFound"}, {"NoSuchEntity", "NotFound"}, {"AlreadyExists", "AlreadyExists"}, {"Duplicate", "AlreadyExists"},
		{"Throttl", "Throttling"}, {"AccessDenied", "AccessDenied"}, {"Unauthorized", "AccessDenied"}, {"LimitExceeded", "ServiceLimitExceeded"},
		{"InUse", "ResourceConflict"}, {"Conflict", "ResourceConflict"}, {"DependencyViolation", "ResourceConflict"},
	} {
		if strings.Contains(code, rule.part) {
			return rule.handler
		}
	}
	if status >= 500 {
		return "GeneralServiceException"
	}
	return "InvalidRequest"
}
