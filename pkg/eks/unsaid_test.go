package eks

import (
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
)

// TestUnsaid: what nodegroups that eksctl made have and git does not say, or says no more, is noted by its fields, and changes nothing. A
// group with a record needs no note: what git dropped is a change.
func TestUnsaid(t *testing.T) {
	t.Parallel()
	const fields = "volumeSize: 90, volumeType: gp2, volumeEncrypted: true, disablePodIMDS: true, enableDetailedMonitoring: true, maxPodsPerNode: 30, " +
		"preBootstrapCommands: [echo hush], iam: {attachPolicyARNs: [\"arn:aws:iam::aws:policy/AmazonS3FullAccess\"]}"
	with := func(managed, self string) string {
		return strings.NewReplacer("*managed", managed, "*self", self, "instanceType: m5.large, ", "").Replace(unrecorded)
	}
	r := newRig(t, with(", instanceType: m5.xlarge, "+fields, ", instanceType: m5.xlarge, "+fields))
	r.converge()
	r.reboot()
	r.plan()
	recorded := build(mustLoad(t, with("", "")).observe(r.cloud.world, false))
	if got := unsaidIn(recorded); len(got) > 0 || len(recorded.Changes) != 2 {
		t.Errorf("with a record:\n%s", describe(nil, recorded))
	}

	p := build(mustLoad(t, with("", "")).observe(forgotten(r.cloud.world), false))
	if len(p.Changes) > 0 {
		t.Errorf("without a record:\n%s", describe(nil, p))
	}
	const has = " has disablePodIMDS, enableDetailedMonitoring, iam.attachPolicyARNs, instanceType, maxPodsPerNode, preBootstrapCommands, volumeEncrypted, volumeSize, volumeType, " +
		"which git does not say: it is left alone, and a nodegroup that replaces it does not have it"
	if diff := gocmp.Diff([]string{"nodegroup batch" + has, "nodegroup system" + has}, unsaidIn(p)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for _, e := range p.Problems {
		if strings.Contains(e.Message(), "which git does not say") && (strings.Contains(e.Error(), "hush") || e.Try != "reconciler import dev writes the fields as they are live") {
			t.Errorf("told: %v; %s", e, e.Try)
		}
	}

	p = build(mustLoad(t, with(", instanceType: m5.xlarge, "+fields, ", instanceType: m5.xlarge, "+fields)).observe(forgotten(r.cloud.world), false))
	if got := unsaidIn(p); len(got) > 0 || len(p.Changes) > 0 {
		t.Errorf("git says it all: %v\n%s", got, describe(nil, p))
	}
}
