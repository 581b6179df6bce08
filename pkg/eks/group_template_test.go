package eks

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/eks-gitops/reconciler/pkg/plan"
)

// template makes a launch template with one version per instance type, and returns its id.
func (r *rig) template(name string, types ...ec2types.InstanceType) string {
	r.t.Helper()
	client := ec2.NewFromConfig(r.config())
	id := ""
	for i, kind := range types {
		data := &ec2types.RequestLaunchTemplateData{InstanceType: kind}
		if i == 0 {
			out, err := client.CreateLaunchTemplate(r.t.Context(), &ec2.CreateLaunchTemplateInput{LaunchTemplateName: &name, LaunchTemplateData: data})
			r.does(err)
			id = *out.LaunchTemplate.LaunchTemplateId
			continue
		}
		_, err := client.CreateLaunchTemplateVersion(r.t.Context(), &ec2.CreateLaunchTemplateVersionInput{LaunchTemplateId: &id, LaunchTemplateData: data})
		r.does(err)
	}
	return id
}

// templated is a cluster with a nodegroup of somebody's own launch template.
func templated(id, version string) string {
	return fmt.Sprintf(bare+"managedNodeGroups:\n- {name: own, minSize: 1, maxSize: 4, desiredCapacity: 2, launchTemplate: {id: %s, version: %q}}\n", id, version)
}

// machinesOf are the instance types of the nodes of a nodegroup.
func (r *rig) machinesOf(name string) []string {
	r.t.Helper()
	out, err := ec2.NewFromConfig(r.config()).DescribeInstances(r.t.Context(), &ec2.DescribeInstancesInput{InstanceIds: r.cloud.world.Groups[name].instances()})
	r.does(err)
	var types []string
	for _, reservation := range out.Reservations {
		for _, i := range reservation.Instances {
			types = append(types, string(i.InstanceType))
		}
	}
	return types
}

// TestLaunchTemplateVersions: another version of a nodegroup's launch template is rolled out over its nodes by one call, also when the process is
// killed at that call, before it or after it. Another launch template is another nodegroup (UpdateNodegroupVersion in the EKS API reference: "you
// must specify the same launch template ID or name that was used to create the node group").
func TestLaunchTemplateVersions(t *testing.T) {
	t.Parallel()
	for name, f := range map[string]*fuse{
		"one process": nil, "killed before the call": {at: 0}, "killed after the call": {at: 0, accepted: true}, "a process for every call": nil,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, bare)
			id := r.template("own", ec2types.InstanceTypeM5Large, ec2types.InstanceTypeM5Xlarge)
			r.git(templated(id, "1"))
			r.converge()
			r.settled("creation")
			olds := r.cloud.world.Groups["own"].instances()

			r.git(templated(id, "2"))
			c := find(t, r.plan(), KindNodegroup, "own")
			if c.Action != plan.Update || c.Risk != plan.Disruptive || len(c.Edits) != 1 || c.Edits[0].Path != "launchTemplate.version" || !strings.Contains(c.Why, "2 nodes") {
				t.Errorf("it is planned as %s, risk %s: %v %s", c.Action, c.Risk, c.Edits, c.Why)
			}
			r.fuse, r.restart = f, name == "a process for every call"
			r.reboot()
			if calls := r.wrote(r.converge); !slices.Equal(calls, []string{"UpdateNodegroupVersion"}) {
				t.Errorf("the roll took %v", calls)
			}
			for range 20 {
				r.tick() // the last of the old nodes ends
			}
			r.settled("the roll")
			if got := r.machinesOf("own"); !slices.Equal(got, []string{"m5.xlarge", "m5.xlarge"}) {
				t.Errorf("the nodes are %v", got)
			}
			news := r.cloud.world.Groups["own"].instances()
			if slices.ContainsFunc(news, func(i string) bool { return slices.Contains(olds, i) }) || len(r.kube.drained) > 0 {
				t.Errorf("nodes went from %v to %v; %v were drained from here", olds, news, r.kube.drained)
			}

			got := r.imported()
			if !strings.Contains(string(got.File), `version: "2"`) {
				t.Errorf("the imported file has another version:\n%s", got.File)
			}
			r.git(string(got.File))
			r.settledOn(got)

			r.restart = false
			r.git(templated(r.template("other", ec2types.InstanceTypeM6iLarge), "1"))
			if c := find(t, r.plan(), KindNodegroup, "own"); c.Action != plan.Replace || !strings.Contains(c.Why, "launchTemplate is immutable") {
				t.Errorf("another launch template is planned as %s: %s", c.Action, c.Why)
			}
			r.converge()
			r.settled("another launch template")
			slices.Sort(news)
			slices.Sort(r.kube.drained)
			if !slices.Equal(r.kube.drained, news) || len(r.cloud.world.generations("own")) != 1 {
				t.Errorf("drained %v, want %v", r.kube.drained, news)
			}
		})
	}
}

// TestLaunchTemplateWithRelease: a release that git pins goes with another version of the launch template in one roll.
func TestLaunchTemplateWithRelease(t *testing.T) {
	t.Parallel()
	r := newRig(t, bare)
	id := r.template("own", ec2types.InstanceTypeM5Large, ec2types.InstanceTypeM5Xlarge)
	r.git(templated(id, "1"))
	r.converge()
	release := aws.ToString(r.cloud.world.Groups["own"].Nodegroup.ReleaseVersion)
	r.git(strings.Replace(templated(id, "2"), "name: own,", "name: own, releaseVersion: "+release+",", 1))
	if calls := r.wrote(r.converge); !slices.Equal(calls, []string{"UpdateNodegroupVersion"}) {
		t.Errorf("the roll took %v", calls)
	}
	r.settled("the roll")
	for _, q := range r.Requests(0) {
		if q.Operation == "UpdateNodegroupVersion" && (inputOf(q.Input, "releaseVersion") != release || !strings.Contains(inputOf(q.Input, "launchTemplate"), "ersion:2")) {
			t.Errorf("it was asked for %s", q.Input)
		}
	}
}
