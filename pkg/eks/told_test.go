package eks

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	cfntypes "github.com/aws/aws-sdk-go-v2/service/cloudformation/types"

	"github.com/eks-gitops/reconciler/pkg/gitops"
	"github.com/eks-gitops/reconciler/pkg/plan"
)

// unrecorded is a cluster with nodegroups of both kinds; stars mark where a field may be put.
const unrecorded = bare + `managedNodeGroups:
- {name: system, instanceType: m5.large, minSize: 1, maxSize: 2*managed}
nodeGroups:
- {name: batch, instanceType: m5.large, minSize: 1, maxSize: 2, labels: {role: batch}, taints: [{key: only, value: batch, effect: NoSchedule}]*self}
`

// replacingRows are edits of each field of nodegroups that replaces them: what is put at the star, or else what is replaced by what. Where
// the kinds of nodegroups differ, the second is for self-managed ones. An edit that begins with ! is told in a note:
// nothing live says it. One that begins with = says what is so in any case.
func replacingRows() map[string][2]string {
	same := func(text string) [2]string { return [2]string{text, text} }
	return map[string][2]string{
		"additionalVolumes":        same("additionalVolumes: [{volumeName: /dev/xvdc, volumeSize: 20}]"),
		"ami":                      same("ami: ami-0123456789abcdef0, amiFamily: AmazonLinux2023"),
		"amiFamily":                same("amiFamily: Bottlerocket"),
		"availabilityZones":        same("availabilityZones: [eu-west-1a]"),
		"bottlerocket":             {"!bottlerocket: {enableAdminContainer: true}, amiFamily: Bottlerocket", "!bottlerocket: {enableAdminContainer: true}, amiFamily: Bottlerocket"},
		"capacityReservation":      same("capacityReservation: {capacityReservationPreference: none}"),
		"clusterDNS":               {"", "clusterDNS: 10.100.0.53"},
		"containerRuntime":         {"", "=containerRuntime: containerd"},
		"cpuCredits":               {"", "instanceType: t3.large, cpuCredits: unlimited"},
		"disableIMDSv1":            same("disableIMDSv1: false"),
		"disablePodIMDS":           same("disablePodIMDS: true"),
		"ebsOptimized":             same("ebsOptimized: true"),
		"efaEnabled":               same("efaEnabled: true"),
		"enableDetailedMonitoring": same("enableDetailedMonitoring: true"),
		"enclaveEnabled":           {"", "enclaveEnabled: true"},
		"iam":                      same(`iam: {attachPolicyARNs: ["arn:aws:iam::aws:policy/AmazonS3FullAccess"]}`),
		"instanceMarketOptions":    {"instanceMarketOptions: {marketType: capacity-block}, capacityReservation: {capacityReservationTarget: {capacityReservationID: cr-1}}", "instanceMarketOptions: {marketType: capacity-block}, capacityReservation: {capacityReservationTarget: {capacityReservationID: cr-1}}"},
		"instanceName":             same("instanceName: worker"),
		"instancePrefix":           same("instancePrefix: team"),
		"instanceSelector":         same("instanceSelector: {vCPUs: 8, memory: 32GiB}"),
		"instanceType":             same("instanceType: m5.xlarge"),
		"instanceTypes":            {"instanceTypes: [m5.xlarge]", ""},
		"kubeletExtraConfig":       {"", "kubeletExtraConfig: {imageGCHighThresholdPercent: 70}"},
		"labels":                   {"", "labels: {role: other}"},
		"launchTemplate":           {"launchTemplate: {id: lt-0123}", ""},
		"localZones":               {"", "localZones: [eu-west-1-lon-1a]"},
		"maxPodsPerNode":           same("maxPodsPerNode: 30"),
		"overrideBootstrapCommand": same(`overrideBootstrapCommand: "apiVersion: node.eks.aws/v1alpha1\nkind: NodeConfig\nspec: {instance: {localStorage: {strategy: RAID0}}}"`),
		"placement":                same("placement: {groupName: close}"),
		"preBootstrapCommands":     same("preBootstrapCommands: [echo hello]"),
		"privateNetworking":        same("privateNetworking: true"),
		"securityGroups":           same("securityGroups: {attachIDs: [sg-0123]}"),
		"spot":                     {"spot: true", ""},
		"ssh":                      same("ssh: {publicKeyName: ops}"),
		"subnets":                  same("subnets: [subnet-0123]"),
		"taints":                   {"", "taints: [{key: only, value: other, effect: NoSchedule}]"},
		"volumeEncrypted":          same("volumeSize: 80, volumeEncrypted: true"),
		"volumeIOPS":               same("volumeSize: 80, volumeIOPS: 4000"),
		"volumeKmsKeyID":           same("volumeSize: 80, volumeEncrypted: true, volumeKmsKeyID: 1234abcd-12ab-34cd-56ef-1234567890ab"),
		"volumeName":               same("volumeSize: 80, volumeName: /dev/xvdb"),
		"volumeSize":               same("volumeSize: 90"),
		"volumeThroughput":         same("volumeSize: 80, volumeThroughput: 200"),
		"volumeType":               same("volumeSize: 80, volumeType: gp2"),
	}
}

// rewritten puts an edit at a star; a field that is already there goes.
func rewritten(star, edit string) string {
	lines := strings.Split(unrecorded, "\n")
	for i, line := range lines {
		if !strings.Contains(line, star) || edit == "" {
			continue
		}
		for _, taken := range []string{"instanceType: m5.large, ", ", labels: {role: batch}", ", taints: [{key: only, value: batch, effect: NoSchedule}]"} {
			field, _, _ := strings.Cut(strings.Trim(taken, ", "), ":")
			if strings.HasPrefix(edit, field+":") || field == "instanceType" && strings.HasPrefix(edit, "instanceTypes:") || field == "instanceType" && strings.HasPrefix(edit, selectorField) || field == "instanceType" && strings.HasPrefix(edit, "instancesDistribution") || field == "instanceType" && strings.HasPrefix(edit, "launchTemplate") {
				line = strings.Replace(line, taken, "", 1)
			}
		}
		lines[i] = strings.Replace(line, star, ", "+edit, 1)
	}
	return strings.NewReplacer("*managed", "", "*self", "").Replace(strings.Join(lines, "\n"))
}

// forgotten is a world in which eksctl made the nodegroups: they carry no mark of ours, and nothing recorded what they were made from.
func forgotten(w *world) *world {
	out := w.clone()
	for name, g := range w.Groups {
		own := *g
		own.Recorded, own.Machines = nil, map[string]machine{"m5.large": {VCPUs: 2, MemoryMiB: 8192, Architectures: []string{"x86_64"}}}
		if g.Stack != nil {
			s := *g.Stack
			s.Tags = slices.DeleteFunc(slices.Clone(s.Tags), func(t cfntypes.Tag) bool { return *t.Key == tagUserName })
			own.Stack = &s
			out.Stacks[*s.StackName] = s
		}
		out.Groups[name] = &own
	}
	return out
}

// settledUnrecorded plans nothing, and imports to a file that changes nothing, as if eksctl had made the nodegroups.
func (r *rig) settledUnrecorded() {
	r.t.Helper()
	r.reboot()
	r.plan()
	p := build(mustParse(r.t, r.item).observe(forgotten(r.cloud.world), false))
	if len(p.Changes) > 0 {
		r.t.Errorf("nodegroups of which nothing is recorded:\n%s", describe(nil, p))
	}
	if got := unsaidIn(p); len(got) > 0 {
		r.t.Errorf("all of it is in git: %v", got)
	}
	d := newDraft(mustBlank(r.t, r.cloud.aws.config.Region), forgotten(r.everything()))
	r.does(r.cloud.lookInto(r.t.Context(), d))
	got, err := d.write()
	if err != nil || len(got.Left) > 0 || len(got.Problems) > 0 {
		r.t.Errorf("importing nodegroups of which nothing is recorded: %v %v\n%s\n%s", err, got.Problems, describe(nil, plan.Plan{Changes: got.Left}), got.File)
	}
}

func mustParse(t *testing.T, item gitops.Item) *Config {
	t.Helper()
	cfg, problems := Parse(item)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	return cfg
}

func mustBlank(t *testing.T, region string) *Config {
	t.Helper()
	cfg, problems := blank("dev", region)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	return cfg
}

// everything is what a sweep finds that asks for all there is to ask.
func (r *rig) everything() *world {
	r.t.Helper()
	r.reboot()
	w, err := r.cloud.sweep(r.t.Context(), mustBlank(r.t, r.cloud.aws.config.Region), true)
	r.does(err)
	return w
}

// TestUnrecordedRows: of a nodegroup that eksctl made, every field that replaces it is told, or a note names it: an edit in git is never
// ignored. A new row fails here until it has a case.
func TestUnrecordedRows(t *testing.T) {
	t.Parallel()
	r := newRig(t, rewritten("", ""))
	r.converge()
	w := forgotten(r.everything())
	p := build(mustLoad(t, rewritten("", "")).observe(w, false))
	if len(p.Changes) > 0 || slices.ContainsFunc(p.Problems, func(e *gitops.Error) bool { return e.Reason == gitops.NotManaged || !e.Reason.Note() }) {
		t.Fatalf("without an edit:\n%s", describe(nil, p))
	}
	cases := replacingRows()
	seen := map[string]bool{}
	for _, e := range inventory(t) {
		list, name, ok := strings.Cut(e.path, "odeGroups[].")
		if !ok || e.class != replaced || strings.Contains(name, ".") {
			continue
		}
		seen[name] = true
		star, group, edit := "*managed", "system", cases[name][0]
		if list == "n" {
			star, group, edit = "*self", "batch", cases[name][1]
		}
		edit, idle := strings.CutPrefix(edit, "=")
		edit, noted := strings.CutPrefix(edit, "!")
		if edit == "" {
			t.Errorf("%s is in the table, and has no case", e.path)
			continue
		}
		item, problems := inGit([]byte(rewritten(star, edit)))
		var cfg *Config
		if len(problems) == 0 {
			cfg, problems = Parse(item)
		}
		if len(problems) > 0 {
			t.Errorf("%s: %v", e.path, problems[0])
			continue
		}
		if err := admitted(build(cfg.observe(w, false)), group, name, noted); (err == nil) == idle {
			t.Errorf("%s: %v", e.path, err)
		}
	}
	for name := range maps.Keys(cases) {
		if !seen[name] {
			t.Errorf("%s is no row of the table", name)
		}
	}
}

// admitted finds the field in the replacement of a group, or in a note.
func admitted(p plan.Plan, group, field string, noted bool) error {
	for _, c := range p.Changes {
		if c.Ref.Kind == KindNodegroup && c.Ref.Name == group && c.Action == plan.Replace {
			for _, e := range c.Edits {
				if e.Path == field || strings.HasPrefix(e.Path, field+".") || strings.HasPrefix(e.Path, field+"[") {
					return nil
				}
			}
		}
	}
	for _, e := range p.Problems {
		if noted && e.Reason == gitops.NotManaged && strings.Contains(e.Message(), "."+field) {
			return nil
		}
	}
	return fmt.Errorf("an edit is not told:\n%s", describe(nil, p))
}

// unsaidIn are the notes of a plan about what nodegroups have and git does not say.
func unsaidIn(p plan.Plan) []string {
	var out []string
	for _, e := range p.Problems {
		if e.Reason == gitops.Extra && strings.Contains(e.Message(), "which git does not say") {
			out = append(out, e.Message())
		}
	}
	slices.Sort(out)
	return out
}
