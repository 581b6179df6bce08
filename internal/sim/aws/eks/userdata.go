package eks

import (
	"encoding/base64"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"github.com/eks-gitops/reconciler/internal/sim/aws/eks/catalog"
)

// userData is what a node learns at boot: the user's own parts, and after them EKS's
// (https://docs.aws.amazon.com/eks/latest/userguide/launch-templates.html#launch-template-user-data).
func (s *Service) userData(c *clusterRecord, g *nodegroupRecord, own OwnTemplate, user Template) (string, error) {
	kind, _ := catalog.FindImage(g.Nodegroup.AMIType)
	machine, _ := s.neighbours.Machines.Machine(firstOf(own.InstanceType, user.InstanceType))
	labels := nodeLabels(g)
	switch kind.UserData {
	case catalog.NodeConfig:
		parts, err := mimeParts(user.UserData)
		if err != nil {
			return "", err
		}
		return joinParts(parts, s.nodeConfig(c, g, labels, maxPods(parts, machine))), nil
	case catalog.Settings:
		return s.bottlerocket(c, g, labels, user)
	case catalog.PowerShell:
		return base64.StdEncoding.EncodeToString(fmt.Appendf(nil,
			"<powershell>\n& \"C:\\Program Files\\Amazon\\EKS\\Start-EKSBootstrap.ps1\" -EKSClusterName %q -KubeletExtraArgs \"--node-labels=%s\"\n</powershell>\n", c.Cluster.Name, joined(labels))), nil
	}
	return "", fmt.Errorf("writing user data: none is known for AMI type %s", g.Nodegroup.AMIType)
}

// maxPods is the number that EKS writes for a machine, or 0 for none: one that the user's parts give stands on the nodes
// (eksctl's integration test "maxPods is set correctly for AL2023 nodegroups").
func maxPods(parts []string, m Machine) int {
	if slices.ContainsFunc(parts, func(part string) bool { return strings.Contains(part, "maxPods:") }) {
		return 0
	}
	return m.MaxPods
}

// joinParts puts EKS's configuration after the user's own parts.
func joinParts(parts []string, config string) string {
	var b strings.Builder
	b.WriteString("MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=\"//\"\n\n")
	for _, p := range parts {
		b.WriteString("--//\n" + p + "\n")
	}
	b.WriteString("--//\nContent-Type: application/node.eks.aws\n\n" + config + "\n--//--\n")
	return base64.StdEncoding.EncodeToString([]byte(b.String()))
}

func firstOf(values ...string) string {
	for _, v := range values {
		if v != "" {
			return v
		}
	}
	return ""
}

// nodeLabels are the user's labels and those that EKS gives to nodes of managed groups.
func nodeLabels(g *nodegroupRecord) map[string]string {
	out := maps.Clone(g.Nodegroup.Labels)
	if out == nil {
		out = map[string]string{}
	}
	out["eks.amazonaws.com/nodegroup"] = g.Nodegroup.NodegroupName
	out["eks.amazonaws.com/nodegroup-image"] = g.ImageID
	out["eks.amazonaws.com/capacityType"] = g.Nodegroup.CapacityType
	if t := g.Nodegroup.LaunchTemplate; t != nil {
		out["eks.amazonaws.com/sourceLaunchTemplateId"] = t.ID
		out["eks.amazonaws.com/sourceLaunchTemplateVersion"] = t.Version
	}
	return out
}

func joined(m map[string]string) string {
	out := make([]string, 0, len(m))
	for _, k := range slices.Sorted(maps.Keys(m)) {
		out = append(out, k+"="+m[k])
	}
	return strings.Join(out, ",")
}

func taintEffect(e string) string {
	return map[string]string{"NO_SCHEDULE": "NoSchedule", "NO_EXECUTE": "NoExecute", "PREFER_NO_SCHEDULE": "PreferNoSchedule"}[e]
}

func joinedTaints(taints []Taint) string {
	out := make([]string, 0, len(taints))
	for _, t := range taints {
		out = append(out, t.Key+"="+t.Value+":"+taintEffect(t.Effect))
	}
	return strings.Join(out, ",")
}

// nodeConfig is the configuration of nodeadm (https://awslabs.github.io/amazon-eks-ami/nodeadm/doc/api/).
func (s *Service) nodeConfig(c *clusterRecord, g *nodegroupRecord, labels map[string]string, maxPods int) string {
	network := c.Cluster.KubernetesNetworkConfig
	cidr := firstOf(network.ServiceIPv4CIDR, network.ServiceIPv6CIDR)
	var b strings.Builder
	b.WriteString("---\napiVersion: node.eks.aws/v1alpha1\nkind: NodeConfig\nspec:\n  cluster:\n")
	fmt.Fprintf(&b, "    name: %s\n    apiServerEndpoint: %s\n    certificateAuthority: %s\n    cidr: %s\n", c.Cluster.Name, c.Cluster.Endpoint, c.Cluster.CertificateAuthority.Data, cidr)
	b.WriteString("  kubelet:\n    config:\n")
	if maxPods > 0 {
		fmt.Fprintf(&b, "      maxPods: %d\n", maxPods)
	}
	fmt.Fprintf(&b, "      clusterDNS:\n      - %s\n    flags:\n    - \"--node-labels=%s\"\n", clusterDNS(cidr), joined(labels))
	if len(g.Nodegroup.Taints) > 0 {
		fmt.Fprintf(&b, "    - \"--register-with-taints=%s\"\n", joinedTaints(g.Nodegroup.Taints))
	}
	return b.String()
}

// clusterDNS is the tenth address of the Service network.
func clusterDNS(cidr string) string {
	p, err := netip.ParsePrefix(cidr)
	if err != nil {
		return ""
	}
	addr := p.Masked().Addr()
	for range 10 {
		addr = addr.Next()
	}
	return addr.String()
}

// bottlerocket is settings in TOML, the user's before EKS's.
func (s *Service) bottlerocket(c *clusterRecord, g *nodegroupRecord, labels map[string]string, user Template) (string, error) {
	raw, err := base64.StdEncoding.DecodeString(user.UserData)
	if err != nil {
		return "", fmt.Errorf("reading user data of the launch template: %w", err)
	}
	var b strings.Builder
	b.Write(raw)
	fmt.Fprintf(&b, "\n[settings.kubernetes]\ncluster-name = %q\napi-server = %q\ncluster-certificate = %q\n\n[settings.kubernetes.node-labels]\n", c.Cluster.Name, c.Cluster.Endpoint, c.Cluster.CertificateAuthority.Data)
	for _, k := range slices.Sorted(maps.Keys(labels)) {
		fmt.Fprintf(&b, "%q = %q\n", k, labels[k])
	}
	if len(g.Nodegroup.Taints) > 0 {
		b.WriteString("\n[settings.kubernetes.node-taints]\n")
		for _, t := range g.Nodegroup.Taints {
			fmt.Fprintf(&b, "%q = [\"%s:%s\"]\n", t.Key, t.Value, taintEffect(t.Effect))
		}
	}
	return base64.StdEncoding.EncodeToString([]byte(b.String())), nil
}

// mimeParts takes a multipart document apart. Anything else is refused, as EKS does with templates that name no image.
func mimeParts(encoded string) ([]string, error) {
	if encoded == "" {
		return nil, nil
	}
	raw, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		return nil, fmt.Errorf("reading user data of the launch template: %w", err)
	}
	text := strings.ReplaceAll(string(raw), "\r\n", "\n")
	head, body, ok := strings.Cut(text, "\n\n")
	_, boundary, found := strings.Cut(head, "boundary=")
	if !ok || !found {
		return nil, fmt.Errorf("user data was not in the MIME multipart format")
	}
	boundary = strings.Trim(strings.SplitN(boundary, "\n", 2)[0], "\"; ")
	var out []string
	for _, p := range strings.Split("\n"+body, "\n--"+boundary)[1:] {
		if strings.HasPrefix(p, "--") {
			break
		}
		out = append(out, strings.Trim(p, "\n"))
	}
	return out, nil
}
