package gitops

import (
	"io/fs"
	"time"
)

// Revision names a state of the repository.
type Revision struct {
	// Hash is the commit, or a content hash for a folder that is not a commit.
	Hash string `json:"hash"`
	// Ref is what was followed to get here: a branch, tag, semver range or commit; empty for a folder.
	Ref string `json:"ref,omitempty"`
	// Subject is the first line of the commit message.
	Subject string `json:"subject,omitempty"`
	// Author is the commit's author name.
	Author string `json:"author,omitempty"`
	// At is the commit time.
	At time.Time `json:"at,omitzero"`
	// Dirty says that the folder has changes that are in no commit.
	Dirty bool `json:"dirty,omitempty"`
}

// Short is "main@4f2c9e1", or the bare short hash.
func (r Revision) Short() string {
	hash := r.Hash
	if len(hash) > 7 {
		hash = hash[:7]
	}
	if r.Dirty {
		hash += "+"
	}
	if r.Ref == "" || r.Ref == r.Hash {
		return hash
	}
	return r.Ref + "@" + hash
}

// Snapshot is the repository at one revision. Files is immutable and safe for concurrent use; paths are slash-separated
// and relative to the repository's root.
type Snapshot struct {
	Revision Revision
	Files    fs.FS
}

// Position is a place in the repository.
type Position struct {
	File string `json:"file,omitempty"`
	// Line counts from 1; 0 means the whole file.
	Line int `json:"line,omitempty"`
}

// Origin says where an Item comes from.
type Origin struct {
	Position
	// Overlay is the name of the overlay (its folder relative to the cluster's folder); empty for the ClusterConfig.
	Overlay string `json:"overlay,omitempty"`
	// Fields maps field paths ("iam.withOIDC") of a ClusterConfig or a policy to where they are set; objects have Desired.Fields.
	Fields map[string]Position `json:"-"`
	// Secrets are the fields whose values came out of an encrypted file, as paths with [*] for the items of lists. Nobody is
	// shown them.
	Secrets []string `json:"-"`
}

// Item is one thing that git wants.
type Item struct {
	Ref  Ref
	Spec Tree
	From Origin
}

// Overlay is one topmost folder with a kustomization below a cluster's folder: the unit of isolation.
type Overlay struct {
	Name string `json:"name"`
	// Complete is false when it could not be rendered whole; nothing of it may be pruned then.
	Complete bool `json:"complete"`
	// Pending is true when it needs facts that exist only after the cluster does; its items are predictions.
	Pending bool `json:"pending,omitempty"`
}

// Approval is one line of an approval.
type Approval struct {
	Position
	// Most is how many an approved concern may be about; 0 for a change.
	Most int
}

// Cluster is what one cluster folder of git says before any overlay is rendered.
type Cluster struct {
	// Name is metadata.name of the ClusterConfig, or the folder's base name when there is no readable ClusterConfig.
	Name   string
	Folder string
	// Config is the ClusterConfig as written (Ref kind "ClusterConfig"); Config.Spec is nil when Problems tell why.
	Config Item
	// Policy is reconcile.yaml as written; nil when there is none.
	Policy *Item
	// Approvals maps the ids of approved changes and concerns to where they are approved.
	Approvals map[Digest]Approval
	// Overlays are the names of all overlays found, sorted.
	Overlays []string
	// Ending says that nothing is wanted of the cluster any more, and no overlay: its folder left git, or a person said so. What is
	// left of Config tells where the cluster is.
	Ending bool
	// LogGroups says that the end takes what the control plane logged, too.
	LogGroups bool
	Problems  []*Error
}

// Desired is everything git wants of one cluster at one revision.
type Desired struct {
	Revision Revision
	Cluster  string
	Items    []Item
	Overlays []Overlay
	Problems []*Error
	// Fields, if any, maps field paths ("spec.replicas") of an object of Items to where they are set, as far as kustomize tells. It
	// reads files: ask for the objects that are shown.
	Fields func(Ref) map[string]Position
}

// Overlay finds an overlay by name.
func (d Desired) Overlay(name string) (Overlay, bool) {
	for _, o := range d.Overlays {
		if o.Name == name {
			return o, true
		}
	}
	return Overlay{}, false
}

// Facts are outputs of the infrastructure that overlays may use: keys of the virtual ConfigMap cluster-facts
// (region, account, vpcId, endpoint, oidcIssuer, kubernetesMinor, kubeDNSClusterIP, role.NAMESPACE.NAME ...).
// A key that is absent is not known yet.
type Facts map[string]string
