package plan_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	sigsyaml "sigs.k8s.io/yaml"

	"github.com/eks-gitops/reconciler/pkg/apply/jq"
	"github.com/eks-gitops/reconciler/pkg/gitops"
	"github.com/eks-gitops/reconciler/pkg/plan"
)

// TestDecodeRules reads reconcile.yaml and says where it is wrong; the published schema agrees about every case.
func TestDecodeRules(t *testing.T) {
	for _, tc := range []struct {
		name, yaml string
		want       []string
		// looser says that the schema cannot know (two fields together, a time zone's name).
		looser bool
	}{
		{name: "empty", yaml: "{}"},
		{name: "all", yaml: allFields},
		{name: "unknown field", yaml: "interval: 3m\nprunee:\n  enabled: true\n", want: []string{`clusters/dev/reconcile.yaml:2: prunee: unknown field (did you mean prune?)`}},
		{name: "wrong case", yaml: "prune:\n  maxshare: 0.1\n", want: []string{`clusters/dev/reconcile.yaml:2: prune.maxshare: unknown field (did you mean maxShare?)`}},
		{name: "far from any", yaml: "hold:\n  everything: true\n", want: []string{`clusters/dev/reconcile.yaml:2: hold.everything: unknown field (known here: destructive, kinds)`}},
		{name: "not a duration", yaml: "interval: soon\n", want: []string{`clusters/dev/reconcile.yaml:1: interval: want a duration such as 90s or 5m, not "soon"`}},
		{name: "a number is no duration", yaml: "interval: 30\n", want: []string{`clusters/dev/reconcile.yaml:1: interval: want a duration such as 90s or 5m, not 30`}},
		{name: "too short", yaml: "interval: 10ms\n", want: []string{`clusters/dev/reconcile.yaml:1: interval: 10ms is shorter than the least, 1s`}, looser: true},
		{name: "share out of range", yaml: "prune: {maxShare: 20}\n", want: []string{`clusters/dev/reconcile.yaml:1: prune.maxShare: want a share from 0 to 1, not 20`}},
		{name: "count is a fraction", yaml: "prune: {maxCount: 1.5}\n", want: []string{`clusters/dev/reconcile.yaml:1: prune.maxCount: want a whole number from 0, not 1.5`}},
		{name: "bool is text", yaml: "prune: {enabled: \"yes\"}\n", want: []string{`clusters/dev/reconcile.yaml:1: prune.enabled: want true or false, not "yes"`}},
		{name: "null", yaml: "prune:\n", want: []string{`clusters/dev/reconcile.yaml:1: prune: has no value`}},
		{name: "list for fields", yaml: "prune: [1]\n", want: []string{`clusters/dev/reconcile.yaml:1: prune: want fields, not a list`}},
		{name: "retry turned round", yaml: "retry: {first: 10m, max: 1m}\n", want: []string{`clusters/dev/reconcile.yaml:1: retry.max: 1m0s is shorter than retry.first, 10m0s`}, looser: true},
		{name: "window without end", yaml: "freeze:\n- {name: x, from: 2026-12-20T00:00:00Z}\n", want: []string{`clusters/dev/reconcile.yaml:2: freeze[0]: name, from and until are all needed`}},
		{name: "window with a bad day", yaml: "freeze:\n- {name: x, days: [Sat, Someday], from: \"18:00\", until: \"06:00\"}\n", want: []string{`clusters/dev/reconcile.yaml:2: freeze[0].days[1]: want Mon, Tue, Wed, Thu, Fri, Sat or Sun, not "Someday"`}},
		{name: "window in no zone", yaml: "freeze:\n- {name: x, days: [Sat], from: \"18:00\", until: \"06:00\", timezone: Mars/North}\n", want: []string{`clusters/dev/reconcile.yaml:2: freeze[0].timezone: "Mars/North" is no time zone of the IANA database`}, looser: true},
		{name: "window with a bad time", yaml: "freeze:\n- {name: x, days: [Sat], from: \"25:00\", until: \"6\"}\n", want: []string{
			`clusters/dev/reconcile.yaml:2: freeze[0].from: want a time of day such as 18:00, not "25:00"`,
			`clusters/dev/reconcile.yaml:2: freeze[0].until: want a time of day such as 06:00, not "6"`,
		}, looser: true},
		{name: "window turned round", yaml: "freeze:\n- {name: x, from: \"2027-01-01T00:00:00Z\", until: \"2026-01-01T00:00:00Z\"}\n", want: []string{`clusters/dev/reconcile.yaml:2: freeze[0].until: is not after from`}, looser: true},
		{name: "window of a bad scope", yaml: "freeze:\n- {name: x, scope: some, from: \"2026-01-01T00:00:00Z\", until: \"2027-01-01T00:00:00Z\"}\n", want: []string{`clusters/dev/reconcile.yaml:2: freeze[0].scope: want all, infra or addons, not "some"`}},
		{name: "ignore nothing", yaml: "ignore:\n- kinds: [Deployment]\n", want: []string{`clusters/dev/reconcile.yaml:2: ignore[0]: name fields, managers or both, such as fields: [spec.replicas]`}},
		{name: "ignore by a broken query", yaml: "ignore:\n- jq:\n  - .spec.replicas\n  - .spec.[\n", want: []string{`clusters/dev/reconcile.yaml:4: ignore[0].jq[1]: ".spec.[": unexpected EOF`}, looser: true},
		{name: "ignore by no query", yaml: "ignore:\n- jq: .spec\n", want: []string{`clusters/dev/reconcile.yaml:2: ignore[0].jq: want a list, not ".spec"`}},
		{name: "conflicts are not queried", yaml: "conflicts:\n- {jq: [.spec], ruling: take}\n", want: []string{"clusters/dev/reconcile.yaml:2: conflicts[0].jq: unknown field (known here: fields, kinds, managers, names, namespaces, ruling)"}},
		{name: "ignore the name", yaml: "ignore:\n- fields: [metadata.name]\n", want: []string{`clusters/dev/reconcile.yaml:2: ignore[0].fields[0]: metadata.name names the object itself, which is git's`}, looser: true},
		{name: "ignore no path", yaml: "ignore:\n- fields: ['spec.containers[web']\n", want: []string{`clusters/dev/reconcile.yaml:2: ignore[0].fields[0]: reading path "spec.containers[web": a bracket is empty or not closed`}, looser: true},
		{name: "ignore whose field is a number", yaml: "ignore:\n- fields: [3]\n", want: []string{`clusters/dev/reconcile.yaml:2: ignore[0].fields[0]: want text, not 3`}},
		{name: "conflict without a ruling", yaml: "conflicts:\n- managers: [some-operator]\n", want: []string{`clusters/dev/reconcile.yaml:2: conflicts[0]: ruling is missing: take, leave or hold`}},
		{name: "conflict about nothing", yaml: "conflicts:\n- ruling: take\n", want: []string{`clusters/dev/reconcile.yaml:2: conflicts[0]: name fields, managers or both, such as fields: [spec.replicas]`}},
		{name: "conflict with a bad ruling", yaml: "conflicts:\n- managers: [x]\n  ruling: Take\n", want: []string{`clusters/dev/reconcile.yaml:3: conflicts[0].ruling: want take (git wins), leave (they keep it) or hold (a person decides), not "Take"`}},
		{name: "conflict with an unknown field", yaml: "conflicts:\n- {manager: x, ruling: take}\n", want: []string{
			`clusters/dev/reconcile.yaml:2: conflicts[0].manager: unknown field (did you mean managers?)`,
			`clusters/dev/reconcile.yaml:2: conflicts[0]: name fields, managers or both, such as fields: [spec.replicas]`,
		}},
		{name: "health of nothing", yaml: "health:\n- group: x.example\n  failed: \"true\"\n", want: []string{`clusters/dev/reconcile.yaml:2: health[0]: kind and ready are both needed`}},
		{name: "health that does not compile", yaml: "health:\n- kind: Thing\n  ready: broken\n  message: broken\n", want: []string{
			`clusters/dev/reconcile.yaml:4: health[0].message: compiling the expression: broken is no text`,
			`clusters/dev/reconcile.yaml:3: health[0].ready: compiling the expression: broken is no condition`,
		}, looser: true},
		{name: "health of secrets", yaml: "health:\n- {kind: Secret, ready: \"true\"}\n", want: []string{`clusters/dev/reconcile.yaml:2: health[0]: a Secret has no health, and its content must not get into messages`}, looser: true},
		{name: "order of no overlays", yaml: "dependsOn: [apps/shop]\n", want: []string{`clusters/dev/reconcile.yaml:1: dependsOn: want overlays with lists of overlays, such as apps/shop: [addons/ingress], not a list`}},
		{name: "order after no list", yaml: "dependsOn:\n  apps/shop: addons/ingress\n  apps/b:\n", want: []string{
			`clusters/dev/reconcile.yaml:3: dependsOn["apps/b"]: want a list, not nothing`,
			`clusters/dev/reconcile.yaml:2: dependsOn["apps/shop"]: want a list, not "addons/ingress"`,
		}},
		{name: "overlays in a circle", yaml: "dependsOn:\n  apps/z: [apps/b]\n  apps/a: [apps/b, apps/x]\n  apps/b: [apps/c]\n  apps/c: [apps/a]\n", want: []string{
			`clusters/dev/reconcile.yaml:3: dependsOn["apps/a"]: the overlays wait for each other: apps/a -> apps/b -> apps/c -> apps/a`,
		}, looser: true},
		{name: "overlay after itself", yaml: "dependsOn:\n  apps/a: [apps/a]\n", want: []string{
			`clusters/dev/reconcile.yaml:2: dependsOn["apps/a"]: the overlays wait for each other: apps/a -> apps/a`,
		}, looser: true},
		{name: "role of China", yaml: "aws: {role: \"arn:aws-cn:iam::111122223333:role/teams/a/reconciler\"}\n"},
		{name: "role of GovCloud", yaml: "aws: {role: \"arn:aws-us-gov:iam::111122223333:role/reconciler\", sessionName: ci}\n"},
		{name: "session instead of a role", yaml: "aws:\n  role: arn:aws:sts::111122223333:assumed-role/reconciler/me\n", want: []string{`clusters/dev/reconcile.yaml:2: aws.role: want the ARN of an IAM role such as arn:aws:iam::111122223333:role/reconciler, not "arn:aws:sts::111122223333:assumed-role/reconciler/me"`}},
		{name: "name of a role", yaml: "aws:\n  role: reconciler\n", want: []string{`clusters/dev/reconcile.yaml:2: aws.role: want the ARN of an IAM role such as arn:aws:iam::111122223333:role/reconciler, not "reconciler"`}},
		{name: "role of half an account", yaml: "aws: {role: \"arn:aws:iam::1111:role/reconciler\"}\n", want: []string{`clusters/dev/reconcile.yaml:1: aws.role: want the ARN of an IAM role such as arn:aws:iam::111122223333:role/reconciler, not "arn:aws:iam::1111:role/reconciler"`}},
		{name: "no role", yaml: "aws:\n  externalID: shared-by-two\n", want: []string{`clusters/dev/reconcile.yaml:1: aws: role is missing: without one, AWS is reached as the process itself`}},
		{name: "external id is a number", yaml: "aws:\n  role: arn:aws:iam::111122223333:role/reconciler\n  externalID: 12\n", want: []string{`clusters/dev/reconcile.yaml:3: aws.externalID: want text of 2 to 1224 letters, digits and _+=,.@:/-, not 12`}},
		{name: "session with a space", yaml: "aws:\n  role: arn:aws:iam::111122223333:role/reconciler\n  sessionName: my session\n", want: []string{`clusters/dev/reconcile.yaml:3: aws.sessionName: want text of 2 to 64 letters, digits and _+=,.@-, not "my session"`}},
		{name: "long external id", yaml: "aws:\n  role: arn:aws:iam::111122223333:role/reconciler\n  externalID: " + strings.Repeat("x", 1225) + "\n", want: []string{
			`clusters/dev/reconcile.yaml:3: aws.externalID: want text of 2 to 1224 letters, digits and _+=,.@:/-, not "` + strings.Repeat("x", 1225) + `"`,
		}},
		{name: "role by another name", yaml: "aws:\n  roleARN: arn:aws:iam::111122223333:role/reconciler\n", want: []string{`clusters/dev/reconcile.yaml:2: aws.roleARN: unknown field (known here: externalID, role, sessionName)`}},
		{name: "health twice", yaml: "health:\n- {group: a, kind: B, ready: \"true\"}\n- {group: a, kind: B, ready: \"false\"}\n", want: []string{`clusters/dev/reconcile.yaml:3: health[1]: there is a rule for this kind already, at clusters/dev/reconcile.yaml:2`}, looser: true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			item := policyItem(t, []byte(tc.yaml))
			_, problems := plan.DecodeRules(item, checks)
			var got []string
			for _, p := range problems {
				if p.Reason != gitops.PolicyInvalid {
					t.Errorf("reason %s", p.Reason)
				}
				got = append(got, strings.TrimPrefix(p.Error(), "PolicyInvalid: "))
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("problems (-want +got):\n%s", diff)
			}
			document, err := sigsyaml.YAMLToJSON([]byte(tc.yaml))
			if err != nil {
				t.Fatal(err)
			}
			if refused := validate(t, "reconcile", document) != nil; refused != (len(tc.want) > 0) && !tc.looser {
				t.Errorf("the schema refuses it: %v, the decoder: %v", refused, got)
			}
		})
	}
}

// checks compile everything but "broken".
var checks = plan.Checks{
	Zone: time.LoadLocation, Query: jq.Compile,
	Condition: func(text string) error {
		if text == "broken" {
			return errors.New("broken is no condition")
		}
		return nil
	},
	Message: func(text string) error {
		if text == "broken" {
			return errors.New("broken is no text")
		}
		return nil
	},
}

const allFields = `
interval: 5m
prune: {enabled: false, maxShare: 0.2, maxCount: 20}
hold: {destructive: false, kinds: [StatefulSet]}
freeze:
- {name: year end, from: "2026-12-20T18:00:00Z", until: "2027-01-04T06:00:00Z", scope: infra}
- {name: nights, days: [Mon, friday], from: "18:00", until: "06:00", timezone: Europe/Berlin, scope: addons}
retry: {first: 1s, max: 1m}
timeouts: {ready: 15m, nodegroups: {batch: 2h}}
ignore:
- {kinds: [Deployment], namespaces: [shop], names: [web], fields: [spec.replicas, 'spec.template.spec.containers[*].resources']}
- {managers: [cert-manager-*]}
- {kinds: [MutatingWebhookConfiguration], jq: ['.webhooks[].clientConfig.caBundle']}
conflicts:
- {kinds: [ConfigMap], managers: [some-operator], fields: ['data[*]'], ruling: leave}
health:
- {group: x.example, kind: Thing, ready: "object.status.phase == 'Up'", failed: "object.status.phase == 'Down'", message: object.status.note}
dependsOn:
  apps/shop: [addons/ingress, addons/cert-manager]
  apps/api: [apps/shop]
decryption: {age: [prod.agekey], kms: false}
aws: {role: "arn:aws:iam::111122223333:role/reconciler", externalID: fleet-7, sessionName: reconciler}
`

func TestDecodeRulesValues(t *testing.T) {
	got, problems := plan.DecodeRules(policyItem(t, []byte(allFields)), checks)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	want := plan.Rules{
		Interval: 5 * time.Minute,
		Prune:    plan.Prune{MaxShare: 0.2, MaxCount: 20},
		Hold:     plan.Holds{Kinds: []string{"StatefulSet"}},
		Freeze: []plan.Window{
			{Name: "year end", From: time.Date(2026, 12, 20, 18, 0, 0, 0, time.UTC), Until: time.Date(2027, 1, 4, 6, 0, 0, 0, time.UTC), Domain: gitops.EKS},
			{Name: "nights", Days: []time.Weekday{time.Monday, time.Friday}, Start: 18 * time.Hour, End: 6 * time.Hour, Zone: berlin, Domain: gitops.K8s},
		},
		Retry:    plan.Retry{First: time.Second, Max: time.Minute},
		Timeouts: plan.Timeouts{Ready: 15 * time.Minute, Nodegroups: map[string]time.Duration{"batch": 2 * time.Hour}},
		Ignore: []plan.Ignore{
			{Claim: plan.Claim{
				Selector: plan.Selector{Kinds: []string{"Deployment"}, Namespaces: []string{"shop"}, Names: []string{"web"}},
				Fields:   patterns(t, "spec.replicas", "spec.template.spec.containers[*].resources"),
			}, From: gitops.Position{File: "clusters/dev/reconcile.yaml", Line: 11}},
			{Claim: plan.Claim{Managers: []string{"cert-manager-*"}}, From: gitops.Position{File: "clusters/dev/reconcile.yaml", Line: 12}},
			{
				Claim:   plan.Claim{Selector: plan.Selector{Kinds: []string{"MutatingWebhookConfiguration"}}},
				Queries: []plan.Query{query(t, ".webhooks[].clientConfig.caBundle")}, From: gitops.Position{File: "clusters/dev/reconcile.yaml", Line: 13},
			},
		},
		Conflicts: []plan.Conflict{{
			Claim:  plan.Claim{Selector: plan.Selector{Kinds: []string{"ConfigMap"}}, Managers: []string{"some-operator"}, Fields: patterns(t, "data[*]")},
			Ruling: plan.RulingLeave,
		}},
		Health: []plan.HealthRule{{
			Group: "x.example", Kind: "Thing", Ready: "object.status.phase == 'Up'", Failed: "object.status.phase == 'Down'", Message: "object.status.note",
			From: gitops.Position{File: "clusters/dev/reconcile.yaml", Line: 17},
		}},
		DependsOn: []plan.Dependence{
			{Overlay: "apps/api", On: []string{"apps/shop"}, From: gitops.Position{File: "clusters/dev/reconcile.yaml", Line: 20}},
			{Overlay: "apps/shop", On: []string{"addons/ingress", "addons/cert-manager"}, From: gitops.Position{File: "clusters/dev/reconcile.yaml", Line: 19}},
		},
		Decryption: plan.Decryption{Age: []string{"prod.agekey"}},
		AWS: plan.AWS{
			Role: "arn:aws:iam::111122223333:role/reconciler", ExternalID: "fleet-7", SessionName: "reconciler",
			From: gitops.Position{File: "clusters/dev/reconcile.yaml", Line: 22},
		},
	}
	if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b *time.Location) bool { return a.String() == b.String() }),
		cmp.Comparer(func(a, b plan.Query) bool { return a.String() == b.String() })); diff != "" {
		t.Error(diff)
	}
	none, problems := plan.DecodeRules(nil, plan.Checks{})
	if len(problems) > 0 || !none.Prune.Enabled || !none.Hold.Destructive {
		t.Errorf("without a file: %+v, %v", none, problems)
	}
}

// A nodegroup may have a time of its own; another thing of its name has not.
func TestTimeoutsOf(t *testing.T) {
	times := plan.Timeouts{Ready: time.Minute, Nodegroups: map[string]time.Duration{"batch": time.Hour}}
	for text, want := range map[string]time.Duration{"eks/Nodegroup/dev/batch": time.Hour, "eks/Nodegroup/dev/system": time.Minute, "eks/Addon/dev/batch": time.Minute} {
		if got := times.Of(mustRef(t, text)); got != want {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
	}
}

func patterns(t *testing.T, texts ...string) []plan.Pattern {
	t.Helper()
	out := make([]plan.Pattern, 0, len(texts))
	for _, text := range texts {
		p, err := plan.ParsePattern(text)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, p)
	}
	return out
}

// A window of clock times keeps them through a change of daylight saving, and lasts over midnight.
func TestWindows(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	nights := plan.Window{Days: []time.Weekday{time.Saturday}, Start: 22 * time.Hour, End: 6 * time.Hour, Zone: berlin}
	for _, tc := range []struct {
		at     string
		frozen bool
		until  string
	}{
		{at: "2026-11-21T20:59:00Z"}, // 21:59 in Berlin
		{at: "2026-11-21T21:00:00Z", frozen: true, until: "2026-11-22T05:00:00Z"},
		{at: "2026-11-22T04:59:59Z", frozen: true, until: "2026-11-22T05:00:00Z"},
		{at: "2026-11-22T05:00:00Z"},
		{at: "2026-03-28T21:30:00Z", frozen: true, until: "2026-03-29T04:00:00Z"}, // clocks go forward in that night
		{at: "2026-11-20T23:00:00Z"}, // Friday night
	} {
		now, err := time.Parse(time.RFC3339, tc.at)
		if err != nil {
			t.Fatal(err)
		}
		until, frozen := nights.Frozen(now)
		if frozen != tc.frozen || (frozen && until.UTC().Format(time.RFC3339) != tc.until) {
			t.Errorf("%s: %v until %v", tc.at, frozen, until.UTC())
		}
	}
}

func TestOnlyRefsKeepsOrderThroughWhatItDrops(t *testing.T) {
	a, b, c := ref("a"), ref("b"), ref("c")
	p := plan.Plan{Changes: []plan.Change{{Ref: a}, {Ref: b, Needs: []gitops.Ref{a}}, {Ref: c, Needs: []gitops.Ref{b}}}, Complete: true}
	got := plan.OnlyRefs(a, c)(p)
	if diff := cmp.Diff([]plan.Change{{Ref: a}, {Ref: c, Needs: []gitops.Ref{a}}}, got.Changes); diff != "" {
		t.Error(diff)
	}
	if len(p.Changes) != 3 {
		t.Error("the plan that was handed in changed")
	}
}

// An approval of one deletion is none of a later one of the same name: the live object is another.
func TestApprovalIsOfOneObject(t *testing.T) {
	for _, observe := range []func(identity string) (gitops.Ref, gitops.Observation){
		func(uid string) (gitops.Ref, gitops.Observation) {
			return gitops.Ref{Domain: gitops.K8s, Kind: "Namespace", Name: "legacy"}, gitops.Observation{Owned: true, Overlay: "gone", Live: gitops.Tree{"metadata": gitops.Tree{"uid": uid}}}
		},
		func(stack string) (gitops.Ref, gitops.Observation) {
			return gitops.Ref{Domain: gitops.EKS, Kind: "Nodegroup", Namespace: "c", Name: "batch"}, gitops.Observation{Owned: true, Identity: stack, Live: gitops.Tree{"name": "batch"}}
		},
	} {
		build := func(identity string, policies ...plan.Policy) plan.Plan {
			ref, o := observe(identity)
			return plan.Build(plan.Input{Desired: gitops.Desired{Cluster: "c"}, Observed: gitops.Observed{ref: o}}, policies...)
		}
		approvals := plan.Approvals{build("1").Changes[0].ID: {}}
		if c := build("1", plan.HoldDestructive(approvals)).Changes[0]; c.Hold != nil || c.Approved == nil {
			t.Errorf("approved: %+v", c)
		}
		if c := build("2", plan.HoldDestructive(approvals)).Changes[0]; c.Hold == nil {
			t.Errorf("the successor of %s goes by the approval of its predecessor", c.Ref)
		}
	}
}

func ref(name string) gitops.Ref {
	return gitops.Ref{Domain: gitops.K8s, Kind: "ConfigMap", Namespace: "n", Name: name}
}

func FuzzDecodeRules(f *testing.F) {
	f.Add([]byte(allFields))
	f.Add([]byte("freeze: [{}]"))
	f.Fuzz(func(t *testing.T, body []byte) {
		document, err := sigsyaml.YAMLToJSON(body)
		if err != nil {
			return
		}
		var tree gitops.Tree
		if json.Unmarshal(document, &tree) != nil || tree == nil {
			return
		}
		rules, problems := plan.DecodeRules(&gitops.Item{Spec: tree}, checks)
		if len(problems) > 0 {
			return
		}
		// Rules that were accepted can be used on anything.
		for _, rule := range rules.Ignore {
			for _, p := range rule.Fields {
				p.Settle(gitops.Tree{"spec": gitops.Tree{"list": []any{gitops.Tree{"name": "x"}, 1}}}, gitops.Tree{"spec": gitops.Tree{"list": []any{gitops.Tree{"name": "y"}}}})
			}
		}
		plan.Build(plan.Input{}, rules.Policies(func() time.Time { return testNow }, nil)...)
		if validate(t, "reconcile", document) != nil {
			t.Errorf("the decoder accepts what the schema refuses: %s", document)
		}
	})
}

func FuzzPlanDocument(f *testing.F) {
	f.Add([]byte(`{"apiVersion":"reconciler.eks-gitops.io/v1","kind":"Plan","changes":[{"ref":{"domain":"k8s","kind":"A","name":"b"},"edits":[{"path":"x","after":1}]}],"problems":[{"reason":"Held","message":"m"}]}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		var p plan.Plan
		if json.Unmarshal(body, &p) != nil {
			return
		}
		first, err := json.Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		var back plan.Plan
		if err := json.Unmarshal(first, &back); err != nil {
			t.Fatal(err)
		}
		second, err := json.Marshal(back)
		if err != nil || string(first) != string(second) {
			t.Errorf("%v: %s became %s", err, first, second)
		}
	})
}
