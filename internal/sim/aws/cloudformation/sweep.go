package cloudformation

import (
	"maps"
	"slices"
	"strings"
)

// present lists what the stack has, resources given up in a failed update included.
func (s *Service) present(st *stack) []physical {
	var out []physical
	for _, name := range slices.Sorted(maps.Keys(st.Members)) {
		m := st.Members[name]
		if m.Status != "DELETE_COMPLETE" && m.Status != "DELETE_SKIPPED" {
			out = append(out, m.physical)
		}
		if m.Previous != nil {
			out = append(out, *m.Previous)
		}
	}
	return out
}

func (s *Service) startSweep(st *stack, items []physical, status, reason string) {
	op := st.Op
	op.Stage, op.Sweep = stageSweep, nil
	for _, item := range items {
		op.Sweep = append(op.Sweep, &removal{physical: item, Phase: removalWaiting})
	}
	s.setStack(st, status, reason)
}

// sweep removes resources in the reverse order of their dependencies and reports whether anything changed.
func (s *Service) sweep(st *stack) bool {
	changed, open := false, false
	for _, r := range st.Op.Sweep {
		if r.Phase == removalWaiting && !st.Op.blocked(r) {
			s.beginRemoval(st, r)
			changed = true
		}
		if r.Phase == removalDeleting {
			if s.pollRemoval(st, r) {
				changed = true
			}
		}
		open = open || r.Phase == removalDeleting
	}
	if changed || open {
		return changed
	}
	s.swept(st)
	return true
}

// blocked tells whether something that needs r is not gone yet.
func (o *operation) blocked(r *removal) bool {
	for _, other := range o.Sweep {
		if other != r && !other.settled() && slices.Contains(other.Needs, r.LogicalID) {
			return true
		}
	}
	return false
}

func (s *Service) beginRemoval(st *stack, r *removal) {
	r.Since = s.world.Now()
	switch {
	case r.PhysicalID == "":
		r.Phase = removalGone
		s.tellRemoval(st, r, "DELETE_COMPLETE", "")
	case s.retained(st, r):
		r.Phase = removalRetained
		s.tellRemoval(st, r, "DELETE_SKIPPED", "")
	default:
		r.Phase = removalDeleting
		s.tellRemoval(st, r, "DELETE_IN_PROGRESS", "")
	}
}

func (s *Service) retained(st *stack, r *removal) bool {
	if slices.Contains(st.Op.Retain, r.LogicalID) {
		return true
	}
	// A creation that is taken back leaves nothing of a resource that was to be kept only once it exists for good.
	return r.DeletionPolicy == "Retain" || (r.DeletionPolicy == "RetainExceptOnCreate" && st.Op.Kind != kindCreate)
}

// tellRemoval records a status of a removal, on the member too if it is the removed resource's.
func (s *Service) tellRemoval(st *stack, r *removal, status, reason string) {
	if m := st.Members[r.LogicalID]; m != nil && m.PhysicalID == r.PhysicalID {
		s.setMember(st, m, status, reason)
		return
	}
	s.tell(st, &r.physical, status, reason)
}

// pollRemoval carries one removal on and reports whether it moved.
func (s *Service) pollRemoval(st *stack, r *removal) bool {
	provider, resource := s.types[r.Type].Provider, s.resource(st, &r.physical)
	if !r.Called {
		if s.stillWorking(st, &r.physical) {
			return false
		}
		if err := provider.Delete(background(), resource); err != nil {
			if isPassing(err) && s.before(r.Since, "cloudformation.resource.retry") {
				return false
			}
			s.removalFailed(st, r, s.handlerReason(r.Type, err))
			return true
		}
		r.Called = true
	}
	if s.before(r.Since, "cloudformation.resource") {
		return false
	}
	status, err := provider.Status(background(), resource)
	switch {
	case err != nil && isPassing(err):
		return false
	case err != nil:
		s.removalFailed(st, r, s.handlerReason(r.Type, err))
	case status.Phase == Absent:
		r.Phase = removalGone
		s.tellRemoval(st, r, "DELETE_COMPLETE", "")
	case status.Phase == Failed:
		s.removalFailed(st, r, status.Reason)
	default:
		return false
	}
	return true
}

func (s *Service) removalFailed(st *stack, r *removal, reason string) {
	r.Phase, r.Reason = removalFailed, reason
	s.tellRemoval(st, r, "DELETE_FAILED", reason)
}

// swept ends a sweep stage: nothing is being removed any more, and what still waits is blocked by something that failed.
func (s *Service) swept(st *stack) {
	var failed []string
	for _, r := range st.Op.Sweep {
		if r.Phase == removalFailed {
			failed = append(failed, r.LogicalID)
		}
	}
	s.forget(st)
	reason := ""
	if len(failed) > 0 {
		reason = "The following resource(s) failed to delete: [" + strings.Join(failed, ", ") + "]. "
	}
	switch {
	case st.Op.Kind == kindDelete && reason != "":
		s.settle(st, "DELETE_FAILED", reason)
	case st.Op.Kind == kindDelete:
		s.settle(st, "DELETE_COMPLETE", "")
		st.Outputs, st.Imports = nil, nil
	case st.Op.Kind == kindCreate && reason != "":
		s.settle(st, "ROLLBACK_FAILED", reason)
	case st.Op.Kind == kindCreate:
		s.settle(st, "ROLLBACK_COMPLETE", "")
		st.Outputs, st.Imports = nil, nil
	default:
		status := "UPDATE_COMPLETE"
		if st.Op.Restoring {
			status = "UPDATE_ROLLBACK_COMPLETE"
		}
		if reason != "" {
			reason = "Update successful. One or more resources could not be deleted."
		}
		s.settle(st, status, reason)
	}
}

// forget drops members that an update took out of the template. After other sweeps they stay, to be shown as deleted.
func (s *Service) forget(st *stack) {
	if st.Op.Kind != kindUpdate {
		return
	}
	for _, r := range st.Op.Sweep {
		if m := st.Members[r.LogicalID]; m != nil && m.PhysicalID == r.PhysicalID {
			delete(st.Members, r.LogicalID)
		}
	}
}
