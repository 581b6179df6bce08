package gitops

import (
	"cmp"
	"slices"
)

// Observation is what is known about one Ref: what is live and what apply would make of it.
//
//	Live  Next   meaning
//	nil   tree   absent; apply creates
//	tree  tree   present; apply changes what differs
//	tree  nil    present, ours, no longer wanted; apply deletes
//	nil   nil    absent and not wanted, or wanted and Finished; nothing to do
//	any   any    with Err set: unknown. Unknown is not absent: it is a problem, and nothing in its domain is deleted.
type Observation struct {
	Live Tree
	Next Tree
	// Still is of a whole domain: so many more desired things rest as they were when they were last told of, live, ready and as git wants
	// them, and the Inventory has them.
	Still int
	// Settled says that it is live, ready and as git wants it, and that nothing moved since that was found out: Live and Next
	// are left out then.
	Settled bool
	// Digest is that of Spec, where the observer has it at hand.
	Digest Digest
	// Err says why Live or Next could not be determined.
	Err *Error
	// Owned says that this tool put the live thing there (ApplySet label, eksctl stack tags): only owned things are ever deleted.
	Owned bool
	// Identity tells the live thing from a successor of the same name (the id of its stack, its creation time), so that an
	// approval of its end is not one of the successor's. Empty means metadata.uid of Live.
	Identity string
	// Overlay is the overlay that owns the live object, read from its label.
	Overlay string
	// Predicted says that Next was not confirmed by the server, because something it needs does not exist yet.
	Predicted bool
	// Replace lists why Live cannot become Next in place, one cause a line ("instanceTypes is immutable").
	Replace []string
	// Finished says that it has done its work and goes by itself afterwards (a Job with ttlSecondsAfterFinished). When it has
	// gone, neither Live nor Next is set: it is not made again until git changes.
	Finished bool
	// Data says that deleting or replacing loses data or more than the thing itself, in words ("17 objects inside").
	Data string
	// Inside counts by kind what goes along with it, where that can be counted.
	Inside map[string]int
	// Effect says in words what the change does to what runs ("2 nodes (i-1, i-2) are replaced, 12 pods move"), and Minutes how long
	// such changes usually take; 0 when nothing is known of that.
	Effect  string
	Minutes int
	// Extra says that it is live, and neither git's nor made from here. It is left alone, and told; what is Owned all the same goes
	// because its cluster ends.
	Extra bool
	// Lock names what takes one operation at a time, for a change of this ("nodegroup system"); "" when nothing does.
	Lock string
	// Progress is set when an operation on it is in flight already, or when it is live but not ready.
	Progress *Health
	// Owners maps a field path to who set its live value, where known.
	Owners map[string]Owner
	// Skipped are differences that apply leaves alone because another owner keeps them.
	Skipped []Skipped
	// Overruled are the paths of fields that git sets and the server stores otherwise, whenever it is told.
	Overruled []string
	// Conflicts are fields another manager owns that apply would have to take by force; they hold the change.
	Conflicts []Conflict
	// Keeper is another tool that applies the live thing, which is not ours yet ("an EKS addon (field manager eks)"): taking it
	// over waits for a person.
	Keeper string
	// Concerns are what was found out about the change before it begins. All of them are told, whether there is a change now or not.
	Concerns []Concern
	// Needs are refs that must be ready before this one is applied, beyond those inferred from its content.
	Needs []Ref
	// From is where git says so; for a deletion, zero.
	From Origin
	// Spec is the desired content as written (Item.Spec), which Actor.Apply sends. Nil for deletions.
	Spec Tree
}

// Concern is one thing that was found out about a change before it begins: a note, or else something that holds it.
type Concern struct {
	*Error
	// Final says that approving the change would not help: git or what is live has to change first.
	Final bool
	// About is what it is about, where its words tell more, which changes; empty where the words are it.
	About string
}

// Subject tells a concern from others: an approval is for it.
func (c Concern) Subject() string { return cmp.Or(c.About, c.Message()) }

// Owner is the manager of a field and when it last wrote it (RFC 3339, as the API server tells it).
type Owner struct {
	Manager string `json:"manager"`
	At      string `json:"at,omitempty"`
}

// Skipped is a difference that is left to its owner.
type Skipped struct {
	Path  string `json:"path"`
	Owner string `json:"owner"`
	Why   string `json:"why"`
}

// Conflict is a field that another manager owns.
type Conflict struct {
	Path  string `json:"path"`
	Owner string `json:"owner"`
}

// Observed is the live world, for every desired Ref and for everything owned that is no longer desired. A Ref with nothing but a domain is
// about all of that domain: why it is not known, or how much of it rests (Observation.Still).
type Observed map[Ref]Observation

// Entry remembers what was last applied for a Ref.
type Entry struct {
	Overlay string `json:"overlay,omitempty"`
	// Spec is the digest of the desired content last applied: live differing from git with an equal digest is drift.
	Spec Digest `json:"spec"`
	// Revision is the commit that last changed it.
	Revision string `json:"revision,omitempty"`
	// Finished says that it has done its work as Spec says, so that it may be gone.
	Finished bool `json:"finished,omitempty"`
	// Secrets are the fields that were applied with values out of an encrypted file (Origin.Secrets): what is live in them stays
	// a secret after git has something else.
	Secrets []string `json:"secrets,omitempty"`
}

// Equal reports whether two entries say the same.
func (e Entry) Equal(f Entry) bool {
	return e.Spec == f.Spec && e.Overlay == f.Overlay && e.Revision == f.Revision && e.Finished == f.Finished && slices.Equal(e.Secrets, f.Secrets)
}

// Inventory is what this tool put there. It shrinks only on a confirmed delete.
type Inventory map[Ref]Entry
