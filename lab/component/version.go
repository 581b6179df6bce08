//go:build !race

package component

import (
	"fmt"

	apimachineryversion "k8s.io/apimachinery/pkg/version"
	"k8s.io/apiserver/pkg/util/compatibility"
	utilfeature "k8s.io/apiserver/pkg/util/feature"
	basecompatibility "k8s.io/component-base/compatibility"
)

// asEKS reports the emulated version as if it were the binary's own, as EKS does for a cluster of that minor: clients decide
// by major, minor and gitVersion and know nothing of emulation. The emulation* fields tell the same; the binary's true
// version stays in the start of each component's log and in `lab version`.
type asEKS struct {
	basecompatibility.MutableEffectiveVersion
}

// Info implements compatibility.EffectiveVersion.
func (v asEKS) Info() *apimachineryversion.Info {
	info := v.MutableEffectiveVersion.Info()
	binary, emulated := v.BinaryVersion(), v.EmulationVersion()
	if info == nil || binary == nil || emulated == nil {
		return info
	}
	patch := uint(0)
	if emulated.Major() == binary.Major() && emulated.Minor() == binary.Minor() {
		patch = binary.Patch()
	}
	info.Major, info.Minor = fmt.Sprint(emulated.Major()), fmt.Sprint(emulated.Minor())
	info.GitVersion = fmt.Sprintf("v%d.%d.%d-eks-lab", emulated.Major(), emulated.Minor(), patch)
	return info
}

// reportAsEKS replaces what package compatibility registered when it was loaded. It has to come before the API server makes
// its options, which take what they find.
func reportAsEKS() error {
	version := asEKS{compatibility.DefaultBuildEffectiveVersion()}
	registry := compatibility.DefaultComponentGlobalsRegistry
	registry.Reset()
	return registry.Register(basecompatibility.DefaultKubeComponent, version, utilfeature.DefaultMutableFeatureGate)
}
