package eks

import (
	"encoding/json"
	"path"
	"time"

	"sigs.k8s.io/yaml"

	"github.com/eks-gitops/reconciler/internal/sim/aws/eks/catalog"
)

// place keeps where the Pods of an add-on are: they are made anew when the nodes under them go.
func (s *Service) place(now time.Time, c *clusterRecord, r *addonRecord) bool {
	onNodes := s.countNodes(c) > 0
	if onNodes == r.OnNodes {
		return false
	}
	if r.OnNodes {
		r.Rolled = now
	}
	r.OnNodes = onNodes
	return true
}

// evict has Pods made anew when a Fargate profile goes: those that ran by it are deleted first
// (https://docs.aws.amazon.com/eks/latest/APIReference/API_DeleteFargateProfile.html).
func (c *clusterRecord) evict(now time.Time) {
	for _, r := range c.Addons {
		if !r.OnNodes {
			r.Rolled = now
		}
	}
}

// starved says that an add-on has a Deployment and there is nothing for its Pods to run on.
func (s *Service) starved(c *clusterRecord, r *addonRecord) bool {
	if s.countNodes(c) > 0 {
		return false
	}
	offered, _ := catalog.FindAddon(r.Addon.AddonName)
	return offered.NeedsPods && !onFargate(c, r, offered)
}

// countNodes counts the nodes that Pods can run on.
func (s *Service) countNodes(c *clusterRecord) int {
	if n, known := s.nodes.Count(c.Cluster.Name); known {
		return n
	}
	n := s.neighbours.Machines.Running(c.Cluster.Name)
	if c.Cluster.ComputeConfig != nil && isTrue(c.Cluster.ComputeConfig.Enabled) {
		n++
	}
	return n
}

// onFargate says that a Fargate profile runs the Pods of an add-on: one that selects them and was active when they were made, since
// only then EKS looks. CoreDNS's Pods are annotated for EC2 unless the add-on's computeType says Fargate
// (https://docs.aws.amazon.com/eks/latest/userguide/fargate-getting-started.html,
// https://aws.amazon.com/blogs/containers/amazon-eks-add-ons-advanced-configuration/).
func onFargate(c *clusterRecord, r *addonRecord, offered catalog.Addon) bool {
	if offered.Name == "coredns" && computeType(c.values(r)) != "Fargate" {
		return false
	}
	for _, p := range c.Profiles {
		if p.Profile.Status != "ACTIVE" || p.Since.After(r.Rolled) {
			continue
		}
		for _, sel := range p.Profile.Selectors {
			if selects(sel, r.Addon.NamespaceConfig.Namespace, offered.Labels) {
				return true
			}
		}
	}
	return false
}

// values are the configuration values that an add-on has, or is getting.
func (c *clusterRecord) values(r *addonRecord) string {
	out := r.Addon.ConfigurationValues
	for _, u := range c.Updates {
		if u.Addon == r.Addon.AddonName && u.running() && u.AddonChange != nil && u.AddonChange.ConfigurationValues != "" {
			out = u.AddonChange.ConfigurationValues
		}
	}
	return out
}

func computeType(values string) string {
	var v struct{ ComputeType string }
	body, err := yaml.YAMLToJSON([]byte(values))
	if err != nil || json.Unmarshal(body, &v) != nil {
		return ""
	}
	return v.ComputeType
}

// selects says that a Pod has the namespace and every label of a selector; * and ? are wildcards
// (https://docs.aws.amazon.com/eks/latest/userguide/fargate-profile.html#fargate-profile-wildcards).
func selects(sel FargateProfileSelector, namespace string, labels map[string]string) bool {
	if ok, err := path.Match(sel.Namespace, namespace); err != nil || !ok {
		return false
	}
	for key, want := range sel.Labels {
		if ok, err := path.Match(want, labels[key]); err != nil || !ok || labels[key] == "" {
			return false
		}
	}
	return true
}
