package daemon

import (
	"maps"

	corev1 "k8s.io/api/core/v1"

	"github.com/eks-gitops/reconciler/internal/sim/aws/ec2"
	"github.com/eks-gitops/reconciler/internal/sim/aws/eks"
	"github.com/eks-gitops/reconciler/lab/cluster"
)

// nodeMachine is the node that an instance becomes.
func nodeMachine(m ec2.Machine) cluster.Machine {
	arch := "amd64"
	if m.Architecture == "arm64" {
		arch = "arm64"
	}
	image := "Amazon Linux 2023.9.20251110"
	if m.ImageFamily == "bottlerocket" {
		image = "Bottlerocket OS 1.51.0 (aws-k8s-" + m.Version + ")"
	}
	out := cluster.Machine{
		ID: m.InstanceID, Name: m.PrivateDNS, Address: m.PrivateIP, Type: m.InstanceType, Region: m.Region, Zone: m.Zone, ZoneID: m.ZoneID,
		Arch: arch, OS: image, CPU: m.VCPU, Memory: m.MemoryMiB, MaxPods: m.MaxPods, Version: "v" + m.Version + ".0-eks-lab",
		Labels: maps.Clone(m.Labels),
	}
	for _, t := range m.Taints {
		out.Taints = append(out.Taints, corev1.Taint{Key: t.Key, Value: t.Value, Effect: corev1.TaintEffect(t.Effect)})
	}
	return out
}

// nodeTaints are taints of EKS's API, which spells effects its own way, as Kubernetes has them.
func nodeTaints(taints []eks.Taint) []corev1.Taint {
	effects := map[string]corev1.TaintEffect{
		"NO_SCHEDULE": corev1.TaintEffectNoSchedule, "PREFER_NO_SCHEDULE": corev1.TaintEffectPreferNoSchedule, "NO_EXECUTE": corev1.TaintEffectNoExecute,
	}
	out := make([]corev1.Taint, 0, len(taints))
	for _, t := range taints {
		out = append(out, corev1.Taint{Key: t.Key, Value: t.Value, Effect: effects[t.Effect]})
	}
	return out
}
