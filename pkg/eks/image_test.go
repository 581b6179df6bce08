package eks

import (
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/eks-gitops/reconciler/internal/sim/aws/ssm"
	"github.com/eks-gitops/reconciler/pkg/plan"
)

func TestVersionInTheNamesOfImages(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"amazon-eks-node-1.32-v20250519":                                                         "1.32",
		"amazon-eks-gpu-node-1.32-v20250519":                                                     "1.32",
		"amazon-eks-arm64-node-1.31-v20250519":                                                   "1.31",
		"amazon-eks-node-al2023-x86_64-standard-1.34-v20261106":                                  "1.34",
		"amazon-eks-node-al2023-arm64-nvidia-1.35-v20261106":                                     "1.35",
		"bottlerocket-aws-k8s-1.34-x86_64-v1.50.0-0a1b2c3d":                                      "1.34",
		"bottlerocket-aws-k8s-1.34-nvidia-fips-aarch64-v1.50.0-0a1b2c3d":                         "1.34",
		"ubuntu-eks/k8s_1.33/images/hvm-ssd-gp3/ubuntu-noble-24.04-amd64-server-20261101":        "1.33",
		"ubuntu-eks-pro/k8s_1.33/images/hvm-ssd-gp3/ubuntu-pro-noble-24.04-amd64-server-2026110": "1.33",
		"Windows_Server-2022-English-Core-EKS_Optimized-1.34-2026.11.06":                         "1.34",
		"our-golden-image-1.34-v3":                                                               "",
		"al2023-ami-2023.9-kernel-6.1-1.34":                                                      "",
		"ubuntu/images/hvm-ssd-gp3/ubuntu-noble-24.04-amd64-server-20261101":                     "",
		"amazon-eks-node-1.32":                                                                   "",
		"":                                                                                       "",
	} {
		if got := versionIn(name); got != want {
			t.Errorf("%s is for %q, want %q", name, got, want)
		}
	}
}

// TestPublicImagesTellTheirVersion: the names of all images that the parameters of AWS point to.
func TestPublicImagesTellTheirVersion(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, i := range ssm.Images("eu-west-1") {
		seen[i.Family] = true
		if got := versionIn(i.Name); got != i.Kubernetes {
			t.Errorf("%s is for %q, want %q", i.Name, got, i.Kubernetes)
		}
	}
	if len(seen) < 4 {
		t.Errorf("only %v", seen)
	}
}

// TestUpgradeMovesNodesThatEksctlMade: nothing recorded for which version the self-managed nodegroup was made, but its image tells. The upgrade
// replaces it, and asks for the image once in a process.
func TestUpgradeMovesNodesThatEksctlMade(t *testing.T) {
	t.Parallel()
	at := func(version string) string { return strings.Replace(rewritten("", ""), `"1.36"`, `"`+version+`"`, 1) }
	r := newRig(t, at("1.35"))
	r.converge()
	r.forget()
	since := r.lastRequest()
	if p := r.plan(); len(p.Changes) > 0 {
		t.Fatalf("before:\n%s", describe(nil, p))
	}
	r.git(at("1.36"))
	p := r.plan()
	c := find(t, p, KindNodegroup, "batch")
	if c.Action != "replace" || !slices.ContainsFunc(c.Edits, func(e plan.Edit) bool { return e.Path == "version" && e.Before == "1.35" && e.After == "1.36" }) {
		t.Errorf("planned:\n%s", describe(nil, p))
	}
	r.converge()
	r.settled("the upgrade")
	for _, g := range r.cloud.world.Groups {
		if g.minor() != 36 {
			t.Errorf("%s is of 1.%d", g.Name, g.minor())
		}
	}
	asked := 0
	for _, q := range r.Requests(since) {
		if q.Operation == "DescribeImages" && strings.Contains(string(q.Input), "image-id") {
			asked++
		}
	}
	if asked > 1 {
		t.Errorf("the image was asked for %d times", asked)
	}
}

// TestImagesThatDoNotTell: an image of somebody's own, and one that is gone, are no reason to replace nodes.
func TestImagesThatDoNotTell(t *testing.T) {
	t.Parallel()
	r := newRig(t, bare)
	own, gone := &group{Name: "own"}, &group{Name: "gone"}
	for g, id := range map[*group]string{own: "ami-0000000000000000a", gone: "ami-0000000000000000b"} {
		g.Launch = &ec2types.ResponseLaunchTemplateData{ImageId: aws.String(id)}
	}
	for range 2 {
		r.does(r.cloud.readImages(t.Context(), []*group{own, gone}))
	}
	if own.minor() != -1 || gone.minor() != -1 {
		t.Errorf("they are of %d and %d", own.minor(), gone.minor())
	}
	if calls := len(r.Requests(0)); calls != 1 {
		t.Errorf("%d calls", calls)
	}
}
