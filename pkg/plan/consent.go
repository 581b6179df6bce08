package plan

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/eks-gitops/reconciler/pkg/gitops"
)

// Approvals maps the ids of changes and concerns that people allowed in git to where they say so.
type Approvals = map[gitops.Digest]gitops.Approval

// Concern is something about a change that an approval of it has to name, because people have to have seen it: what is lost with the
// change, or what holds it. One that turns up after the approval, or of which there is more, needs another approval; one that is gone, or
// of which there is less, does not. What only tells people more (Why, Minutes, notes) is none.
type Concern struct {
	// ID is a hash of the change and of what the concern is about.
	ID gitops.Digest `json:"id"`
	// Why is for people.
	Why string `json:"why"`
	// Count is how many there are of what it is about, at least 1.
	Count int `json:"count"`
}

// stakes are the concerns of a change:
//
//	deletion, replacement     what goes along, by kind; a volume; what could not be counted
//	deletion                  it may have moved into what cannot be rendered
//	kept by another tool      the tool
//	fields of other managers  each with its owner
//	upgrade                   each thing that it breaks
//
// What a kind of thing means by itself, nodes for a nodegroup, is in the change already.
func (b *builder) stakes(c Change, o gitops.Observation) []Concern {
	if c.Action == Wait {
		return nil
	}
	s := stakes{change: c, seen: o}
	s.lost()
	if c.Action == Delete {
		if walled := b.wall.hold(c.From.Overlay); walled != nil && walled.Approvable {
			s.add(1, walled.Why, "moved", walled.Why)
		}
	}
	if o.Keeper != "" {
		s.add(1, "it is kept by "+o.Keeper, "keeper", o.Keeper)
	}
	for _, f := range o.Conflicts {
		s.add(1, fmt.Sprintf("%s is owned by %s", f.Path, f.Owner), "conflict", f.Path, f.Owner)
	}
	for _, found := range b.concerns(c.Ref, o) {
		if !found.Reason.Note() && !found.Final {
			s.add(1, found.Message(), "upgrade", found.Subject())
		}
	}
	slices.SortFunc(s.out, func(a, b Concern) int { return strings.Compare(string(a.ID), string(b.ID)) })
	return slices.CompactFunc(s.out, func(a, b Concern) bool { return a.ID == b.ID })
}

// stakes collects the concerns of a change.
type stakes struct {
	change Change
	seen   gitops.Observation
	out    []Concern
}

// lost adds what goes with a thing that ends.
func (s *stakes) lost() {
	if s.change.Action != Delete && s.change.Action != Replace {
		return
	}
	for _, kind := range slices.Sorted(maps.Keys(s.seen.Inside)) {
		s.add(s.seen.Inside[kind], fmt.Sprintf("%d %s inside", s.seen.Inside[kind], kind), "inside", kind)
	}
	if len(s.seen.Inside) == 0 && s.seen.Data != "" && s.change.Ref.Domain == gitops.K8s {
		s.add(1, s.seen.Data, "data", s.seen.Data)
	}
}

func (s *stakes) add(count int, why string, key ...string) {
	hushed := func(text string) string { return Hush(text, s.change.Secrets, s.seen.Live, s.seen.Next, s.seen.Spec) }
	for i := range key {
		key[i] = hushed(key[i])
	}
	s.out = append(s.out, Concern{ID: gitops.DigestOf([]any{s.change.ID, key}), Why: hushed(why), Count: count})
}

// approve releases a hold that an approval covers. One that names the change and not all of its concerns is told.
func approve(c Change, a Approvals) Change {
	from, named := a[c.ID]
	if c.Hold == nil || !c.Hold.Approvable || !named {
		return c
	}
	open := uncovered(c, a)
	if len(open) == 0 {
		c.Hold, c.Approved = nil, &from.Position
		return c
	}
	hold := *c.Hold
	if more := fmt.Sprintf("; the approval in %s does not cover: %s", from.Position, strings.Join(open, ", ")); !strings.HasSuffix(hold.Why, more) {
		hold.Why += more
	}
	c.Hold = &hold
	return c
}

// uncovered are the concerns of a change that no approval names, in words.
func uncovered(c Change, a Approvals) []string {
	var out []string
	for _, about := range c.Concerns {
		if a[about.ID].Most < about.Count {
			out = append(out, about.Why)
		}
	}
	slices.Sort(out)
	return out
}

// approved says that a change and all that concerns it are approved.
func approved(c Change, a Approvals) bool {
	_, named := a[c.ID]
	return named && len(uncovered(c, a)) == 0
}
