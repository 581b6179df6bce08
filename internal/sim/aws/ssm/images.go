package ssm

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"time"

	"github.com/eks-gitops/reconciler/internal/sim/aws/eks/catalog"
)

// Image is a public machine image that parameters point to. Its id is made up, but is the same in every world of a region,
// as a public image's is.
type Image struct {
	ID, Name, Description string
	Arch                  string // "x86_64" or "arm64"
	OwnerID, OwnerAlias   string
	Platform              string // "windows" or empty
	RootDevice            string
	DiskGiB               int
	Created               time.Time
	// Kubernetes and Family are what a node of this image runs: "1.34", and "al2023", "bottlerocket", "ubuntu" or "windows".
	Kubernetes, Family string
	// DataDevice is the second disk of Bottlerocket images, empty elsewhere.
	DataDevice  string
	DataDiskGiB int

	parameters map[string]string
}

// Accounts that own public images for EKS
// (https://docs.aws.amazon.com/eks/latest/userguide/eks-optimized-ami.html; Canonical's own documentation).
const (
	ownerEKS        = "602401143452"
	ownerBottle     = "092701018921"
	ownerWindows    = "957880653164"
	ownerCanonical  = "099720109477"
	releaseDay      = "20261106"
	bottlerocket    = "1.62.0"
	bottlerocketRev = "5b8e1a73"
)

// released is when the images of releaseDay were published.
func released() time.Time { return time.Date(2026, time.November, 6, 12, 0, 0, 0, time.UTC) }

// Images are the public images of a region.
func Images(region string) []Image {
	var out []Image
	for _, v := range catalog.Versions() {
		for _, arch := range []string{"x86_64", "arm64"} {
			out = append(out, al2023(region, v, arch)...)
			out = append(out, bottlerockets(region, v, arch)...)
			out = append(out, ubuntus(region, v, arch)...)
		}
		out = append(out, windows(region, v)...)
	}
	return out
}

// imageID derives an id from what the image is.
func imageID(region, name string) string {
	sum := sha256.Sum256([]byte(region + "/" + name))
	return "ami-0" + hex.EncodeToString(sum[:8])
}

func al2023(region string, v catalog.Version, arch string) []Image {
	variants := []string{"standard", "nvidia", "neuron"}
	if arch == "arm64" {
		variants = []string{"standard", "nvidia"} // Neuron is for x86 instances only
	}
	out := make([]Image, 0, len(variants))
	for _, variant := range variants {
		name := "amazon-eks-node-al2023-" + arch + "-" + variant + "-" + v.Minor + "-v" + releaseDay
		id := imageID(region, name)
		base := "/aws/service/eks/optimized-ami/" + v.Minor + "/amazon-linux-2023/" + arch + "/" + variant
		release := v.Patch + "-" + releaseDay
		parameters := map[string]string{}
		for _, at := range []string{base + "/recommended", base + "/" + name} {
			parameters[at] = `{"schema_version":"2","image_id":"` + id + `","image_name":"` + name + `","release_version":"` + release + `"}`
			parameters[at+"/image_id"] = id
			parameters[at+"/image_name"] = name
			parameters[at+"/release_version"] = release
		}
		out = append(out, Image{
			ID: id, Name: name, Kubernetes: v.Minor, Family: "al2023", Arch: arch, OwnerID: ownerEKS, OwnerAlias: "amazon", RootDevice: "/dev/xvda", DiskGiB: 20, Created: released(),
			Description: "EKS-optimized Kubernetes node based on Amazon Linux 2023, (k8s: " + v.Patch + ", containerd: 2.2.*)", parameters: parameters,
		})
	}
	return out
}

func bottlerockets(region string, v catalog.Version, arch string) []Image {
	var out []Image
	for _, variant := range []string{"", "-fips", "-nvidia", "-nvidia-fips"} {
		name := "bottlerocket-aws-k8s-" + v.Minor + variant + "-" + arch + "-v" + bottlerocket + "-" + bottlerocketRev
		id := imageID(region, name)
		base := "/aws/service/bottlerocket/aws-k8s-" + v.Minor + variant + "/" + arch
		parameters := map[string]string{}
		for _, at := range []string{base + "/latest", base + "/" + bottlerocket, base + "/" + bottlerocket + "-" + bottlerocketRev} {
			parameters[at+"/image_id"] = id
			parameters[at+"/image_version"] = bottlerocket + "-" + bottlerocketRev
		}
		out = append(out, Image{
			ID: id, Name: name, Kubernetes: v.Minor, Family: "bottlerocket", Description: name, Arch: arch, OwnerID: ownerBottle, OwnerAlias: "amazon", RootDevice: "/dev/xvda", DiskGiB: 2,
			DataDevice: "/dev/xvdb", DataDiskGiB: 20, Created: released(), parameters: parameters,
		})
	}
	return out
}

func ubuntus(region string, v catalog.Version, arch string) []Image {
	canonicalArch := map[string]string{"x86_64": "amd64", "arm64": "arm64"}[arch]
	var out []Image
	for _, u := range []struct{ product, release, disk string }{
		{"eks", "22.04", "ebs-gp2"}, {"eks-pro", "22.04", "ebs-gp2"}, {"eks", "24.04", "ebs-gp3"}, {"eks-pro", "24.04", "ebs-gp3"},
	} {
		name := "ubuntu-" + u.product + "/k8s_" + v.Minor + "/images/hvm-" + strings.TrimPrefix(u.disk, "ebs-") + "/ubuntu-" + u.release + "-" + canonicalArch + "-server-" + releaseDay
		id := imageID(region, name)
		path := "/aws/service/canonical/ubuntu/" + u.product + "/" + u.release + "/" + v.Minor + "/stable/current/" + canonicalArch + "/hvm/" + u.disk + "/ami-id"
		out = append(out, Image{
			ID: id, Name: name, Kubernetes: v.Minor, Family: "ubuntu", Description: "Ubuntu " + u.release + " for EKS " + v.Minor, Arch: arch, OwnerID: ownerCanonical, RootDevice: "/dev/sda1",
			DiskGiB: 20, Created: released(), parameters: map[string]string{path: id},
		})
	}
	return out
}

func windows(region string, v catalog.Version) []Image {
	years := []string{"2019", "2022"}
	if catalog.Minor(v.Minor) >= 35 {
		years = append(years, "2025") // https://docs.aws.amazon.com/eks/latest/userguide/eks-optimized-windows-ami.html
	}
	var out []Image
	for _, year := range years {
		for _, flavor := range []string{"Core", "Full"} {
			base := "Windows_Server-" + year + "-English-" + flavor + "-EKS_Optimized-" + v.Minor
			name := base + "-2026.11.06"
			id := imageID(region, name)
			at := "/aws/service/ami-windows-latest/" + base
			out = append(out, Image{
				ID: id, Name: name, Kubernetes: v.Minor, Family: "windows", Description: "Microsoft Windows Server " + year + " " + flavor + " for EKS " + v.Minor, Arch: "x86_64", OwnerID: ownerWindows,
				OwnerAlias: "amazon", Platform: "windows", RootDevice: "/dev/sda1", DiskGiB: 50, Created: released(),
				parameters: map[string]string{
					at:               `{"image_id":"` + id + `","image_name":"` + name + `","release_version":"` + v.Minor + `-2026.11.06"}`,
					at + "/image_id": id, at + "/image_name": name, at + "/release_version": v.Minor + "-2026.11.06",
				},
			})
		}
	}
	return out
}
