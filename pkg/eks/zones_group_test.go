package eks

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/eks-gitops/reconciler/pkg/gitops"
)

// near is a cluster that names no zones, one nodegroup of which does.
const near = oregon + "- {name: near, instanceType: m5.large, desiredCapacity: 1, availabilityZones: [us-west-2d]}\n"

// TestZonesOfNodegroups: the zones that a nodegroup names are among those that are chosen for the cluster, or it could not be made.
func TestZonesOfNodegroups(t *testing.T) {
	t.Parallel()
	r := inOregon(t, near)
	r.converge()
	r.settled("creation")
	if zones := r.subnetZones(); !slices.Equal(zones, []string{"us-west-2a", "us-west-2b", "us-west-2d"}) {
		t.Errorf("the cluster is in %v", zones)
	}
}

// TestRefusedZonesOfNodegroups: of zones that were chosen together with one that a nodegroup names, those are exchanged that nothing names.
func TestRefusedZonesOfNodegroups(t *testing.T) {
	t.Parallel()
	r := inOregon(t, near)
	r.full("us-west-2b")
	r.once()
	r.converge()
	r.settled("another choice")
	if diff := cmp.Diff([][]string{{"us-west-2a", "us-west-2b", "us-west-2d"}, {"us-west-2a", "us-west-2c", "us-west-2d"}}, r.made()); diff != "" {
		t.Error(diff)
	}
}

// TestRefusedZoneOfNodegroup: when EKS refuses the zone that a nodegroup names, that is told with its field and line, and nothing is made
// until git names another one, or an hour is over.
func TestRefusedZoneOfNodegroup(t *testing.T) {
	t.Parallel()
	r := inOregon(t, near)
	r.full("us-west-2d")
	err := r.refuses()
	const says = "managedNodeGroups[1].availabilityZones: EKS refuses us-west-2d (does not currently have sufficient capacity to support the cluster); " +
		"it offers us-west-2a, us-west-2b and us-west-2c"
	if !errors.Is(err, &gitops.Error{Reason: gitops.ZoneRefused}) || !strings.Contains(err.Error(), says) {
		t.Fatalf("the attempt tells %v", err)
	}
	r.reboot()
	p := r.plan()
	hold := find(t, p, KindCluster, "dev").Hold
	if e := note(t, p, gitops.ZoneRefused); e.Message() != says || e.From.Line != 6 || !strings.Contains(e.Try, "tried again from 20") || hold == nil || hold.Approvable {
		t.Errorf("%d: %s", e.From.Line, describe(nil, p))
	}
	r.full()
	r.Clock.Move(refusing)
	p = r.plan()
	if e := note(t, p, gitops.OtherZones); find(t, p, KindCluster, "dev").Hold != nil || !strings.HasSuffix(e.Message(),
		"the cluster is made in us-west-2a, us-west-2b and us-west-2d, because managedNodeGroups[1].availabilityZones names what was refused") {
		t.Errorf("an hour later: %s", describe(nil, p))
	}
	r.git(strings.Replace(near, "[us-west-2d]", "[us-west-2c]", 1))
	r.converge()
	r.settled("another zone in git")
	if zones := r.subnetZones(); !slices.Equal(zones, []string{"us-west-2a", "us-west-2b", "us-west-2c"}) {
		t.Errorf("the cluster is in %v", zones)
	}
}
