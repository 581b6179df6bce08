package aws

import (
	"context"

	"github.com/eks-gitops/reconciler/internal/sim/aws/ec2"
	"github.com/eks-gitops/reconciler/internal/sim/aws/wire"
)

// interfaces are the network interfaces of load balancers.
type interfaces struct{ *ec2.Service }

// Attach makes one in every subnet that there is.
func (i interfaces) Attach(description string, subnets, groups []string) []string {
	var out []string
	for _, subnet := range subnets {
		made, err := i.CreateNetworkInterface(context.Background(), wire.Caller{ARN: "elasticloadbalancing.amazonaws.com"}, &ec2.CreateNetworkInterfaceInput{
			SubnetID: subnet, Description: description, Groups: groups, RequesterID: "amazon-elb", RequesterManaged: true,
		})
		if err == nil {
			out = append(out, made.NetworkInterface.NetworkInterfaceID)
		}
	}
	return out
}

// Release takes them away.
func (i interfaces) Release(ids []string) {
	for _, id := range ids {
		i.ReleaseInterface(id)
	}
}
