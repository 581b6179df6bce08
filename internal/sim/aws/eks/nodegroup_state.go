package eks

import "time"

// nodegroupRecord is a node group with what EKS made for it.
type nodegroupRecord struct {
	Nodegroup Nodegroup
	Token     string
	// Group and TemplateID are EKS's own Auto Scaling group and launch template.
	Group, TemplateID, TemplateVersion string
	Since, Due                         time.Time
	// CustomImage says that the user's launch template names an image, so that EKS neither chooses nor updates it.
	CustomImage bool
	ImageID     string
	// NextVersion is what a stack wants after the running update.
	NextVersion *UpdateNodegroupVersionInput `json:",omitzero"`
	// Draining holds the instances that are being emptied before they go, and since when.
	Draining map[string]time.Time
}

// roll is the replacement of a node group's nodes, batch by batch.
type roll struct {
	// Version, Release, ImageID and User are what the nodes become.
	Version, Release, ImageID string
	User                      *LaunchTemplateSpecification
	// TemplateVersion is that of EKS's own launch template; a node with another one is old. Previous is to go back to.
	TemplateVersion, Previous string
	// Desired, Min and Max are the group's sizes, which are exceeded while nodes are replaced.
	Desired, Min, Max int
	Batch             int
	Minimal           bool // old nodes go before new ones come
	Force             bool
	// Moved is when the last node came or went; too long without is a failure.
	Moved      time.Time
	OldN, NewN int
}

func nodegroup(c *clusterRecord, name string) (*nodegroupRecord, error) {
	g, ok := c.Nodegroups[name]
	if !ok {
		return nil, subject{cluster: c.Cluster.Name, nodegroup: name}.notFound("No node group found for name: %s.", name)
	}
	return g, nil
}

// inFlight is the running update of a node group, or nil.
func (c *clusterRecord) nodegroupUpdate(name string) *updateRecord {
	for _, u := range c.Updates {
		if u.Nodegroup == name && u.running() {
			return u
		}
	}
	return nil
}
