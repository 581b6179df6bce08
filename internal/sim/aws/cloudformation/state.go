package cloudformation

import (
	"time"

	"github.com/eks-gitops/reconciler/internal/sim/aws/cloudformation/template"
)

// state is everything that survives a restart.
type state struct {
	Stacks     map[string]*stack     // by id
	ChangeSets map[string]*changeSet // by id
}

// Tag is a tag of a stack.
type Tag struct {
	Key   string
	Value string
}

// target is what a stack is wanted to be.
type target struct {
	Body          string
	Parameters    map[string]string
	Tags          []Tag
	Capabilities  []string
	RoleARN       string
	Notifications []string

	parsed *template.Template
}

func (t *target) template() (*template.Template, error) {
	if t.parsed == nil {
		parsed, err := template.Parse(t.Body)
		if err != nil {
			return nil, err
		}
		t.parsed = parsed
	}
	return t.parsed, nil
}

func (t *target) tags() map[string]string {
	tags := make(map[string]string, len(t.Tags))
	for _, tag := range t.Tags {
		tags[tag.Key] = tag.Value
	}
	return tags
}

// Output is an output of a stack.
type Output struct {
	OutputKey   string
	OutputValue string
	Description string `xml:"Description,omitempty"`
	ExportName  string `xml:"ExportName,omitempty"`
}

// stack is one stack, also after its deletion.
type stack struct {
	ID, Name                  string
	Target                    target
	Status, Reason            string
	Created, Updated, Deleted time.Time
	DisableRollback           bool
	OnFailure                 string // ROLLBACK (also when empty), DO_NOTHING, DELETE
	TimeoutMinutes            int
	Protected                 bool
	ChangeSetID               string
	Outputs                   []Output
	Members                   map[string]*member
	Imports                   []string
	Events                    []event // oldest first
	Op                        *operation
}

// physical is one resource that a provider made.
type physical struct {
	LogicalID      string
	Type           string
	PhysicalID     string
	Token          string
	Properties     map[string]any // as last given to the provider
	Tags           map[string]string
	UpdatePolicy   map[string]any
	CreationPolicy map[string]any
	Ref            string
	Attributes     map[string]any
	Needs          []string
	DeletionPolicy string
}

// member is a logical resource of a stack. Previous is the resource it replaced, until that one is cleaned up or, when the
// update is rolled back, takes its place again.
type member struct {
	physical
	Status, Reason string
	Since          time.Time
	Previous       *physical
}

// settled operations leave no trace here: a stack's Op is nil unless it is in progress.
type operation struct {
	Kind      string // create, update, delete
	Stage     string // apply, sweep
	Restoring bool   // apply works back to the stack's own target after a failed update
	Want      target
	Steps     map[string]*step // by logical id
	Skip      []string         // logical ids that ContinueUpdateRollback passes over
	Retain    []string         // logical ids that DeleteStack leaves alone
	Garbage   []physical       // resources given up while applying
	Sweep     []*removal
	Failure   string // why the whole operation failed, when no single resource did
	Began     time.Time
	Token     string
	// DisableRollback leaves a failed operation where it stopped.
	DisableRollback bool
}

const (
	kindCreate = "create"
	kindUpdate = "update"
	kindDelete = "delete"

	stageApply = "apply"
	stageSweep = "sweep"
)

// step is the way of one logical resource through an apply stage.
type step struct {
	Phase string // running, done, failed, cancelled
	Verb  string // CREATE or UPDATE: the prefix of its statuses
	Since time.Time
	// Called says that the provider accepted the work; before, the call is repeated.
	Called bool
	Old    map[string]any // properties before an update in place
}

const (
	stepRunning   = "running"
	stepDone      = "done"
	stepFailed    = "failed"
	stepCancelled = "cancelled"
)

// removal is the way of one physical resource through a sweep stage.
type removal struct {
	physical
	Phase  string // waiting, deleting, gone, retained, failed
	Called bool
	Reason string
	Since  time.Time
}

const (
	removalWaiting  = "waiting"
	removalDeleting = "deleting"
	removalGone     = "gone"
	removalRetained = "retained"
	removalFailed   = "failed"
)

func (r *removal) settled() bool { return r.Phase == removalGone || r.Phase == removalRetained }

type event struct {
	ID, LogicalID, PhysicalID, Type string
	Status, Reason, Properties      string
	Token                           string
	Time                            time.Time
}

// changeSet is a proposed change. Stale ones are deleted when another one of the stack is executed.
type changeSet struct {
	ID, Name, StackID, StackName string
	Type                         string // CREATE, UPDATE
	Description                  string
	OnStackFailure               string
	Want                         target
	Status, Reason               string
	Execution                    string
	Created                      time.Time
	Changes                      []Change
}
