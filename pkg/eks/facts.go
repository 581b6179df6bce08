package eks

import (
	"cmp"
	"context"
	"net/netip"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/eks-gitops/reconciler/pkg/gitops"
)

// Facts are what overlays may use, as of the last look. What is known without a cluster (region, account, the cluster's
// name, the version that git pins) is there from the start; the rest appears with the cluster and its roles.
//
//	region account partition clusterName clusterArn vpcId endpoint certificateAuthority oidcIssuer oidcProvider
//	kubernetesVersion kubernetesMinor serviceCIDR kubeDNSClusterIP securityGroup subnetsPrivate subnetsPublic
//	role.NAMESPACE.SERVICEACCOUNT
func (c *Cloud) Facts(context.Context) (gitops.Facts, error) {
	cfg, w := c.known()
	if cfg == nil || w == nil {
		return gitops.Facts{}, nil
	}
	return cfg.facts(w), nil
}

func (c *Config) facts(w *world) gitops.Facts {
	out := gitops.Facts{}
	tell := func(key, value string) {
		if value != "" {
			out[key] = value
		}
	}
	tell("region", c.Region)
	tell("account", w.Account)
	tell("partition", w.Partition)
	tell("clusterName", c.Name)
	if c.foreign(w) != nil || w.Cluster == nil {
		return out
	}
	cl, stack := w.Cluster, w.Stacks[clusterStack(c.Name)]
	tell("clusterArn", aws.ToString(cl.Arn))
	tell("endpoint", aws.ToString(cl.Endpoint))
	if cl.CertificateAuthority != nil {
		tell("certificateAuthority", aws.ToString(cl.CertificateAuthority.Data))
	}
	tell("oidcIssuer", issuer(w))
	tell("oidcProvider", strings.TrimPrefix(issuer(w), "https://"))
	tell("kubernetesVersion", aws.ToString(cl.Version))
	if m := minorOf(aws.ToString(cl.Version)); m >= 0 {
		tell("kubernetesMinor", strconv.Itoa(m))
	}
	if v := cl.ResourcesVpcConfig; v != nil {
		tell("vpcId", aws.ToString(v.VpcId))
		tell("securityGroup", aws.ToString(v.ClusterSecurityGroupId))
	}
	if n := cl.KubernetesNetworkConfig; n != nil {
		cidr := aws.ToString(n.ServiceIpv4Cidr)
		if cidr == "" {
			cidr = aws.ToString(n.ServiceIpv6Cidr)
		}
		tell("serviceCIDR", cidr)
		tell("kubeDNSClusterIP", dnsAddress(cidr))
	}
	tell("subnetsPrivate", cmp.Or(output(stack, "SubnetsPrivate"), c.givenSubnets("private")))
	tell("subnetsPublic", cmp.Or(output(stack, "SubnetsPublic"), c.givenSubnets("public")))
	c.tellRoles(w, tell)
	return out
}

// tellRoles names the role of every service account that has one, by either mechanism.
func (c *Config) tellRoles(w *world, tell func(key, value string)) {
	key := func(name string) string { return "role." + strings.Replace(name, "/", ".", 1) }
	for _, sa := range c.full.IAM.ServiceAccounts {
		arn := sa.AttachRoleARN
		if s, ok := w.Stacks[irsaStack(c.Name, sa.NameString())]; ok && arn == "" {
			arn = output(s, roleOutput)
		}
		tell(key(sa.NameString()), arn)
	}
	for _, p := range c.full.IAM.PodIdentityAssociations {
		arn := p.RoleARN
		if s, ok := w.Stacks[podIdentityStack(c.Name, p.NameString())]; ok && arn == "" {
			arn = output(s, roleOutput)
		}
		tell(key(p.NameString()), arn)
	}
}

// dnsAddress is the address of the cluster's DNS service: EKS takes the tenth of the service range (EKS user guide,
// "View networking requirements": .10).
func dnsAddress(cidr string) string {
	prefix, err := netip.ParsePrefix(cidr)
	if err != nil {
		return ""
	}
	address := prefix.Masked().Addr()
	for range 10 {
		address = address.Next()
	}
	return address.String()
}
