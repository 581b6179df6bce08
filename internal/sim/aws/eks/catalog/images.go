package catalog

import "strings"

// Image is a kind of node image (amiType) and where Systems Manager publishes it.
type Image struct {
	AMIType string
	Arch    string // "x86_64" or "arm64"
	// imagePath and releasePath are parameter names with VERSION in the place of the minor version.
	imagePath, releasePath string
	// User data of this kind.
	UserData UserData
	Windows  bool
	GPU      bool
}

// UserData is the form in which a node learns of its cluster.
type UserData string

// The forms of user data.
const (
	NodeConfig UserData = "nodeadm"      // Amazon Linux 2023
	Settings   UserData = "bottlerocket" // TOML
	PowerShell UserData = "windows"
)

// ImageParameter is the parameter that holds the id of the recommended image.
func (i Image) ImageParameter(minor string) string {
	return strings.ReplaceAll(i.imagePath, "VERSION", minor)
}

// ReleaseParameter is the parameter that holds the release version of the recommended image.
func (i Image) ReleaseParameter(minor string) string {
	return strings.ReplaceAll(i.releasePath, "VERSION", minor)
}

// ReleaseImageParameter is the parameter that holds the id of the image of one release ("1.35.2-20260310" of Amazon Linux,
// "1.51.0-47438798" of Bottlerocket), or "" where images are not published by release.
func (i Image) ReleaseImageParameter(minor, release string) string {
	version, build, ok := strings.Cut(release, "-")
	switch {
	case !ok:
		return ""
	case i.UserData == NodeConfig:
		arch, variant, _ := strings.Cut(strings.Split(i.imagePath, "amazon-linux-2023/")[1], "/")
		variant, _, _ = strings.Cut(variant, "/")
		name := strings.Join([]string{"amazon-eks-node-al2023", arch, variant, minor, "v" + build}, "-")
		return strings.Replace(i.ImageParameter(minor), "recommended", name, 1)
	case i.UserData == Settings:
		return strings.Replace(i.ImageParameter(minor), "latest", version, 1)
	default:
		return ""
	}
}

// FindImage finds a kind of image; CUSTOM is none of them.
func FindImage(amiType string) (Image, bool) {
	for _, i := range images() {
		if i.AMIType == amiType {
			return i, true
		}
	}
	return Image{}, false
}

func images() []Image {
	al2023 := func(amiType, arch, variant string) Image {
		base := "/aws/service/eks/optimized-ami/VERSION/amazon-linux-2023/" + arch + "/" + variant + "/recommended/"
		return Image{
			AMIType: amiType, Arch: arch, imagePath: base + "image_id", releasePath: base + "release_version",
			UserData: NodeConfig, GPU: variant == "nvidia",
		}
	}
	bottlerocket := func(amiType, arch, variant string) Image {
		base := "/aws/service/bottlerocket/aws-k8s-VERSION" + variant + "/" + arch + "/latest/"
		return Image{
			AMIType: amiType, Arch: arch, imagePath: base + "image_id", releasePath: base + "image_version",
			UserData: Settings, GPU: strings.Contains(variant, "nvidia"),
		}
	}
	windows := func(year, flavor string) Image {
		base := "/aws/service/ami-windows-latest/Windows_Server-" + year + "-English-" + flavor + "-EKS_Optimized-VERSION/"
		return Image{
			AMIType: "WINDOWS_" + strings.ToUpper(flavor) + "_" + year + "_x86_64", Arch: "x86_64",
			imagePath: base + "image_id", releasePath: base + "release_version", UserData: PowerShell, Windows: true,
		}
	}
	return []Image{
		al2023("AL2023_x86_64_STANDARD", "x86_64", "standard"),
		al2023("AL2023_ARM_64_STANDARD", "arm64", "standard"),
		al2023("AL2023_x86_64_NVIDIA", "x86_64", "nvidia"),
		al2023("AL2023_ARM_64_NVIDIA", "arm64", "nvidia"),
		al2023("AL2023_x86_64_NEURON", "x86_64", "neuron"),
		bottlerocket("BOTTLEROCKET_x86_64", "x86_64", ""),
		bottlerocket("BOTTLEROCKET_ARM_64", "arm64", ""),
		bottlerocket("BOTTLEROCKET_x86_64_FIPS", "x86_64", "-fips"),
		bottlerocket("BOTTLEROCKET_ARM_64_FIPS", "arm64", "-fips"),
		bottlerocket("BOTTLEROCKET_x86_64_NVIDIA", "x86_64", "-nvidia"),
		bottlerocket("BOTTLEROCKET_ARM_64_NVIDIA", "arm64", "-nvidia"),
		bottlerocket("BOTTLEROCKET_x86_64_NVIDIA_FIPS", "x86_64", "-nvidia-fips"),
		bottlerocket("BOTTLEROCKET_ARM_64_NVIDIA_FIPS", "arm64", "-nvidia-fips"),
		windows("2019", "Core"), windows("2019", "Full"),
		windows("2022", "Core"), windows("2022", "Full"),
		windows("2025", "Core"), windows("2025", "Full"),
	}
}
