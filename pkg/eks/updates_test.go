package eks

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eks"
	ekstypes "github.com/aws/aws-sdk-go-v2/service/eks/types"

	simfault "github.com/eks-gitops/reconciler/internal/sim/aws/fault"
	"github.com/eks-gitops/reconciler/pkg/gitops"
)

// says is what the last look found of a ref's health.
func (r *rig) says(kind, name string) string {
	r.t.Helper()
	d := gitops.Desired{Cluster: "dev", Items: []gitops.Item{r.item}}
	r.cloud.touch()
	seen, err := r.cloud.Observe(r.t.Context(), d, r.inv)
	if err != nil {
		r.t.Fatal(err)
	}
	for ref, o := range seen {
		if ref.Kind == kind && ref.Name == name && o.Progress != nil {
			return o.Progress.Message
		}
	}
	return ""
}

// TestUpdatesOfOthersAreNamed: EKS says of a thing only that it is UPDATING. What a process before this one, or somebody else, has begun
// is asked for (ListUpdates, DescribeUpdate), and each update that ended is asked about once.
func TestUpdatesOfOthersAreNamed(t *testing.T) {
	t.Parallel()
	r := newRig(t, fleet)
	r.converge()
	r.settled("creation")
	client := r.cloud.aws.eks
	name := aws.String("dev")
	begin := func(what string, err error) {
		t.Helper()
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
	}
	// One that has ended, and one that is under way.
	_, err := client.UpdateClusterConfig(t.Context(), &eks.UpdateClusterConfigInput{Name: name, UpgradePolicy: &ekstypes.UpgradePolicyRequest{SupportType: ekstypes.SupportTypeStandard}})
	begin("the upgrade policy", err)
	for range 60 {
		r.tick()
	}
	_, err = client.UpdateClusterVersion(t.Context(), &eks.UpdateClusterVersionInput{Name: name, Version: aws.String("1.35")})
	begin("the version", err)
	group := slices.Sorted(func(yield func(string) bool) {
		for name, g := range r.cloud.world.Groups {
			if g.Managed && !yield(name) {
				return
			}
		}
	})[0]
	_, err = client.UpdateNodegroupConfig(t.Context(), &eks.UpdateNodegroupConfigInput{ClusterName: name, NodegroupName: &group, Labels: &ekstypes.UpdateLabelsPayload{AddOrUpdateLabels: map[string]string{"a": "b"}}})
	begin("the nodegroup", err)
	_, err = client.UpdateAddon(t.Context(), &eks.UpdateAddonInput{ClusterName: name, AddonName: aws.String("coredns"), ConfigurationValues: aws.String(`{"replicaCount":4}`)})
	begin("the addon", err)

	since := r.Clock.Now().UTC().Format("15:04 UTC")
	for _, want := range []struct{ kind, name, update string }{
		{KindCluster, "dev", "VersionUpdate (Version 1.35"}, {KindNodegroup, r.cloud.world.Groups[group].User, "ConfigUpdate since"}, {KindAddon, "coredns", "AddonUpdate since"},
	} {
		if got := r.says(want.kind, want.name); !strings.Contains(got, "UPDATING: "+want.update) || !strings.Contains(got, "since "+since) {
			t.Errorf("of %s %s it is said: %q, want %s and since %s", want.kind, want.name, got, want.update, since)
		}
	}
	before := r.Requests(0)
	r.says(KindCluster, "dev")
	asked := map[string]int{}
	for _, q := range r.Requests(before[len(before)-1].Seq) {
		asked[q.Operation]++
	}
	if asked["ListUpdates"] != 0 || asked["DescribeUpdate"] != 3 {
		t.Errorf("the second look at three updates asks ListUpdates %d times and DescribeUpdate %d times", asked["ListUpdates"], asked["DescribeUpdate"])
	}
	for range int(time.Hour / (30 * time.Second)) {
		r.tick()
	}
	if got := r.says(KindCluster, "dev"); got != "" {
		t.Errorf("when all is over it is said: %q", got)
	}
}

// TestUpdatesNeedNoPermission: the words are left away where EKS does not tell, and nothing else.
func TestUpdatesNeedNoPermission(t *testing.T) {
	t.Parallel()
	r := newRig(t, bare)
	r.converge()
	_, err := r.cloud.aws.eks.UpdateClusterConfig(t.Context(), &eks.UpdateClusterConfigInput{Name: aws.String("dev"), UpgradePolicy: &ekstypes.UpgradePolicyRequest{SupportType: ekstypes.SupportTypeStandard}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Faults().Add(simfault.Rule{Service: "eks", Operation: "ListUpdates", Effect: simfault.Fail, Code: "AccessDeniedException", Message: "no", Status: 403}); err != nil {
		t.Fatal(err)
	}
	if got := r.says(KindCluster, "dev"); got != "the control plane is UPDATING" {
		t.Errorf("it is said: %q", got)
	}
}
