package eks

import (
	"encoding/json"
	"maps"
	"path"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	ekstypes "github.com/aws/aws-sdk-go-v2/service/eks/types"
	api "github.com/weaveworks/eksctl/pkg/apis/eksctl.io/v1alpha5"

	"github.com/eks-gitops/reconciler/pkg/gitops"
)

// CoreDNS on Fargate. EKS gives CoreDNS's pods the annotation eks.amazonaws.com/compute-type: ec2, which keeps them off Fargate even
// where a profile selects them. eksctl overwrites it in the Deployment (pkg/fargate/coredns); AWS's own way, which lasts when EKS
// updates the addon, is the addon's configuration value computeType
// (https://aws.amazon.com/blogs/containers/amazon-eks-add-ons-advanced-configuration/). Fargate looks at a pod when it is made and never
// again (https://docs.aws.amazon.com/eks/latest/userguide/fargate-getting-started.html has existing ones made anew), so the profile comes first.

// onFargate is CoreDNS's computeType.
const onFargate = "Fargate"

// dnsProfiles are the Fargate profiles that CoreDNS runs on: those that select it, in a file that has no other nodes for it.
func (c *Config) dnsProfiles() []gitops.Ref {
	if len(c.nodegroups()) > 0 || c.full.IsAutoModeEnabled() || c.full.RemoteNetworkConfig != nil {
		return nil
	}
	var out []gitops.Ref
	for _, p := range c.full.FargateProfiles {
		if slices.ContainsFunc(p.Selectors, selectsDNS) {
			out = append(out, c.ref(KindFargateProfile, p.Name))
		}
	}
	return out
}

// dnsAddons are the addons of the file that stand for CoreDNS, when it runs on Fargate: one, or none.
func (c *Config) dnsAddons() []gitops.Ref {
	if len(c.dnsProfiles()) == 0 {
		return nil
	}
	var out []gitops.Ref
	for _, a := range c.addons() {
		if a.isDNS() {
			out = append(out, c.ref(KindAddon, a.want.Name))
		}
	}
	return out
}

func (a addon) isDNS() bool { return a.want.CanonicalName() == api.CoreDNSAddon }

// selectsDNS says that CoreDNS's pods have the namespace and all the labels of a selector, in which * and ? stand for any text and any
// character (https://docs.aws.amazon.com/eks/latest/userguide/fargate-profile.html#fargate-profile-wildcards).
func selectsDNS(s api.FargateProfileSelector) bool {
	pod := map[string]string{"eks.amazonaws.com/component": "coredns", "k8s-app": "kube-dns"}
	matches := func(pattern, text string) bool {
		ok, err := path.Match(pattern, text)
		return err == nil && ok
	}
	if !matches(s.Namespace, "kube-system") {
		return false
	}
	for key, value := range s.Labels {
		named := func(k string) bool { return (k == key || matches(key, k)) && matches(value, pod[k]) }
		if !slices.ContainsFunc(slices.Collect(maps.Keys(pod)), named) {
			return false
		}
	}
	return true
}

// placed is an addon with the configuration value that lets CoreDNS run on Fargate, where it has to and the file says nothing of
// values. Values that something else set are kept beside. An addon that something else made and that runs without it, as it does after
// eksctl annotated the Deployment, is left as it is.
func (c *Config) placed(w *world, a addon) addon {
	if _, stated := a.written["configurationValues"]; stated || !a.isDNS() || len(c.dnsProfiles()) == 0 {
		return a
	}
	values := gitops.Tree{}
	if live := w.Addons[a.want.Name]; live != nil && live.Tags[tagMade] == "" {
		if live.Status == ekstypes.AddonStatusActive && len(w.Groups) == 0 {
			return a
		}
		values = liveValues(live)
	}
	values["computeType"] = onFargate
	body, err := json.Marshal(values)
	if err != nil {
		return a
	}
	a.want, a.written = a.want.DeepCopy(), gitops.Clone(a.written)
	a.want.ConfigurationValues, a.written["configurationValues"] = string(body), string(body)
	return a
}

// liveValues are an addon's configuration values; empty when it has none, or none that can be read.
func liveValues(live *ekstypes.Addon) gitops.Tree {
	if t, ok := configuration(aws.ToString(live.ConfigurationValues)).(gitops.Tree); ok {
		return gitops.Clone(t)
	}
	return gitops.Tree{}
}

// unplaced says why CoreDNS has nothing to run on in a cluster of Fargate profiles, and what to do.
func (c *Config) unplaced(w *world, live *ekstypes.Addon) string {
	a, _ := c.addon(aws.ToString(live.AddonName))
	if a.want == nil || !a.isDNS() || len(c.full.FargateProfiles) == 0 || len(c.nodegroups())+len(w.Groups) > 0 || !short(live) {
		return ""
	}
	switch {
	case len(c.dnsProfiles()) == 0:
		return " There are no nodegroups, and no Fargate profile selects it: give one a selector for namespace kube-system"
	case gitops.StringAt(liveValues(live), "computeType") != onFargate:
		return " There are no nodegroups, and its configurationValues keep it off Fargate: add computeType: Fargate to them"
	}
	return " Fargate takes no pods that were made before their profile: kubectl -n kube-system rollout restart deployment coredns"
}

// short says that EKS misses pods of an addon.
func short(live *ekstypes.Addon) bool {
	return live.Health != nil && slices.ContainsFunc(live.Health.Issues, func(i ekstypes.AddonIssue) bool {
		return i.Code == ekstypes.AddonIssueCodeInsufficientNumberOfReplicas
	})
}
