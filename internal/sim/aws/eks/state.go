package eks

import (
	"maps"
	"slices"
	"time"
)

// state is everything of EKS that survives a restart.
type state struct {
	Clusters map[string]*clusterRecord
	// StackCreators says in whose name CloudFormation acts for a stack, by the stack's name.
	StackCreators map[string]string
	// StackTags are the keys of the tags that a stack put on a resource, by the resource's ARN.
	StackTags map[string][]string
	// FullZones are the names of zones that have no room for further control planes.
	FullZones map[string]bool `json:",omitempty"`
}

// clusterRecord is a cluster with all that belongs to it.
type clusterRecord struct {
	Cluster Cluster
	// ID is the part of endpoint and issuer that is the cluster's own.
	ID             string
	Creator        string // principal ARN
	BootstrapAdmin bool
	// Kept is software in the cluster that no add-on manages: what EKS put there at creation, and what deleted add-ons left.
	Kept map[string]Software
	// Due is when the status may settle; what it settles to also depends on the control plane.
	Due           time.Time
	Attachment    Attachment
	Nodegroups    map[string]*nodegroupRecord
	Addons        map[string]*addonRecord
	Entries       map[string]*entryRecord
	Associations  map[string]*associationRecord
	Profiles      map[string]*profileRecord
	Providers     map[string]*providerRecord
	Capabilities  map[string]*capabilityRecord
	Updates       []*updateRecord
	Queue         []queued  // what a stack wants after the running update
	InsightsAt    time.Time // last refresh
	InsightsStart time.Time // of a refresh that runs
	Shown         map[string]insightMemory
}

// Attachment is what EKS made in EC2 for a cluster.
type Attachment struct {
	SecurityGroupID string
	InterfaceIDs    []string
}

// updateRecord is an update with what it will do.
type updateRecord struct {
	Update                       Update
	Nodegroup, Addon, Capability string
	Token                        string
	Due                          time.Time
	// Version and Config are what a cluster update brings when it succeeds.
	Version string                    `json:",omitzero"`
	Config  *UpdateClusterConfigInput `json:",omitzero"`
	// Encryption and Provider are what associations bring or take.
	Encryption []EncryptionConfig `json:",omitzero"`
	Provider   string             `json:",omitzero"`
	// Addon updates.
	AddonChange *UpdateAddonInput `json:",omitzero"`
	// Roll is the progress of replacing a node group's nodes.
	Roll *roll `json:",omitzero"`
}

func (u *updateRecord) running() bool { return u.Update.Status == "InProgress" }

// ofCluster says that the update is of the cluster itself, not of something inside it.
func (u *updateRecord) ofCluster() bool {
	return u.Nodegroup == "" && u.Addon == "" && u.Capability == ""
}

type addonRecord struct {
	Addon    Addon
	Token    string
	Resolve  string
	Preserve bool
	Since    time.Time
	Due      time.Time
	// Rolled is when its Pods were last made; OnNodes says that they run on nodes.
	Rolled  time.Time
	OnNodes bool
}

type entryRecord struct {
	Entry    AccessEntry
	Token    string
	Policies map[string]AssociatedAccessPolicy
	// PrincipalID is IAM's unique id of the principal: an entry does not work for a principal that was deleted and made
	// anew under the same name.
	PrincipalID string
}

type associationRecord struct {
	Association PodIdentityAssociation
	Token       string
}

type profileRecord struct {
	Profile FargateProfile
	Token   string
	Due     time.Time
	// Since is when it became active.
	Since time.Time
}

type providerRecord struct {
	Config OIDCIdentityProviderConfig
}

type capabilityRecord struct {
	Capability Capability
	Token      string
	Due        time.Time
	// Admitted says that EKS made the access entry of the role.
	Admitted bool
}

func newState() *state {
	return &state{Clusters: map[string]*clusterRecord{}, StackCreators: map[string]string{}, StackTags: map[string][]string{}, FullZones: map[string]bool{}}
}

// sorted walks a map in the order of its keys, so that everything EKS does is repeatable.
func sorted[V any](m map[string]V) func(func(string, V) bool) {
	return func(yield func(string, V) bool) {
		for _, k := range slices.Sorted(maps.Keys(m)) {
			if v, ok := m[k]; ok && !yield(k, v) {
				return
			}
		}
	}
}

func names[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// cluster finds a cluster or gives the API's error.
func (s *Service) cluster(name string) (*clusterRecord, error) {
	if c, ok := s.state.Clusters[name]; ok {
		return c, nil
	}
	return nil, subject{cluster: name}.notFound("No cluster found for name: %s.", name)
}

// settled finds a cluster that is neither being created nor going away.
func (s *Service) settled(name string, on subject) (*clusterRecord, error) {
	c, err := s.cluster(name)
	if err != nil {
		return nil, err
	}
	if st := c.Cluster.Status; st != "ACTIVE" && st != "UPDATING" {
		return nil, on.badRequest("Cluster '%s' is not in ACTIVE status: it is %s", name, st)
	}
	return c, nil
}

// inFlight is the running update of the cluster itself, or nil.
func (c *clusterRecord) inFlight() *updateRecord {
	for _, u := range c.Updates {
		if u.ofCluster() && u.running() {
			return u
		}
	}
	return nil
}

// byToken finds what an earlier call with the same idempotency token started.
func (c *clusterRecord) byToken(token string) *updateRecord {
	if token == "" {
		return nil
	}
	for _, u := range c.Updates {
		if u.Token == token {
			return u
		}
	}
	return nil
}
