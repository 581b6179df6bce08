package eks

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eks"
	ekstypes "github.com/aws/aws-sdk-go-v2/service/eks/types"
	gocmp "github.com/google/go-cmp/cmp"
	api "github.com/weaveworks/eksctl/pkg/apis/eksctl.io/v1alpha5"

	"github.com/eks-gitops/reconciler/pkg/gitops"
	"github.com/eks-gitops/reconciler/pkg/plan"
)

// nodeless is a cluster whose pods all run on Fargate.
const nodeless = `apiVersion: eksctl.io/v1alpha5
kind: ClusterConfig
metadata: {name: dev, region: eu-west-1, version: "1.34"}
fargateProfiles:
- name: system
  selectors: [{namespace: kube-system}]
`

// dns is the live addon coredns.
func (r *rig) dns() *ekstypes.Addon {
	r.t.Helper()
	out, err := r.cloud.aws.eks.DescribeAddon(r.t.Context(), &eks.DescribeAddonInput{ClusterName: new("dev"), AddonName: new("coredns")})
	r.does(err)
	return out.Addon
}

// TestNodelessLife: CoreDNS runs on Fargate in a cluster that has nothing else, by a process that lives on and by one that is killed
// after every call; and goes back to nodes when git has some.
func TestNodelessLife(t *testing.T) {
	t.Parallel()
	for _, restart := range []bool{false, true} {
		t.Run(fmt.Sprintf("restart=%v", restart), func(t *testing.T) {
			t.Parallel()
			r := newRig(t, nodeless)
			r.restart = restart
			r.converge()
			r.settled("creation")
			if a := r.dns(); a.Status != ekstypes.AddonStatusActive || *a.ConfigurationValues != `{"computeType":"Fargate"}` {
				t.Errorf("coredns is %s with %v", a.Status, aws.ToString(a.ConfigurationValues))
			}
			got := r.imported()
			r.git(string(got.File))
			r.settledOn(got)
			r.git(small)
			r.converge()
			r.settled("nodes")
			if a := r.dns(); a.Status != ekstypes.AddonStatusActive || !empty(liveValues(a)) {
				t.Errorf("with nodes coredns is %s with %v", a.Status, aws.ToString(a.ConfigurationValues))
			}
		})
	}
}

// TestNodelessMove: CoreDNS moves to Fargate after its profile is there and before the last nodegroup goes, and is never short of pods.
func TestNodelessMove(t *testing.T) {
	t.Parallel()
	r := newRig(t, small)
	r.converge()
	r.watch = func(w *world) {
		if a := w.Addons["coredns"]; a != nil && short(a) {
			t.Errorf("coredns is %s", a.Status)
		}
	}
	r.git(nodeless)
	dns := find(t, r.plan(), KindAddon, "coredns")
	if profile := ref("dev", KindFargateProfile, "system"); dns.Action != plan.Update || !slices.Contains(dns.Needs, profile) {
		t.Errorf("%s needs %v", dns.Action, dns.Needs)
	}
	if c := find(t, r.plan(), KindNodegroup, "system"); c.Action != plan.Delete || !slices.Contains(c.Needs, dns.Ref) {
		t.Errorf("%s needs %v", c.Action, c.Needs)
	}
	r.converge()
	r.settled("moving")
}

// TestNodelessStated: what the file states of CoreDNS's configuration is all there is to it, and where that keeps CoreDNS from running,
// it is said; apply gives up on it by its deadline, since it is progressing and never ready.
func TestNodelessStated(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ body, values, says string }{
		"kept off":     {nodeless + "addons:\n- name: coredns\n  configurationValues: '{\"replicaCount\":2}'\n", `{"replicaCount":2}`, "add computeType: Fargate"},
		"on EC2":       {nodeless + "addons:\n- name: coredns\n  configurationValues: 'computeType: ec2'\n", "computeType: ec2", "add computeType: Fargate"},
		"not selected": {strings.Replace(nodeless, "kube-system}", "shop}", 1), "", "no Fargate profile selects it"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, c.body)
			for _, change := range r.plan().Changes {
				if change.Ref.Kind != KindAddon || change.Ref.Name == "coredns" {
					r.does(r.cloud.Apply(t.Context(), change))
					if change.Ref.Name == "coredns" {
						break
					}
					r.await(change, gitops.Ready)
				}
			}
			for range 60 {
				r.tick()
			}
			h, err := r.cloud.Ready(t.Context(), ref("dev", KindAddon, "coredns"))
			r.does(err)
			if h.Status != gitops.Progressing || h.Step || !strings.Contains(h.Message, "InsufficientNumberOfReplicas") || !strings.Contains(h.Message, c.says) {
				t.Errorf("coredns is %+v", h)
			}
			if a := r.dns(); aws.ToString(a.ConfigurationValues) != c.values {
				t.Errorf("its values are %v", aws.ToString(a.ConfigurationValues))
			}
			for _, change := range r.plan().Changes {
				if change.Ref.Name == "coredns" && change.Action != plan.Wait {
					t.Errorf("the second plan: %s %v", change.Action, change.Edits)
				}
			}
		})
	}
}

// TestNodelessPlaced: which values CoreDNS is given by what is live.
func TestNodelessPlaced(t *testing.T) {
	t.Parallel()
	mine := map[string]string{tagMade: "dev"}
	ec2 := `{"computeType":"ec2"}`
	for name, c := range map[string]struct {
		file string
		live *ekstypes.Addon
		want string
	}{
		"none":                   {file: nodeless, want: `{"computeType":"Fargate"}`},
		"beside nodes":           {file: nodeless + "managedNodeGroups: [{name: system}]\n"},
		"auto mode":              {file: nodeless + "autoModeConfig: {enabled: true}\naddons: [{name: coredns}]\n"},
		"ours":                   {file: nodeless, live: &ekstypes.Addon{Tags: mine, Status: ekstypes.AddonStatusActive, ConfigurationValues: &ec2}, want: `{"computeType":"Fargate"}`},
		"another's that runs":    {file: nodeless, live: &ekstypes.Addon{Status: ekstypes.AddonStatusActive}},
		"another's that cannot":  {file: nodeless, live: &ekstypes.Addon{Status: ekstypes.AddonStatusDegraded, ConfigurationValues: new(`{"replicaCount":3}`)}, want: `{"computeType":"Fargate","replicaCount":3}`},
		"stated":                 {file: nodeless + "addons:\n- {name: coredns, configurationValues: '{}'}\n", want: "{}"},
		"named, nothing of that": {file: nodeless + "addons: [{name: coredns}]\n", want: `{"computeType":"Fargate"}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := mustLoad(t, c.file)
			w := worldOf(t, cfg)
			clear(w.Groups)
			delete(w.Addons, "coredns")
			if c.live != nil {
				w.Addons["coredns"] = c.live
			}
			a, _ := cfg.addon("coredns")
			if got := cfg.placed(w, a).want.ConfigurationValues; got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}

// TestSelectsDNS: selectors are matched as EKS does, wildcards included.
func TestSelectsDNS(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		namespace, labels string
		want              bool
	}{
		{"kube-system", "", true}, {"kube-*", "", true}, {"*", "", true}, {"kube-syste?", "", true}, {"default", "", false}, {"kube-system?", "", false},
		{"kube-system", "k8s-app=kube-dns", true}, {"kube-system", "eks.amazonaws.com/component=coredns,k8s-app=kube-dns", true},
		{"kube-system", "k8s-app=kube-dns,on=fargate", false}, {"kube-system", "k8s-app=other", false}, {"kube-system", "k8s-*=kube-*", true}, {"kube-system", "on=*", false},
	} {
		s := api.FargateProfileSelector{Namespace: c.namespace, Labels: map[string]string{}}
		for l := range strings.SplitSeq(c.labels, ",") {
			if key, value, ok := strings.Cut(l, "="); ok {
				s.Labels[key] = value
			}
		}
		if got := selectsDNS(s); !gocmp.Equal(got, c.want) {
			t.Errorf("%s %s: %v", c.namespace, c.labels, got)
		}
	}
}
