package cloudformation

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/eks-gitops/reconciler/internal/sim/aws/cloudformation/template"
	"github.com/eks-gitops/reconciler/internal/sim/aws/wire"
)

// apply starts what can start and looks after what runs. It reports whether anything changed.
func (s *Service) apply(st *stack) bool {
	op := st.Op
	t, err := op.Want.template()
	if err != nil { // cannot happen: the body was parsed before it was accepted
		op.Failure = err.Error()
	}
	s.checkTimeout(st)
	changed, running := false, false
	if t != nil {
		for _, name := range slices.Sorted(maps.Keys(t.Resources)) {
			if op.Steps[name] == nil && !op.failed() && s.startable(st, t, name) {
				s.begin(st, t, name)
				changed = true
			}
			if at := op.Steps[name]; at != nil && at.Phase == stepRunning {
				if s.poll(st, name) {
					changed = true
				}
				running = running || op.Steps[name].Phase == stepRunning
			}
		}
	}
	if op.failed() {
		s.cancelRunning(st)
		s.applyFailed(st)
		return true
	}
	if changed || running {
		return changed
	}
	if err := s.applied(st, t); err != nil {
		op.Failure = failureText(err)
		s.applyFailed(st)
	}
	return true
}

func failureText(err error) string {
	if e, ok := asWire(err); ok {
		return e.Message
	}
	return err.Error()
}

func asWire(err error) (*wire.Error, bool) { return errors.AsType[*wire.Error](err) }

func (o *operation) failed() bool {
	if o.Failure != "" {
		return true
	}
	for _, at := range o.Steps {
		if at.Phase == stepFailed {
			return true
		}
	}
	return false
}

func (s *Service) checkTimeout(st *stack) {
	if st.Op.Kind == kindCreate && st.TimeoutMinutes > 0 && st.Op.Failure == "" {
		limit := s.world.Scale(time.Duration(st.TimeoutMinutes) * time.Minute)
		if s.world.Now().Sub(st.Op.Began) > limit {
			st.Op.Failure = "Stack creation time exceeded the specified timeout. Rollback requested by user."
		}
	}
}

func (s *Service) startable(st *stack, t *template.Template, name string) bool {
	for _, need := range t.Dependencies(name) {
		if at := st.Op.Steps[need]; at == nil || at.Phase != stepDone {
			return false
		}
	}
	return true
}

// begin decides what one resource needs and starts it.
func (s *Service) begin(st *stack, t *template.Template, name string) {
	op := st.Op
	at := &step{Phase: stepDone, Since: s.world.Now()}
	op.Steps[name] = at
	env := s.env(st, t, &op.Want)
	env.Import = func(export string) (any, error) {
		if !slices.Contains(st.Imports, export) {
			st.Imports = append(st.Imports, export) // in use from now on, not only when the stack is complete
		}
		return s.importValue(export)
	}
	present, err := exists(env, t.Resources[name])
	if err == nil && !present {
		return
	}
	next := physical{LogicalID: name}
	if err == nil {
		next, err = s.next(st, t, env, name)
	}
	m := st.Members[name]
	if err != nil {
		s.refuseStep(st, m, next, at, err)
		return
	}
	switch {
	case m == nil || m.PhysicalID == "" || m.Status == "DELETE_COMPLETE":
		s.startCreate(st, &member{physical: next}, at)
	case op.Restoring:
		s.restore(st, m, next, at)
	default:
		s.change(st, m, next, at)
	}
}

func exists(env *template.Env, r template.Resource) (bool, error) {
	if r.Condition == "" {
		return true, nil
	}
	return env.Condition(map[string]any{"Condition": r.Condition})
}

// next is the resource as the template wants it, without an identity.
func (s *Service) next(st *stack, t *template.Template, env *template.Env, name string) (physical, error) {
	r := t.Resources[name]
	next := physical{LogicalID: name, Type: r.Type, Needs: t.Dependencies(name), DeletionPolicy: r.DeletionPolicy, Tags: resourceTags(st, &st.Op.Want, name)}
	var err error
	for _, part := range []struct {
		into *map[string]any
		from map[string]any
	}{{&next.Properties, r.Properties}, {&next.UpdatePolicy, r.UpdatePolicy}, {&next.CreationPolicy, r.CreationPolicy}} {
		if *part.into, err = env.ResolveMap(part.from); err != nil {
			return next, err
		}
	}
	return next, checkProperties(s.types[r.Type], next.Properties)
}

// checkProperties finds what the real service finds before it calls a resource handler.
func checkProperties(t ResourceType, properties map[string]any) error {
	for _, name := range slices.Sorted(maps.Keys(properties)) {
		if !slices.Contains(t.Properties, name) {
			return fmt.Errorf("Encountered unsupported property %s", name) //nolint:staticcheck // AWS's words
		}
	}
	for _, name := range t.Required {
		if _, ok := properties[name]; !ok {
			return fmt.Errorf("Property %s cannot be empty.", name) //nolint:staticcheck // AWS's words
		}
	}
	return nil
}

// refuseStep fails a resource before its provider heard of it. A missing export stops the whole operation, as in life.
func (s *Service) refuseStep(st *stack, m *member, next physical, at *step, err error) {
	if e, ok := asWire(err); ok && e.Code == codeNoExport {
		at.Phase = stepCancelled
		st.Op.Failure = e.Message
		return
	}
	at.Verb = "UPDATE"
	if m == nil {
		at.Verb = "CREATE"
		m = &member{physical: next}
		m.Type = st.Op.Want.parsed.Resources[next.LogicalID].Type
		st.Members[next.LogicalID] = m
	}
	at.Phase = stepFailed
	s.setMember(st, m, at.Verb+"_FAILED", failureText(err))
}

func (s *Service) startCreate(st *stack, m *member, at *step) {
	m.Token = s.world.Upper(12)
	at.Phase, at.Verb = stepRunning, "CREATE"
	if m.Previous != nil {
		at.Verb = "UPDATE"
	}
	st.Members[m.LogicalID] = m
	reason := ""
	if m.Previous != nil {
		reason = "Requested update requires the creation of a new physical resource; hence creating one."
	}
	s.setMember(st, m, at.Verb+"_IN_PROGRESS", reason)
	s.callProvider(st, m, at)
}

// callProvider asks the provider to create or update; what is only passing is asked again at the next advance.
func (s *Service) callProvider(st *stack, m *member, at *step) {
	provider := s.types[m.Type].Provider
	var err error
	if at.Old == nil {
		m.PhysicalID, err = provider.Create(background(), s.resource(st, &m.physical))
	} else {
		err = provider.Update(background(), s.resource(st, &m.physical), at.Old)
	}
	switch {
	case err == nil:
		at.Called = true
		if at.Old == nil {
			s.setMember(st, m, at.Verb+"_IN_PROGRESS", "Resource creation Initiated")
		}
	case isPassing(err) && s.before(at.Since, "cloudformation.resource.retry"):
	default:
		if at.Old != nil {
			m.Properties = at.Old // the provider refused: the resource is as it was
		}
		at.Phase = stepFailed
		s.setMember(st, m, at.Verb+"_FAILED", s.handlerReason(m.Type, err))
	}
}

// poll looks after a running resource and reports whether its step moved.
func (s *Service) poll(st *stack, name string) bool {
	at, m := st.Op.Steps[name], st.Members[name]
	if !at.Called {
		if st.Op.Restoring && s.stillWorking(st, &m.physical) {
			return false
		}
		s.callProvider(st, m, at)
		return at.Called || at.Phase != stepRunning
	}
	if s.before(at.Since, "cloudformation.resource") {
		return false
	}
	status, err := s.types[m.Type].Provider.Status(background(), s.resource(st, &m.physical))
	switch {
	case err != nil && isPassing(err):
		return false
	case err != nil:
		at.Phase = stepFailed
		s.setMember(st, m, at.Verb+"_FAILED", s.handlerReason(m.Type, err))
	case status.Phase == InProgress:
		return false
	case status.Phase == Ready:
		m.Ref, m.Attributes = status.Ref, status.Attributes
		at.Phase = stepDone
		s.setMember(st, m, at.Verb+"_COMPLETE", "")
	default:
		reason := status.Reason
		if reason == "" {
			reason = fmt.Sprintf("Resource of type '%s' with identifier '%s' did not stabilize.", m.Type, m.PhysicalID)
		}
		at.Phase = stepFailed
		s.setMember(st, m, at.Verb+"_FAILED", reason)
	}
	return true
}

// cancelRunning gives up what is still running after something else failed.
func (s *Service) cancelRunning(st *stack) {
	for _, name := range slices.Sorted(maps.Keys(st.Op.Steps)) {
		at := st.Op.Steps[name]
		if at.Phase != stepRunning {
			continue
		}
		at.Phase = stepCancelled
		words := map[string]string{"CREATE": "Resource creation cancelled", "UPDATE": "Resource update cancelled"}[at.Verb]
		s.setMember(st, st.Members[name], at.Verb+"_FAILED", words)
	}
}

// failedNames lists the resources that failed by themselves.
func (o *operation) failedNames() string {
	var names []string
	for _, name := range slices.Sorted(maps.Keys(o.Steps)) {
		if phase := o.Steps[name].Phase; phase == stepFailed || phase == stepCancelled {
			names = append(names, name)
		}
	}
	return strings.Join(names, ", ")
}
