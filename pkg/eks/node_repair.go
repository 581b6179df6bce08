package eks

import (
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	ekstypes "github.com/aws/aws-sdk-go-v2/service/eks/types"
	api "github.com/weaveworks/eksctl/pkg/apis/eksctl.io/v1alpha5"

	"github.com/eks-gitops/reconciler/pkg/gitops"
)

// repairForm gives a nodeRepairConfig the one form that compares: the order of its overrides means nothing.
func repairForm(t gitops.Tree) gitops.Tree {
	out := gitops.Clone(t)
	if list, ok := out["nodeRepairConfigOverrides"].([]any); ok {
		slices.SortFunc(list, func(a, b any) int { return strings.Compare(string(gitops.DigestOf(a)), string(gitops.DigestOf(b))) })
	}
	return out
}

// liveRepair is how EKS repairs the nodes of a group, in the file's words: off where EKS does not speak of it, as it is by default.
func liveRepair(live *ekstypes.NodeRepairConfig) gitops.Tree {
	out := gitops.Tree{}
	told, _ := treeOf(live).(gitops.Tree)
	for member, v := range told {
		out[fileWord(member)] = v
	}
	overrides := []any{}
	for _, item := range gitops.ListAt(told, "NodeRepairConfigOverrides") {
		override := gitops.Tree{}
		members, _ := item.(gitops.Tree)
		for member, v := range members {
			override[fileWord(member)] = v
		}
		overrides = append(overrides, override)
	}
	out["enabled"], out["nodeRepairConfigOverrides"] = out["enabled"] == true, overrides
	return repairForm(out)
}

// fileWord is the file's word for a member of the SDK's structures, whose names begin with a capital.
func fileWord(member string) string { return strings.ToLower(member[:1]) + member[1:] }

// repairChange says all of it, what the file does not name as it is. A count and a percentage exclude each other, so that the one
// that the file names takes the place of either.
func repairChange(live *ekstypes.NodeRepairConfig, next *api.NodeGroupNodeRepairConfig) *ekstypes.NodeRepairConfig {
	out := &ekstypes.NodeRepairConfig{}
	if live != nil {
		*out = *live
	}
	if next.Enabled != nil {
		out.Enabled = next.Enabled
	}
	if next.MaxUnhealthyNodeThresholdCount != nil || next.MaxUnhealthyNodeThresholdPercentage != nil {
		out.MaxUnhealthyNodeThresholdCount, out.MaxUnhealthyNodeThresholdPercentage = size32(next.MaxUnhealthyNodeThresholdCount), size32(next.MaxUnhealthyNodeThresholdPercentage)
	}
	if next.MaxParallelNodesRepairedCount != nil || next.MaxParallelNodesRepairedPercentage != nil {
		out.MaxParallelNodesRepairedCount, out.MaxParallelNodesRepairedPercentage = size32(next.MaxParallelNodesRepairedCount), size32(next.MaxParallelNodesRepairedPercentage)
	}
	if next.NodeRepairConfigOverrides != nil {
		out.NodeRepairConfigOverrides = []ekstypes.NodeRepairConfigOverrides{}
	}
	for _, o := range next.NodeRepairConfigOverrides {
		out.NodeRepairConfigOverrides = append(out.NodeRepairConfigOverrides, ekstypes.NodeRepairConfigOverrides{
			NodeMonitoringCondition: aws.String(o.NodeMonitoringCondition), NodeUnhealthyReason: aws.String(o.NodeUnhealthyReason),
			MinRepairWaitTimeMins: size32(&o.MinRepairWaitTimeMins), RepairAction: ekstypes.RepairAction(o.RepairAction),
		})
	}
	return out
}
