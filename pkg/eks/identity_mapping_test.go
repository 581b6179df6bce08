package eks

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"

	"github.com/eks-gitops/reconciler/pkg/gitops"
	"github.com/eks-gitops/reconciler/pkg/plan"
)

// others are entries of aws-auth that git does not name.
const others = `# for the nodes
- rolearn: arn:aws:iam::111122223333:role/nodes
  username: system:node:{{EC2PrivateDNSName}}
  groups:
    - system:bootstrappers
    - system:nodes
# the boss
- rolearn: "arn:aws:iam::111122223333:role/boss"
  username: boss
  groups:
    - system:masters # keep
`

const (
	dev     = "arn:aws:iam::111122223333:role/dev"
	ada     = "arn:aws:iam::111122223333:user/ada"
	account = "000000000042"
)

// welcoming is a cluster with an identity mapping of each sort.
const welcoming = bare + `iamIdentityMappings:
- arn: ` + dev + `
  username: dev:{{SessionName}}
  groups: [viewers, editors]
  noDuplicateARNs: true
- arn: ` + ada + `
  username: ada
- account: "` + account + `"
`

// booked is what the inventory has after welcoming was applied.
func (r *rig) booked() {
	for _, name := range []string{dev, ada, account} {
		r.inv[ref("dev", KindIdentityMapping, name)] = gitops.Entry{}
	}
}

// TestIdentityMappingLife makes identity mappings, changes them, takes back what somebody else made of them, and removes them, by a
// process that lives on and by one that is killed after every call. What git does not name stays as it is, to the letter.
func TestIdentityMappingLife(t *testing.T) {
	t.Parallel()
	for _, restart := range []bool{false, true} {
		t.Run(fmt.Sprintf("restart=%v", restart), func(t *testing.T) {
			t.Parallel()
			r := newRig(t, bare)
			r.restart = restart
			r.kube.auth = map[string]string{"mapRoles": others, "note": "of somebody"}
			r.converge()
			r.git(welcoming)
			r.converge()
			r.settled("creation")
			want := map[string]string{
				"note":        "of somebody",
				"mapRoles":    others + "- rolearn: " + dev + "\n  username: dev:{{SessionName}}\n  groups:\n    - viewers\n    - editors\n",
				"mapUsers":    "- userarn: " + ada + "\n  username: ada\n",
				"mapAccounts": "- \"" + account + "\"\n",
			}
			if diff := cmp.Diff(want, r.kube.auth); diff != "" {
				t.Errorf("aws-auth after creation (-want +got):\n%s", diff)
			}
			r.booked()

			r.git(strings.NewReplacer("[viewers, editors]", "[viewers]", "username: ada", "groups: [ops]").Replace(welcoming))
			r.converge()
			r.settled("changes")
			want["mapRoles"] = strings.Replace(want["mapRoles"], "    - editors\n", "", 1)
			want["mapUsers"] = "- userarn: " + ada + "\n  groups:\n    - ops\n"
			if diff := cmp.Diff(want, r.kube.auth); diff != "" {
				t.Errorf("aws-auth after changes (-want +got):\n%s", diff)
			}

			r.kube.auth["mapRoles"] = strings.Replace(want["mapRoles"], "viewers", "system:masters", 1)
			r.kube.auth["mapUsers"] = ""
			p := r.plan()
			if c := find(t, p, KindIdentityMapping, dev); c.Action != plan.Update {
				t.Errorf("somebody else's change is planned as %s", c.Action)
			}
			if c := find(t, p, KindIdentityMapping, ada); c.Action != plan.Create {
				t.Errorf("somebody else's removal is planned as %s", c.Action)
			}
			r.converge()
			r.settled("somebody else's change")
			if diff := cmp.Diff(want, r.kube.auth); diff != "" {
				t.Errorf("aws-auth after somebody else's change (-want +got):\n%s", diff)
			}

			r.git(bare)
			if c := find(t, r.plan(), KindIdentityMapping, dev); c.Action != plan.Delete {
				t.Errorf("a mapping that left git is planned as %s", c.Action)
			}
			r.converge()
			r.settled("the end")
			want = map[string]string{"note": "of somebody", "mapRoles": others, "mapUsers": "[]\n", "mapAccounts": "[]\n"}
			if diff := cmp.Diff(want, r.kube.auth); diff != "" {
				t.Errorf("aws-auth at the end (-want +got):\n%s", diff)
			}
		})
	}
}

// TestIdentityMappingsOfOthers: what was not applied from here is not removed for not being in git.
func TestIdentityMappingsOfOthers(t *testing.T) {
	t.Parallel()
	r := newRig(t, welcoming)
	r.kube.auth = map[string]string{"mapRoles": others}
	r.converge()
	r.git(strings.Replace(welcoming, "- arn: "+dev, "- arn: arn:aws:iam::111122223333:role/other", 1))
	p := r.plan()
	if len(p.Changes) != 1 || p.Changes[0].Action != plan.Create {
		t.Errorf("%s", describe(nil, p))
	}
}

// TestIdentityMappingNotUnderstood: a list that is not understood is neither changed nor taken for empty, and the message says where.
func TestIdentityMappingNotUnderstood(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ text, says string }{
		"no YAML":             {"- rolearn: a\n  username: b\n groups: x\n", "mapRoles: yaml: line 2"},
		"no list":             {"rolearn: a\n", "mapRoles: line 1: not a list"},
		"no mapping":          {"- rolearn: a\n- b\n", "mapRoles: line 2: an entry without rolearn"},
		"no ARN":              {"- rolearn: a\n\n- username: b\n", "mapRoles: line 3: an entry without rolearn"},
		"two documents":       {"- rolearn: a\n---\n- rolearn: b\n", "mapRoles: more than one YAML document"},
		"a reference":         {"- &x\n  rolearn: a\n- *x\n", "mapRoles: line 3: an entry without rolearn"},
		"an ARN that is none": {"- rolearn: [a]\n", "mapRoles: line 1: an entry without rolearn"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, bare)
			r.converge()
			r.git(welcoming)
			c := find(t, r.plan(), KindIdentityMapping, dev)
			r.kube.auth = map[string]string{"mapRoles": tt.text}
			if err := r.cloud.Apply(t.Context(), c); err == nil || !strings.Contains(err.Error(), "kube-system/aws-auth, "+tt.says) {
				t.Errorf("applying it: %v", err)
			}
			p := r.plan()
			if p.Complete || !slices.ContainsFunc(p.Problems, func(e *gitops.Error) bool {
				return strings.Contains(e.Error(), tt.says) && e.From.Line > 0 && e.Try != ""
			}) {
				t.Errorf("%s", describe(nil, p))
			}
			r.git(bare)
			r.booked()
			p = r.plan()
			if p.Complete || len(p.Changes) > 0 || !strings.Contains(p.Problems[0].Error(), tt.says) {
				t.Errorf("out of git:\n%s", describe(nil, p))
			}
			if r.kube.auth["mapRoles"] != tt.text {
				t.Errorf("it was written:\n%s", r.kube.auth["mapRoles"])
			}
		})
	}
}

// TestIdentityMappingUnreachable: what is not known is not gone.
func TestIdentityMappingUnreachable(t *testing.T) {
	t.Parallel()
	r := newRig(t, welcoming)
	r.converge()
	r.booked()
	r.kube.down = errors.New("connection refused")
	for _, body := range []string{welcoming, bare} {
		r.git(body)
		p := r.plan()
		if p.Complete || len(p.Changes) > 0 || len(p.Problems) != 3 || p.Problems[0].Reason != gitops.Unreachable {
			t.Errorf("%s", describe(nil, p))
		}
	}
	r.kube.down = nil
	if p := r.plan(); len(p.Changes) != 3 {
		t.Errorf("%s", describe(nil, p))
	}
}

// TestIdentityMappingsOff: a cluster that does not look into aws-auth says so, with what to do about it; and so does git that makes
// one of it.
func TestIdentityMappingsOff(t *testing.T) {
	t.Parallel()
	mode := "accessConfig: {authenticationMode: API}\n"
	r := newRig(t, welcoming)
	r.converge()
	check := func() {
		t.Helper()
		p := r.plan()
		i := slices.IndexFunc(p.Problems, func(e *gitops.Error) bool { return e.Reason == gitops.ConfigInvalid })
		if p.Complete || i < 0 || p.Problems[i].Ref.Kind != KindIdentityMapping || p.Problems[i].From.Line == 0 || !strings.Contains(p.Problems[i].Try, "accessEntries") {
			t.Errorf("%s", describe(nil, p))
		}
	}
	r.git(welcoming + mode)
	check()
	r.git(bare + mode)
	r.converge()
	r.git(welcoming)
	check()
}

// TestIdentityMappingOwnWayIn: the mappings by which the reconciler itself comes in are not removed for not being in git.
func TestIdentityMappingOwnWayIn(t *testing.T) {
	t.Parallel()
	r := newRig(t, welcoming)
	r.converge()
	r.booked()
	r.git(bare)
	for caller, kept := range map[string]string{
		"arn:aws:sts::111122223333:assumed-role/dev/me":    dev,
		"arn:aws:sts::" + account + ":assumed-role/dev/me": account,
		"arn:aws:iam::" + account + ":user/somebody":       account,
		"arn:aws:iam::111122223333:user/ada":               ada,
	} {
		r.cloud.caller = caller
		if p := r.plan(); len(p.Changes) != 2 || !p.Complete || !stays(p, kept, "the reconciler itself") {
			t.Errorf("%s:\n%s", caller, describe(nil, p))
		}
	}
}

// stays says that a plan notes that an entry is not deleted.
func stays(p plan.Plan, name, why string) bool {
	return slices.ContainsFunc(p.Problems, func(e *gitops.Error) bool {
		return e.Reason == gitops.NotManaged && strings.Contains(e.Error(), name+" is not deleted: "+why) && strings.Contains(e.Try, "kubectl")
	})
}

// TestIdentityMappingOfNodes: an entry that lets nodes in is not removed when it leaves git, nor made another one, whoever wrote it
// and whatever came between the plan and its application.
func TestIdentityMappingOfNodes(t *testing.T) {
	t.Parallel()
	const role, people = "arn:aws:iam::111122223333:role/nodes", "[system:masters]"
	file := func(groups string) string {
		return bare + "iamIdentityMappings:\n- {arn: \"" + role + "\", username: \"system:node:{{EC2PrivateDNSName}}\", groups: " + groups + "}\n"
	}
	named := file("[system:bootstrappers, system:nodes]")
	for _, drop := range []string{"  groups:\n    - system:bootstrappers\n    - system:nodes\n", "  username: system:node:{{EC2PrivateDNSName}}\n", ""} {
		r := newRig(t, bare)
		text := strings.Replace(others, drop, "", 1)
		r.kube.auth = map[string]string{"mapRoles": text}
		r.converge()

		r.git(strings.Replace(file(people), "system:node:{{EC2PrivateDNSName}}", "admin", 1))
		p := r.plan()
		if p.Complete || len(p.Changes) > 0 || p.Problems[0].Reason != gitops.Blocked || p.Problems[0].From.Line == 0 || !strings.Contains(p.Problems[0].Error(), "lets nodes in") {
			t.Errorf("made another one:\n%s", describe(nil, p))
		}

		r.inv[ref("dev", KindIdentityMapping, role)] = gitops.Entry{}
		r.git(bare)
		if p := r.plan(); len(p.Changes) > 0 || !p.Complete || !stays(p, role, "nodes come") {
			t.Errorf("out of git:\n%s", describe(nil, p))
		}
		if r.kube.auth["mapRoles"] != text {
			t.Errorf("it was written:\n%s", r.kube.auth["mapRoles"])
		}
	}

	r := newRig(t, named)
	r.converge()
	r.settled("creation")
	nodes := r.kube.auth["mapRoles"]
	r.kube.auth["mapRoles"] = "- rolearn: " + role + "\n  username: x\n"
	r.inv[ref("dev", KindIdentityMapping, role)] = gitops.Entry{}
	back := find(t, r.plan(), KindIdentityMapping, role)
	r.git(bare)
	gone := find(t, r.plan(), KindIdentityMapping, role)
	r.kube.auth["mapRoles"] = nodes
	if err := r.cloud.Apply(t.Context(), gone); err == nil || !strings.Contains(err.Error(), "lets nodes in") {
		t.Errorf("deleting it: %v", err)
	}
	r.git(named)
	if p := r.plan(); !p.Empty() {
		t.Errorf("nothing differs:\n%s", describe(nil, p))
	}
	r.does(r.cloud.Apply(t.Context(), back))
	if diff := cmp.Diff(nodes, r.kube.auth["mapRoles"]); diff != "" {
		t.Errorf("aws-auth (-want +got):\n%s", diff)
	}
}

// TestIdentityMappingMoves: who moves to an access entry, or to another writing of the name, is never shut out meanwhile.
func TestIdentityMappingMoves(t *testing.T) {
	t.Parallel()
	const mapped, entry = "iamIdentityMappings: [{arn: \"" + dev + "\", username: dev}]\n", "accessConfig: {accessEntries: [{principalARN: \"" + dev + "\"}]}\n"
	r := newRig(t, bare+mapped)
	r.role("/", "dev", "ec2.amazonaws.com")
	r.converge()
	r.inv[ref("dev", KindIdentityMapping, dev)] = gitops.Entry{}
	r.git(bare + strings.Replace(mapped, "role/dev", "role/Dev", 1))
	if p := r.plan(); !p.Empty() {
		t.Errorf("another writing:\n%s", describe(nil, p))
	}
	r.git(bare + entry)
	if c := find(t, r.plan(), KindIdentityMapping, dev); c.Action != plan.Delete || !slices.Contains(c.Needs, ref("dev", KindAccessEntry, dev)) {
		t.Errorf("the mapping is planned as %s, after %v", c.Action, c.Needs)
	}
	r.converge()
	r.settled("an access entry")
	delete(r.inv, ref("dev", KindIdentityMapping, dev))
	r.git(bare + mapped)
	if c := find(t, r.plan(), KindAccessEntry, dev); c.Action != plan.Delete || !slices.Contains(c.Needs, ref("dev", KindIdentityMapping, dev)) {
		t.Errorf("the access entry is planned as %s, after %v", c.Action, c.Needs)
	}
}

// TestIdentityMappingCheck: mappings that aws-auth could not hold are errors with their place, and one for a service is noted.
func TestIdentityMappingCheck(t *testing.T) {
	t.Parallel()
	for body, says := range map[string]string{
		"- {arn: " + dev + "}\n": "neither username nor group",
		"- {arn: \"arn:aws:iam::111122223333:group/x\", username: x}\n":                "neither user nor role",
		"- {arn: " + dev + ", username: x}\n- {arn: " + dev + ", username: y}\n":       "is also mapped at iamIdentityMappings[0]",
		"- {account: \"111122223333\"}\n- {account: \"111122223333\"}\n":               "is also mapped at iamIdentityMappings[0]",
		"- {arn: " + dev + ", username: x}\n- {arn: \"" + strings.ToUpper(dev) + "\"}": "iamIdentityMappings[1]",
	} {
		_, problems := load([]byte(bare + "iamIdentityMappings:\n" + body))
		if len(problems) == 0 || problems[0].Reason != gitops.ConfigInvalid || !strings.Contains(problems[0].Message(), says) || problems[0].From.Line == 0 {
			t.Errorf("%s: %v", body, problems)
		}
	}
	cfg := mustLoad(t, bare+"iamIdentityMappings:\n- {serviceName: emr-containers, namespace: emr}\n")
	if notes := cfg.Notes(); len(notes) != 1 || !strings.Contains(notes[0].Message(), "iamIdentityMappings[0].serviceName") || notes[0].From.Line == 0 {
		t.Errorf("notes: %v", notes)
	}
	if cfg.wanted(cfg.ref(KindIdentityMapping, "emr-containers/emr")) {
		t.Error("a mapping for a service is wanted")
	}
}

// TestAuthListEdit: entries are changed where they stand, and nothing else is.
func TestAuthListEdit(t *testing.T) {
	t.Parallel()
	const a, b = "- rolearn: a\n  username: x\n", "- rolearn: b # of b\n  username: y\n"
	for name, tt := range map[string]struct{ before, after, set string }{
		"into nothing":         {"", "- rolearn: a\n  username: z\n  groups:\n    - g\n", "a"},
		"into null":            {"null\n", "- rolearn: a\n  username: z\n  groups:\n    - g\n", "a"},
		"into an empty list":   {"[]\n", "[{rolearn: a, username: z, groups: [g]}]\n", "a"},
		"the last of several":  {a + b + a, b + "- rolearn: a\n  username: z\n  groups:\n    - g\n", "a"},
		"members of others":    {"- rolearn: a\n  sso: {x: y}\n" + b, "- rolearn: a\n  sso: {x: y}\n  username: z\n  groups:\n    - g\n" + b, "a"},
		"an ARN of other case": {"- rolearn: A\n  username: x\n" + b, "- rolearn: A\n  username: z\n  groups:\n    - g\n" + b, "a"},
	} {
		data, l := map[string]string{"mapRoles": tt.before}, listOf(dev)
		if err := l.edit(data, func(list *yaml.Node) error { l.set(list, tt.set, "z", []string{"g"}); return nil }); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if diff := cmp.Diff(tt.after, data["mapRoles"]); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// TestAuthListEditKeepsWhatOthersNeed: an entry that others refer to does not go without them.
func TestAuthListEditKeepsWhatOthersNeed(t *testing.T) {
	t.Parallel()
	const text = "- rolearn: a\n  groups: &all [x]\n- rolearn: b\n  groups: *all\n"
	data, l := map[string]string{"mapRoles": text}, listOf(dev)
	err := l.edit(data, func(list *yaml.Node) error { list.Content = list.Content[1:]; return nil })
	if err == nil || data["mapRoles"] != text {
		t.Errorf("%v\n%s", err, data["mapRoles"])
	}
}
