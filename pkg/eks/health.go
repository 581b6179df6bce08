package eks

import (
	"fmt"
	"strings"
	"unicode"

	"github.com/aws/aws-sdk-go-v2/aws"
	cfntypes "github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
	ekstypes "github.com/aws/aws-sdk-go-v2/service/eks/types"

	"github.com/eks-gitops/reconciler/pkg/gitops"
)

func stackSays(s cfntypes.Stack) string {
	return fmt.Sprintf("stack %s is %s", aws.ToString(s.StackName), s.StackStatus)
}

// failed is the health of a failed stack, with its first cause.
func (w *world) failed(s cfntypes.Stack) gitops.Health {
	h := gitops.Health{Status: gitops.Failed, Message: stackSays(s)}
	if cause := w.Failures[aws.ToString(s.StackName)]; cause != "" {
		h.Message += ": " + cause
		h.Reason = limit(cause)
	}
	return h
}

// limit is QuotaExceeded where text tells that a quota of the account is used up, else nothing. EKS's issues and CloudFormation's
// events have AWS's codes in their text (HandlerErrorCode: ServiceLimitExceeded).
func limit(text string) gitops.Reason {
	for word := range strings.FieldsFuncSeq(text, func(r rune) bool { return !unicode.IsLetter(r) }) {
		if exhausted(word) {
			return gitops.QuotaExceeded
		}
	}
	return ""
}

// clusterHealth joins what EKS and the cluster's stack say. The stack counts: nodegroups import its outputs, which exist
// only when it is complete.
func (c *Config) clusterHealth(w *world) gitops.Health {
	s, stacked := w.Stacks[clusterStack(c.Name)]
	if stacked {
		switch {
		case stackLeaving(s):
			return gitops.Health{Status: gitops.Terminating, Message: stackSays(s)}
		case stackUseless(s):
			return w.failed(s)
		}
	}
	switch {
	case w.Cluster != nil:
		h := controlPlaneHealth(w.Cluster.Status, w.Updates[""], s, stacked)
		if role, ok := w.Stacks[autoModeStack(c.Name)]; ok && h.Status == gitops.Ready && stackMoving(role) && !stackDone(role) {
			return gitops.Health{Status: gitops.Progressing, Message: stackSays(role)}
		}
		return h
	case !stacked:
		return gitops.Health{Status: gitops.Absent}
	case stackMoving(s):
		return gitops.Health{Status: gitops.Progressing, Message: stackSays(s)}
	}
	return gitops.Health{Status: gitops.Failed, Message: stackSays(s) + ", but EKS does not know the cluster: it was deleted outside git"}
}

func controlPlaneHealth(status ekstypes.ClusterStatus, update string, s cfntypes.Stack, stacked bool) gitops.Health {
	switch status {
	case ekstypes.ClusterStatusActive:
		if stacked && stackMoving(s) && !stackDone(s) {
			return gitops.Health{Status: gitops.Progressing, Message: stackSays(s)}
		}
		return gitops.Health{Status: gitops.Ready}
	case ekstypes.ClusterStatusCreating, ekstypes.ClusterStatusUpdating, ekstypes.ClusterStatusPending:
		return gitops.Health{Status: gitops.Progressing, Message: during("the control plane is "+string(status), update)}
	case ekstypes.ClusterStatusDeleting:
		return gitops.Health{Status: gitops.Terminating, Message: "the control plane is " + string(status)}
	case ekstypes.ClusterStatusFailed:
		return gitops.Health{Status: gitops.Failed, Message: "the control plane is " + string(status)}
	}
	return gitops.Health{Status: gitops.Unknown, Message: "the control plane is " + string(status)}
}

func managedHealth(n *ekstypes.Nodegroup, update string) gitops.Health {
	says := during("the nodegroup is "+string(n.Status), update)
	if issue := healthOf(n); issue != "" {
		says += ": " + issue
	}
	switch n.Status {
	case ekstypes.NodegroupStatusActive:
		return gitops.Health{Status: gitops.Ready}
	case ekstypes.NodegroupStatusCreating, ekstypes.NodegroupStatusUpdating:
		return gitops.Health{Status: gitops.Progressing, Message: says}
	case ekstypes.NodegroupStatusDeleting:
		return gitops.Health{Status: gitops.Terminating, Message: says}
	case ekstypes.NodegroupStatusCreateFailed, ekstypes.NodegroupStatusDeleteFailed, ekstypes.NodegroupStatusDegraded:
		return gitops.Health{Status: gitops.Failed, Message: says, Reason: limit(says)}
	}
	return gitops.Health{Status: gitops.Unknown, Message: says}
}

// addonHealth tells how far an addon is. DEGRADED is what an addon is while it waits for nodes, so it is progress, not
// failure.
func (c *Config) addonHealth(w *world, name string) gitops.Health {
	a := w.Addons[name]
	if a == nil {
		return gitops.Health{Status: gitops.Absent}
	}
	says := during("the addon is "+string(a.Status), w.Updates[addonUpdate(name)])
	if a.Health != nil && len(a.Health.Issues) > 0 {
		says += fmt.Sprintf(": %s: %s", a.Health.Issues[0].Code, aws.ToString(a.Health.Issues[0].Message)) + c.unplaced(w, a)
	}
	switch a.Status {
	case ekstypes.AddonStatusActive:
		return gitops.Health{Status: gitops.Ready}
	case ekstypes.AddonStatusCreating, ekstypes.AddonStatusUpdating, ekstypes.AddonStatusDegraded:
		return gitops.Health{Status: gitops.Progressing, Message: says}
	case ekstypes.AddonStatusDeleting:
		return gitops.Health{Status: gitops.Terminating, Message: says}
	case ekstypes.AddonStatusCreateFailed, ekstypes.AddonStatusUpdateFailed, ekstypes.AddonStatusDeleteFailed:
		return gitops.Health{Status: gitops.Failed, Message: says}
	}
	return gitops.Health{Status: gitops.Unknown, Message: says}
}

// roleHealth tells how far the stack of a role is.
func (c *Config) roleHealth(w *world, stack string) gitops.Health {
	s, ok := w.Stacks[stack]
	switch {
	case !ok:
		return gitops.Health{Status: gitops.Absent}
	case stackLeaving(s):
		return gitops.Health{Status: gitops.Terminating, Message: stackSays(s)}
	case stackUseless(s), s.StackStatus == cfntypes.StackStatusUpdateRollbackFailed:
		return w.failed(s)
	case stackDone(s):
		return gitops.Health{Status: gitops.Ready}
	}
	return gitops.Health{Status: gitops.Progressing, Message: stackSays(s)}
}

func addonTree(a *ekstypes.Addon) gitops.Tree {
	return gitops.Tree{"name": aws.ToString(a.AddonName), "version": aws.ToString(a.AddonVersion)}
}
