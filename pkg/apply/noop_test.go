package apply

import (
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"

	"github.com/eks-gitops/reconciler/pkg/gitops"
	"github.com/eks-gitops/reconciler/pkg/plan"
)

var (
	randomCases = flag.Int("cases", 80, "how many random objects the comparison with dry runs draws")
	randomSeed  = flag.Uint64("seed", 0, "draw this one random object only")
)

// history is one random object's life: what git said first, what others wrote, what git says now.
type history struct {
	*testing.T
	dice
	l    *lab
	raw  *link
	p    *pass
	seed uint64
	kind string
	name string
	said []string
}

func (h *history) wrong(format string, args ...any) {
	h.Errorf("%s: %s\n(seed %d: go test ./pkg/apply -run %s -seed %d)\n%s", h.kind, fmt.Sprintf(format, args...), h.seed, "TestNoChangeIsNeverFalse", h.seed, strings.Join(h.said, "\n"))
}

func (h *history) did(what string, v any) { h.said = append(h.said, what+": "+text(v)) }

// want makes a tree ready to be sent, as observing does.
func (h *history) want(spec gitops.Tree) want {
	gvk := gvkOf(spec)
	k, ok := h.raw.catalog.kind(gvk)
	if !ok {
		h.Fatalf("no kind %s", gvk)
	}
	w := want{kind: k, key: key{gvk.GroupKind(), h.l.id, h.name}, set: h.l.parentOf("apps").id()}
	w.item.Ref = w.key.ref()
	w.item = gitops.Item{Ref: w.item.Ref, Spec: spec, From: gitops.Origin{Overlay: "apps"}}
	w.payload = payload(spec, k, h.l.id, h.l.parentOf("apps").id())
	w.digest = gitops.DigestOf(w.payload)
	return w
}

// others writes to the live object as one of many tools would; what the server refuses did not happen.
func (h *history) others(w want) {
	manager := h.of("kubectl-edit", "kubectl-client-side-apply", "kube-controller-manager", "some-operator", "vpa-updater", "reconciler").(string)
	part := h.some(h.object(h.l, h.kind, h.name))
	delete(part, "apiVersion")
	delete(part, "kind")
	delete(gitops.TreeAt(part, "metadata"), "name")
	delete(gitops.TreeAt(part, "metadata"), "namespace")
	into := h.raw.resource(w.kind, h.l.id)
	var err error
	switch form := h.of("merge", "apply", "status", "remove").(string); form {
	case "merge":
		_, err = into.Patch(h.Context(), h.name, types.MergePatchType, body(part), metav1.PatchOptions{FieldManager: manager})
		h.did(manager+" merges", part)
	case "remove":
		_, err = into.Patch(h.Context(), h.name, types.MergePatchType, body(h.removed(part)), metav1.PatchOptions{FieldManager: manager})
		h.did(manager+" removes some of", part)
	case "status":
		_, err = into.Patch(h.Context(), h.name, types.MergePatchType, body(gitops.Tree{"status": gitops.Tree{"observedGeneration": h.IntN(9)}}), metav1.PatchOptions{FieldManager: manager}, "status")
	case "apply":
		if manager == "reconciler" {
			return // that is us
		}
		force := true
		part["apiVersion"], part["kind"] = w.kind.GroupVersion().String(), w.kind.Kind
		_, err = into.Patch(h.Context(), h.name, types.ApplyPatchType, body(part), metav1.PatchOptions{FieldManager: manager, Force: &force})
		h.did(manager+" applies", part)
	}
	if err != nil {
		h.said = append(h.said, "  refused")
	}
}

// removed is a merge patch that takes some fields of a tree out.
func (d dice) removed(t gitops.Tree) gitops.Tree {
	out := gitops.Tree{}
	for _, name := range sortedKeys(t) {
		if inner, ok := t[name].(gitops.Tree); ok && d.IntN(4) > 0 {
			out[name] = d.removed(inner)
		} else {
			out[name] = nil
		}
	}
	return out
}

func body(v any) []byte {
	out, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return out
}

// tally counts what was compared, so that the property cannot hold for lack of cases.
type tally struct{ cases, standing, same, noop, changes, settled atomic.Int64 }

// TestNoChangeIsNeverFalse compares what is decided without asking the server with a dry run of everything: random objects of
// many kinds, random writes by random managers, random changes of git. That a local look takes a no-op for a change costs a
// request; the other way round would be a lie. Besides, the second diff of everything that can be applied is empty.
func TestNoChangeIsNeverFalse(t *testing.T) {
	setups := []*lab{newLab(t), nil, nil, nil}
	d := desired(setups[0].items("crds", gadgets+"---\napiVersion: v1\nkind: Namespace\nmetadata: {name: NS}\n")...)
	setups[0].apply(d)
	for i, rules := range []plan.Rules{
		ignoring(plan.Claim{Fields: patterns(t, "spec.replicas", "spec.size", "data.a", "metadata.annotations", "spec.ports[*].name", "spec.template.spec.containers[*].env", "spec.nested", "spec.rows[a]")}),
		{
			Ignore:    []plan.Ignore{{Claim: plan.Claim{Managers: []string{"some-operator"}}}},
			Conflicts: []plan.Conflict{{Claim: plan.Claim{Managers: []string{"vpa-*"}}, Ruling: plan.RulingTake}},
		},
		{Ignore: []plan.Ignore{{Queries: []plan.Query{
			jqQuery(t, `select(.metadata.annotations.a == "12") | .data, .spec`), jqQuery(t, "(.spec.ports, .spec.template.spec.containers)[]? | select(.name > \"a\") | .port, .image"),
			jqQuery(t, `.metadata.labels | select(has("a")).a`), jqQuery(t, ".list[0], .rows[0].value"),
		}}}},
	} {
		o := setups[0].Options
		o.Rules = rules
		l := *setups[0]
		l.Cluster = New(o)
		t.Cleanup(l.Cluster.Close)
		if _, err := l.Observe(t.Context(), d, l.inv); err != nil {
			t.Fatal(err)
		}
		setups[i+1] = &l
	}
	var sum tally
	first, n := uint64(1), *randomCases
	if *randomSeed > 0 {
		first, n = *randomSeed, 1
	}
	each(n, 8, func(i int) { oneHistory(t, setups, first+uint64(i), &sum) })
	t.Logf("%d objects compared %d times: %d are no change by what is booked alone, %d by the types, %d by the server; %d settled after an apply", n, sum.cases.Load(), sum.standing.Load(), sum.same.Load(), sum.noop.Load(), sum.settled.Load())
	if n >= 50 && (sum.standing.Load() < int64(n)/40 || sum.same.Load() < int64(n)/5 || sum.changes.Load() < int64(n)/5 || sum.settled.Load() < int64(n)/5) {
		t.Error("too few cases of one sort say anything")
	}
}

func oneHistory(t *testing.T, setups []*lab, seed uint64, sum *tally) {
	d := dice{rand.New(rand.NewPCG(seed, 7))}
	l := setups[d.IntN(len(setups))]
	raw, _, err := l.connect(t.Context())
	if err != nil {
		t.Error(err)
		return
	}
	kinds := sortedKeys(randomKinds(l))
	h := &history{T: t, dice: d, l: l, raw: raw, p: &pass{Cluster: l.Cluster, link: raw}, seed: seed, kind: kinds[d.IntN(len(kinds))], name: fmt.Sprintf("o%d", seed)}
	spec := h.object(l, h.kind, h.name)
	h.did("git", spec)
	w := h.want(spec)
	if _, err := raw.patch(t.Context(), w, w.payload, true, false); err != nil {
		if !apierrors.IsInvalid(err) && !apierrors.IsBadRequest(err) {
			h.wrong("creating: %v", err)
		}
		return
	}
	h.compare(w, sum)
	for range d.IntN(4) {
		h.others(w)
		h.compare(w, sum)
	}
	if d.half() {
		next := overlaid(spec, h.some(h.object(l, h.kind, h.name)))
		h.did("git says now", next)
		w = h.want(next)
	}
	if h.compare(w, sum) {
		h.settle(w, sum)
	}
}

// noChange reports whether a decision leaves the live object as it is and says nothing of it.
func noChange(d decision, live *unstructured.Unstructured) bool {
	return d.err == nil && len(d.takeover)+len(d.conflicts)+len(d.replace) == 0 && live != nil && same(d.next, bare(live.Object, true))
}

// compare holds the local verdict, and the one that is remembered, against the server's; false ends the history. Controllers
// write, too: what moved meanwhile is compared again.
func (h *history) compare(w want, sum *tally) bool {
	for {
		live, err := h.raw.get(h.Context(), w.kind, w.key)
		if err != nil || live == nil {
			h.wrong("reading: %v", err)
			return false
		}
		lie := h.lie(w, live, sum)
		if lie == "" {
			return true
		}
		if now, err := h.raw.get(h.Context(), w.kind, w.key); err == nil && now != nil && now.GetResourceVersion() == live.GetResourceVersion() {
			h.wrong("%s", lie)
			return false
		}
	}
}

// lie is what is wrong with the verdict on a live object; "" when nothing is.
func (h *history) lie(w want, live *unstructured.Unstructured, sum *tally) string {
	sum.cases.Add(1)
	w, err := h.l.answered(w, live)
	if err != nil {
		return "asking the rules: " + err.Error()
	}
	said, err := h.l.compare(h.Context(), h.raw, w, live, h.l.managers(w, live))
	if err != nil {
		return "comparing: " + err.Error()
	}
	asked, _ := h.l.decideUpdate(h.Context(), h.p, w, live, h.l.managers(w, live), said)
	truth := noChange(asked, live)
	if truth {
		sum.noop.Add(1)
	} else {
		sum.changes.Add(1)
	}
	if remembered, seen := h.l.decide(h.Context(), h.p, w, live); noChange(remembered, seen) && !truth {
		return fmt.Sprintf("what is remembered says no change, the server says %v", edited(live, asked))
	}
	if h.l.standing(w, live) {
		sum.standing.Add(1)
		if !truth {
			return fmt.Sprintf("no change by what is booked, and the server changes %v", edited(live, asked))
		}
	}
	if !said.same {
		return ""
	}
	sum.same.Add(1)
	next, err := h.raw.patch(h.Context(), w, said.payload, false, true)
	switch {
	case err != nil:
		return fmt.Sprintf("no change by the types, and the server says %v", err)
	case !same(bare(next.Object, true), bare(live.Object, true)):
		return fmt.Sprintf("no change by the types, and the server changes %v", edited(live, decision{next: bare(next.Object, true)}))
	case !ownFields(next, h.l.Manager).Equals(ownFields(live, h.l.Manager)):
		return "no change by the types, and the server books other fields as ours"
	case !truth:
		return fmt.Sprintf("no change by the types, and the decision of the server's answer is %v %+v", edited(live, asked), asked.takeover)
	}
	return ""
}

func ownFields(u *unstructured.Unstructured, self string) *fieldpath.Set {
	out := &fieldpath.Set{}
	for _, m := range managers(u) {
		if m.ours(self) {
			out = out.Union(m.fields)
		}
	}
	return out
}

// edited names what a decision changes.
func edited(live *unstructured.Unstructured, d decision) []string {
	p := plan.Build(plan.Input{Observed: gitops.Observed{keyOf(live).ref(): {Live: live.Object, Next: d.next, Err: d.err, Conflicts: d.conflicts}}})
	out := said(p)
	for _, problem := range p.Problems {
		out = append(out, problem.Error())
	}
	return out
}

// settle applies what git says, and looks again: nothing may be left.
func (h *history) settle(w want, sum *tally) {
	err := h.l.Cluster.Apply(h.Context(), plan.Change{Ref: w.item.Ref, Action: plan.Update, Spec: w.item.Spec, From: w.item.From, Approved: &gitops.Position{File: "x"}})
	if err != nil {
		switch gitops.AsError("", err).Reason {
		case gitops.ApplyInvalid, gitops.Immutable:
			return
		}
		h.wrong("applying: %v", err)
		return
	}
	for {
		live, err := h.raw.get(h.Context(), w.kind, w.key)
		if err != nil || live == nil {
			h.wrong("reading: %v", err)
			return
		}
		again, seen, err := h.l.ask(h.Context(), h.p, w, live)
		if err == nil && noChange(again, seen) {
			sum.settled.Add(1)
			return
		}
		if now, err := h.raw.get(h.Context(), w.kind, w.key); err == nil && now != nil && now.GetResourceVersion() == live.GetResourceVersion() {
			h.did("live", live.Object)
			h.wrong("after the apply there is still to do: %v %v, %+v", err, edited(live, again), again.takeover)
			return
		}
	}
}
