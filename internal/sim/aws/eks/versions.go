package eks

import (
	"context"
	"slices"
	"strings"

	"github.com/eks-gitops/reconciler/internal/sim/aws/eks/catalog"
	"github.com/eks-gitops/reconciler/internal/sim/aws/wire"
)

// describeClusterVersions lists versions as
// https://docs.aws.amazon.com/eks/latest/APIReference/API_DescribeClusterVersions.html documents: unsupported ones only on
// request.
func (s *Service) describeClusterVersions(_ context.Context, _ wire.Caller, in *DescribeClusterVersionsInput) (*DescribeClusterVersionsOutput, error) {
	on := subject{}
	if err := checkEnum(on, "versionStatus", in.VersionStatus, "UNSUPPORTED", "STANDARD_SUPPORT", "EXTENDED_SUPPORT"); err != nil {
		return nil, err
	}
	if err := checkEnum(on, "status", in.Status, "unsupported", "standard-support", "extended-support"); err != nil {
		return nil, err
	}
	if isTrue(in.DefaultOnly) && len(in.ClusterVersions) > 0 {
		return nil, on.badParameter("defaultOnly and clusterVersions can't be specified together")
	}
	if in.ClusterType != "" && in.ClusterType != "eks" {
		return &DescribeClusterVersionsOutput{ClusterVersions: []ClusterVersionInformation{}}, nil
	}
	var all []ClusterVersionInformation
	for _, v := range catalog.Versions() {
		if info := s.versionInfo(v); wanted(in, info) {
			all = append(all, info)
		}
	}
	newest := func(v ClusterVersionInformation) string {
		return wire.Descending(int64(catalog.Minor(v.ClusterVersion)))
	}
	found, next, err := page(all, newest, in.MaxResults, in.NextToken)
	if err != nil {
		return nil, err
	}
	return &DescribeClusterVersionsOutput{ClusterVersions: found, NextToken: next}, nil
}

func (s *Service) versionInfo(v catalog.Version) ClusterVersionInformation {
	support := v.Support(s.world.Now())
	return ClusterVersionInformation{
		ClusterVersion: v.Minor, ClusterType: "eks", DefaultPlatformVersion: v.Platform, DefaultVersion: new(v.Default),
		ReleaseDate: wire.Time{Time: v.Released}, EndOfStandardSupportDate: wire.Time{Time: v.StandardEnds},
		EndOfExtendedSupportDate: wire.Time{Time: v.ExtendedEnds}, VersionStatus: string(support),
		Status: strings.ReplaceAll(strings.ToLower(string(support)), "_", "-"), KubernetesPatchVersion: v.Patch,
	}
}

func wanted(in *DescribeClusterVersionsInput, v ClusterVersionInformation) bool {
	switch {
	case len(in.ClusterVersions) > 0:
		return slices.Contains(in.ClusterVersions, v.ClusterVersion)
	case isTrue(in.DefaultOnly):
		return isTrue(v.DefaultVersion)
	case in.VersionStatus != "":
		return v.VersionStatus == in.VersionStatus
	case in.Status != "":
		return v.Status == in.Status
	default:
		return isTrue(in.IncludeAll) || v.VersionStatus != string(catalog.Unsupported)
	}
}
