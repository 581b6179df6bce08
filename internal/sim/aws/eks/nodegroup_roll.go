package eks

import (
	"slices"
	"strconv"
	"strings"
	"time"
)

func itoa(n int) string { return strconv.Itoa(n) }

// startRoll makes the new version of EKS's launch template and points the group at it. From then on advanceRoll replaces
// every instance of another version.
func (s *Service) startRoll(c *clusterRecord, g *nodegroupRecord, r *roll) error {
	before, beforeTemplate := g.Nodegroup, g.TemplateVersion
	beforeImage := g.ImageID
	g.Nodegroup.Version, g.Nodegroup.ReleaseVersion, g.Nodegroup.LaunchTemplate, g.ImageID = r.Version, r.Release, r.User, r.ImageID
	err := s.putTemplate(c, g)
	r.TemplateVersion, r.Previous = g.TemplateVersion, beforeTemplate
	// What the group shows stays as it was until the last node is replaced.
	g.Nodegroup, g.ImageID = before, beforeImage
	if err != nil {
		g.TemplateVersion = beforeTemplate
		return err
	}
	size := g.Nodegroup.ScalingConfig
	r.Desired, r.Min, r.Max = *size.DesiredSize, *size.MinSize, *size.MaxSize
	r.Batch = batch(g.Nodegroup.UpdateConfig, r.Desired)
	r.Minimal = g.Nodegroup.UpdateConfig.UpdateStrategy == "MINIMAL"
	r.Moved = s.world.Now()
	g.Draining = map[string]time.Time{}
	return s.resize(c, g, r, s.surge(r))
}

// batch is how many nodes may be away at once.
func batch(in *NodegroupUpdateConfig, desired int) int {
	n := intOr(in.MaxUnavailable, 1)
	if p := in.MaxUnavailablePercentage; p != nil {
		n = desired * *p / 100
	}
	return max(1, min(n, 100))
}

// surge is the size at which a group holds a batch of new nodes beside all of its old ones
// (https://docs.aws.amazon.com/eks/latest/userguide/managed-node-update-behavior.html, the scale up phase).
func (s *Service) surge(r *roll) int {
	if r.Minimal || r.Desired == 0 {
		return r.Desired
	}
	return r.Desired + min(r.Batch, r.Desired)
}

// resize sets a group's size while nodes are replaced; its maximum gives way.
func (s *Service) resize(c *clusterRecord, g *nodegroupRecord, r *roll, n int) error {
	return s.neighbours.Groups.Put(s.group(c, g, min(r.Min, n), max(r.Max, n), n))
}

// advanceRoll goes one step on: it is called until every node has been replaced, and works from what the group shows.
func (s *Service) advanceRoll(now time.Time, c *clusterRecord, g *nodegroupRecord, u *updateRecord) bool {
	r := u.Roll
	state, ok := s.neighbours.Groups.Show(g.Group)
	if !ok {
		return s.failRoll(c, g, u, "NodeCreationFailure", "The Auto Scaling group associated with the managed node group couldn't be found")
	}
	old, fresh := s.sortInstances(c, r, state)
	changed := false
	if len(old) != r.OldN || fresh != r.NewN {
		r.OldN, r.NewN, r.Moved = len(old), fresh, now
		changed = true
	}
	if len(old) == 0 {
		return s.endRoll(now, c, g, u, state, fresh) || changed
	}
	// Old nodes may go as far as new ones stand in for them; the minimal strategy takes a batch away first.
	spare := fresh + len(old) - r.Desired
	if r.Minimal {
		spare = r.Batch - max(0, r.Desired-fresh-len(old))
	}
	slices.SortFunc(old, func(a, b Instance) int { return strings.Compare(a.ID, b.ID) })
	for _, i := range old[:max(0, min(spare, r.Batch, len(old)))] {
		done, failed := s.replace(now, c, g, u, i)
		if failed {
			return true
		}
		changed = changed || done
	}
	if now.Sub(r.Moved) > s.world.Patience("eks.nodegroup.node.timeout", joinTime) {
		return s.failRoll(c, g, u, "NodeCreationFailure", "Couldn't proceed with upgrade process as new nodes are not joining node group "+g.Nodegroup.NodegroupName)
	}
	return changed
}

// sortInstances tells old instances from new ones that are ready.
func (s *Service) sortInstances(c *clusterRecord, r *roll, state GroupState) (old []Instance, fresh int) {
	for _, i := range state.Instances {
		switch {
		case i.Leaving:
		case i.Version != r.TemplateVersion:
			old = append(old, i)
		case i.InService && s.nodes.Ready(c.Cluster.Name, i.ID):
			fresh++
		}
	}
	return old, fresh
}

// replace empties an old node and ends its instance.
func (s *Service) replace(now time.Time, c *clusterRecord, g *nodegroupRecord, u *updateRecord, i Instance) (changed, failed bool) {
	since, draining := g.Draining[i.ID]
	if !draining {
		since, changed = now, true
		g.Draining[i.ID] = now
	}
	empty, err := s.nodes.Drain(c.Cluster.Name, i.ID, u.Roll.Force)
	if err == nil && !empty {
		if now.Sub(since) > s.world.Patience("eks.nodegroup.drain.timeout", moveTime) {
			s.failRoll(c, g, u, "PodEvictionFailure", "Reached max retries while trying to evict pods from nodes in node group "+g.Nodegroup.NodegroupName)
			return true, true
		}
		return changed, false
	}
	// An unreachable node cannot be drained, and goes all the same.
	shrink := !u.Roll.Minimal
	if err := s.neighbours.Groups.Terminate(i.ID, shrink); err != nil {
		return changed, false
	}
	delete(g.Draining, i.ID)
	u.Roll.Moved = now
	left := u.Roll.OldN - 1
	if shrink && left > 0 {
		// The next batch of new nodes takes the place of the one that went.
		if err := s.resize(c, g, u.Roll, u.Roll.Desired+min(u.Roll.Batch, left)); err != nil {
			s.world.Log().Warn("resizing a node group", "nodegroup", g.Nodegroup.NodegroupName, "error", err)
		}
	}
	return true, false
}

// endRoll finishes an update when all new nodes are ready.
func (s *Service) endRoll(now time.Time, c *clusterRecord, g *nodegroupRecord, u *updateRecord, state GroupState, fresh int) bool {
	r := u.Roll
	if state.Desired != r.Desired || state.Max != r.Max || state.Min != r.Min {
		if err := s.neighbours.Groups.Put(s.group(c, g, r.Min, r.Max, r.Desired)); err != nil {
			s.world.Log().Warn("resizing a node group", "nodegroup", g.Nodegroup.NodegroupName, "error", err)
		}
		return true
	}
	if fresh < r.Desired {
		if now.Sub(r.Moved) > s.world.Patience("eks.nodegroup.node.timeout", joinTime) {
			return s.failRoll(c, g, u, "NodeCreationFailure", "Couldn't proceed with upgrade process as new nodes are not joining node group "+g.Nodegroup.NodegroupName)
		}
		return false
	}
	if !due(now, u.Due) {
		return false
	}
	g.Nodegroup.Version, g.Nodegroup.ReleaseVersion, g.Nodegroup.LaunchTemplate, g.ImageID = r.Version, r.Release, r.User, r.ImageID
	g.Nodegroup.Status, g.Nodegroup.ModifiedAt, g.Draining = "ACTIVE", s.now(), nil
	u.Update.Status = "Successful"
	return true
}

// failRoll gives up: the group goes back to the old template, and nodes that were replaced stay.
func (s *Service) failRoll(c *clusterRecord, g *nodegroupRecord, u *updateRecord, code, message string) bool {
	u.fail(code, message, g.Nodegroup.NodegroupName)
	g.TemplateVersion = u.Roll.Previous
	g.Nodegroup.Status, g.Nodegroup.ModifiedAt, g.Draining = "ACTIVE", s.now(), nil
	if err := s.neighbours.Groups.Put(s.group(c, g, u.Roll.Min, u.Roll.Max, u.Roll.Desired)); err != nil {
		s.world.Log().Warn("going back to the old nodes", "nodegroup", g.Nodegroup.NodegroupName, "error", err)
	}
	return true
}
