package eks

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	cfntypes "github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
	ekstypes "github.com/aws/aws-sdk-go-v2/service/eks/types"
	api "github.com/weaveworks/eksctl/pkg/apis/eksctl.io/v1alpha5"

	"github.com/eks-gitops/reconciler/pkg/gitops"
)

// Nodes is what deleting and replacing nodegroups needs of the cluster's API. Nodes are named by the ids of their EC2
// instances (the last part of spec.providerID): labels can be set by anyone.
type Nodes interface {
	// ReadyNodes counts the nodes on these instances that are Ready and schedulable.
	ReadyNodes(ctx context.Context, instances []string) (int, error)
	// DrainNodes takes one step: it cordons the nodes on these instances and evicts, through the eviction API, the pods
	// that budgets allow, of so many nodes at once. It tells how many pods are left to go (DaemonSet and mirror pods do not
	// count) and, in words, what keeps them. It never waits and never overrides a budget.
	DrainNodes(ctx context.Context, instances []string, atOnce int) (left int, blocked string, err error)
	// ReleaseNodes undoes the cordons that DrainNodes made, and only those.
	ReleaseNodes(ctx context.Context, instances []string) error
}

// ServiceAccounts is what roles for service accounts need of the cluster's API.
type ServiceAccounts interface {
	// ServiceAccountMeta reads a service account.
	ServiceAccountMeta(ctx context.Context, namespace, name string) (labels, annotations map[string]string, found bool, err error)
	// EnsureServiceAccount makes the service account, and its namespace, where they are absent, and sets these labels and
	// annotations on it; it removes none.
	EnsureServiceAccount(ctx context.Context, namespace, name string, labels, annotations map[string]string) error
	// DeleteServiceAccount deletes it; an absent one is no error.
	DeleteServiceAccount(ctx context.Context, namespace, name string) error
}

// AuthMap is what identity mappings need of the cluster's API: the data of ConfigMap kube-system/aws-auth.
type AuthMap interface {
	// AuthMap reads the data; of an absent ConfigMap there are none.
	AuthMap(ctx context.Context) (map[string]string, error)
	// EditAuthMap lets edit change the data and writes them, unless somebody else wrote meanwhile: then edit is called again with
	// what is there now. It makes the ConfigMap where that is absent, and writes nothing where edit changes nothing or fails.
	EditAuthMap(ctx context.Context, edit func(data map[string]string) error) error
}

// Options wires a Cloud. AWS and Now are required.
type Options struct {
	// AWS is one identity in one region, with everything that reaches it (endpoint, credentials, retries).
	AWS aws.Config
	// Nodes, ServiceAccounts and AuthMap reach the cluster's API; nil means that the cluster is not asked: nodes are taken as
	// ready when EC2 says so, nothing is drained, and service accounts and identity mappings are left alone.
	Nodes           Nodes
	ServiceAccounts ServiceAccounts
	AuthMap         AuthMap
	// Preflight is what upgrades ask the cluster's API; nil means that it is not asked.
	Preflight Preflight
	Now       func() time.Time
	// Fresh is how long a sweep is good for: an Observe within it makes no call to AWS, unless git changed, or something
	// was applied or was in flight. Zero means that every Observe sweeps.
	Fresh time.Duration
	// Turns bounds how many clusters that have it in common are swept at once, by its capacity: AWS counts the calls of an account, and a
	// daemon with many clusters would begin with all of them. Nil is no bound.
	Turns chan struct{}
	// Teardown plans the end of everything that carries the cluster's tags, the cluster last.
	Teardown bool
	// LogGroups says that a Teardown takes the log group of the control plane, too.
	LogGroups bool
	Log       *slog.Logger
}

// Cloud is AWS as one cluster sees it: it observes, applies and tells facts. It is safe for concurrent use. What it
// remembers is only a cache: a new one knows the same after one Observe.
type Cloud struct {
	Options
	aws     *clients
	changed chan struct{}

	mu                         sync.Mutex
	account, partition, caller string
	// config is what git wants, as of the last Observe.
	config *Config
	// parsed is the digest that config was parsed from.
	parsed gitops.Digest
	// world is the last known state; stale says that it may not be served again.
	world *world
	stale bool
	// arriving is what a sweep under way knows of the cluster itself.
	arriving *world
	// stacks and templates are those of the last sweep, by stack and version of it.
	stacks    map[string]cfntypes.Stack
	templates map[string]gitops.Tree
	// nodeEntries are the access entries for nodes of the last sweep, by principal.
	nodeEntries map[string]*ekstypes.AccessEntry
	// offers are addon versions, by addon, wanted version and Kubernetes version.
	offers map[string]offer
	// suggestions are the pod identities that EKS recommends, by addon that is being made.
	suggestions map[string][]api.PodIdentityAssociation

	// machines are the instance types that were asked about.
	machines map[string]machine
	// images are the versions of Kubernetes that images were made for, by id; "" for one that does not tell.
	images map[string]string
	// catalogs are the versions that EKS offers of an addon, by addon.
	catalogs map[string]catalog
	// dismissed are the ids of stacks that this process asked CloudFormation to delete: a read that is behind may still
	// show them as they were.
	dismissed map[string]bool
	// refused are the refusals that ended the creation of the cluster's stacks, by the stack's id; nil for one that none ended.
	refused map[string]*refusal
	// told is the stack whose refusal the last plan told of.
	told string
	// wrecks are the stacks whose failure the last sweep showed, by version: it was told, and another try may begin.
	wrecks map[string]bool
	// steps keeps the calls for one ref in a row.
	steps map[gitops.Ref]*sync.Mutex
	// tries are the last steps taken towards each ref: a step that AWS accepts but that changes nothing must end.
	tries map[gitops.Ref]try
	// said is what keeps a ref from going on, from its last step.
	said map[gitops.Ref]gitops.Health
	// mapped says that the inventory has identity mappings.
	mapped bool
	// capable says that the inventory has capabilities, or that the cluster had some when they were last listed.
	capable bool
	// heard is what a Feed told lately, the newest last; blamed is who was found to have changed a ref.
	heard  []deed
	blamed map[gitops.Ref]blame
	// updates are those of EKS that were asked about.
	updates updateLog
	// blind is until when CloudTrail is not asked.
	blind time.Time
}

// New makes a Cloud. It performs no I/O.
func New(o Options) *Cloud {
	silence()
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Cloud{
		Options: o, aws: newClients(o.AWS), changed: make(chan struct{}, 1), stale: true,
		stacks: map[string]cfntypes.Stack{}, templates: map[string]gitops.Tree{}, nodeEntries: map[string]*ekstypes.AccessEntry{}, offers: map[string]offer{}, catalogs: map[string]catalog{}, machines: map[string]machine{}, images: map[string]string{},
		dismissed: map[string]bool{}, steps: map[gitops.Ref]*sync.Mutex{},
		updates: updateLog{running: map[string]string{}, ended: map[string]bool{}},
		tries:   map[gitops.Ref]try{}, refused: map[string]*refusal{}, said: map[gitops.Ref]gitops.Health{}, suggestions: map[string][]api.PodIdentityAssociation{},
	}
}

func (c *Cloud) now() time.Time { return c.Now() }

// Changed delivers when a Feed told that somebody changed something; without one it never does. Drift is found all the same, by
// the next Observe that is not served from memory, and what is in flight by Ready.
func (c *Cloud) Changed() <-chan struct{} { return c.changed }

// serial keeps the calls about one ref in a row; different refs go on side by side.
func (c *Cloud) serial(r gitops.Ref) func() {
	c.mu.Lock()
	lock := c.steps[r]
	if lock == nil {
		lock = &sync.Mutex{}
		c.steps[r] = lock
	}
	c.mu.Unlock()
	lock.Lock()
	return lock.Unlock
}

// known is what git wants and what was last seen.
func (c *Cloud) known() (*Config, *world) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.config, c.world
}

// refresh lets read change a copy of the last world, outside the lock, and then takes over what it changed through
// merge, so that two refreshes of different things do not undo each other.
func (c *Cloud) refresh(read func(*world) error, merge func(from, into *world)) (*world, error) {
	_, last := c.known()
	fresh := last.clone()
	if err := read(fresh); err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	into := c.world.clone()
	merge(fresh, into)
	into.Account, into.Partition = fresh.Account, fresh.Partition
	c.world = into
	return into, nil
}

// touch says that the next Observe has to sweep.
func (c *Cloud) touch() {
	c.mu.Lock()
	c.stale = true
	c.mu.Unlock()
}

// dismiss remembers that CloudFormation was asked to delete a stack.
func (c *Cloud) dismiss(stackID string) {
	c.mu.Lock()
	c.dismissed[stackID] = true
	c.mu.Unlock()
}

func (c *Cloud) isDismissed(stackID string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.dismissed[stackID]
}
