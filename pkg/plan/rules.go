package plan

import (
	"slices"
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
	// Ignore are fields that are not git's to keep.
	Ignore []Ignore
	// Conflicts decide about fields that git sets and others own.
	Conflicts []Conflict
	// Health are readiness rules by kind.
	Health []HealthRule
	// DependsOn orders overlays, sorted by their names; within and among the others, order is inferred.
	DependsOn  []Dependence
	Decryption Decryption
	AWS        AWS
}

// AWS says as whom the cluster's AWS is reached; the zero value is the process's own identity.
type AWS struct {
	// Role is the ARN of a role of IAM that is assumed, in the same account or another one.
	Role string
	// ExternalID is what the role's trust policy may ask for.
	ExternalID string
	// SessionName is how CloudTrail calls whoever has the role; empty means the program's.
	SessionName string
	From        gitops.Position
}

// Decryption says which keys encrypted files of the cluster are opened with.
type Decryption struct {
	// Age are the names of the key files that may be used; nil means all that the process has.
	Age []string
	// KMS says that AWS KMS may be asked.
	KMS bool
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
	// Nodegroups are the times of single nodegroups, by name: draining may take longer, or is to be heard of sooner.
	Nodegroups map[string]time.Duration
}

// Of is the time of one change; zero means the program's.
func (t Timeouts) Of(r gitops.Ref) time.Duration {
	if own := t.Nodegroups[r.Name]; own > 0 && r.Domain == gitops.EKS && r.Kind == "Nodegroup" {
		return own
	}
	return t.Ready
}

// Selector picks objects of the cluster, and the ClusterConfig where kinds names it. An empty list of kinds, namespaces or
// names picks all objects.
type Selector struct{ Kinds, Namespaces, Names []string }

// Selects reports whether an object is picked.
func (s Selector) Selects(r gitops.Ref) bool {
	in := func(list []string, v string) bool { return len(list) == 0 || slices.Contains(list, v) }
	config := r.Kind == "ClusterConfig" && slices.Contains(s.Kinds, r.Kind)
	return (r.Domain == gitops.K8s || config) && in(s.Kinds, r.Kind) && in(s.Namespaces, r.Namespace) && in(s.Names, r.Name)
}

// Claim picks fields of objects, by path, by who owns them, or by both. An empty list picks all.
type Claim struct {
	Selector
	// Managers are patterns of field managers' names, in which * stands for any text.
	Managers []string
	Fields   []Pattern
}

// Ignore says that fields are not git's to keep, though git may hold them: a live object keeps its value, whatever it is, and
// nobody speaks of it. Git's value is for the object's creation.
type Ignore struct {
	Claim
	// Queries pick fields, beside Fields, by what an object says; Of answers them.
	Queries []Query
	From    gitops.Position
}

// Ruling says what is done about a field that git sets and another manager owns.
type Ruling string

// The rulings.
const (
	// RulingTake sets the field: git wins.
	RulingTake Ruling = "take"
	// RulingLeave keeps the other's value and shows it.
	RulingLeave Ruling = "leave"
	// RulingHold holds the whole change until a person decides.
	RulingHold Ruling = "hold"
)

// Conflict decides about fields that git sets and others own; the first that picks a field wins, before the built-in ones.
type Conflict struct {
	Claim
	Ruling Ruling
}

// HealthRule says how far the objects of a kind are, instead of the built-in knowledge. Its texts are CEL expressions over
// the live object, `object`.
type HealthRule struct {
	Group, Kind string
	// Ready and Failed yield true or false; what is neither is progressing. Failed may be empty.
	Ready, Failed string
	// Message yields the text that says why an object is not ready; it may be empty.
	Message string
	From    gitops.Position
}

// DefaultRules is the policy of a cluster without reconcile.yaml.
func DefaultRules() Rules {
	return Rules{
		Prune: Prune{Enabled: true, MaxShare: 0.5, MaxCount: 100},
		Hold:  Holds{Destructive: true},
		Retry: Retry{First: 2 * time.Second, Max: 5 * time.Minute},

		Decryption: Decryption{KMS: true},
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

// Trim takes out of a ClusterConfig the fields that ignore rules pick by path. Those of objects are pkg/apply's business, which
// knows what is live. A rule whose query cannot be answered is a problem of the result.
func (r Rules) Trim(d gitops.Desired) gitops.Desired {
	items := slices.Clone(d.Items)
	for i, item := range items {
		if item.Ref.Domain != gitops.EKS {
			continue
		}
		for _, rule := range r.Ignore {
			if len(rule.Managers) > 0 || !rule.Selects(item.Ref) {
				continue
			}
			rule, _, err := rule.Of(item.Spec)
			if err != nil {
				d.Problems = append(slices.Clip(d.Problems), gitops.AsError(gitops.PolicyInvalid, err))
			}
			for _, p := range rule.Fields {
				items[i].Spec = p.Cut(items[i].Spec)
			}
		}
	}
	d.Items = items
	return d
}
