// Package catalog is what EKS offers: Kubernetes versions, add-ons with their configuration schemas, access policies and
// kinds of node images.
//
// It is data with a few look-ups: nothing goes in but names and a moment, values come out, and no caller can change what the
// next one gets. It is small on purpose; what is in it is what AWS offered for versions 1.33 to 1.36.
package catalog

import (
	"slices"
	"strconv"
	"strings"
	"time"
)

// Version is a Kubernetes minor version on EKS
// (https://docs.aws.amazon.com/eks/latest/userguide/kubernetes-versions.html#kubernetes-release-calendar).
type Version struct {
	Minor    string // "1.35"
	Patch    string // "1.35.3"
	Platform string // "eks.9"
	Released time.Time
	// StandardEnds and ExtendedEnds are the ends of support.
	StandardEnds, ExtendedEnds time.Time
	Default                    bool
}

// Versions lists the versions, the newest first, as DescribeClusterVersions does.
func Versions() []Version {
	day := func(year int, month time.Month, d int) time.Time {
		return time.Date(year, month, d, 0, 0, 0, 0, time.UTC)
	}
	return []Version{
		{Minor: "1.36", Patch: "1.36.3", Platform: "eks.8", Released: day(2026, 6, 2), StandardEnds: day(2027, 8, 2), ExtendedEnds: day(2028, 8, 2), Default: true},
		{Minor: "1.35", Patch: "1.35.7", Platform: "eks.16", Released: day(2026, 1, 27), StandardEnds: day(2027, 3, 27), ExtendedEnds: day(2028, 3, 27)},
		{Minor: "1.34", Patch: "1.34.10", Platform: "eks.27", Released: day(2025, 10, 2), StandardEnds: day(2026, 12, 2), ExtendedEnds: day(2027, 12, 2)},
		{Minor: "1.33", Patch: "1.33.13", Platform: "eks.34", Released: day(2025, 5, 29), StandardEnds: day(2026, 7, 29), ExtendedEnds: day(2027, 7, 29)},
	}
}

// Support is where a version is in its life.
type Support string

// The phases of support, as versionStatus spells them.
const (
	Standard    Support = "STANDARD_SUPPORT"
	Extended    Support = "EXTENDED_SUPPORT"
	Unsupported Support = "UNSUPPORTED"
)

// Support tells the phase at a moment.
func (v Version) Support(now time.Time) Support {
	switch {
	case now.Before(v.StandardEnds):
		return Standard
	case now.Before(v.ExtendedEnds):
		return Extended
	default:
		return Unsupported
	}
}

// FindVersion finds a minor version.
func FindVersion(minor string) (Version, bool) {
	all := Versions()
	i := slices.IndexFunc(all, func(v Version) bool { return v.Minor == minor })
	if i < 0 {
		return Version{}, false
	}
	return all[i], true
}

// DefaultVersion is what a cluster gets that asks for none.
func DefaultVersion() Version {
	all := Versions()
	return all[slices.IndexFunc(all, func(v Version) bool { return v.Default })]
}

// Minor is the number after the dot of "1.35", or -1.
func Minor(version string) int {
	major, minor, _ := strings.Cut(version, ".")
	minor, _, _ = strings.Cut(minor, ".")
	n, err := strconv.Atoi(minor)
	if err != nil || major != "1" {
		return -1
	}
	return n
}

// Next is the minor version after the given one.
func Next(version string) string { return "1." + strconv.Itoa(Minor(version)+1) }
