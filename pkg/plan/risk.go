package plan

import (
	"fmt"
	"slices"
	"strings"

	"github.com/eks-gitops/reconciler/pkg/gitops"
)

// risk says what a change may cost.
//
//	change                                                            risk
//	delete or replace of what holds data, capacity or other things    destructive
//	any other delete or replace                                       disruptive
//	update of a pod template, fewer replicas, a version of the        disruptive
//	cluster, an addon or a nodegroup, what has Auto Scaling end
//	nodes by itself, fewer node pools of Auto Mode
//	switching Auto Mode off                                           destructive
//	everything else                                                   none
func risk(c Change, o gitops.Observation) Risk {
	switch c.Action {
	case Delete, Replace:
		if o.Data != "" || precious(c.Ref) {
			return Destructive
		}
		return Disruptive
	case Update:
		if slices.ContainsFunc(c.Edits, leavesAutoMode) {
			return Destructive
		}
		if slices.ContainsFunc(c.Edits, func(e Edit) bool { return disrupts(c.Ref, e) }) {
			return Disruptive
		}
	case Create, Wait:
	}
	return RiskNone
}

// precious names the kinds that hold data, capacity or other objects, so that git alone cannot make them again as they were.
func precious(r gitops.Ref) bool {
	if r.Domain == gitops.EKS {
		return slices.Contains([]string{"Cluster", "Nodegroup", "FargateProfile", "Addon", "Capability"}, r.Kind)
	}
	switch r.Group {
	case "":
		return slices.Contains([]string{"Namespace", "PersistentVolume", "PersistentVolumeClaim"}, r.Kind)
	case "apiextensions.k8s.io":
		return r.Kind == "CustomResourceDefinition"
	}
	return false
}

// disrupts reports whether an edit restarts or moves what runs.
func disrupts(r gitops.Ref, e Edit) bool {
	if r.Domain == gitops.EKS {
		return slices.Contains([]string{"version", "metadata.version", "releaseVersion", "launchTemplate.version", "ami", "instanceType", "maxInstanceLifetime"}, e.Path) ||
			strings.HasPrefix(e.Path, "instancesDistribution") || fewer(e, "minSize", "maxSize", "desiredCapacity") || fewerPools(e)
	}
	if !workload(r) {
		return false
	}
	return strings.HasPrefix(e.Path, "spec.template.") || e.Path == "spec.template" || fewer(e, "spec.replicas")
}

// leavesAutoMode reports whether an edit switches EKS Auto Mode off, which ends all its nodes and load balancers (EKS user guide,
// "Disable EKS Auto Mode").
func leavesAutoMode(e Edit) bool {
	return e.Path == "autoModeConfig.enabled" && e.Before == true && e.After == false
}

// fewerPools reports whether an edit may take a node pool from Auto Mode, with its nodes.
func fewerPools(e Edit) bool {
	const pools = "autoModeConfig.nodePools"
	_, list := e.Before.([]any)
	return e.Path == pools && list || strings.HasPrefix(e.Path, pools+"[") && e.Before != nil
}

func fewer(e Edit, fields ...string) bool {
	was, ok := asFloat(e.Before)
	is, ok2 := asFloat(e.After)
	return ok && ok2 && is < was && slices.ContainsFunc(fields, func(f string) bool { return e.Path == f || strings.HasSuffix(e.Path, "."+f) })
}

func asFloat(v any) (float64, bool) {
	switch n := v.(type) {
	case int:
		return float64(n), true
	case int64:
		return float64(n), true
	case float64:
		return n, true
	}
	return 0, false
}

// workload reports whether a kind runs pods.
func workload(r gitops.Ref) bool {
	switch r.Group {
	case "":
		return r.Kind == "Pod" || r.Kind == "ReplicationController"
	case "apps":
		return slices.Contains([]string{"Deployment", "StatefulSet", "DaemonSet", "ReplicaSet"}, r.Kind)
	case "batch":
		return r.Kind == "Job" || r.Kind == "CronJob"
	}
	return false
}

// why tells people the cause of a change in a few words; the edits tell the rest.
func why(c Change, o gitops.Observation) string {
	var said []string
	switch c.Action {
	case Create:
		if c.Drift {
			said = append(said, "deleted outside git")
		}
	case Replace:
		said = append(said, o.Replace...)
	case Delete:
		said = append(said, unwanted(o))
	case Wait:
		said = append(said, waiting(*o.Progress))
	case Update:
		if by := editors(c.Edits); c.Drift && len(by) > 0 {
			said = append(said, "changed by "+strings.Join(by, ", "))
		}
	}
	if o.Data != "" && (c.Action == Delete || c.Action == Replace) {
		said = append(said, o.Data)
	}
	if o.Effect != "" && c.Action != Create && c.Action != Wait {
		said = append(said, o.Effect)
	}
	return strings.Join(said, "; ")
}

// unwanted says why a thing goes.
func unwanted(o gitops.Observation) string {
	if o.Extra {
		return "made beside git"
	}
	return "no longer in git"
}

// minutes is how long the change usually takes.
func minutes(c Change, o gitops.Observation) int {
	if c.Action == Wait {
		return 0
	}
	return o.Minutes
}

func waiting(h gitops.Health) string {
	if h.Message == "" {
		return string(h.Status)
	}
	return fmt.Sprintf("%s: %s", h.Status, h.Message)
}

// editors are the managers that set the live values of the edits.
func editors(edits []Edit) []string {
	var out []string
	for _, e := range edits {
		if e.Owner != nil && e.Owner.Manager != "" {
			out = append(out, e.Owner.Manager)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}
