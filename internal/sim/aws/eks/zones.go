package eks

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/eks-gitops/reconciler/internal/sim/aws/wire"
)

// withoutControlPlanes are the zones in which EKS has no control planes
// (https://docs.aws.amazon.com/eks/latest/userguide/network-reqs.html#network-requirements-subnets).
func withoutControlPlanes() []string { return []string{"use1-az3", "usw1-az2", "cac1-az3"} }

// FillZone says whether EKS has no capacity left for new control planes in a zone, as happens in life without notice
// (https://docs.aws.amazon.com/eks/latest/userguide/troubleshooting.html#ice). Clusters that are there stay.
func (s *Service) FillZone(zone string, full bool) error {
	zones := s.neighbours.Zones.Zones()
	if !slices.ContainsFunc(zones, func(z Zone) bool { return z.Name == zone }) {
		return fmt.Errorf("there is no availability zone %s", zone)
	}
	delete(s.state.FullZones, zone)
	if full {
		s.state.FullZones[zone] = true
	}
	return nil
}

// FullZones are the zones that FillZone filled.
func (s *Service) FullZones() []string {
	return append([]string{}, slices.Sorted(maps.Keys(s.state.FullZones))...)
}

// checkZones holds the subnets of a cluster to what EKS asks of their zones. One without room refuses new clusters only.
func (s *Service) checkZones(on subject, subnets []Subnet, creating bool) error {
	zones := map[string]bool{}
	for _, n := range subnets {
		if slices.Contains(withoutControlPlanes(), n.ZoneID) || creating && s.state.FullZones[n.Zone] {
			return s.refuseZone(on, n)
		}
		if n.FreeAddresses < 6 {
			return on.badParameter("Subnet %s does not have enough free addresses: EKS needs at least 6", n.ID)
		}
		zones[n.Zone] = true
	}
	if len(zones) < 2 {
		return on.badParameter("Subnets specified must be in at least two different AZs")
	}
	return nil
}

// refuseZone is UnsupportedAvailabilityZoneException in the words that EKS has for a zone that is full (user guide, as above) and for
// one that never has control planes (https://github.com/pulumi/pulumi-eks/issues/1401). Its validZones are all of the account's zones
// that have room, whether the request names them or not.
func (s *Service) refuseZone(on subject, n Subnet) *wire.Error {
	valid := []string{}
	for _, z := range s.neighbours.Zones.Zones() {
		if !slices.Contains(withoutControlPlanes(), z.ID) && !s.state.FullZones[z.Name] {
			valid = append(valid, z.Name)
		}
	}
	why := fmt.Sprintf("%s, the targeted availability zone, does not currently have sufficient capacity to support the cluster. Retry and choose from these availability zones: %s",
		n.Zone, strings.Join(valid, ", "))
	if slices.Contains(withoutControlPlanes(), n.ZoneID) {
		why = fmt.Sprintf("EKS does not support creating control plane instances in %s, the targeted availability zone. Retry cluster creation using control plane subnets that span at least two of these availability zones: %s. Note, post cluster creation, you can run worker nodes in separate subnets/availability zones from control plane subnets/availability zones passed during cluster creation",
			n.Zone, strings.Join(valid, ", "))
	}
	err := on.fail(400, "UnsupportedAvailabilityZoneException", "Cannot create cluster '%s' because %s", on.cluster, why)
	err.Members["validZones"] = valid
	return err
}
