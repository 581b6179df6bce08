package autoscaling

import "time"

// rolling is an AutoScalingRollingUpdate: CloudFormation replaces outdated instances batch by batch
// (https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-attribute-updatepolicy.html).
type rolling struct {
	Batch        int
	MinInService int
	Pause        time.Duration // in real time; the world's speed applies
	Suspend      []string      // processes that are suspended meanwhile
	Resume       []string      // those of them that were not suspended before
	Extra        int           // instances beyond desired, while MinInService allows no other way
	Next         time.Time     // when the next batch may begin
}

// startRolling begins a rolling update, if there is something to replace.
func (s *Service) startRolling(g *Group, r rolling) {
	for _, process := range r.Suspend {
		if !g.suspended(process) {
			g.Suspended = append(g.Suspended, process)
			r.Resume = append(r.Resume, process)
		}
	}
	r.Next = s.world.Now()
	g.Rolling, g.Changed = &r, s.world.Now()
}

// advanceRolling takes out the next batch once the one before is replaced.
func (s *Service) advanceRolling(g *Group) bool {
	r := g.Rolling
	if r == nil {
		return false
	}
	var old []*Member
	for _, m := range g.Instances() {
		if m.State == stateInService && s.outdated(g, m) {
			old = append(old, m)
		}
	}
	settled := g.active() == g.wanted() && g.inService() == g.active()
	switch {
	case !settled || s.world.Now().Before(r.Next) || !s.after(r.Next, "autoscaling.pause"):
		return false
	case len(old) == 0:
		for _, process := range r.Resume {
			g.resume(process)
		}
		g.Rolling = nil
		return true
	}
	batch := min(r.Batch, len(old), g.inService()-r.MinInService)
	if batch <= 0 {
		// Nothing may leave before something came: grow first, as far as the group's maximum lets.
		if grown := min(r.Batch, g.Max-g.Desired); r.Extra < grown {
			r.Extra = grown
			return true
		}
		batch = 1
	}
	for _, m := range old[:batch] {
		s.retire(g, m, s.cause("an instance was taken out of service in response to a rolling update."))
	}
	r.Extra = 0
	r.Next = s.world.Now().Add(s.world.Scale(r.Pause))
	return true
}

func (g *Group) resume(process string) {
	kept := g.Suspended[:0:0]
	for _, name := range g.Suspended {
		if name != process {
			kept = append(kept, name)
		}
	}
	g.Suspended = kept
}
