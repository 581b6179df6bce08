// Package wiring joins EKS to the other services of the simulator: it makes eks.Neighbours out of them.
//
// Inputs are the services; output is what package eks asks for. It holds no state and decides nothing: what EKS wants is put
// into the neighbours' own operations, so that their rules apply to EKS as they do to any other caller.
package wiring

import (
	"slices"

	"github.com/eks-gitops/reconciler/internal/sim/aws/ec2"
	"github.com/eks-gitops/reconciler/internal/sim/aws/eks"
	"github.com/eks-gitops/reconciler/internal/sim/aws/iam"
	"github.com/eks-gitops/reconciler/internal/sim/aws/kms"
	"github.com/eks-gitops/reconciler/internal/sim/aws/logs"
	"github.com/eks-gitops/reconciler/internal/sim/aws/ssm"
	"github.com/eks-gitops/reconciler/internal/sim/aws/world"
)

// Services are those that EKS works with.
type Services struct {
	World *world.World
	EC2   *ec2.Service
	IAM   *iam.Service
	KMS   *kms.Service
	Logs  *logs.Service
	SSM   *ssm.Service
}

// Neighbours joins EKS to the services; groups are the Auto Scaling groups.
func Neighbours(s Services, groups eks.Groups) eks.Neighbours {
	return eks.Neighbours{
		Network:    network{s.World, s.EC2},
		Templates:  templates{s.World, s.EC2, s.IAM},
		Groups:     groups,
		Principals: principals{s.IAM},
		LogGroups:  s.Logs,
		Keys:       s.KMS,
		Parameters: s.SSM,
		Machines:   machines{s.EC2},
		Zones:      zones{s.EC2},
	}
}

// principals are IAM's.
type principals struct{ iam *iam.Service }

func (p principals) Principal(arn string) (eks.Principal, bool) {
	found, ok := p.iam.Principal(arn)
	return eks.Principal{ARN: found.ARN, UniqueID: found.UniqueID, Trusted: found.Trusted, Actions: found.Actions}, ok
}

// machines are EC2's instance types.
type machines struct{ ec2 *ec2.Service }

func (m machines) Machine(name string) (eks.Machine, bool) {
	t, ok := ec2.FindMachineType(name)
	if !ok {
		return eks.Machine{}, false
	}
	out := eks.Machine{Arch: t.Architecture, GPU: t.GPUs > 0, MaxPods: t.MaxPods()}
	for _, z := range m.ec2.Zones() {
		if ec2.Offered(name, z.ID) && !slices.Contains(out.Zones, z.Name) {
			out.Zones = append(out.Zones, z.Name)
		}
	}
	return out, true
}

func (m machines) Running(cluster string) int {
	return m.ec2.Running("kubernetes.io/cluster/" + cluster)
}

// zones are EC2's.
type zones struct{ ec2 *ec2.Service }

func (z zones) Zones() []eks.Zone {
	var out []eks.Zone
	for _, zone := range z.ec2.Zones() {
		out = append(out, eks.Zone{Name: zone.Name, ID: zone.ID})
	}
	return out
}
