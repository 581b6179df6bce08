package eks

import (
	"context"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eks"
	ekstypes "github.com/aws/aws-sdk-go-v2/service/eks/types"

	"github.com/eks-gitops/reconciler/pkg/gitops"
)

// offer is an addon version that EKS offers for a Kubernetes version.
type offer struct {
	version string
	// namespace is where EKS puts it by default.
	namespace string
	// rights says that the addon needs permissions in AWS.
	rights bool
}

// offer finds the version of an addon that the file's word stands for: empty is EKS's default, "latest" the newest, any
// other word the newest version that contains it, an exact one first (eksctl, pkg/actions/addon/addon.go).
func (c *Cloud) offer(ctx context.Context, addon, wanted, kubernetes string) (offer, error) {
	key := strings.Join([]string{addon, wanted, kubernetes}, "\x00")
	c.mu.Lock()
	known, ok := c.offers[key]
	c.mu.Unlock()
	if ok {
		return known, nil
	}
	p := eks.NewDescribeAddonVersionsPaginator(c.aws.eks, &eks.DescribeAddonVersionsInput{AddonName: &addon, KubernetesVersion: &kubernetes})
	infos, err := page(ctx, p.HasMorePages,
		func(ctx context.Context) (*eks.DescribeAddonVersionsOutput, error) { return p.NextPage(ctx) },
		func(o *eks.DescribeAddonVersionsOutput) []ekstypes.AddonInfo { return o.Addons })
	if err != nil {
		return offer{}, err
	}
	var versions []ekstypes.AddonVersionInfo
	namespace := ""
	for _, info := range infos {
		versions = append(versions, info.AddonVersions...)
		namespace = aws.ToString(info.DefaultNamespace)
	}
	best, ok := choose(versions, wanted)
	if !ok {
		what := "version " + wanted
		if wanted == "" {
			what = "default version"
		}
		return offer{}, gitops.Errorf(gitops.ConfigInvalid, "EKS offers no %s of addon %s for Kubernetes %s", what, addon, kubernetes)
	}
	found := offer{version: aws.ToString(best.AddonVersion), namespace: namespace, rights: best.RequiresIamPermissions}
	if wanted != latest {
		// What "latest" means changes while the process lives; the others do not.
		c.mu.Lock()
		c.offers[key] = found
		c.mu.Unlock()
	}
	return found, nil
}

func choose(versions []ekstypes.AddonVersionInfo, wanted string) (ekstypes.AddonVersionInfo, bool) {
	var fitting []ekstypes.AddonVersionInfo
	for _, v := range versions {
		name := aws.ToString(v.AddonVersion)
		isDefault := slices.ContainsFunc(v.Compatibilities, func(c ekstypes.Compatibility) bool { return c.DefaultVersion })
		switch {
		case wanted == "" && isDefault, wanted != "" && name == wanted:
			return v, true
		case wanted != "" && (wanted == latest || strings.Contains(name, wanted)):
			fitting = append(fitting, v)
		}
	}
	if len(fitting) == 0 {
		return ekstypes.AddonVersionInfo{}, false
	}
	return slices.MaxFunc(fitting, func(a, b ekstypes.AddonVersionInfo) int {
		return compareVersions(aws.ToString(a.AddonVersion), aws.ToString(b.AddonVersion))
	}), true
}

// compareVersions orders versions such as "v1.20.4-eksbuild.1" number by number.
func compareVersions(a, b string) int {
	return slices.CompareFunc(numbers(a), numbers(b), func(x, y int) int { return x - y })
}

func numbers(v string) []int {
	var out []int
	open := false
	for _, r := range v {
		if r < '0' || r > '9' {
			open = false
			continue
		}
		if !open {
			out, open = append(out, 0), true
		}
		out[len(out)-1] = out[len(out)-1]*10 + int(r-'0')
	}
	return out
}
