package eks_test

import (
	"strings"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	awseks "github.com/aws/aws-sdk-go-v2/service/eks"
	"github.com/aws/aws-sdk-go-v2/service/eks/types"
	"github.com/aws/aws-sdk-go-v2/service/iam"

	"github.com/eks-gitops/reconciler/internal/sim/aws/eks"
)

// nodes are Kubernetes nodes that do as they are told.
type nodes struct {
	absent  bool
	stuck   map[string]bool // are not empty unless forced
	drained map[string]bool
	marks   map[string]eks.Marks
}

func newNodes() *nodes {
	return &nodes{stuck: map[string]bool{}, drained: map[string]bool{}, marks: map[string]eks.Marks{}}
}

func (n *nodes) Ready(string, string) bool { return !n.absent }

func (n *nodes) Drain(_, id string, force bool) (bool, error) {
	if n.stuck[id] && !force {
		return false, nil
	}
	n.drained[id] = true
	return true, nil
}

func (n *nodes) Count(string) (int, bool)       { return 0, false }
func (n *nodes) Mark(_, id string, m eks.Marks) { n.marks[id] = m }

func (a *account) dropRole(arn string) error {
	name := arn[strings.LastIndexByte(arn, '/')+1:]
	profiles, err := a.roles.ListInstanceProfilesForRole(a.t.Context(), &iam.ListInstanceProfilesForRoleInput{RoleName: &name})
	if err != nil {
		return err
	}
	for _, p := range profiles.InstanceProfiles {
		if _, err := a.roles.RemoveRoleFromInstanceProfile(a.t.Context(), &iam.RemoveRoleFromInstanceProfileInput{RoleName: &name, InstanceProfileName: p.InstanceProfileName}); err != nil {
			return err
		}
	}
	_, err = a.roles.DeleteRole(a.t.Context(), &iam.DeleteRoleInput{RoleName: &name})
	return err
}

// upgrade brings the control plane of c1 to a version.
func (a *account) upgrade(version string) {
	a.t.Helper()
	_, err := a.api.UpdateClusterVersion(a.t.Context(), &awseks.UpdateClusterVersionInput{Name: sdk.String("c1"), Version: &version})
	must(a.t, err)
	a.pass(11 * time.Minute)
}

// newRelease asks for the version of the cluster.
func (a *account) newRelease(name string) *awseks.UpdateNodegroupVersionInput {
	return &awseks.UpdateNodegroupVersionInput{ClusterName: sdk.String("c1"), NodegroupName: &name}
}

func issues(g *types.Nodegroup) string {
	var out []string
	for _, i := range g.Health.Issues {
		out = append(out, string(i.Code)+": "+sdk.ToString(i.Message))
	}
	return strings.Join(out, "; ")
}

// trust replaces a role's trust policy.
func (a *account) trust(role, policy string) {
	a.t.Helper()
	_, err := a.roles.UpdateAssumeRolePolicy(a.t.Context(), &iam.UpdateAssumeRolePolicyInput{RoleName: &role, PolicyDocument: &policy})
	must(a.t, err)
}
