package plan

import (
	"time"

	"github.com/eks-gitops/reconciler/pkg/gitops"
)

// Rules is the policy of a cluster, as reconcile.yaml says it (docs/schema/reconcile.schema.json). Without the file, and for
// every field it leaves out, DefaultRules holds.
type Rules struct {
	// Interval is the longest time between two passes; zero means the program's.
	Interval time.Duration
	Prune    Prune
	Hold     Holds
	// Freeze are times in which nothing is changed without an approval.
	Freeze   []Window
	Retry    Retry
	Timeouts Timeouts
	// Ignore are fields that git does not speak about, though it holds them.
	Ignore []Ignore
}

// Prune bounds deletions of what left git.
type Prune struct {
	Enabled bool
	// MaxShare is the greatest share (0..1) of everything live that one plan deletes without approval; zero means no bound.
	MaxShare float64
	// MaxCount is the greatest number of deletions of one plan without approval; zero means no bound.
	MaxCount int
}

// Holds says what waits for approval.
type Holds struct {
	// Destructive holds changes of risk destructive.
	Destructive bool
	// Kinds holds deletions and replacements of further kinds.
	Kinds []string
}

// Retry bounds the wait between two tries of what failed.
type Retry struct{ First, Max time.Duration }

// Timeouts bounds how long one change may take.
type Timeouts struct {
	// Ready is the time until a change that is not ready is reported as failed; zero means the program's.
	Ready time.Duration
}

// Ignore names fields of objects. An empty list of kinds, namespaces or names matches all of them.
type Ignore struct {
	Kinds, Namespaces, Names []string
	// Fields are paths as edits show them; [*] stands for every item of a list or every key of an object.
	Fields []string

	steps [][]step
}

// DefaultRules is the policy of a cluster without reconcile.yaml.
func DefaultRules() Rules {
	return Rules{
		Prune: Prune{Enabled: true, MaxShare: 0.5, MaxCount: 100},
		Hold:  Holds{Destructive: true},
		Retry: Retry{First: 2 * time.Second, Max: 5 * time.Minute},
	}
}

// Policies gives the policies that the rules ask for, in the order they are to be applied: what is dropped, then what is
// held. now is asked whenever a plan is made; approvals release what they name.
func (r Rules) Policies(now func() time.Time, a Approvals) []Policy {
	var out []Policy
	if !r.Prune.Enabled {
		out = append(out, NoPrune())
	}
	if r.Hold.Destructive {
		out = append(out, HoldDestructive(a))
	}
	// HoldKinds without kinds only releases what is approved (conflicts).
	out = append(out, HoldKinds(r.Hold.Kinds, a), PruneBudget(r.Prune.MaxShare, r.Prune.MaxCount, a))
	if len(r.Freeze) > 0 {
		out = append(out, FreezeWindows(now, r.Freeze, a))
	}
	return out
}

// Trim removes from what git says the fields that an ignore rule names, so that neither diff nor apply speaks of them. It
// changes nothing that it was handed.
func (r Rules) Trim(d gitops.Desired) gitops.Desired {
	if len(r.Ignore) == 0 {
		return d
	}
	items := make([]gitops.Item, 0, len(d.Items))
	for _, item := range d.Items {
		for _, rule := range r.Ignore {
			if rule.matches(item.Ref) {
				item.Spec = rule.trim(item.Spec)
			}
		}
		items = append(items, item)
	}
	d.Items = items
	return d
}
