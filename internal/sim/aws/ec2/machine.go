package ec2

import (
	"encoding/base64"
	"strconv"
	"time"
)

// Machines are what instances stand for: in the lab, nodes of a cluster. The methods are called under the world's lock, return
// at once and do not call back. After a restart of the simulator Started is called again for every instance that runs, so
// Started of a machine that is known already changes nothing. Terminated is not told of instances that ended while nobody
// listened: a machine that Started does not name after a restart is gone.
type Machines interface {
	// Started says that the instance has booted: its kubelet would register now.
	Started(m Machine)
	// Terminated says that the instance is gone.
	Terminated(m Machine)
}

// Machine is an instance as a node of a cluster would see it.
type Machine struct {
	InstanceID   string
	ProviderID   string // "aws:///us-west-2a/i-0123"
	InstanceType string
	Architecture string // "x86_64" or "arm64"
	Region, Zone string
	ZoneID       string
	PrivateIP    string
	PublicIP     string
	PrivateDNS   string // the node's name
	ImageID      string
	ImageFamily  string // "al2023", "bottlerocket"
	// Version is the Kubernetes minor of the image's kubelet, "1.34".
	Version    string
	VCPU       int
	MemoryMiB  int
	DiskGiB    int
	MaxPods    int
	GPUs       int
	Spot       bool
	Launched   time.Time
	ProfileARN string
	Tags       map[string]string
	// Cluster, Endpoint, Labels and Taints are what the user data tells the kubelet. Without user data that an EKS image
	// understands, Cluster is empty and no node comes of the machine.
	Cluster  string
	Endpoint string
	Labels   map[string]string
	Taints   []Taint
}

// Taint is a taint a kubelet registers with.
type Taint struct{ Key, Value, Effect string }

// Machine describes an instance for Machines.
func (s *Service) Machine(i *Instance) Machine {
	m := Machine{
		InstanceID: i.ID, ProviderID: "aws:///" + i.Zone + "/" + i.ID, InstanceType: i.Type, Architecture: i.Architecture, Region: s.world.Region,
		Zone: i.Zone, PrivateIP: i.PrivateIP, PublicIP: i.PublicIP, ImageID: i.ImageID, Spot: i.Spot, Launched: i.Launched, ProfileARN: i.ProfileARN,
		Tags: s.TagsOf(i.ID), Labels: map[string]string{},
	}
	if i.PrivateIP != "" {
		m.PrivateDNS = s.privateDNS(i.PrivateIP)
	}
	if z, ok := s.zone(i.Zone); ok {
		m.ZoneID = z.ID
	}
	if image, ok := s.images[i.ImageID]; ok {
		m.Version, m.ImageFamily = image.KubernetesVersion, image.Family
	}
	if t, ok := FindMachineType(i.Type); ok {
		m.VCPU, m.MemoryMiB, m.GPUs, m.MaxPods = t.VCPU, t.MemoryMiB, t.GPUs, t.MaxPods()
	}
	for _, v := range i.Volumes {
		if volume := s.state.Volumes[v.VolumeID]; volume != nil {
			m.DiskGiB = max(m.DiskGiB, volume.Size)
		}
	}
	if raw, err := base64.StdEncoding.DecodeString(i.UserData); err == nil {
		b := parseBootstrap(string(raw))
		m.Cluster, m.Endpoint, m.Taints = b.cluster, b.endpoint, b.taints
		if b.labels != nil {
			m.Labels = b.labels
		}
		if n, err := strconv.Atoi(b.maxPods); err == nil && n > 0 {
			m.MaxPods = n
		}
	}
	return m
}
