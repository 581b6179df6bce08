package cloudformation

import (
	"maps"
	"slices"
	"strings"

	"github.com/eks-gitops/reconciler/internal/sim/aws/cloudformation/template"
)

// change brings an existing resource to what the new template wants: nothing, an update in place or a replacement.
func (s *Service) change(st *stack, m *member, next physical, at *step) {
	kind := s.types[m.Type]
	how := decide(kind, &m.physical, next.Properties, next.Tags)
	old := m.Properties
	m.Needs, m.DeletionPolicy, m.UpdatePolicy, m.CreationPolicy = next.Needs, next.DeletionPolicy, next.UpdatePolicy, next.CreationPolicy
	switch how {
	case keep:
	case replace:
		if name, custom := sameCustomName(kind, old, next.Properties); custom {
			at.Phase, at.Verb = stepFailed, "UPDATE"
			s.setMember(st, m, "UPDATE_FAILED", "CloudFormation cannot update a stack when a custom-named resource requires replacing. Rename "+name+" and update the stack again.")
			return
		}
		previous := m.physical
		s.startCreate(st, &member{physical: next, Previous: &previous}, at)
	case modify:
		m.Properties, m.Tags = next.Properties, next.Tags
		at.Phase, at.Verb, at.Old = stepRunning, "UPDATE", old
		s.setMember(st, m, "UPDATE_IN_PROGRESS", "")
		s.callProvider(st, m, at)
	}
}

// restore takes a resource back to what it was before a failed update.
func (s *Service) restore(st *stack, m *member, next physical, at *step) {
	switch {
	case slices.Contains(st.Op.Skip, m.LogicalID):
		s.setMember(st, m, "UPDATE_COMPLETE", "")
	case m.Previous != nil:
		st.Op.Garbage = append(st.Op.Garbage, m.physical)
		m.physical, m.Previous = *m.Previous, nil
		s.setMember(st, m, "UPDATE_COMPLETE", "")
	case decide(s.types[m.Type], &m.physical, next.Properties, next.Tags) != keep:
		// The way back is an update in place even where a create-only property differs: the resource itself never changed it.
		old := m.Properties
		m.Properties, m.Tags, m.UpdatePolicy, m.CreationPolicy = next.Properties, next.Tags, next.UpdatePolicy, next.CreationPolicy
		at.Phase, at.Verb, at.Old = stepRunning, "UPDATE", old
		s.setMember(st, m, "UPDATE_IN_PROGRESS", "")
		if !s.stillWorking(st, &m.physical) {
			s.callProvider(st, m, at)
		}
	case strings.HasSuffix(m.Status, "_FAILED"):
		s.setMember(st, m, "UPDATE_COMPLETE", "")
	}
}

// stillWorking tells whether an earlier, cancelled call to the provider has not settled.
func (s *Service) stillWorking(st *stack, p *physical) bool {
	status, err := s.types[p.Type].Provider.Status(background(), s.resource(st, p))
	return err == nil && status.Phase == InProgress
}

type decision string

const (
	keep    decision = "keep"
	modify  decision = "modify"
	replace decision = "replace"
)

// decide compares the properties CloudFormation last gave to a resource with those it is to give now. What the resource looks
// like in life plays no part in it, as in the real service.
func decide(t ResourceType, have *physical, properties map[string]any, tags map[string]string) decision {
	if template.Same(have.Properties, properties) {
		if t.Tagged && !maps.Equal(have.Tags, tags) {
			return modify
		}
		return keep
	}
	if replaces(t, have.Properties, properties) {
		return replace
	}
	return modify
}

func replaces(t ResourceType, old, desired map[string]any) bool {
	for _, path := range t.CreateOnly {
		if !template.Same(at(old, path), at(desired, path)) {
			return true
		}
	}
	return t.Replaces != nil && t.Replaces(old, desired)
}

// at is the value at a slash-separated path; a star stands for every item of a list.
func at(v any, path string) any {
	head, rest, nested := strings.Cut(path, "/")
	if list, ok := v.([]any); ok && head == "*" {
		var out []any
		for _, item := range list {
			if nested {
				item = at(item, rest)
			}
			out = append(out, item)
		}
		return out
	}
	m, ok := v.(map[string]any)
	if !ok {
		return nil
	}
	if !nested {
		return m[head]
	}
	return at(m[head], rest)
}

func sameCustomName(t ResourceType, old, desired map[string]any) (string, bool) {
	if t.NameProperty == "" {
		return "", false
	}
	name, ok := desired[t.NameProperty].(string)
	return name, ok && old[t.NameProperty] == name
}

// applied ends an apply stage that worked.
func (s *Service) applied(st *stack, t *template.Template) error {
	op := st.Op
	imports := s.imports(st, t, &op.Want)
	if !op.Restoring {
		outputs, err := s.outputs(st, t, &op.Want)
		if err != nil {
			return err
		}
		if err := s.checkExports(st, outputs); err != nil {
			return err
		}
		st.Outputs = outputs
		st.Target = op.Want
	}
	st.Imports = imports
	if op.Kind == kindCreate {
		s.settle(st, "CREATE_COMPLETE", "")
		return nil
	}
	for _, name := range slices.Sorted(maps.Keys(st.Members)) {
		m := st.Members[name]
		if m.Previous != nil {
			op.Garbage = append(op.Garbage, *m.Previous)
			m.Previous = nil
		}
		if s.wanted(st, t, name) {
			continue
		}
		if m.PhysicalID == "" {
			delete(st.Members, name)
			continue
		}
		op.Garbage = append(op.Garbage, m.physical)
	}
	status := "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS"
	if op.Restoring {
		status = "UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS"
	}
	s.startSweep(st, op.Garbage, status, "")
	return nil
}

func (s *Service) wanted(st *stack, t *template.Template, name string) bool {
	r, ok := t.Resources[name]
	if !ok {
		return false
	}
	present, err := exists(s.env(st, t, &st.Op.Want), r)
	return err == nil && present
}

// applyFailed ends an apply stage that did not work: by taking back what it made, unless the caller wanted otherwise.
func (s *Service) applyFailed(st *stack) {
	op := st.Op
	names, reason := op.failedNames(), op.Failure
	switch {
	case op.Restoring:
		if reason == "" {
			reason = "The following resource(s) failed to update: [" + names + "]. "
		}
		s.settle(st, "UPDATE_ROLLBACK_FAILED", reason)
	case op.Kind == kindUpdate:
		if reason == "" {
			reason = "The following resource(s) failed to update: [" + names + "]. "
		}
		if op.DisableRollback {
			s.settle(st, "UPDATE_FAILED", reason)
			return
		}
		s.startRestoring(st, reason)
	default:
		if reason == "" {
			reason = "The following resource(s) failed to create: [" + names + "]. "
		}
		s.createFailed(st, reason)
	}
}

func (s *Service) createFailed(st *stack, reason string) {
	if !strings.HasSuffix(reason, "by user.") {
		reason = strings.TrimSuffix(reason, " ") + " "
	}
	switch {
	case st.OnFailure == "DELETE":
		st.Op.Kind = kindDelete
		s.startSweep(st, s.present(st), "DELETE_IN_PROGRESS", strings.TrimSpace(reason)+" Delete requested by user.")
	case st.Op.DisableRollback || st.OnFailure == "DO_NOTHING":
		s.settle(st, "CREATE_FAILED", reason)
	default:
		if !strings.HasSuffix(reason, "by user.") {
			reason += "Rollback requested by user."
		}
		s.startSweep(st, s.present(st), "ROLLBACK_IN_PROGRESS", reason)
	}
}

func (s *Service) startRestoring(st *stack, reason string) {
	st.Op = &operation{
		Kind: kindUpdate, Stage: stageApply, Restoring: true, Want: st.Target, Steps: map[string]*step{},
		Garbage: st.Op.Garbage, Began: s.world.Now(), Token: st.Op.Token, Skip: st.Op.Skip,
	}
	s.setStack(st, "UPDATE_ROLLBACK_IN_PROGRESS", reason)
}

// settle ends the stack's operation.
func (s *Service) settle(st *stack, status, reason string) {
	s.setStack(st, status, reason)
	st.Op = nil
	if status == "DELETE_COMPLETE" {
		st.Deleted = s.world.Now()
	}
}
